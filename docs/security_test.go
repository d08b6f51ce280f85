package docs_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	lessonRow = regexp.MustCompile(`(?m)^\| ([^|]+) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$`)
	asvsRow   = regexp.MustCompile(`(?m)^\| (\d[^|]*) \| ([^|]*) \| ([^|]*) \|$`)
	asvsHead  = regexp.MustCompile(`(?m)^### V(\d+) `)
	asvsSpan  = regexp.MustCompile(`^(\d+)\.(\d+)\.(\d+)(?: to (\d+)\.(\d+)\.(\d+))?$`)
)

// part returns what of the security page is between two lines.
func part(t *testing.T, from, to string) string {
	t.Helper()
	_, rest, found := strings.Cut(read(t, "security.md"), "\n"+from+"\n")
	text, _, ended := strings.Cut(rest, "\n"+to+"\n")
	if !found || !ended {
		t.Fatalf("the page has no part from %q to %q", from, to)
	}
	return text
}

// TestEveryLessonHasATest looks the test of each advisory up.
func TestEveryLessonHasATest(t *testing.T) {
	declared := declaredTests(t)
	rows := 0
	for _, row := range lessonRow.FindAllStringSubmatch(part(t, "## What happened elsewhere", "### Not here yet"), -1) {
		advisory, here, test := strings.TrimSpace(row[1]), strings.TrimSpace(row[3]), strings.TrimSpace(row[4])
		if advisory == "advisory" || strings.HasPrefix(advisory, "---") || strings.HasPrefix(advisory, "**") {
			continue
		}
		rows++
		if here == "" || !declared[test] {
			t.Errorf("%s: here is %q, and the test %q is declared: %v", advisory, here, test, declared[test])
		}
	}
	if rows < 70 {
		t.Errorf("%d rows", rows)
	}
}

// asvs has how many requirements each section of ASVS 5.0.0 has, by its chapter.
var asvs = map[int][]int{
	1: {2, 10, 12, 3, 3}, 2: {3, 3, 5, 2}, 3: {1, 3, 5, 8, 8, 1, 5}, 4: {5, 5, 2, 4}, 5: {1, 6, 3, 3}, 6: {3, 12, 8, 6, 8, 4, 2, 4}, 7: {3, 4, 2, 5, 3, 2},
	8: {4, 4, 3, 2}, 9: {3, 4}, 10: {2, 3, 5, 16, 5, 2, 3}, 11: {4, 5, 5, 4, 2, 2, 2}, 12: {5, 2, 5}, 13: {4, 6, 4, 7}, 14: {2, 8, 3}, 15: {5, 5, 7, 4},
	16: {1, 5, 4, 3, 4}, 17: {2, 8, 2},
}

// TestRequirementsOfASVS holds that each line says one of three words, of
// requirements that there are and once of each; and of all, where the page
// says so.
func TestRequirementsOfASVS(t *testing.T) {
	text := part(t, "## OWASP ASVS 5.0", "## Report a weakness")
	heads := asvsHead.FindAllStringSubmatchIndex(text, -1)
	if len(heads) != len(asvs) {
		t.Fatalf("%d chapters", len(heads))
	}
	said := map[string]bool{}
	for i, head := range heads {
		chapter := text[head[2]:head[3]]
		if want := fmt.Sprint(i + 1); chapter != want {
			t.Errorf("V%s in the place of V%s", chapter, want)
		}
		end := len(text)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		body := text[head[1]:end]
		rows := asvsRow.FindAllStringSubmatch(body, -1)
		if len(rows) == 0 && !strings.Contains(body, "Doesn't concern") {
			t.Errorf("V%s says nothing", chapter)
		}
		if lines := strings.Count(body, "\n| "); len(rows) > 0 && lines != len(rows)+2-strings.Count(body, "\n|---") {
			t.Errorf("V%s: %d lines of a table, and %d rows", chapter, lines, len(rows))
		}
		for _, row := range rows {
			if word := strings.TrimSpace(row[2]); word != "held" && word != "application" && word != "not yet" {
				t.Errorf("%s is %q", row[1], word)
			}
			if strings.TrimSpace(row[3]) == "" {
				t.Errorf("%s: by what?", row[1])
			}
			for _, number := range requirements(t, strings.TrimSpace(row[1])) {
				if !strings.HasPrefix(number, chapter+".") || said[number] {
					t.Errorf("%s is in V%s, said before: %v", number, chapter, said[number])
				}
				said[number] = true
			}
		}
	}
	for _, chapter := range []int{6, 7, 9, 10} {
		for section, count := range asvs[chapter] {
			for i := range count {
				if number := fmt.Sprintf("%d.%d.%d", chapter, section+1, i+1); !said[number] {
					t.Errorf("nothing is said of %s", number)
				}
			}
		}
	}
}

