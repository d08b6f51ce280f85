package authn

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
)

// BatchStore is a [Store] that can load several users in one query. Guards
// then join loads that wait at the same moment: under load, many requests cost
// one round trip.
type BatchStore[U User] interface {
	// ByIDs calls found for each index of ids that there is a user for. Equal
	// ids get a copy each, which shares no memory with the others.
	// [ErrNotSupported], also for no ids at all, where it would be no faster
	// than loading one after the other.
	ByIDs(ctx context.Context, ids []string, found func(i int, u U)) error
}

// batchSize is how many users are loaded in one query at most.
const batchSize = 64

// joiner loads users by id, with a bounded number of queries at once. Who
// finds all of them busy joins those who wait; nobody joins a query that was
// sent already, so that no load is older than the request that asked for it.
type joiner[U User] struct {
	store Store[U]
	batch BatchStore[U]

	mu    sync.Mutex
	free  int // queries that could be sent now
	queue []*flight[U]

	queries, users uint64 // that were sent, and whom they asked for
}

// flight is a batch of loads. It has a context of its own, which ends with its
// last waiter: one who gives up does not take the others along.
type flight[U User] struct {
	ids     []string
	users   []U
	found   []bool
	err     error
	landed  chan struct{}
	waiting int
	ctx     context.Context
	cancel  context.CancelFunc
}

// newJoiner returns nil for a store that can't load several users at once.
func newJoiner[U User](store Store[U]) *joiner[U] {
	batch, ok := storeCan[BatchStore[U]](store)
	if !ok || errors.Is(batch.ByIDs(context.Background(), nil, nil), ErrNotSupported) {
		return nil
	}
	return &joiner[U]{store: store, batch: batch, free: max(2, runtime.GOMAXPROCS(0))}
}

// byID is [Store.ByID].
func (j *joiner[U]) byID(ctx context.Context, id string) (U, error) {
	j.mu.Lock()
	if j.free > 0 {
		j.free--
		j.queries, j.users = j.queries+1, j.users+1
		j.mu.Unlock()
		defer j.next()
		return j.store.ByID(ctx, id)
	}
	f, i := j.board(id)
	j.mu.Unlock()

	var none U
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-f.landed:
	case <-ctx.Done():
		j.leave(f)
		return none, ctx.Err()
	}
	switch {
	case f.err != nil:
		return none, f.err
	case !f.found[i]:
		return none, ErrUserNotFound
	}
	return f.users[i], nil
}

// board takes a seat in the last flight of the queue, unless it is full or
// everybody has left it, which has ended its context. j.mu is held.
func (j *joiner[U]) board(id string) (*flight[U], int) {
	if n := len(j.queue); n == 0 || len(j.queue[n-1].ids) == batchSize || j.queue[n-1].waiting == 0 {
		f := &flight[U]{landed: make(chan struct{})}
		f.ctx, f.cancel = context.WithCancel(context.Background())
		j.queue = append(j.queue, f)
	}
	f := j.queue[len(j.queue)-1]
	f.ids = append(f.ids, id)
	f.waiting++
	return f, len(f.ids) - 1
}

// leave gives a seat up.
func (j *joiner[U]) leave(f *flight[U]) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		f.cancel()
	}
}

// next uses the place of a query that has ended.
func (j *joiner[U]) next() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.queue) == 0 {
		j.free++
		return
	}
	go func() {
		// Whoever is about to ask for a user may still get on board.
		runtime.Gosched()
		if f := j.depart(); f != nil {
			j.fly(f)
		}
		j.next()
	}()
}

// depart takes the first flight of the queue that somebody still waits for.
func (j *joiner[U]) depart() *flight[U] {
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.queue) > 0 {
		f := j.queue[0]
		j.queue[0], j.queue = nil, j.queue[1:]
		if f.waiting > 0 {
			j.queries, j.users = j.queries+1, j.users+uint64(len(f.ids))
			return f
		}
	}
	return nil
}

func (j *joiner[U]) fly(f *flight[U]) {
	defer close(f.landed)
	defer f.cancel()
	defer func() {
		if r := recover(); r != nil { // in a goroutine of our own it would end the process
			f.err = fmt.Errorf("authn: the store panicked: %v", r)
		}
	}()
	f.users, f.found = make([]U, len(f.ids)), make([]bool, len(f.ids))
	f.err = j.batch.ByIDs(f.ctx, f.ids, func(i int, u U) { f.users[i], f.found[i] = u, true })
}
