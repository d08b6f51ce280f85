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
	"github.com/echo-users/echo-users/authn/linked"
)

// slow is a store that takes its time, as one does that is asked over a network.
type slow struct {
	authn.MemoryLimits
	takes time.Duration
}

func (s *slow) Take(ctx context.Context, key authn.LimitKey, limit Limit, now time.Time) (time.Duration, error) {
	time.Sleep(s.takes) // of the test's clock
	return s.MemoryLimits.Take(ctx, key, limit, now)
}

// Who asks while others are asking waits for them, too, if they are taken; and
// nobody waits where all are refused.
func TestWaitingForWhoIsAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		counts := &counts{all: &slow{takes: time.Millisecond}, now: time.Now}
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

// Nobody waits for those who ask later: they may never end.
func TestNobodyWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &slow{takes: 20 * time.Millisecond}
		counts := &counts{all: store, now: time.Now}
		c := counted{key: keyOf("test"), limit: Limit{Burst: 1, Every: time.Hour}}
		var f flights
		f.take(t.Context(), counts, c)
		f.end(c.key)
		var group sync.WaitGroup
		for range 1000 { // of which two are asking at any time
			group.Go(func() {
				began := time.Now()
				if f.take(t.Context(), counts, c) == 0 {
					t.Error("taken")
				}
				if took := time.Since(began); took > 40*time.Millisecond {
					t.Errorf("has waited for %v", took)
				}
			})
			time.Sleep(9 * time.Millisecond)
		}
		group.Wait()
	})
}

func TestSoManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for what, c := range map[string]counted{
			"a limit":           {key: keyOf("test"), limit: Limit{Burst: 2, Every: time.Hour}},
			"so many under way": {key: keyOf("test"), most: 2},
		} {
			counts := &counts{now: time.Now}
			var f flights
			var refused atomic.Int64
			var group sync.WaitGroup
			for range 2 + maxWaiting + 10 {
				group.Go(func() {
					if f.take(t.Context(), counts, c) > 0 {
						refused.Add(1)
						return
					}
					time.Sleep(time.Second)
					if c.most == 0 {
						counts.giveBack(t.Context(), c)
					}
					f.end(c.key)
				})
			}
			synctest.Wait()
			if refused.Load() != 10 {
				t.Errorf("%s: %d were refused at once, want 10", what, refused.Load())
			}
			group.Wait()
			if refused.Load() != 10 || len(f.all) != 0 {
				t.Errorf("%s: %d were refused in the end, %d keys are left", what, refused.Load(), len(f.all))
			}
		}
	})
}

// Right as they are, a user has so many log-ins under way at once on known
// devices, and no more for however long it lasts; and others have theirs.
func TestAUserHasSoManyUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustLimit(t, Limits{})
		var under, most atomic.Int64
		logIn := func(user string) error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			r := httptest.NewRequestWithContext(ctx, "POST", "/", nil)
			a, err := l.login(r, user, device{ID: rand.Text(), User: user})
			if err != nil {
				return err
			}
			most.Store(max(most.Load(), under.Add(1)))
			time.Sleep(4 * time.Second)
			under.Add(-1)
			a.Succeed()
			return nil
		}
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				if err := logIn("ann"); err != nil {
					t.Errorf("%v", err)
				}
			})
		}
		group.Wait()
		if most.Load() != maxUnderWay {
			t.Errorf("%d at once", most.Load())
		}
		for range 40 {
			group.Go(func() { logIn("ann") })
		}
		synctest.Wait()
		began := time.Now()
		if err := logIn("bob"); err != nil || time.Since(began) != 4*time.Second {
			t.Errorf("somebody else: %v after %v", err, time.Since(began))
		}
		group.Wait()
		if len(l.flights.all) != 0 {
			t.Errorf("%d keys are left", len(l.flights.all))
		}
	})
}

// A device that is locked takes no place from the user's others.
func TestALockedDeviceTakesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys, err := linked.NewKeys([]byte("0123456789abcdef0123456789abcdef"))
		if err != nil {
			t.Fatal(err)
		}
		l := mustLimit(t, Limits{LoginDevice: Limit{Burst: 1, Every: time.Hour}, Store: &slow{takes: time.Millisecond}, Devices: Devices{Keys: keys}})
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/", nil)
		locked := device{ID: rand.Text(), User: "ann"}
		wrong, err := l.login(r, "ann", locked)
		if err != nil {
			t.Fatal(err)
		}
		wrong.End()
		var group sync.WaitGroup
		var done atomic.Bool
		for range 200 {
			group.Go(func() {
				for !done.Load() {
					if _, err := l.login(r, "ann", locked); err == nil {
						t.Error("the locked device got in")
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		time.Sleep(10 * time.Millisecond)
		for range 20 {
			a, err := l.login(r, "ann", device{ID: rand.Text(), User: "ann"})
			if err != nil {
				t.Errorf("another device: %v", err)
			}
			a.Succeed()
		}
		done.Store(true)
		group.Wait()
	})
}
