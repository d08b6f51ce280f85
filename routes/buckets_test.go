package routes

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// An address beyond its limit can't have an account's failures forgotten by
// naming very many others.
func TestRefusedAddressesMakeNoBuckets(t *testing.T) {
	l := newLimiter(Limits{LoginAddress: Limit{Burst: 5}})
	r := httptest.NewRequest("POST", "/", nil)
	for i := range 50 {
		_, _ = l.login(r, fmt.Sprint(i))
	}
	if n := len(l.loginAccount.newer); n != 5 {
		t.Errorf("%d accounts are remembered, want those of the 5 attempts", n)
	}
}

func TestBucketsAreBounded(t *testing.T) {
	b := newBuckets(Limit{1, time.Hour})
	now := time.Now()
	b.of("ann").AllowN(now, 1)
	for i := range 3 * maxBuckets {
		b.of(fmt.Sprint(i))
		if i%1000 == 0 && b.of("ann").AllowN(now, 1) {
			t.Fatalf("what is in use was forgotten after %d others", i)
		}
	}
	if n := len(b.newer) + len(b.older); n > 2*maxBuckets {
		t.Errorf("%d buckets", n)
	}
}

// What is given back is never more than was taken.
func TestTakingBackStopsAtTheBurst(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := newLimiter(Limits{LoginAccount: Limit{Burst: 3, Every: time.Minute}, LoginAddress: Limit{Burst: 100}, Now: func() time.Time { return now }})
	r := httptest.NewRequest("POST", "/", nil)
	for range 20 {
		a, err := l.login(r, "ann")
		if err != nil {
			t.Fatal(err)
		}
		a.takeBack()
	}
	allowed := 0
	for range 20 {
		if _, err := l.login(r, "ann"); err == nil {
			allowed++
		}
	}
	if allowed != 3 {
		t.Errorf("%d attempts, want 3", allowed)
	}
}

// A long name costs little before it is refused, and isn't kept.
func TestLongAccountsAreCut(t *testing.T) {
	long := strings.Repeat("\ufdfa", 20_000) // eleven times as long in NFKC
	if key := accountKey(long); len(key) > 320*20 {
		t.Errorf("%d bytes", len(key))
	}
}
