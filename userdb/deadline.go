package userdb

import (
	"context"
	"time"
)

// DefaultTimeout is how long one call may take, with all of its statements and
// the wait for a connection. A transaction gets transactionTimeouts of them.
const (
	DefaultTimeout      = 3 * time.Second
	transactionTimeouts = 3
)

// WithTimeout returns a store over the same database whose calls fail after d,
// in place of [DefaultTimeout]; a context's own deadline counts where it is
// sooner. That a context is cancelled stops no call that has begun. It panics
// unless d is positive.
func (s *Store[T, U]) WithTimeout(d time.Duration) *Store[T, U] {
	if d <= 0 {
		panic("userdb: a timeout must be positive")
	}
	other := *s
	other.timeout = d
	return &other
}

// bounded returns ctx with a deadline after d, unless it has a sooner one: a
// database that doesn't answer at all must not hold a request for ever. What
// has begun, or waits for a connection, goes on when ctx is cancelled: a statement
// that is given up can cost its connection, as with pgx, and clients that hang up
// would have all of them opened anew.
func bounded(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if ctx.Err() != nil {
		return ctx, func() {} // nothing begins
	}
	end := time.Now().Add(d)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(end) {
		end = deadline
	}
	return context.WithDeadline(context.WithoutCancel(ctx), end)
}
