package authntest

import (
	"context"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
)

func TestDenylistPassesItsSuite(t *testing.T) {
	TestDenylist(t, func(*testing.T) authn.Denylist { return new(MemoryDenylist) })
}

// forgiving is a denylist with faults.
type forgiving struct {
	MemoryDenylist
	forgets, failsOpen bool
}

func (d *forgiving) Deny(ctx context.Context, id [32]byte, until, now time.Time) error {
	if d.forgets && until.IsZero() {
		return nil
	}
	return d.MemoryDenylist.Deny(ctx, id, until, now)
}

func (d *forgiving) Denied(ctx context.Context, id [32]byte) (bool, error) {
	denied, err := d.MemoryDenylist.Denied(ctx, id)
	if d.failsOpen && err != nil {
		return false, nil
	}
	return denied, err
}

func TestDenylistSuiteFindsFaults(t *testing.T) {
	for says, list := range map[string]authn.Denylist{
		"added for ever":                       &forgiving{forgets: true},
		"Denied with a context that has ended": &forgiving{failsOpen: true},
	} {
		p := new(problems)
		testDenylist(t.Context(), p, list)
		wantsProblem(t, p, says)
	}
}
