package routes

import (
	"context"
	"sync"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// flights has those wait that would be beyond a limit only if all fail that are
// on their way in this process: so nobody is refused for logging in rightly at
// the same moment as many others, and no guess gets further than one after the
// other would. Its zero value works.
type flights struct {
	mu  sync.Mutex
	all map[authn.LimitKey]*flight
}

// flight is what is on its way.
type flight struct {
	under, waiting int
	landed         chan struct{} // closed when one of them is
}

// maxWaiting is how many wait for one key.
const maxWaiting = 64

// take takes one, or returns how long it is until there is one.
func (f *flights) take(ctx context.Context, from *counts, c counted) time.Duration {
	for {
		landed := f.landing(c.key) // before it is asked: what lands between them counts
		wait := from.take(ctx, c)
		if wait == 0 {
			f.begin(c.key)
			return 0
		}
		if landed == nil || !f.join(c.key) {
			return wait
		}
		select {
		case <-landed:
			f.leave(c.key)
		case <-ctx.Done():
			f.leave(c.key)
			return wait
		}
	}
}

// landing returns what is closed when one of a key lands; nil where none is on
// its way.
func (f *flights) landing(key authn.LimitKey) chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all[key] == nil || f.all[key].under == 0 {
		return nil
	}
	return f.all[key].landed
}

// of returns a key's, with the lock held.
func (f *flights) of(key authn.LimitKey) *flight {
	if f.all == nil {
		f.all = map[authn.LimitKey]*flight{}
	}
	if f.all[key] == nil {
		f.all[key] = &flight{landed: make(chan struct{})}
	}
	return f.all[key]
}

func (f *flights) begin(key authn.LimitKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of(key).under++
}

func (f *flights) end(key authn.LimitKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	flight := f.of(key)
	flight.under--
	close(flight.landed)
	flight.landed = make(chan struct{})
	f.forget(key)
}

// join reports whether there is room for one more who waits.
func (f *flights) join(key authn.LimitKey) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	flight := f.of(key)
	if flight.waiting >= maxWaiting {
		return false
	}
	flight.waiting++
	return true
}

func (f *flights) leave(key authn.LimitKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of(key).waiting--
	f.forget(key)
}

// forget forgets a key that nobody is concerned with.
func (f *flights) forget(key authn.LimitKey) {
	if flight := f.all[key]; flight.under == 0 && flight.waiting == 0 {
		delete(f.all, key)
	}
}
