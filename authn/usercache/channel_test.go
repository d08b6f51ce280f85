package usercache_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/authn/usercache"
)

var quiet = slog.New(slog.DiscardHandler)

// wire is what connects the channels of nodes, with faults.
type wire struct {
	mu    sync.Mutex
	ends  []*end
	fault func(from, to *end) (lost bool, lag time.Duration)
}

// end is a node's channel.
type end struct {
	*wire
	cut   bool // nothing goes in or out, and everybody knows
	queue chan delivery
	lost  chan struct{}
}

type delivery struct {
	due     time.Time
	message string
}

var errCut = errors.New("cut")

func (w *wire) connect() *end {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := &end{wire: w}
	w.ends = append(w.ends, e)
	return e
}

func (e *end) Publish(ctx context.Context, message string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cut {
		return errCut
	}
	for _, to := range e.ends {
		if to.queue == nil {
			continue
		}
		var lag time.Duration
		if e.fault != nil {
			var lost bool
			if lost, lag = e.fault(e, to); lost {
				continue
			}
		}
		select {
		case to.queue <- delivery{time.Now().Add(lag), message}:
		default:
			to.hangUp()
		}
	}
	return nil
}

// hangUp ends what listens. e.mu is held.
func (e *end) hangUp() {
	if e.queue != nil {
		close(e.lost)
		e.queue = nil
	}
}

func (e *end) setCut(cut bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cut = cut
	if cut {
		e.hangUp()
	}
}

func (e *end) Listen(ctx context.Context, ready func(), hear func(string)) error {
	e.mu.Lock()
	if e.cut {
		e.mu.Unlock()
		return errCut
	}
	queue, lost := make(chan delivery, 10_000), make(chan struct{})
	e.queue, e.lost = queue, lost
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.queue == queue {
			e.queue = nil
		}
	}()
	ready()
	for {
		select {
		case d := <-queue:
			if wait := time.Until(d.due); wait > 0 {
				select {
				case <-time.After(wait):
				case <-lost:
					return errCut
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			hear(d.message)
		case <-lost:
			return errCut
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func wait(d time.Duration) { <-time.After(d) }

// pair is two nodes of one application.
func pair(t *testing.T, store authn.Store[*authntest.User], maxAge time.Duration) (a, b *site, wireA, wireB *end) {
	w := new(wire)
	wireA, wireB = w.connect(), w.connect()
	a = newSite(t, store, usercache.Config{MaxAge: maxAge, Channel: wireA, Logger: quiet})
	b = newSite(t, store, usercache.Config{MaxAge: maxAge, Channel: wireB, Logger: quiet})
	return a, b, wireA, wireB
}

func closeAll(t *testing.T, sites ...*site) {
	for _, s := range sites {
		if err := s.cached.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestANodeHearsOfWhatAnotherWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(counting)
		a, b, _, _ := pair(t, store, time.Minute)
		defer closeAll(t, a, b)
		synctest.Wait()
		ann := a.register(t, "ann@example.com")
		if n := store.since(func() {
			for range 10 {
				if _, err := check(b.active, ann); err != nil {
					t.Fatal(err)
				}
			}
		}); n != 1 {
			t.Errorf("%d loads while the channel is up", n)
		}
		a.update(t, ann, authn.Update[*authntest.User]{IsActive: ptr(false)})
		synctest.Wait()
		if _, err := check(b.active, ann); !errors.Is(err, authn.ErrUnauthorized) {
			t.Error(err)
		}
	})
}

// A cache that can't hear isn't trusted: every guard reads the store.
func TestWithoutTheChannelGuardsReadTheStore(t *testing.T) {
	for name, fail := range map[string]func(w *end){
		"cut": func(w *end) { w.setCut(true) },
		"silent": func(w *end) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.fault = func(_, to *end) (bool, time.Duration) { return to == w, 0 }
		},
		"slow": func(w *end) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.fault = func(_, to *end) (bool, time.Duration) { return false, 10 * time.Second }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := new(counting)
				a, b, _, wireB := pair(t, store, 5*time.Second)
				defer closeAll(t, a, b)
				synctest.Wait()
				ann := a.register(t, "ann@example.com")
				look := func() {
					t.Helper()
					if _, err := check(b.active, ann); err != nil {
						t.Error(err)
					}
				}
				if n := store.since(func() { look(); look() }); n != 1 {
					t.Fatalf("%d loads before", n)
				}
				fail(wireB)
				wait(3*time.Second + time.Millisecond)
				if n := store.since(func() { look(); look() }); n != 2 {
					t.Errorf("%d loads while it is down", n)
				}
				wireB.setCut(false)
				wireB.mu.Lock()
				wireB.fault = nil
				wireB.mu.Unlock()
				wait(time.Minute)
				if n := store.since(func() { look(); look() }); n != 1 {
					t.Errorf("%d loads after it is back", n)
				}
			})
		})
	}
}

