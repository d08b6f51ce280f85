package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var fence = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// TestPagesShowCompiledCode holds every ```go block of the pages against the
// sources of this folder and of the examples.
func TestPagesShowCompiledCode(t *testing.T) {
	var compiled strings.Builder
	for _, pattern := range []string{"*.go", "../examples/*/*.go", "../examples/*/*/*.go"} {
		for _, file := range glob(t, pattern) {
			compiled.WriteString(squeeze(read(t, file)))
		}
	}
	blocks := 0
	for _, page := range append(glob(t, "*.md"), "../README.md") {
		for _, match := range fence.FindAllStringSubmatch(read(t, page), -1) {
			blocks++
			if !strings.Contains(compiled.String(), squeeze(match[1])) {
				t.Errorf("%s shows code that is not compiled anywhere:\n%s", page, match[1])
			}
		}
	}
	if blocks == 0 {
		t.Error("no page shows any code")
	}
}

// TestGettingStartedIsOneProgram holds the steps of that page against the
// program that they say they make.
func TestGettingStartedIsOneProgram(t *testing.T) {
	steps, _, found := strings.Cut(read(t, "getting-started.md"), "## The first superuser")
	if !found {
		t.Fatal("the page has no end of its steps")
	}
	program := squeeze(read(t, "../examples/getting-started/main.go"))
	for _, match := range fence.FindAllStringSubmatch(steps, -1) {
		program = strings.Replace(program, squeeze(match[1]), "", 1)
	}
	if _, rest, _ := strings.Cut(program, "package main "); rest != "" {
		t.Errorf("the page does not show all of the program, or other code: %s", rest)
	}
}

var (
	code = regexp.MustCompile("(?s)```.*?```|`[^`]*`")
	link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
)

// TestLinksLeadSomewhere follows the relative links of the pages.
func TestLinksLeadSomewhere(t *testing.T) {
	for _, page := range slices.Concat(glob(t, "*.md"), glob(t, "*/*.md"), glob(t, "../*.md")) {
		prose := code.ReplaceAllString(read(t, page), "")
		for _, match := range link.FindAllStringSubmatch(prose, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), match[1])); err != nil {
				t.Errorf("%s links to %s", page, match[1])
			}
		}
	}
}

// squeeze makes white space one blank each, so that indentation doesn't count.
func squeeze(code string) string { return strings.Join(strings.Fields(code), " ") + " " }

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(files), err)
	}
	return files
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
