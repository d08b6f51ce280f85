package passwordpolicy

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// The list is exact: what it has is found, and nothing else is.
func TestTheListHasNoFalsePositives(t *testing.T) {
	words := strings.Split(strings.TrimSuffix(common(), "\n"), "\n")
	if len(words) < 50_000 || !slices.IsSorted(words) {
		t.Fatalf("%d words, sorted: %v", len(words), slices.IsSorted(words))
	}
	long := 0
	on := map[string]bool{}
	for _, w := range words {
		on[w] = true
		if fold(w) != w || utf8.RuneCountInString(w) < minWord {
			t.Errorf("%q is on the list, which no password is once folded", w)
		}
		if utf8.RuneCountInString(w) >= 8 {
			long++
		}
	}
	if long < 20_000 {
		t.Errorf("%d of eight characters and more", long)
	}
	off := 0
	for _, w := range words {
		for _, near := range []string{w, w + "\n", "\n" + w, w + "q", "q" + w, w[1:], w[:len(w)-1], w + "\x00", strings.ToUpper(w), w[:2] + "~" + w[2:]} {
			if isListed(near) != on[near] {
				t.Errorf("%q: %v", near, !on[near])
			}
			if !on[near] {
				off++
			}
		}
	}
	t.Logf("%d words, %d long enough; %d others tried", len(words), long, off)
	for _, other := range []string{"", "\n", "\x00", "~~~~~~", "\U0010ffff", strings.Repeat("z", 1<<20)} {
		if isListed(other) {
			t.Errorf("%.20q is on the list", other)
		}
	}
}

func TestPeriod(t *testing.T) {
	for s, want := range map[string]int{"": 0, "a": 1, "aaaa": 1, "abab": 2, "ababa": 2, "abcabcab": 3, "abcd": 4, "aabaab": 3, "aabaabb": 7} {
		if got := period(s); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}

func BenchmarkUnpack(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		unpack()
	}
}
