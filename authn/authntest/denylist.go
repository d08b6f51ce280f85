package authntest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// MemoryDenylist is a denylist in memory, for tests. Its zero value is empty. It
// passes [TestDenylist].
type MemoryDenylist struct {
	mu     sync.Mutex
	denied map[[32]byte]bool
}

// Deny adds a token.
func (d *MemoryDenylist) Deny(ctx context.Context, id [32]byte, _, _ time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if d.denied == nil {
		d.denied = map[[32]byte]bool{}
	}
	d.denied[id] = true
	return nil
}

// Denied reports whether a token was added.
func (d *MemoryDenylist) Denied(ctx context.Context, id [32]byte) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.denied[id], ctx.Err()
}

// TestDenylist runs the suite of [authn.Denylist]. newList returns an empty
// one. It can't see whether what has expired is removed.
func TestDenylist(t *testing.T, newList func(t *testing.T) authn.Denylist) {
	p := new(problems)
	testDenylist(t.Context(), p, newList(t))
	p.report(t)
}

func testDenylist(ctx context.Context, p *problems, list authn.Denylist) {
	now := time.Now()
	id := func(first, last byte) (id [32]byte) { id[0], id[31] = first, last; return id }
	wants := func(when string, id [32]byte, want bool) {
		if denied, err := list.Denied(ctx, id); err != nil || denied != want {
			p.add("%s: Denied is %t, %v, want %t", when, denied, err, want)
		}
	}
	wants("an empty list", id(0, 0), false)
	for when, until := range map[string]time.Time{"an hour": now.Add(time.Hour), "ever": {}} {
		atOnce(many, func(int) {
			if err := list.Deny(ctx, id(1, byte(len(when))), until, now); err != nil {
				p.add("Deny at once: %v", err)
			}
		})
		wants("added for "+when, id(1, byte(len(when))), true)
	}
	for other := range 8 {
		if err := list.Deny(ctx, id(byte(other), 99), now.Add(time.Minute), now.Add(30*time.Minute)); err != nil {
			p.add("Deny of one that has expired: %v", err)
		}
	}
	wants("others were added", id(1, byte(len("an hour"))), true)
	wants("others were added", id(1, byte(len("ever"))), true)
	wants("another id", id(1, 0), false)
	wants("another id", id(0, byte(len("ever"))), false)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := list.Deny(ended, id(7, 7), now.Add(time.Hour), now); err == nil {
		p.add("Deny with a context that has ended: no error")
	}
	if _, err := list.Denied(ended, id(1, byte(len("ever")))); err == nil {
		p.add("Denied with a context that has ended: no error")
	}
}
