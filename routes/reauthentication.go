package routes

import (
	"errors"
	"net/http"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// Reauthentication says what PATCH /users/me asks of who changes their e-mail
// address or password, beyond a credential: a stolen one shall not be enough to
// take an account over (OWASP ASVS 5.0, 6.2.3 and 7.5.1). One of the two will
// do; a wrong password never does. The zero value asks for nothing, as fastapi-users.
type Reauthentication struct {
	// Password takes the current password, as "current_password". Attempts are
	// limited as those of a known device are ([Limits]).
	Password bool
	// Fresh takes a credential of who has authenticated no longer ago
	// ([authn.Fresh]).
	Fresh time.Duration
}

// currentPassword is the member of the body.
const currentPassword = "current_password"

// reauthenticate holds a change of the address or the password to it.
func (f *Factory[U]) reauthenticate(r *http.Request, u U, up authn.Update[U], password *string) error {
	needs := f.cfg.Reauthenticate
	if needs == (Reauthentication{}) || !changesCredentials(u, up) {
		return nil
	}
	if needs.Password && password != nil { // a wrong one isn't overlooked for a fresh log-in
		return f.checkCurrentPassword(r, u, *password)
	}
	if needs.Fresh > 0 {
		return f.fresh.CheckFresh(r)
	}
	return Faults{missing("body", currentPassword)}.httpError()
}

func changesCredentials[U authn.User](u U, up authn.Update[U]) bool {
	return up.Password != nil || changesEmail(u, up)
}

func changesEmail[U authn.User](u U, up authn.Update[U]) bool {
	if up.Email == nil {
		return false
	}
	email, err := authn.NormalizeEmail(*up.Email)
	return err != nil || email != u.AuthAccount().Email
}

func (f *Factory[U]) checkCurrentPassword(r *http.Request, u U, password string) error {
	attempt, err := f.Guess(r, "password", u.AuthID())
	if err != nil {
		f.users.Record(r.Context(), authn.Event{Kind: authn.EventPasswordChecked, Outcome: authn.Limited, UserID: u.AuthID()})
		return err
	}
	defer attempt.End()
	switch err = f.users.VerifyPassword(r.Context(), u.AuthID(), password); {
	case err == nil:
		attempt.Succeed()
	case errors.Is(err, authn.ErrBadCredentials):
		return badRequest("UPDATE_USER_BAD_CURRENT_PASSWORD", err)
	default:
		attempt.TakeBack()
	}
	return err
}