// What was missed while a node couldn't hear, or while another couldn't speak,
// is forgotten with everybody else.
func TestWhatWasMissedIsForgotten(t *testing.T) {
	for name, cutter := range map[string]int{"the one that writes": 0, "the one that guards": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, wireA, wireB := pair(t, new(counting), time.Minute)
				defer closeAll(t, a, b)
				synctest.Wait()
				ann := a.register(t, "ann@example.com")
				if _, err := check(b.active, ann); err != nil {
					t.Fatal(err)
				}
				cut := []*end{wireA, wireB}[cutter]
				cut.setCut(true)
				a.update(t, ann, authn.Update[*authntest.User]{IsActive: ptr(false)})
				cut.setCut(false)
				wait(10 * time.Second)
				if _, err := check(b.active, ann); !errors.Is(err, authn.ErrUnauthorized) {
					t.Error(err)
				}
			})
		})
	}
}

// What is written in a transaction is held back elsewhere too, whether or not
// the id can travel, and whether or not the message was late.
func TestOtherNodesHoldWhoeverIsInATransaction(t *testing.T) {
	for name, id := range map[string]string{"an id that travels": "ann", "one of other letters": "bjørn", "a long one": strings.Repeat("x", 300)} {
		for what, cut := range map[string]bool{"at once": false, "late": true} {
			t.Run(name+", "+what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store := transacting{new(counting)}
					a, b, wireA, _ := pair(t, store, time.Minute)
					defer closeAll(t, a, b)
					synctest.Wait()
					loads := 0
					look := func() {
						t.Helper()
						if _, _, err := b.cached.Recall(t.Context(), id, time.Hour, func(context.Context, string) (*authntest.User, error) {
							loads++
							return &authntest.User{ID: id}, nil
						}); err != nil {
							t.Error(err)
						}
					}
					look()
					wireA.setCut(cut)
					_ = store.InTransaction(t.Context(), func(ctx context.Context) error {
						a.cached.Forget(ctx, id)
						return nil
					})
					wireA.setCut(false)
					wait(5 * time.Second)
					loads = 0
					look()
					look()
					if loads != 2 {
						t.Errorf("%d loads, and the transaction may be open", loads)
					}
					wait(time.Minute)
					loads = 0
					look()
					look()
					if loads != 1 {
						t.Errorf("%d loads when it is over", loads)
					}
				})
			})
		}
	}
}

// A channel that panics is one that is down.
func TestAChannelThatPanicsIsDown(t *testing.T) {
	for name, channel := range map[string]*panicking{"listening": {listen: true}, "publishing": {}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := new(counting)
				s := newSite(t, store, usercache.Config{Channel: channel, Logger: quiet})
				defer closeAll(t, s)
				wait(time.Minute)
				ann := s.register(t, "ann@example.com")
				s.update(t, ann, authn.Update[*authntest.User]{IsVerified: ptr(true)})
				if n := store.since(func() { _, _ = check(s.active, ann); _, _ = check(s.active, ann) }); n != 2 {
					t.Errorf("%d loads", n)
				}
			})
		})
	}
}

type panicking struct{ listen bool }

func (*panicking) Publish(context.Context, string) error { panic("publish") }

func (p *panicking) Listen(ctx context.Context, ready func(), _ func(string)) error {
	if p.listen {
		panic("listen")
	}
	ready()
	<-ctx.Done()
	return ctx.Err()
}

// A store with a long timeout has long transactions; their context says how long.
func TestALongTransactionIsHeldToItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := transacting{new(counting)}
		a, b, _, _ := pair(t, store, time.Minute)
		defer closeAll(t, a, b)
		synctest.Wait()
		ann := a.register(t, "ann@example.com")
		wait(20 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_ = store.InTransaction(ctx, func(ctx context.Context) error {
			a.cached.Forget(ctx, ann.ID)
			wait(20 * time.Second)
			for _, at := range []*site{a, b} {
				if n := store.since(func() { _, _ = check(at.active, ann); _, _ = check(at.active, ann) }); n != 2 {
					t.Errorf("%d loads while the transaction is open", n)
				}
			}
			return nil
		})
	})
}

