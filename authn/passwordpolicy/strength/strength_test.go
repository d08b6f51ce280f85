package strength

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
)

func TestMinScore(t *testing.T) {
	const email = "gwendolyn@kunstmuseum.example"
	for _, c := range []struct {
		password string
		score    int
	}{
		{"", 0},
		{"password", 0},
		{"p@ssw0rd", 0},
		{"qwertyuiop", 0},
		{"19840229", 0},
		{"kunstmuseum", 0},
		{"gwendolyn@kunstmuseum.example", 0},
		{"correct horse", 1},
		{"queen of camelot", 3},
		{"correct horse battery staple", 4},
		{"zK4#vq9!Lw", 4},
		{strings.Repeat("a", 4096), 0},
	} {
		if got := score(c.password, email); got != c.score {
			t.Errorf("%.40q: %d, want %d", c.password, got, c.score)
		}
		for n := MinScore(0); n <= 5; n++ {
			err := n.CheckPassword(t.Context(), c.password, authn.Account{Email: email})
			if (err == nil) != (int(n) <= c.score) || err != nil && err != error(errWeak) {
				t.Errorf("%.40q of at least %d: %v", c.password, n, err)
			}
		}
	}
}

// Whatever is typed, the estimate takes no longer than a hash. An estimate
// makes as many allocations wherever it runs, which its time doesn't: a
// passphrase makes some hundreds, and what is not bounded a hundred times more.
func TestNoPasswordTakesLong(t *testing.T) {
	for _, hostile := range hostile {
		if n := testing.AllocsPerRun(1, func() { score(hostile, "ann@example.com") }); n > 25_000 {
			t.Errorf("%.40q of %d bytes: %v allocations", hostile, len(hostile), n)
		}
	}
}

// hostile are passwords that zxcvbn has most work with.
var hostile = []string{
	strings.Repeat(substitutes, 50),
	strings.Repeat("4@1|!7", 170),
	strings.Repeat("([{<1|", 170),
	strings.Repeat("password1", 113),
	strings.Repeat("qwertyuiop", 100),
	strings.Repeat("aA", 500),
	strings.Repeat("🧑‍🚀", 90),
	strings.Repeat("\xff", 1024),
	strings.Repeat("19.12.1984", 100),
}

func TestConcurrentUse(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if score("queen of camelot", "ann@example.com") != 3 {
				t.Error("another score")
			}
		})
	}
	wg.Wait()
}

func FuzzScore(f *testing.F) {
	for _, s := range append(hostile, "", "İıſK", "\x00", "a\u0308\u0308") {
		f.Add(s, "ann@example.com")
	}
	f.Fuzz(func(t *testing.T, password, email string) {
		start := time.Now()
		if got := score(password, email); got < 0 || got > 4 {
			t.Error(got)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Error(took)
		}
	})
}

func BenchmarkScore(b *testing.B) {
	for what, password := range map[string]string{
		"queen":      "queen of camelot",
		"passphrase": "correct horse battery staple unrelated",
		"hostile 1":  hostile[0],
		"hostile 2":  hostile[1],
		"hostile 3":  hostile[2],
		"hostile 4":  hostile[3],
		"hostile 5":  hostile[4],
		"hostile 8":  hostile[7],
	} {
		b.Run(what, func(b *testing.B) {
			for b.Loop() {
				score(password, "ann@example.com")
			}
		})
	}
}
