package authntest

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
)

func TestMemoryLimitsPassTheirSuite(t *testing.T) {
	TestLimits(t, func(*testing.T) authn.LimitStore { return new(authn.MemoryLimits) })
}

// lax is a store of limits with faults.
type lax struct {
	authn.MemoryLimits
	looksFirst, generous, steady, shared, forgetful bool
}

func (l *lax) Take(ctx context.Context, key authn.LimitKey, limit authn.Limit, now time.Time) (time.Duration, error) {
	if l.shared {
		key.Name = strings.TrimSuffix(key.Name, ".other")
	}
	if l.steady {
		limit.Most = 0
	}
	if l.looksFirst {
		wait, err := l.MemoryLimits.Take(ctx, key, limit, now)
		if err == nil && wait == 0 {
			_ = l.MemoryLimits.GiveBack(ctx, key, limit, now)
			for range 100 {
				runtime.Gosched() // for others to look as well
			}
			_, err = l.MemoryLimits.Take(ctx, key, limit, now)
		}
		return wait, err
	}
	return l.MemoryLimits.Take(ctx, key, limit, now)
}

func (l *lax) GiveBack(ctx context.Context, key authn.LimitKey, limit authn.Limit, now time.Time) error {
	if l.generous {
		return l.Clear(ctx, key)
	}
	return l.MemoryLimits.GiveBack(ctx, key, limit, now)
}

func (l *lax) Remember(ctx context.Context, key authn.LimitKey, until, now time.Time) error {
	if known, _ := l.Remembered(ctx, key, now); known && l.forgetful {
		return nil
	}
	return l.MemoryLimits.Remember(ctx, key, until, now)
}

func TestTheSuiteOfLimitsFindsFaults(t *testing.T) {
	for says, store := range map[string]authn.LimitStore{
		"are allowed, want 3":              &lax{looksFirst: true},
		"given back: Take is 0s":           &lax{generous: true},
		"a growing delay: Take":            &lax{steady: true},
		"another name: Take is 10s":        &lax{shared: true},
		"kept: Remembered is false, <nil>": &lax{forgetful: true},
	} {
		p := new(problems)
		testLimits(t.Context(), p, store)
		wantsProblem(t, p, says)
	}
}
