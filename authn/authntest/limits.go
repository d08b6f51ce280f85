package authntest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// TestLimits runs the suite of [authn.LimitStore]. newStore returns an empty
// one. It can't see whether what has come back is removed, and whether a
// growing delay is forgotten after [authn.LimitMemory].
func TestLimits(t *testing.T, newStore func(t *testing.T) authn.LimitStore) {
	p := new(problems)
	testLimits(t.Context(), p, newStore(t))
	p.report(t)
}

// limited asks one key of a store.
type limited struct {
	ctx   context.Context
	p     *problems
	store authn.LimitStore
	key   authn.LimitKey
	limit authn.Limit
	when  string
}

// takes wants a wait of one that is taken.
func (l limited) takes(now time.Time, want time.Duration) {
	if wait, err := l.store.Take(l.ctx, l.key, l.limit, now); err != nil || wait != want {
		l.p.add("%s: Take is %v, %v, want %v", l.when, wait, err, want)
	}
}

func (l limited) gives(now time.Time) {
	if err := l.store.GiveBack(l.ctx, l.key, l.limit, now); err != nil {
		l.p.add("%s: GiveBack: %v", l.when, err)
	}
}

func testLimits(ctx context.Context, p *problems, store authn.LimitStore) {
	now := time.Now().Truncate(time.Millisecond)
	at := func(seconds float64) time.Time { return now.Add(time.Duration(seconds * float64(time.Second))) }
	on := func(when string, limit authn.Limit) limited {
		return limited{ctx, p, store, authn.LimitKey{Name: "test", Of: sha256.Sum256([]byte(when))}, limit, when}
	}
	steady := authn.Limit{Burst: 3, Every: 10 * time.Second}
	growing := authn.Limit{Burst: 3, Every: 10 * time.Second, Most: 35 * time.Second}

	l := on("a burst", steady)
	for range 3 {
		l.takes(now, 0)
	}
	l.takes(now, 10*time.Second)
	l.takes(at(9.5), 500*time.Millisecond)
	l.takes(at(10), 0)
	l.takes(at(10), 10*time.Second)
	l.takes(at(25), 0)
	l.takes(at(25), 5*time.Second)
	for range 3 {
		l.takes(at(1000), 0)
	}
	l.takes(at(1000), 10*time.Second)

	l = on("given back", steady)
	for range 20 {
		l.takes(now, 0)
		l.gives(now)
	}
	for range 5 {
		l.gives(now)
	}
	for range 3 {
		l.takes(now, 0)
	}
	l.takes(now, 10*time.Second)
	l.gives(now)
	l.takes(now, 0)
	l.takes(now, 10*time.Second)

	l = on("a growing delay", growing)
	for range 3 {
		l.takes(now, 0)
	}
	l.takes(now, 10*time.Second)
	l.takes(at(4), 6*time.Second)
	l.takes(at(10), 0)
	l.takes(at(10), 20*time.Second)
	l.takes(at(30), 0)
	l.takes(at(30), 35*time.Second)
	l.takes(at(65), 0)
	l.takes(at(66), 34*time.Second)
	l.takes(at(10_000), 0)
	l.takes(at(10_000), 35*time.Second)

	l = on("a growing delay, given back", growing)
	l.gives(now)
	for range 20 {
		l.takes(now, 0)
		l.gives(now)
	}
	for range 3 {
		l.takes(now, 0)
	}
	l.gives(now)
	l.takes(now, 0)
	l.takes(now, 10*time.Second)
	l.takes(at(10), 0)
	l.gives(at(10))
	l.takes(at(10), 0)
	l.takes(at(10), 20*time.Second)

	for _, limit := range []authn.Limit{steady, growing} {
		l = on(fmt.Sprint("cleared ", limit.Most), limit)
		for range 3 {
			l.takes(now, 0)
		}
		if err := store.Clear(ctx, l.key); err != nil {
			p.add("Clear: %v", err)
		}
		for range 3 {
			l.takes(now, 0)
		}
		l.takes(now, 10*time.Second)

		l = on(fmt.Sprint("at once ", limit.Most), limit)
		var allowed atomic.Int64
		atOnce(many, func(int) {
			wait, err := store.Take(ctx, l.key, limit, now)
			if err != nil {
				p.add("Take at once: %v", err)
			}
			if wait == 0 {
				allowed.Add(1)
			}
		})
		if n := allowed.Load(); n != 3 {
			p.add("%s: %d of %d are allowed, want 3", l.when, n, many)
		}
		other := l
		other.key.Name, other.when = "test.other", "another name"
		other.takes(now, 0)
	}

	key := authn.LimitKey{Name: "test", Of: sha256.Sum256([]byte("remembered"))}
	remembered := func(when string, key authn.LimitKey, now time.Time, want bool) {
		if got, err := store.Remembered(ctx, key, now); err != nil || got != want {
			p.add("%s: Remembered is %t, %v, want %t", when, got, err, want)
		}
	}
	remembered("nothing was kept", key, now, false)
	for _, until := range []float64{60, 100} {
		if err := store.Remember(ctx, key, at(until), now); err != nil {
			p.add("Remember: %v", err)
		}
	}
	remembered("kept", key, at(99), true)
	remembered("over", key, at(100), false)
	key.Name = "test.other"
	remembered("another name", key, now, false)
}
