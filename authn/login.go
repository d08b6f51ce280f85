package authn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
)

// Authenticate returns the active user with this address and password:
// [ErrBadCredentials], [ErrPasswordTooLong], [ErrUnavailable]. Whoever it is,
// known or unknown, it costs one verification. A hash that isn't of the
// preferred kind and cost is replaced, provided that it still is the one that
// was verified.
//
// It logs nobody in: [Users.Login] does.
func (m *Users[U]) Authenticate(ctx context.Context, email, password string) (U, error) {
	return m.AuthenticateWith(ctx, func(ctx context.Context) (U, error) { return m.GetByEmail(ctx, email) }, password)
}

// AuthenticateWith is [Users.Authenticate] for whoever find finds: by a user
// name, say. find returns [ErrUserNotFound] for nobody; any other error is
// [ErrUnavailable]. How it searches must follow from what was typed alone, so
// that its time doesn't tell who is known.
func (m *Users[U]) AuthenticateWith(ctx context.Context, find func(ctx context.Context) (U, error), password string) (U, error) {
	return m.authenticate(ctx, EventLogin, find, password)
}

// authenticate records what fails as one of this kind.
func (m *Users[U]) authenticate(ctx context.Context, kind EventKind, find func(ctx context.Context) (U, error), password string) (who U, err error) {
	ctx, began := m.begin(ctx, DeedAuthenticate)
	var none U
	defer func() { m.end(ctx, DeedAuthenticate, "", began, any(who) != any(none), err) }()
	if err := checkPasswordLength(password); err != nil {
		return none, err
	}
	if err := m.checkLoad(ctx); err != nil {
		return none, err
	}
	u, err := found(find(ctx))
	known := err == nil
	if !known && !errors.Is(err, ErrUserNotFound) {
		return none, err
	}
	var hash string
	if known {
		hash = u.AuthAccount().HashedPassword
	}
	match, outdated, err := m.cfg.Passwords.Verify(ctx, password, hash)
	if err != nil {
		return none, unavailable(err)
	}
	if !known || !match || !u.AuthAccount().IsActive {
		failed := Event{Kind: kind, Outcome: Failed, Methods: []string{MethodPassword}, Reason: ReasonUnknownUser}
		if known {
			failed.UserID, failed.Reason = u.AuthID(), ReasonWrongPassword
			if match {
				failed.Outcome, failed.Reason = Refused, ReasonInactive
			}
		}
		m.Record(ctx, failed)
		return none, ErrBadCredentials
	}
	if outdated {
		if err := m.upgradeHash(ctx, u, password); err != nil {
			m.cfg.Logger.WarnContext(ctx, "authn: the password hash was not upgraded", slog.Any("error", err))
		}
	}
	return u, nil
}

// VerifyPassword reports whether it is the password of the active user with this
// id, at the cost of a log-in: [ErrBadCredentials], also for nobody;
// [ErrPasswordTooLong], [ErrUnavailable]. It logs nobody in.
func (m *Users[U]) VerifyPassword(ctx context.Context, id, password string) error {
	_, err := m.authenticate(ctx, EventPasswordChecked, func(ctx context.Context) (U, error) { return m.Get(ctx, id) }, password)
	return err
}

var errHashChanged = errors.New("authn: the password was changed meanwhile")

func (m *Users[U]) upgradeHash(ctx context.Context, u U, password string) error {
	verified := u.AuthAccount().HashedPassword
	hash, err := m.cfg.Passwords.Hash(ctx, password)
	if err != nil {
		return err
	}
	_, err = m.store.Update(ctx, u.AuthID(), func(stored U) error {
		account := stored.AuthAccount()
		if account.HashedPassword != verified {
			return errHashChanged
		}
		account.HashedPassword = hash
		return nil
	})
	if err == nil {
		u.AuthAccount().HashedPassword = hash
	}
	return err
}

// Login logs a user in at the named backend: the gates, the credential, the
// answer. Everything that logs people in ends here, whatever authenticated
// them; methods say what did (RFC 8176), and nothing is issued before every
// gate is passed. [ErrBadCredentials] for an inactive user, [ErrNotVerified],
// [ErrTooManySessions], [ErrNotSupported], [ErrUnavailable], or a hook's own
// error.
//
// The credential carries u's generation, so u must be as it was loaded when
// the person was authenticated.
func (m *Users[U]) Login(ctx context.Context, backend string, u U, methods ...string) (*Response, error) {
	res, err := m.login(ctx, backend, u, methods)
	e := Event{Kind: EventLogin, UserID: u.AuthID(), Backend: backend, Methods: methods}
	e.Provider, _ = ctx.Value(providerKey{}).(string)
	switch {
	case err == nil:
		e.SessionID = res.SessionID
		m.Record(ctx, e)
	case !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrNotSupported):
		e.Outcome, e.Reason = Refused, refusedFor(u, err)
		m.Record(ctx, e)
	}
	return res, err
}

