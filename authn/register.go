package authn

import (
	"context"
	"errors"
)

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
// The password is hashed before the address is tried, so that a taken one
// costs as much as a new one.
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

	var u U
	var refused error
	var welcome Errand
	_, within := m.outside(ctx)
	_, undoes := m.store.(Transactor)
	create := func(ctx context.Context) error {
		var err error
		u, err = m.store.Create(ctx, func(u U) error {
			*u.AuthAccount() = account
			refused = nil
			if fill != nil {
				refused = fill(u)
			}
			if refused == nil && *u.AuthAccount() != account { // fill has set flags
				refused = m.checkPolicy(ctx, password, *u.AuthAccount())
			}
			if refused == nil {
				refused = m.checkPassword(ctx, u, password)
			}
			return refused
		})
		if err == nil {
			refused = m.duringRegister(ctx, u)
			err = refused
		}
		if err != nil || !m.welcomes() {
			return err
		}
		welcome, err = m.keep(ctx, Errand{Kind: errandWelcome, UserID: u.AuthID(), Email: u.AuthAccount().Email}, within)
		if err != nil && !undoes {
			m.untold(ctx, welcome, err) // the user is there, and stays
			err, welcome = nil, Errand{}
		}
		return err
	}
	if m.sharesRegistration() || m.cfg.Outbox != nil && m.welcomes() {
		err = m.inTransaction(ctx, create)
	} else {
		err = create(ctx)
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
