package routes

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"

	"github.com/echo-users/echo-users/authn"
)

func mustLimit(t *testing.T, cfg Limits) *limiter {
	t.Helper()
	l, err := newLimiter(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// An address beyond its limit can't have an account's failures forgotten by
// naming very many others.
func TestRefusedAddressesMakeNoKeys(t *testing.T) {
	asked := &asked{LimitStore: new(authn.MemoryLimits), keys: map[authn.LimitKey]bool{}}
	l := mustLimit(t, Limits{LoginAddress: Limit{Burst: 5}, Store: asked, Devices: Devices{Skip: true}})
	r := httptest.NewRequest("POST", "/", nil)
	for i := range 50 {
		a, _ := l.login(r, fmt.Sprint(i), device{})
		a.End()
	}
	if n := len(asked.keys); n != 1+5 {
		t.Errorf("%d keys, want the address and 5 accounts", n)
	}
}

// asked notes the keys that are taken from.
type asked struct {
	authn.LimitStore
	keys map[authn.LimitKey]bool
}

func (a *asked) Take(ctx context.Context, key authn.LimitKey, limit Limit, now time.Time) (time.Duration, error) {
	a.keys[key] = true
	return a.LimitStore.Take(ctx, key, limit, now)
}

// What is given back is never more than was taken.
func TestTakingBackStopsAtTheBurst(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := mustLimit(t, Limits{LoginAccount: Limit{Burst: 3, Every: time.Minute}, LoginAddress: Limit{Burst: 100}, Now: func() time.Time { return now }})
	r := httptest.NewRequest("POST", "/", nil)
	for range 20 {
		a, err := l.login(r, "ann", device{})
		if err != nil {
			t.Fatal(err)
		}
		a.TakeBack()
	}
	allowed := 0
	for range 20 {
		a, err := l.login(r, "ann", device{})
		if err == nil {
			allowed++
		}
		a.End()
	}
	if allowed != 3 {
		t.Errorf("%d attempts, want 3", allowed)
	}
}

// A long name costs little before it is refused, and isn't kept.
func TestLongAccountsAreCut(t *testing.T) {
	long := strings.Repeat("\ufdfa", 20_000) // eleven times as long in NFKC
	if key := accountKey(long); len(key) > maxAccount*11 {
		t.Errorf("%d bytes", len(key))
	}
}

// What some database takes for one name is counted as one, however it is typed.
func TestSpellingsAreOneAccount(t *testing.T) {
	long := strings.Repeat("각", 20)
	long += "@" + long + "." + long + ".example" // 189 bytes, and 549 in NFD
	for _, spellings := range [][]string{
		{long, norm.NFD.String(long), strings.Replace(norm.NFD.String(long), norm.NFD.String("각"), "각", 7)},
		{"οδος@example.com", "ΟΔΟΣ@example.com", "οδοσ@example.com"}, // ICU, of Σ at a word's end
		{"ışık", "IŞIK", "ışIk"}, // Postgres in Turkish
		{"ann@example.com", " ANN@EXAMPLE.COM", "ａnn@example.com"},
	} {
		keys := map[string]bool{}
		for _, typed := range spellings {
			keys[accountKey(typed)] = true
		}
		if len(keys) != 1 {
			t.Errorf("%q have %d counts", spellings[0], len(keys))
		}
	}
}
