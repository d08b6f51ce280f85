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
	asked   int           // how many have asked the limit, which numbers them
	asking  map[int]bool  // those whom it hasn't answered
	under   int           // those who were taken, and haven't landed
	landed  int           // how many have
	waiting int           // those who weren't, and wait for one of the others
	changed chan struct{} // closed when they are to look again
}

// mayLand reports whether one may land who asked before that number.
func (f *flight) mayLand(before int) bool {
	if f.under > 0 {
		return true
	}
	for number := range f.asking {
		if number < before {
			return true
		}
	}
	return false
}

// change wakes those who wait.
func (f *flight) change() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// maxWaiting is how many wait for one key.
const maxWaiting = 64

// take takes one, or returns how long it is until there is one.
func (f *flights) take(ctx context.Context, from *counts, c counted) time.Duration {
	if c.most > 0 {
		return f.board(ctx, c)
	}
	for {
		number, landed := f.ask(c.key)
		wait := from.take(ctx, c)
		if wait == 0 {
			f.begin(c.key, number)
			return 0
		}
		if !f.refused(ctx, c.key, number, landed) {
			return wait
		}
	}
}

// of returns a key's flight. f.mu is held.
func (f *flights) of(key authn.LimitKey) *flight {
	if f.all == nil {
		f.all = map[authn.LimitKey]*flight{}
	}
	if f.all[key] == nil {
		f.all[key] = &flight{asking: map[int]bool{}, changed: make(chan struct{})}
	}
	return f.all[key]
}

// ask is called before the limit is asked. It returns the asker's number, and how
// many have landed: one that lands meanwhile may be what it needs.
func (f *flights) ask(key authn.LimitKey) (number, landed int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	flight := f.of(key)
	number = flight.asked
	flight.asked++
	flight.asking[number] = true
	return number, flight.landed
}

// begin is for who has asked and was taken.
func (f *flights) begin(key authn.LimitKey, number int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.all[key].asking, number)
	f.all[key].under++
}

// refused is for who has asked and wasn't. It reports whether to ask again, as
// soon as one has landed since; and waits for that while one is under way, or may
// be who asked at the same time.
func (f *flights) refused(ctx context.Context, key authn.LimitKey, number, landed int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	flight := f.all[key]
	defer f.forget(key, flight)
	delete(flight.asking, number)
	if flight.under == 0 {
		flight.change() // those who have waited for this one
	}
	before := flight.asked
	f.wait(ctx, flight, func() bool { return flight.landed == landed && flight.mayLand(before) })
	return flight.landed != landed && ctx.Err() == nil
}

// board takes one unless there are so many, and then waits for one to land; or
// returns how long to stay away.
func (f *flights) board(ctx context.Context, c counted) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	flight := f.of(c.key)
	f.wait(ctx, flight, func() bool { return flight.under >= c.most })
	if flight.under >= c.most {
		return time.Second
	}
	flight.under++
	return 0
}

// wait waits while it is so, unless too many do or ctx is done. f.mu is held.
func (f *flights) wait(ctx context.Context, flight *flight, while func() bool) {
	if flight.waiting >= maxWaiting {
		return
	}
	flight.waiting++
	defer func() { flight.waiting-- }()
	for while() && ctx.Err() == nil {
		changed := flight.changed
		f.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		f.mu.Lock()
	}
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
	if flight.under == 0 && len(flight.asking) == 0 && flight.waiting == 0 {
		delete(f.all, key)
	}
}
