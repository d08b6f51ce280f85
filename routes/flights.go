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

// flight is what is on its way for one key.
type flight struct {
	asking  int // those whom the limit hasn't answered
	under   int // those who were taken, and haven't landed
	waiting int // those who were refused, and wait for one of the others
	landed  int // how many have
	changed chan struct{}
}

// mayChange reports whether who was refused may be taken yet: one may land that
// is under way, or is about to be.
func (f *flight) mayChange() bool { return f.under > 0 || f.asking > 0 }

// change wakes those who wait.
func (f *flight) change() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// maxWaiting is how many wait for one key.
const maxWaiting = 64

// take takes one, or returns how long it is until there is one.
func (f *flights) take(ctx context.Context, from *counts, c counted) time.Duration {
	for {
		landed := f.ask(c.key)
		wait := from.take(ctx, c)
		if wait == 0 {
			f.begin(c.key)
			return 0
		}
		if !f.refused(ctx, c.key, landed) {
			return wait
		}
	}
}

// ask is called before the limit is asked, and returns how many have landed: one
// that lands meanwhile may be what it needs.
func (f *flights) ask(key authn.LimitKey) (landed int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = map[authn.LimitKey]*flight{}
	}
	flight := f.all[key]
	if flight == nil {
		flight = newFlight()
		f.all[key] = flight
	}
	flight.asking++
	return flight.landed
}

func newFlight() *flight { return &flight{changed: make(chan struct{})} }

// begin is for who has asked and was taken.
func (f *flights) begin(key authn.LimitKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all[key].asking--
	f.all[key].under++
}

// refused is for who has asked and wasn't: it reports whether to ask again, as
// soon as one has landed since.
func (f *flights) refused(ctx context.Context, key authn.LimitKey, landed int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	flight := f.all[key]
	defer f.forget(key, flight)
	if flight.asking--; !flight.mayChange() {
		flight.change() // they all were refused
	}
	if flight.landed == landed && flight.waiting >= maxWaiting {
		return false
	}
	flight.waiting++
	defer func() { flight.waiting-- }()
	for flight.landed == landed && flight.mayChange() && ctx.Err() == nil {
		changed := flight.changed
		f.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		f.mu.Lock()
	}
	return flight.landed != landed && ctx.Err() == nil
}

// end is for who was taken, once it has shown what it was.
func (f *flights) end(key authn.LimitKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	flight := f.all[key]
	flight.under--
	flight.landed++
	flight.change()
	f.forget(key, flight)
}

// forget forgets a key that nobody is concerned with. f.mu is held.
func (f *flights) forget(key authn.LimitKey, flight *flight) {
	if !flight.mayChange() && flight.waiting == 0 {
		delete(f.all, key)
	}
}
