package routes

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// counts is a store of limits that always counts: in this process while the one
// for all processes is away. An attacker who hurts that one neither turns the
// limits off nor everybody's log-ins; and begins with what this process has
// seen, for it counts along.
type counts struct {
	here   authn.MemoryLimits
	all    authn.LimitStore // or nil
	now    func() time.Time
	logger *slog.Logger

	restsUntil atomic.Int64 // Unix nanoseconds, while the store is away
}

const (
	// storePatience is how long a store may take.
	storePatience = time.Second
	// storeRest is how long one that is away is not asked.
	storeRest = 2 * time.Second
)

// ask reports whether the store for all processes has answered. A client that
// hangs up is no reason that it doesn't.
func (c *counts) ask(ctx context.Context, f func(context.Context, authn.LimitStore) error) bool {
	if c.all == nil {
		return false
	}
	now := c.now()
	if rests := c.restsUntil.Load(); rests != 0 &&
		(now.UnixNano() < rests || !c.restsUntil.CompareAndSwap(rests, now.Add(storeRest).UnixNano())) { // one tries it again
		return false
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storePatience)
	defer cancel()
	if err := f(ctx, c.all); err != nil {
		if c.restsUntil.Swap(now.Add(storeRest).UnixNano()) == 0 {
			c.logger.WarnContext(ctx, "routes: the store of limits is away, and this process counts for itself", slog.Any("error", err))
		}
		return false
	}
	if c.restsUntil.Load() != 0 && c.restsUntil.Swap(0) != 0 {
		c.logger.InfoContext(ctx, "routes: the store of limits is there again")
	}
	return true
}

func (c *counts) take(ctx context.Context, t counted) (wait time.Duration) {
	answered := c.ask(ctx, func(ctx context.Context, all authn.LimitStore) (err error) {
		wait, err = all.Take(ctx, t.key, t.limit, c.now())
		return err
	})
	if answered && wait > 0 {
		return wait
	}
	here, _ := c.here.Take(ctx, t.key, t.limit, c.now())
	if answered {
		return 0
	}
	return here
}

func (c *counts) giveBack(ctx context.Context, t counted) {
	_ = c.here.GiveBack(ctx, t.key, t.limit, c.now())
	c.ask(ctx, func(ctx context.Context, all authn.LimitStore) error {
		return all.GiveBack(ctx, t.key, t.limit, c.now())
	})
}

func (c *counts) clear(ctx context.Context, key authn.LimitKey) {
	_ = c.here.Clear(ctx, key)
	c.ask(ctx, func(ctx context.Context, all authn.LimitStore) error { return all.Clear(ctx, key) })
}

func (c *counts) remember(ctx context.Context, key authn.LimitKey, life time.Duration) {
	now := c.now()
	_ = c.here.Remember(ctx, key, now.Add(life), now)
	c.ask(ctx, func(ctx context.Context, all authn.LimitStore) error {
		return all.Remember(ctx, key, now.Add(life), now)
	})
}

func (c *counts) remembered(ctx context.Context, key authn.LimitKey) (known bool) {
	answered := c.ask(ctx, func(ctx context.Context, all authn.LimitStore) (err error) {
		known, err = all.Remembered(ctx, key, c.now())
		return err
	})
	if !answered {
		known, _ = c.here.Remembered(ctx, key, c.now())
	}
	return known
}
