package authn

import (
	"context"
	"math"
	"time"
)

// Recaller is a [Store] that keeps users for guards, as package usercache does
// around any store. Nothing else is answered from what it keeps: log-ins, changes
// and whatever asks for a user by [Users.Get] read the store.
type Recaller[U User] interface {
	// Recall returns a user whom load returned less than age ago, as a copy that
	// is the caller's own, and true; or else what load returns now, which it may
	// keep, and false. A missing user is [ErrUserNotFound], kept or not.
	Recall(ctx context.Context, id string, age time.Duration, load func(ctx context.Context, id string) (U, error)) (u U, kept bool, err error)
}

const (
	// anyAge leaves it to the store how long it keeps a user.
	anyAge = time.Duration(math.MaxInt64)
	// refusalAge is how old a user may be on whose account somebody is refused:
	// whoever was verified, or let in again, elsewhere waits no longer.
	refusalAge = time.Second
)

// reading says how a request's user may be loaded, how they were, and what the
// credential says.
type reading struct {
	age  time.Duration // less than which a kept user must be
	kept bool          // one was
	id   Identity
}

// recall loads the user with this id, or has the store recall them.
func (m *Users[U]) recall(ctx context.Context, id string, how *reading) (U, error) {
	if m.recaller == nil {
		return m.loadNow(ctx, id)
	}
	u, kept, err := m.recaller.Recall(ctx, id, how.age, m.loader)
	how.kept = how.kept || kept
	return found(u, err)
}

// loadNow loads the user with this id, together with those whom others wait
// for.
func (m *Users[U]) loadNow(ctx context.Context, id string) (U, error) {
	if m.joined != nil {
		return found(m.joined.byID(ctx, id))
	}
	return m.Get(ctx, id)
}

// storeCan looks up what a store can do beyond [Store]: itself, or the one that
// its method Unwrap() Store[U] returns.
func storeCan[T any, U User](store Store[U]) (T, bool) {
	for store != nil {
		if t, ok := store.(T); ok {
			return t, true
		}
		wrapper, ok := store.(interface{ Unwrap() Store[U] })
		if !ok {
			break
		}
		store = wrapper.Unwrap()
	}
	var none T
	return none, false
}
