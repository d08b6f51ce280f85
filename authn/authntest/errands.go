package authntest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// TestOutbox runs the suite of [authn.Outbox]. newOutbox returns an empty one,
// and is called once for each part.
func TestOutbox(t *testing.T, newOutbox func(t *testing.T) authn.Outbox) {
	for _, part := range outboxParts {
		t.Run(part.name, func(t *testing.T) {
			p := new(problems)
			part.run(t.Context(), p, newOutbox(t))
			p.report(t)
		})
	}
}

var outboxParts = []struct {
	name string
	run  func(ctx context.Context, p *problems, outbox authn.Outbox)
}{
	{"keeps until done", keepsUntilDone},
	{"claims once at once", claimsOnceAtOnce},
}

var outboxEpoch = time.Date(2026, 1, 2, 3, 4, 5, 6_000, time.UTC)

func put(ctx context.Context, p *problems, outbox authn.Outbox, id string, due time.Time) authn.Errand {
	e := authn.Errand{ID: id, Kind: "reset", UserID: "user-1", Email: "ann@example.com", CreatedAt: outboxEpoch}
	if err := outbox.Put(ctx, e, due); err != nil {
		p.add("Put: %v", err)
	}
	return e
}

// claim returns the ids that are due.
func claim(ctx context.Context, p *problems, outbox authn.Outbox, now, again time.Time, n int) []authn.Errand {
	errands, err := outbox.Claim(ctx, now, again, n)
	if err != nil {
		p.add("Claim: %v", err)
	}
	if len(errands) > n {
		p.add("Claim returned %d errands where %d were asked for", len(errands), n)
	}
	return errands
}

func keepsUntilDone(ctx context.Context, p *problems, outbox authn.Outbox) {
	at := func(minutes int) time.Time { return outboxEpoch.Add(time.Duration(minutes) * time.Minute) }
	want := put(ctx, p, outbox, "one", at(10))
	if got := claim(ctx, p, outbox, at(9), at(20), 5); len(got) != 0 {
		p.add("Claim returned an errand before it was due")
	}
	got := claim(ctx, p, outbox, at(10), at(20), 5)
	if len(got) != 1 {
		p.add("Claim returned %d errands, want the one that is due", len(got))
		return
	}
	want.Attempts = 1
	if !got[0].CreatedAt.Equal(want.CreatedAt) {
		p.add("an errand of %v came back as one of %v", want.CreatedAt, got[0].CreatedAt)
	}
	if got[0].CreatedAt = want.CreatedAt; got[0] != want {
		p.add("the errand %+v came back as %+v", want, got[0])
	}
	if got := claim(ctx, p, outbox, at(19), at(30), 5); len(got) != 0 {
		p.add("Claim returned an errand that was somebody's")
	}
	if got := claim(ctx, p, outbox, at(20), at(30), 5); len(got) != 1 || got[0].Attempts != 2 {
		p.add("an errand that was neither done nor deferred came back as %+v, want once, with 2 attempts", got)
	}
	if err := outbox.Defer(ctx, "one", at(40)); err != nil {
		p.add("Defer: %v", err)
	}
	if got := claim(ctx, p, outbox, at(39), at(50), 5); len(got) != 0 {
		p.add("Claim returned an errand that was deferred")
	}
	if err := outbox.Done(ctx, "one"); err != nil {
		p.add("Done: %v", err)
	}
	if got := claim(ctx, p, outbox, at(1000), at(2000), 5); len(got) != 0 {
		p.add("Claim returned an errand that was done")
	}
	if err := outbox.Done(ctx, "one"); err != nil {
		p.add("Done of what isn't there: %v", err)
	}
	if err := outbox.Defer(ctx, "one", at(40)); err != nil {
		p.add("Defer of what isn't there: %v", err)
	}
	for i := range 3 {
		put(ctx, p, outbox, fmt.Sprint(i), at(50+i))
	}
	if got := claim(ctx, p, outbox, at(60), at(70), 2); len(got) != 2 || got[0].ID != "0" || got[1].ID != "1" {
		p.add("Claim of two returned %+v, want the two that waited longest, in order", got)
	}
}

func claimsOnceAtOnce(ctx context.Context, p *problems, outbox authn.Outbox) {
	const errands = 20
	for i := range errands {
		put(ctx, p, outbox, fmt.Sprint(i), outboxEpoch)
	}
	var claimed atomic.Int64
	var seen sync.Map
	atOnce(many/2, func(int) {
		for range errands {
			for _, e := range claim(ctx, p, outbox, outboxEpoch, outboxEpoch.Add(time.Minute), 3) {
				claimed.Add(1)
				if _, twice := seen.LoadOrStore(e.ID, true); twice {
					p.add("the errand %s was claimed twice", e.ID)
				}
			}
		}
	})
	if n := claimed.Load(); n != errands {
		p.add("%d of %d errands were claimed", n, errands)
	}
}