// No message has a user kept sooner than another one said.
func TestAHoldIsNotCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := transacting{new(counting)}
		a, b, wireA, _ := pair(t, store, time.Minute)
		defer closeAll(t, a, b)
		synctest.Wait()
		ann := a.register(t, "ann@example.com")
		wait(20 * time.Second)
		_ = store.InTransaction(t.Context(), func(ctx context.Context) error {
			a.cached.Forget(ctx, ann.ID)
			return nil
		})
		for _, message := range []string{"user 1 " + ann.ID, "user 0 " + ann.ID, "all 1", "all"} {
			if err := wireA.Publish(t.Context(), message); err != nil {
				t.Error(err)
			}
		}
		wait(5 * time.Second)
		for _, at := range []*site{a, b} {
			if n := store.since(func() { _, _ = check(at.active, ann); _, _ = check(at.active, ann) }); n != 2 {
				t.Errorf("%d loads, and the transaction may be open", n)
			}
		}
	})
}

// Two nodes under load, and a channel that is cut, silent or slow at random, at
// either end: nobody is let in longer than MaxAge after they were deactivated,
// and on the node that did it not at all.
func TestNobodyIsLetInBeyondMaxAge(t *testing.T) {
	const rounds, people, maxAge = 100, 100, 500 * time.Millisecond // 10,000 deactivations
	synctest.Test(t, func(t *testing.T) {
		store := new(counting)
		store.set(nil, func(*authntest.User) { wait(rand.N(20 * time.Millisecond)) }) // a network behind it
		a, b, wireA, wireB := pair(t, store, maxAge)
		defer closeAll(t, a, b)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var all sync.WaitGroup
		all.Go(func() {
			for ctx.Err() == nil {
				faults(wireA, wireB)
				wait(rand.N(600 * time.Millisecond))
			}
		})

		var checks, stale atomic.Int64
		for round := range rounds {
			type person struct {
				*authntest.User
				gone atomic.Int64 // when they were
			}
			crowd := make([]*person, people)
			for i := range crowd {
				u, err := store.Create(t.Context(), func(u *authntest.User) error {
					u.Email, u.IsActive = fmt.Sprintf("%d-%d@example.com", round, i), true
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				crowd[i] = &person{User: u}
			}
			began := time.Now()
			over := make(chan struct{})
			var visitors, writers sync.WaitGroup
			for _, at := range []*site{a, b, b, b} {
				for range 2 {
					visitors.Go(func() {
						for {
							select {
							case <-over:
								return
							case <-time.After(rand.N(5 * time.Millisecond)):
							}
							p := crowd[rand.N(people)]
							start, gone := time.Since(began), time.Duration(p.gone.Load())
							_, _, err := at.active.Check(authntest.As(httptest.NewRequest("GET", "/", nil), p.User))
							checks.Add(1)
							if err != nil || gone == 0 || start <= gone {
								continue
							}
							stale.Add(1)
							if at == a {
								t.Errorf("let in %v after the deactivation, on the node that did it", start-gone)
							} else if start-gone > maxAge {
								t.Errorf("let in %v after the deactivation", start-gone)
							}
						}
					})
				}
			}
			for _, p := range crowd {
				writers.Go(func() {
					wait(rand.N(300 * time.Millisecond))
					if _, err := a.Update(t.Context(), p.ID, authn.Update[*authntest.User]{IsActive: ptr(false)}); err != nil {
						t.Error(err)
					}
					p.gone.Store(int64(time.Since(began)))
				})
			}
			writers.Wait()
			wait(maxAge + 100*time.Millisecond)
			close(over)
			visitors.Wait()
		}
		cancel()
		all.Wait()
		t.Logf("%d guards, %d of them let somebody in who had been deactivated, %d loads", checks.Load(), stale.Load(), store.loads)
		if stale.Load() == 0 || int64(store.loads) > checks.Load()*9/10 {
			t.Error("the cache was hardly used: this proves nothing")
		}
	})
}

// faults has something happen to one of the ends.
func faults(ends ...*end) {
	e := ends[rand.N(len(ends))]
	set := func(fault func(from, to *end) (bool, time.Duration)) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.fault = fault // of the whole wire
	}
	switch rand.N(6) {
	case 0:
		e.setCut(true)
	case 1, 2:
		for _, e := range ends {
			e.setCut(false)
		}
	case 3:
		set(nil)
	case 4:
		set(func(from, to *end) (bool, time.Duration) { return from != to, 0 }) // each hears itself alone
	case 5:
		set(func(_, to *end) (bool, time.Duration) { return false, rand.N(time.Second) })
	}
}
