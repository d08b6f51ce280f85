package routes

import (
	"context"
	"crypto/rand"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// slow is a store that takes its time, as one does that is asked over a network.
type slow struct{ authn.MemoryLimits }

func (s *slow) Take(ctx context.Context, key authn.LimitKey, limit Limit, now time.Time) (time.Duration, error) {
	time.Sleep(time.Millisecond) // of the test's clock
	return s.MemoryLimits.Take(ctx, key, limit, now)
}

// Who asks while others are asking waits for them, too, if they are taken; and
// nobody waits where all are refused.
func TestWaitingForWhoIsAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		counts := &counts{all: new(slow), now: time.Now}
		c := counted{key: keyOf("test"), limit: Limit{Burst: 2, Every: time.Hour}}
		var f flights
		var under, most, refused atomic.Int64
		fly := func(right bool) {
			if f.take(ctx, counts, c) > 0 {
				refused.Add(1)
				return
			}
			most.Store(max(most.Load(), under.Add(1)))
			time.Sleep(time.Second)
			under.Add(-1)
			if right {
				counts.giveBack(ctx, c)
			}
			f.end(c.key)
		}
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() { fly(true) })
		}
		group.Wait()
		if refused.Load() != 0 || most.Load() != 2 {
			t.Errorf("right ones: %d were refused, %d at once", refused.Load(), most.Load())
		}
		began := time.Now()
		for range 20 {
			group.Go(func() { fly(false) })
		}
		group.Wait()
		if refused.Load() != 18 {
			t.Errorf("wrong ones: %d were refused, want 18", refused.Load())
		}
		if took := time.Since(began); took > 1100*time.Millisecond {
			t.Errorf("they have waited for %v", took)
		}
		refused.Store(0)
		began = time.Now()
		for range 20 {
			group.Go(func() { fly(false) })
		}
		group.Wait()
		if refused.Load() != 20 || time.Since(began) > 10*time.Millisecond {
			t.Errorf("nobody is under way: %d were refused after %v", refused.Load(), time.Since(began))
		}
		if len(f.all) != 0 {
			t.Errorf("%d keys are left", len(f.all))
		}
	})
}

// However many are right, one address has so many under way at once, and no more.
func TestAnAddressHasSoManyUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustLimit(t, Limits{LoginAddress: Limit{Burst: 3}, Devices: Devices{Skip: true}})
		request := func(address string) (*Attempt, error) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			t.Cleanup(cancel)
			r := httptest.NewRequestWithContext(ctx, "POST", "/", nil)
			r.RemoteAddr = address
			return l.guess(r, "login", "device", rand.Text())
		}
		var under []*Attempt
		for range 3 {
			a, err := request("192.0.2.1")
			if err != nil {
				t.Fatal(err)
			}
			under = append(under, a)
		}
		if _, err := request("192.0.2.1"); err == nil {
			t.Error("a fourth is under way")
		} else if wait := authn.AsHTTPError(err).Header.Get("Retry-After"); wait != "1" {
			t.Errorf("Retry-After: %s", wait)
		}
		if a, err := request("192.0.2.2"); err != nil {
			t.Errorf("another address: %v", err)
		} else {
			a.Succeed()
		}
		under[0].Succeed()
		under[1].End() // a wrong one
		for range 2 {
			a, err := request("192.0.2.1")
			if err != nil {
				t.Errorf("after two have landed: %v", err)
			}
			defer a.End()
		}
		if _, err := request("192.0.2.1"); err == nil {
			t.Error("one more than have landed")
		}
		under[2].TakeBack()
	})
}
