package authn

import (
	"context"
	"errors"
)

// Update says what to change of a user. A nil field stays as it is.
type Update[U User] struct {
	// By is who asks for it, as a guard found them, if anybody does. The update
	// is [ErrUnauthorized] where they have another password by now, or aren't
	// active or a superuser any more: a request that takes its time doesn't act
	// with what a credential was good for when it began.
	By          U
	Email       *string
	Password    *string
	IsActive    *bool
	IsSuperuser *bool
	IsVerified  *bool
	// Own changes the application's own fields, and not the account, which is
	// an error. It may run more than once, each time on the user as stored.
	Own func(U) error
	// Fields names the own fields for [Hooks.AfterUpdate].
	Fields []string
}

// Update changes the user with this id and returns it as it is now:
// [ErrUserNotFound], [ErrInvalidEmail], [ErrUserExists], [ErrConflict],
// [ErrRejected], [*PasswordError], [ErrPasswordTooLong], [ErrUnauthorized],
// [ErrUnavailable], or Own's error.
//
// A new address makes the user unverified, unless IsVerified says otherwise.
// A new password, and becoming active again, void every credential issued
// before. Of a new password or address the person is told, at the old address
// ([Hooks.Notify]). Either all of the update happens or nothing.
func (m *Users[U]) Update(ctx context.Context, id string, up Update[U]) (U, error) {
	var none U
	var email, hash string
	var err error
	if up.Email != nil {
		if email, err = NormalizeEmail(*up.Email); err != nil {
			return none, err
		}
	}
	if up.Password != nil {
		u, err := m.Get(ctx, id)
		if err != nil {
			return none, err
		}
		account := *u.AuthAccount()
		if email != "" {
			account.Email = email
		}
		set(&account.IsActive, up.IsActive)
		set(&account.IsSuperuser, up.IsSuperuser)
		set(&account.IsVerified, up.IsVerified)
		if hash, err = m.hashNew(ctx, *up.Password, account); err != nil {
			return none, err
		}
	}

	byOther := any(up.By) != any(none) && up.By.AuthID() != id
	if byOther {
		now, err := m.Get(ctx, up.By.AuthID())
		if err != nil && !errors.Is(err, ErrUserNotFound) {
			return none, err
		}
		if err != nil || !stillMay(*up.By.AuthAccount(), *now.AuthAccount()) {
			return none, m.voided()
		}
	}
	var changed Changed
	var refused error
	u, err := m.updateAndTell(ctx, id, func(u U) (Changed, error) {
		account := u.AuthAccount()
		before := *account
		refused = nil
		if any(up.By) != any(none) && !byOther && !stillMay(*up.By.AuthAccount(), before) {
			refused = m.voided()
			return Changed{}, refused
		}
		if up.Email != nil && email != account.Email {
			account.Email, account.IsVerified = email, false
		}
		set(&account.IsActive, up.IsActive)
		set(&account.IsSuperuser, up.IsSuperuser)
		set(&account.IsVerified, up.IsVerified)
		if up.Password != nil {
			account.HashedPassword = hash
			account.Generation++
		}
		if account.IsActive && !before.IsActive {
			account.Generation += activation
		}
		changed = difference(before, *account)
		changed.Fields = up.Fields
		if up.Own != nil {
			after := *account
			if refused = up.Own(u); refused == nil && *account != after {
				refused = errOwnAccount
			}
		}
		if up.Password != nil && refused == nil {
			refused = m.checkPassword(ctx, u, *up.Password)
		}
		return changed, refused
	}, nil)
	if err != nil {
		return none, written(err, refused)
	}
	for _, e := range changed.events(*u.AuthAccount()) {
		if e.UserID = u.AuthID(); byOther {
			e.ActorID = up.By.AuthID()
		}
		m.Record(ctx, e)
	}
	m.afterUpdate(ctx, u, changed)
	return u, nil
}

// updateAndTell is [Store.Update], and has the user told of a changed password
// or address. What an outbox keeps of that, and what during does, which may be
// nil, is part of the transaction.
func (m *Users[U]) updateAndTell(ctx context.Context, id string, change func(U) (Changed, error), during func(ctx context.Context, u U) error) (U, error) {
	var u U
	var errands []Errand
	_, within := m.outside(ctx)
	update := func(ctx context.Context) error {
		var changed Changed
		var before string
		var err error
		u, err = m.store.Update(ctx, id, func(u U) error {
			before = u.AuthAccount().Email
			var err error
			changed, err = change(u)
			return err
		})
		if err == nil && during != nil {
			err = during(ctx, u)
		}
		if err != nil || !m.notifies() {
			return err
		}
		errands = nil
		for _, kind := range changed.notices() {
			e, err := m.keep(ctx, Errand{Kind: string(kind), UserID: u.AuthID(), Email: before}, within)
			if err != nil {
				return err
			}
			errands = append(errands, e)
		}
		return nil
	}
	var err error
	if during != nil || m.cfg.Outbox != nil && m.notifies() {
		err = m.inTransaction(ctx, update)
	} else {
		err = update(ctx)
	}
	if err != nil {
		var none U
		return none, err
	}
	for _, e := range errands {
		m.tell(ctx, e)
	}
	return u, nil
}

// events are what an account that is now like this has gone through.
func (c Changed) events(now Account) []Event {
	var list []Event
	for _, change := range []struct {
		changed, on bool
		became, was EventKind
	}{
		{c.Password, true, EventPasswordChanged, ""},
		{c.Email, true, EventEmailChanged, ""},
		{c.Verified && (now.IsVerified || !c.Email), now.IsVerified, EventVerified, EventUnverified},
		{c.Active, now.IsActive, EventActivated, EventDeactivated},
		{c.Superuser, now.IsSuperuser, EventSuperuserGranted, EventSuperuserRevoked},
	} {
		switch {
		case change.changed && change.on:
			list = append(list, Event{Kind: change.became})
		case change.changed:
			list = append(list, Event{Kind: change.was})
		}
	}
	return list
}

var errOwnAccount = errors.New("authn: Update.Own changed the account: use the fields of Update")

// stillMay reports whether a credential of the account as it was is good for as
// much with the account as it is.
func stillMay(was, is Account) bool {
	return is.Generation == was.Generation && (is.IsActive || !was.IsActive) && (is.IsSuperuser || !was.IsSuperuser)
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

func difference(before, after Account) Changed {
	changed := Changed{
		Email:     before.Email != after.Email,
		Password:  before.HashedPassword != after.HashedPassword,
		Active:    before.IsActive != after.IsActive,
		Superuser: before.IsSuperuser != after.IsSuperuser,
		Verified:  before.IsVerified != after.IsVerified,
	}
	if changed.Email {
		changed.OldEmail = before.Email
	}
	return changed
}

// Delete removes the user with this id, and with it every credential of
// theirs: [ErrUserNotFound], [ErrUnavailable], or a hook's own error.
func (m *Users[U]) Delete(ctx context.Context, id string) error {
	u, err := m.Get(ctx, id)
	if err != nil {
		return err
	}
	var refused error
	err = m.inTransaction(ctx, func(ctx context.Context) error {
		if refused = m.beforeDelete(ctx, u); refused != nil {
			return refused
		}
		if err := m.store.Delete(ctx, u.AuthID()); err != nil {
			return err
		}
		for _, store := range m.sessions { // which may be elsewhere
			if err := store.DeleteSessions(ctx, u.AuthID(), ""); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return written(err, refused)
	}
	m.Record(ctx, Event{Kind: EventDeleted, UserID: u.AuthID()})
	m.afterDelete(ctx, u)
	return nil
}