// refusedFor is why a log-in was refused.
func refusedFor(u User, err error) Reason {
	switch {
	case !u.AuthAccount().IsActive:
		return ReasonInactive
	case errors.Is(err, ErrNotVerified):
		return ReasonNotVerified
	case errors.Is(err, ErrTooManySessions):
		return ReasonTooManySessions
	case errors.Is(err, ErrBadCredentials):
		return ReasonUnknownUser // deleted since
	}
	return ReasonHook
}

func (m *Users[U]) login(ctx context.Context, backend string, u U, methods []string) (res *Response, err error) {
	b, door, err := capability[LoginBackend](m, backend, "log-in")
	if err != nil {
		return nil, err
	}
	ctx, began := m.begin(ctx, DeedLogin)
	defer func() { m.end(ctx, DeedLogin, backend, began, res != nil, err) }()
	now := m.cfg.Now()
	id := Identity{
		Subject:    u.AuthID(),
		Backend:    backend,
		Generation: u.AuthAccount().Generation,
		IssuedAt:   now,
		AuthTime:   now,
		Methods:    methods,
		User:       u,
	}
	if err := m.passGates(ctx, b, u, id); err != nil {
		return nil, err
	}
	res, err = m.issue(ctx, door, id)
	if err != nil {
		return nil, err
	}
	if err := m.afterLogin(ctx, u, res); err != nil {
		if res.Undo == nil {
			return nil, err
		}
		if failed := res.Undo(context.WithoutCancel(ctx)); failed != nil {
			// A credential that was refused lives on: that comes first,
			// whatever the hook would have answered.
			failed = unavailable(failed)
			answer := *AsHTTPError(failed)
			answer.Err = fmt.Errorf("%w; the log-in was refused: %w", failed, err)
			return nil, &answer
		}
		return nil, err
	}
	return res, nil
}

// passGates asks whether a user may get a credential of a backend:
// [ErrBadCredentials] for an inactive one, [ErrNotVerified], or a hook's own
// error.
func (m *Users[U]) passGates(ctx context.Context, b Backend, u U, id Identity) error {
	account := u.AuthAccount()
	if !account.IsActive {
		return ErrBadCredentials
	}
	if !account.IsVerified && RequiresVerified(b) {
		return ErrNotVerified
	}
	return m.beforeLogin(ctx, u, id)
}

// issue has a backend issue a credential to id.User, who has passed the gates.
func (m *Users[U]) issue(ctx context.Context, door LoginBackend, id Identity) (*Response, error) {
	res, err := door.Login(ctx, id)
	switch {
	case errors.Is(err, ErrUserNotFound): // deleted since
		return nil, ErrBadCredentials
	case errors.Is(err, ErrTooManySessions):
		return nil, err
	case err != nil:
		return nil, unavailable(err)
	}
	return res, nil
}

// Logout ends the request's credential at the named backend, or takes it from
// the client, as far as the backend can: [ErrUnauthorized] without a valid
// credential of that backend, [ErrForbidden] where it takes verified users
// alone, [ErrNotSupported] also for a credential that can't be ended,
// [ErrUnavailable].
func (m *Users[U]) Logout(r *http.Request, backend string) (*Response, error) {
	_, out, err := capability[LogoutBackend](m, backend, "log-out")
	if err != nil {
		return nil, err
	}
	guard := m.CurrentUser(Active, Only(backend))
	u, r, err := guard.Check(r)
	if err != nil {
		return nil, err
	}
	res, err := out.Logout(r)
	switch {
	case err == nil:
	case errors.Is(err, ErrNotSupported):
		return nil, err
	case errors.Is(err, ErrInvalidToken), errors.Is(err, ErrNoCredential):
		return nil, guard.invalid // it was ended meanwhile
	default:
		return nil, unavailable(err)
	}
	m.Record(r.Context(), Event{Kind: EventLogout, UserID: u.AuthID()})
	return res, nil
}
