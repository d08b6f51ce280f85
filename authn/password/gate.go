package password

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// ErrOverloaded is what a hash is refused with when it would have to wait for
// too long. An error that wraps it has a method RetryAfter() time.Duration.
var ErrOverloaded = errors.New("password: too many passwords to hash at once")

// overloadError says when to try again.
type overloadError struct{ wait time.Duration }

func (e *overloadError) Error() string {
	return fmt.Sprintf("%v: try again in %v", ErrOverloaded, e.wait.Round(time.Second))
}

func (e *overloadError) Unwrap() error { return ErrOverloaded }

// RetryAfter is how long the queue is expected to last.
func (e *overloadError) RetryAfter() time.Duration { return e.wait }

// firstPace is what a place is thought to be taken for until the first one
// was given back.
const firstPace = 20 * time.Millisecond

// gate admits so much weight at once, first come first served, and turns away
// who would have to wait for longer than patience. Weight stands for memory.
type gate struct {
	capacity int
	patience time.Duration

	mu      sync.Mutex
	inside  int           // weight that was admitted
	waiting int           // weight in the queue
	queue   list.List     // of *ticket
	pace    time.Duration // how long a unit of weight stays inside, averaged

	held atomic.Int64 // who are about to be turned away
}

// Who asks beforehand and would be turned away is held for a second, and isn't
// if there is room by then: else clients that try again at once would take the
// processors from those inside. So many at once at most, as each is a goroutine
// and a request.
const (
	holdFor = time.Second
	maxHeld = 1024
)

// ticket is a place in the queue.
type ticket struct {
	weight   int
	admitted chan struct{}
}

func newGate(capacity int, patience time.Duration) *gate {
	return &gate{capacity: capacity, patience: patience, pace: firstPace}
}

// enter waits for a place until ctx is done, and then returns its error; or it
// returns an error that wraps ErrOverloaded. Where it returns nil, the caller
// calls leave. A caller that gives up gives its place in the queue back.
func (g *gate) enter(ctx context.Context, weight int) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	weight = min(weight, g.capacity) // the heaviest goes in alone
	t, err := g.line(weight)
	if err != nil {
		return nil, err
	}
	if t != nil {
		if err := g.wait(ctx, t); err != nil {
			return nil, err
		}
	}
	since := time.Now()
	return func() { g.leave(weight, time.Since(since)) }, nil
}

// line admits at once, and then returns no ticket, or queues up.
func (g *gate) line(weight int) (*ticket, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.hasRoom(weight) {
		g.inside += weight
		return nil, nil
	}
	if err := g.tooLong(); err != nil {
		return nil, err
	}
	t := &ticket{weight, make(chan struct{})}
	g.queue.PushBack(t)
	g.waiting += weight
	return t, nil
}

// hasRoom reports whether so much weight goes in without waiting. g.mu is held.
func (g *gate) hasRoom(weight int) bool {
	return g.queue.Len() == 0 && g.inside+weight <= g.capacity
}

// tooLong returns an error where who comes now would wait for longer than
// patience. g.mu is held.
func (g *gate) tooLong() error {
	expected := g.pace * time.Duration(g.inside+g.waiting) / time.Duration(g.capacity)
	if expected > g.patience {
		return &overloadError{expected}
	}
	return nil
}

// overloaded is what enter would refuse with for the length of the queue, as a
// rule after a hold, or that the caller hung up meanwhile.
func (g *gate) overloaded(ctx context.Context) error {
	err := g.full()
	if err != nil && g.hold(ctx) {
		err = g.full()
	}
	if gone := ctx.Err(); errors.Is(gone, context.Canceled) {
		return gone
	}
	return err
}

func (g *gate) full() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.hasRoom(1) {
		return nil
	}
	return g.tooLong()
}

// hold reports whether it has waited, as it does unless too many do or ctx is
// done.
func (g *gate) hold(ctx context.Context) bool {
	defer g.held.Add(-1)
	if g.held.Add(1) > maxHeld {
		return false
	}
	end := time.NewTimer(holdFor)
	defer end.Stop()
	select {
	case <-end.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// wait ends when the ticket is admitted, when ctx is done, or when patience
// ran out twice over, whatever was expected.
func (g *gate) wait(ctx context.Context, t *ticket) error {
	limit := time.NewTimer(2 * g.patience)
	defer limit.Stop()
	var err error
	select {
	case <-t.admitted:
		if err = ctx.Err(); err == nil {
			return nil
		}
	case <-ctx.Done():
		err = ctx.Err()
	case <-limit.C:
		err = &overloadError{g.patience}
	}
	g.giveUp(t)
	return err
}

// giveUp gives the ticket's place back, in the queue or, if it was admitted
// meanwhile, inside.
func (g *gate) giveUp(t *ticket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-t.admitted:
		g.inside -= t.weight
	default:
		for e := g.queue.Front(); e != nil; e = e.Next() {
			if e.Value == t {
				g.queue.Remove(e)
				g.waiting -= t.weight
				break
			}
		}
	}
	g.admit()
}

func (g *gate) leave(weight int, took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside -= weight
	g.pace += (took - g.pace) / 8
	g.admit()
}

// admit lets in whom there is room for. The first in the queue is never
// overtaken, so that a heavy hash gets its turn. g.mu is held.
func (g *gate) admit() {
	for e := g.queue.Front(); e != nil; e = g.queue.Front() {
		t := e.Value.(*ticket)
		if g.inside+t.weight > g.capacity {
			return
		}
		g.queue.Remove(e)
		g.waiting -= t.weight
		g.inside += t.weight
		close(t.admitted)
	}
}
