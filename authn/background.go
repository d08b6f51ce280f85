package authn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// Background bounds the work that goes on after the answer: mails, and what
// the application hands to [Users.Background]. Zero fields take their
// defaults.
type Background struct {
	// Workers is how many pieces of work run at once. Defaults to 8.
	Workers int
	// Backlog is how many may wait; beyond it, more is [ErrUnavailable].
	// Defaults to 1024.
	Backlog int
	// Timeout is how long the context of a piece of work lasts. Defaults to
	// one minute.
	Timeout time.Duration
}

func (b *Background) setDefaults() {
	if b.Workers <= 0 {
		b.Workers = 8
	}
	if b.Backlog <= 0 {
		b.Backlog = 1024
	}
	if b.Timeout <= 0 {
		b.Timeout = time.Minute
	}
}

// runner runs work in goroutines that come with it and go when there is none.
type runner struct {
	bounds Background
	logger *slog.Logger
	ended  context.Context // ends when a shut-down runs out of patience
	end    context.CancelFunc

	mu      sync.Mutex
	queue   []job
	workers int
	open    int // accepted and not done
	failed  uint64
	refused uint64
	closed  bool
	idle    chan struct{} // closed when open gets to zero; nil where nobody waits
}

type job struct {
	ctx  context.Context
	name string
	work func(context.Context) error
}

func newRunner(bounds Background, logger *slog.Logger) *runner {
	bounds.setDefaults()
	r := &runner{bounds: bounds, logger: logger}
	r.ended, r.end = context.WithCancel(context.Background())
	return r
}

// accept takes work that will be done, or an error.
func (r *runner) accept(ctx context.Context, name string, work func(context.Context) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return fmt.Errorf("%w: %s: the manager was shut down", ErrUnavailable, name)
	}
	if len(r.queue) >= r.bounds.Backlog {
		r.refused++
		return fmt.Errorf("%w: %s: %d pieces of work are waiting already", ErrUnavailable, name, len(r.queue))
	}
	r.queue = append(r.queue, job{context.WithoutCancel(ctx), name, work})
	r.open++
	if r.workers < r.bounds.Workers {
		r.workers++
		go r.run()
	}
	return nil
}

func (r *runner) run() {
	// Deferred, for work that ends its goroutine, as a failed test does.
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.queue) > 0 {
			go r.run()
		} else {
			r.workers--
		}
	}()
	for {
		r.mu.Lock()
		if len(r.queue) == 0 {
			r.mu.Unlock()
			return
		}
		j := r.queue[0]
		r.queue[0], r.queue = job{}, r.queue[1:]
		r.mu.Unlock()
		r.finish(j)
	}
}

func (r *runner) finish(j job) {
	failed := true // unless it returns
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if failed {
			r.failed++
		}
		if r.open--; r.open == 0 && r.idle != nil {
			close(r.idle)
			r.idle = nil
		}
	}()
	err := r.do(j.ctx, j.work)
	if failed = err != nil; failed {
		r.logger.ErrorContext(j.ctx, "authn: work in the background failed", slog.String("work", j.name), slog.Any("error", err))
	}
}

func (r *runner) do(ctx context.Context, work func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, r.bounds.Timeout)
	defer cancel()
	defer context.AfterFunc(r.ended, cancel)()
	return caught(func() error { return work(ctx) })
}

// caught makes a panic an error.
func caught(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

// close has no more work accepted.
func (r *runner) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}

// wait returns when all that was accepted is done.
func (r *runner) wait(ctx context.Context) error {
	r.mu.Lock()
	if r.open == 0 {
		r.mu.Unlock()
		return nil
	}
	if r.idle == nil {
		r.idle = make(chan struct{})
	}
	idle := r.idle
	r.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		r.mu.Lock()
		defer r.mu.Unlock()
		return fmt.Errorf("authn: %d pieces of work in the background are not done: %w", r.open, ctx.Err())
	}
}

// Background runs work after the answer, in a goroutine, with the values of
// ctx and a deadline of its own ([Config.Background]). Its error is logged
// under this name. [ErrUnavailable] where too much is waiting already, and
// after [Users.Shutdown]; else the work is done, before an orderly shut-down
// ends.
func (m *Users[U]) Background(ctx context.Context, name string, work func(ctx context.Context) error) error {
	ctx, _ = m.outside(ctx) // a transaction has ended by then
	if ctx.Value(heldKey{}) != nil {
		ctx = context.WithValue(ctx, heldKey{}, (*heldEvents)(nil))
	}
	return m.runner.accept(ctx, name, work)
}

// Flush returns when all work that was handed to the background is done and all
// events are told, or with ctx' error.
func (m *Users[U]) Flush(ctx context.Context) error {
	if err := m.runner.wait(ctx); err != nil {
		return err
	}
	return m.flushEvents(ctx, false)
}

// Shutdown accepts no more work in the background and returns when all that
// was accepted is done, and hooks have heard of all events. When ctx ends before, it ends the contexts of what
// still runs and returns an error that counts it. Call it after the server's
// own shut-down, and before the database is closed.
func (m *Users[U]) Shutdown(ctx context.Context) error {
	m.runner.close()
	err := m.runner.wait(ctx)
	m.runner.end()
	return errors.Join(err, m.flushEvents(ctx, true))
}