// requirements are the numbers of a cell: "6.1.1, 6.5.1 to 6.5.8".
func requirements(t *testing.T, cell string) (numbers []string) {
	t.Helper()
	for one := range strings.SplitSeq(cell, ", ") {
		span := asvsSpan.FindStringSubmatch(one)
		if span == nil {
			t.Errorf("%q is no requirement", one)
			continue
		}
		var from, to [3]int
		fmt.Sscan(strings.Join(span[1:4], " "), &from[0], &from[1], &from[2])
		if to = from; span[4] != "" {
			fmt.Sscan(strings.Join(span[4:7], " "), &to[0], &to[1], &to[2])
		}
		sections := asvs[from[0]]
		if from[0] != to[0] || from[1] != to[1] || from[1] < 1 || from[1] > len(sections) || from[2] < 1 || to[2] < from[2] || to[2] > sections[from[1]-1] {
			t.Errorf("there is no %s", one)
			continue
		}
		for i := from[2]; i <= to[2]; i++ {
			numbers = append(numbers, fmt.Sprintf("%d.%d.%d", from[0], from[1], i))
		}
	}
	return numbers
}

// ours are the packages whose names the page uses.
var ours = map[string]string{
	"authn": "../authn", "authntest": "../authn/authntest", "linked": "../authn/linked", "password": "../authn/password", "passwordpolicy": "../authn/passwordpolicy",
	"breached": "../authn/passwordpolicy/breached", "usercache": "../authn/usercache", "backends": "../backends", "jwt": "../strategies/jwt", "redis": "../strategies/redis",
	"database": "../strategies/database", "userdb": "../userdb", "routes": "../routes", "openapi": "../routes/openapi", "swaggerui": "../routes/swaggerui", "oauth": "../oauth",
	"mail": "../mail", "smtp": "../mail/smtp",
}

// TestTheSecurityPageNamesWhatIsThere looks up what the page has you set: a
// package's function or type, and a field of it.
func TestTheSecurityPageNamesWhatIsThere(t *testing.T) {
	named := regexp.MustCompile(`\b(` + strings.Join(slices.Sorted(maps.Keys(ours)), "|") + `)\.([A-Z]\w*)(?:\.([A-Z]\w*))?`)
	sources := map[string]string{}
	for name, dir := range ours {
		for _, file := range glob(t, filepath.Join(dir, "*.go")) {
			if !strings.HasSuffix(file, "_test.go") {
				sources[name] += read(t, file)
			}
		}
	}
	found := 0
	for _, quoted := range regexp.MustCompile("`[^`\n]+`").FindAllString(read(t, "security.md"), -1) {
		for _, name := range named.FindAllStringSubmatch(quoted, -1) {
			found++
			declaration := regexp.MustCompile(`(?m)^(?:func |type |var |const |\t)` + name[2] + `\b`)
			field := regexp.MustCompile(`(?m)^\t(?:\w+, )*` + name[3] + `\b`)
			if !declaration.MatchString(sources[name[1]]) || name[3] != "" && !field.MatchString(sources[name[1]]) {
				t.Errorf("there is no %s", name[0])
			}
		}
	}
	if found < 40 {
		t.Errorf("%d names", found)
	}
}
