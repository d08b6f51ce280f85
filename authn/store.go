package authn

import "context"

// Store is what [Users] needs of persistence. Package userdb implements it
// over GORM. Every method is atomic and safe for concurrent use; an error
// that isn't named here means that the store is away.
//
// A user that a Store returns belongs to the caller alone.
type Store[U User] interface {
	// ByID returns the user with this id, in any spelling that the key's type
	// knows. [ErrUserNotFound] also for text that is no id at all.
	ByID(ctx context.Context, id string) (U, error)

	// ByEmail returns the user with this address without regard to letter
	// case, as the store folds it. [ErrUserNotFound].
	ByEmail(ctx context.Context, email string) (U, error)

	// Create makes a user, lets fill set its fields, and inserts it. The
	// store's unique index decides, not a look-up: [ErrUserExists] where the
	// address is taken in any letter case, [ErrConflict] where another unique
	// field is, [ErrRejected] where a value can't be stored. An error of fill
	// is returned as it is.
	Create(ctx context.Context, fill func(U) error) (U, error)

	// Update loads the user, lets change alter it, and writes what was
	// altered, zero values too, provided that the account still is as change
	// saw it; else it begins anew, so that change may run more than once.
	// [ErrUserNotFound], [ErrUserExists], [ErrConflict], [ErrRejected]. An error
	// of change is returned as it is, and nothing is written.
	Update(ctx context.Context, id string, change func(U) error) (U, error)

	// Delete removes the user. [ErrUserNotFound].
	Delete(ctx context.Context, id string) error
}

// Transactor is a [Store] that has transactions.
type Transactor interface {
	// InTransaction calls f with a context that carries a transaction: what is
	// called with it, of this store and of others on the same database, is part
	// of it. It is committed when f returns nil; else nothing of it happened,
	// and f's error is returned as it is. With a context that carries one
	// already, f is a part of that.
	InTransaction(ctx context.Context, f func(ctx context.Context) error) error
	// Outside returns the context without its transaction, for work that goes
	// on after it, and whether there was one.
	Outside(ctx context.Context) (context.Context, bool)
}

// outside returns the context without its transaction, and whether it had one.
func (m *Users[U]) outside(ctx context.Context) (context.Context, bool) {
	if store, ok := storeCan[Transactor](m.store); ok {
		return store.Outside(ctx)
	}
	return ctx, false
}

// HasTransactions reports whether the store is a [Transactor].
func (m *Users[U]) HasTransactions() bool {
	_, ok := storeCan[Transactor](m.store)
	return ok
}

// inTransaction calls f in a transaction, where the store has them.
// Events of it are told once it is committed.
func (m *Users[U]) inTransaction(ctx context.Context, f func(ctx context.Context) error) error {
	store, ok := storeCan[Transactor](m.store)
	if !ok {
		return f(ctx)
	}
	ctx, tell := HoldEvents(ctx)
	err := store.InTransaction(ctx, f)
	if err == nil {
		tell()
	}
	return err
}
