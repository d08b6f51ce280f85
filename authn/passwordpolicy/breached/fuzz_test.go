package breached

import (
	"strings"
	"testing"
)

// An answer comes from outside. Whatever it is, the count of a suffix is one
// that a well-formed line of it says.
func FuzzFind(f *testing.F) {
	const suffix = "0123456789ABCDEF0123456789ABCDEF012"
	for _, answer := range []string{"", "\n", suffix + ":5", suffix + ":5\r\n" + suffix + ":0\r\n", strings.ToLower(suffix) + ":1\n", suffix + ":00005\r\r\n", "<html>", suffix + ":+5", suffix + "::5"} {
		f.Add(answer)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		count, err := find(answer, suffix)
		switch {
		case count < 0 || err != nil && count != 0:
			t.Errorf("%d, %v", count, err)
		case count > 0 && !strings.Contains(strings.ToUpper(answer), suffix+":"):
			t.Errorf("%d of an answer without the suffix", count)
		case err == nil && count == 0 && strings.Contains(answer, suffix+":1\n"):
			t.Error("the suffix was not found")
		}
	})
}
