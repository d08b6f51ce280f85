package authn

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// storing is what the part of a registration that comes after the hash takes at
// least: more than a database near by takes to insert a row, which is written
// to disk, or to find the address taken, which isn't.
const storing = 10 * time.Millisecond

// Register makes an active user, in one transaction with what
// [Hooks.DuringRegister] adds. fill, which may be nil, sets the
// application's own fields (and, called by the application's own code, flags);
// its error and a hook's are returned as they are. [ErrInvalidEmail], [*PasswordError],
// [ErrPasswordTooLong], [ErrUserExists], [ErrConflict], [ErrRejected],
// [ErrUnavailable].
//
// [Hooks.Welcome] is called in the background; what an [Outbox] keeps of it is
// part of the transaction.
//
// The password is hashed before the address is tried, and the answer to a taken
// one waits for as long as the insertion of a new one takes, so that the two
// can't be told apart by their time.
func (m *Users[U]) Register(ctx context.Context, email, password string, fill func(U) error) (U, error) {
	var none U
	email, err := NormalizeEmail(email)
	if err != nil {
		return none, err
	}
	account := Account{Email: email, IsActive: true}
	account.HashedPassword, err = m.hashNew(ctx, password, account)
	if err != nil {
		return none, err
	}

	due := time.NewTimer(storing)
	defer due.Stop()
	u, err := m.create(ctx, account, fill, func(ctx context.Context, u U) error {
		if *u.AuthAccount() != account { // fill has set flags
			if err := m.checkPolicy(ctx, password, *u.AuthAccount()); err != nil {
				return err
			}
		}
		return m.checkPassword(ctx, u, password)
	}, nil)
	if _, within := m.outside(ctx); !within { // else a transaction of the caller's would wait
		select {
		case <-due.C:
		case <-ctx.Done():
		}
	}
	return u, err
}

// RegisterWithoutPassword makes an active user who logs in otherwise, by an
// account at a provider, say. fill, which may be nil, sets the application's
// own fields and flags; during, which may be nil, runs in the transaction
// that inserts the user, and keeps how they log in. Both have their errors
// returned as they are. [ErrInvalidEmail], [ErrUserExists], [ErrConflict],
// [ErrRejected], [ErrUnavailable]; [ErrNotSupported] for a during on a store
// without transactions ([Transactor]).
//
// Hooks are called as by [Users.Register], but for CheckPassword. Such a user
// sets a password by [Users.ForgotPassword] or [Users.Update].
func (m *Users[U]) RegisterWithoutPassword(ctx context.Context, email string, fill func(U) error, during func(ctx context.Context, u U) error) (U, error) {
	var none U
	email, err := NormalizeEmail(email)
	if err != nil {
		return none, err
	}
	if during != nil && !m.HasTransactions() {
		return none, errNoTransactions
	}
	account := Account{Email: email, IsActive: true, HashedPassword: unusableHash()}
	return m.create(ctx, account, fill, nil, during)
}

var errNoTransactions = fmt.Errorf("%w: the store has no transactions", ErrNotSupported)

// create inserts a user. check sees them filled; during runs in the
// transaction.
func (m *Users[U]) create(ctx context.Context, account Account, fill func(U) error, check, during func(ctx context.Context, u U) error) (U, error) {
	var none, u U
	var refused error
	var welcome Errand
	_, within := m.outside(ctx)
	insert := func(ctx context.Context) error {
		var err error
		u, err = m.store.Create(ctx, func(u U) error {
			*u.AuthAccount() = account
			refused = nil
			if fill != nil {
				refused = fill(u)
			}
			if refused == nil && check != nil {
				refused = check(ctx, u)
			}
			return refused
		})
		if err == nil {
			m.Record(ctx, Event{Kind: EventRegistered, UserID: u.AuthID()})
			refused = m.duringRegister(ctx, u)
			if refused == nil && during != nil {
				refused = during(ctx, u)
			}
			err = refused
		}
		if err != nil || !m.welcomes() {
			return err
		}
		welcome, err = m.keep(ctx, Errand{Kind: errandWelcome, UserID: u.AuthID(), Email: u.AuthAccount().Email}, within)
		if err != nil && !m.HasTransactions() {
			m.untold(ctx, welcome, err) // the user is there, and stays
			err, welcome = nil, Errand{}
		}
		return err
	}
	var err error
	if during != nil || m.sharesRegistration() || m.cfg.Outbox != nil && m.welcomes() {
		err = m.inTransaction(ctx, insert)
	} else {
		err = insert(ctx)
	}
	if err != nil {
		return none, written(err, refused)
	}
	if welcome.ID != "" {
		m.tell(ctx, welcome)
	}
	m.afterRegister(ctx, u)
	return u, nil
}

// written tells the error of a write: the caller's own refusal and the kinds
// of [Store] as they are, all else as [ErrUnavailable].
func written(err, refused error) error {
	if refused != nil {
		return refused
	}
	for _, kind := range []error{ErrUserNotFound, ErrUserExists, ErrConflict, ErrRejected} {
		if errors.Is(err, kind) {
			return err
		}
	}
	return unavailable(err)
}
