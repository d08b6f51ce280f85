package authn

import (
	"context"
	"time"
)

// Limit says how many may be taken: so many at once, and one more each
// interval.
type Limit struct {
	// Burst is how many at once.
	Burst int
	// Every is after how long there is one more. It counts in milliseconds.
	Every time.Duration
	// Most makes the limit a lock-out with a growing delay: beyond the burst
	// there is one more after Every, then after twice as long each time, up to
	// Most. None comes back with time, except that all is forgotten
	// [LimitMemory] after the last was taken. Zero is no lock-out.
	Most time.Duration
}

// LimitMemory is how long a limit with a growing delay remembers what was taken
// last.
const LimitMemory = 24 * time.Hour

// LimitKey names what a limit counts.
type LimitKey struct {
	// Name is that of the limit, short and of a small set: "login.account".
	Name string
	// Of is a hash of who is counted: an account, an address.
	Of [32]byte
}

// LimitStore counts what is taken from limits: [MemoryLimits] in this process,
// the Limits of package strategies/redis for all of them. Each method is atomic
// and safe for concurrent use, and now is the caller's clock, the same
// everywhere to within what the limits can bear. Any error means that the store
// is away: package routes then counts in process.
type LimitStore interface {
	// Take takes one, and returns zero; or how long it is until there is one,
	// and takes nothing.
	Take(ctx context.Context, key LimitKey, limit Limit, now time.Time) (wait time.Duration, err error)
	// GiveBack gives back one that was taken: never more than that.
	GiveBack(ctx context.Context, key LimitKey, limit Limit, now time.Time) error
	// Clear gives back all.
	Clear(ctx context.Context, key LimitKey) error
	// Remember keeps a key until then, which is no limit's. A later call counts.
	Remember(ctx context.Context, key LimitKey, until, now time.Time) error
	// Remembered reports whether a key is kept.
	Remembered(ctx context.Context, key LimitKey, now time.Time) (bool, error)
}
