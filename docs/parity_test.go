package docs_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// declaredTests are the tests and examples of all packages, each with the name
// of its folder before it: "docs.TestTheParityTableNamesTests".
func declaredTests(t *testing.T) map[string]bool {
	t.Helper()
	declared := map[string]bool{}
	for _, pattern := range []string{"../*/*_test.go", "../*/*/*_test.go", "../*/*/*/*_test.go", "*_test.go"} {
		for _, file := range glob(t, pattern) {
			dir := filepath.Base(filepath.Dir(file))
			if dir == "." {
				dir = "docs"
			}
			for _, match := range testDeclaration.FindAllStringSubmatch(read(t, file), -1) {
				declared[dir+"."+match[1]] = true
			}
		}
	}
	return declared
}

var testDeclaration = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example)\w*)\(`)

var parityRow = regexp.MustCompile(`(?m)^\| ([^|]+) \| ([^|]*) \| ([^|]*) \|$`)

// TestTheParityTableNamesTests looks each test of the table up in the package
// that the table names.
func TestTheParityTableNamesTests(t *testing.T) {
	declared := declaredTests(t)
	rows := 0
	missing := false // beneath "Not here yet"
	for _, row := range parityRow.FindAllStringSubmatch(read(t, "parity.md"), -1) {
		feature, here, test := strings.TrimSpace(row[1]), strings.TrimSpace(row[2]), strings.TrimSpace(row[3])
		switch {
		case feature == "there" || strings.HasPrefix(feature, "---"):
			continue
		case strings.HasPrefix(feature, "**"):
			missing = strings.Contains(feature, "Not here")
			continue
		}
		rows++
		if missing && test == "" {
			continue
		}
		if here == "" || !declared[test] {
			t.Errorf("%s: here is %q, and the test %q is declared: %v", feature, here, test, declared[test])
		}
	}
	if rows < 50 {
		t.Errorf("%d rows", rows)
	}
}

// TestEveryPageIsInTheREADME holds the README's list of pages against the
// pages.
func TestEveryPageIsInTheREADME(t *testing.T) {
	readme := read(t, "../README.md")
	pages := glob(t, "*.md")
	slices.Sort(pages)
	for _, page := range pages {
		if !strings.Contains(readme, fmt.Sprintf("(docs/%s)", page)) {
			t.Errorf("the README doesn't name docs/%s", page)
		}
	}
}
