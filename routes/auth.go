package routes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"unicode/utf8"

	"github.com/echo-users/echo-users/authn"
)

// Auth returns the routes of a backend: POST /login where it can log people
// in, POST /refresh where it renews credentials, POST /logout where it can end
// a credential or take it from the client, POST /revoke where it can end one
// that it is told (RFC 7009), and nothing that it can't. It panics where no
// backend has that name.
func (f *Factory[U]) Auth(backend string) List {
	b, ok := f.users.Backend(backend)
	if !ok {
		panic(fmt.Sprintf("routes: there is no backend %q", backend))
	}
	_, crossSite := authn.Can[authn.OriginChecker](b)
	var list List
	if _, ok := authn.Can[authn.LoginBackend](b); ok {
		problems := []Problem{{Status: http.StatusBadRequest, Code: "LOGIN_BAD_CREDENTIALS"}}
		if authn.RequiresVerified(b) {
			problems = append(problems, Problem{Status: http.StatusBadRequest, Code: "LOGIN_USER_NOT_VERIFIED"})
		}
		if keeper, ok := authn.Can[authn.SessionBackend](b); ok && keeper.SessionLimit().Refuse {
			problems = append(problems, Problem{Status: http.StatusBadRequest, Code: "LOGIN_TOO_MANY_SESSIONS"})
		}
		list = append(list, Route{http.MethodPost, "/login", "auth:" + backend + ".login", f.limited(f.login(backend)), &Operation{
			Summary:    "Log in at " + backend,
			Tag:        "auth",
			Backend:    backend,
			Form:       true,
			Credential: true,
			Problems:   problems,
			Limited:    f.limits != nil,
			CrossSite:  crossSite,
		}})
	}
	if door, ok := authn.Can[authn.RefreshBackend](b); ok {
		list = append(list, f.refresh(backend, door, Operation{Tag: "auth", Backend: backend, CrossSite: crossSite}))
	}
	if _, ok := authn.Can[authn.Revoker](b); ok {
		list = append(list, f.revoke(b))
	}
	if _, ok := authn.Can[authn.LogoutBackend](b); ok {
		demands := f.users.CurrentUser(authn.Active, authn.Only(backend)).Demands()
		var problems []Problem
		transport, _ := authn.Can[authn.Transport](b)
		if _, clears := transport.(authn.Clearer); !clears {
			problems = endless(b)
		}
		list = append(list, Route{http.MethodPost, "/logout", "auth:" + backend + ".logout", f.limited(f.logout(backend)), &Operation{
			Summary:  "Log out at " + backend,
			Tag:      "auth",
			Backend:  backend,
			Status:   http.StatusNoContent,
			Demands:  &demands,
			Problems: problems,
		}})
	}
	return list
}

// endless is the answer to a token that can't be ended, where there may be such:
// one from before its backend kept sessions.
func endless(b authn.Backend) []Problem {
	strategy, _ := authn.Can[authn.Strategy](b)
	_, revokes := strategy.(authn.Revoker)
	if _, ok := authn.Can[authn.SessionBackend](b); !ok || revokes {
		return nil
	}
	return []Problem{{Status: http.StatusBadRequest, Code: "TOKEN_WITHOUT_SESSION"}}
}

func (f *Factory[U]) login(backend string) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		res, err := f.PasswordLogin(r, backend)
		if err != nil {
			return err
		}
		return res.Write(w)
	}
}

// PasswordLogin is what POST /login does, but for writing the answer: for a page of
// the application's own that logs in by a form and answers with a redirect. It
// reads the form fields "username" and "password" of r, and its errors are
// those of the route, [*authn.HTTPError]s where the contract names them.
func (f *Factory[U]) PasswordLogin(r *http.Request, backend string) (*authn.Response, error) {
	if err := f.users.CheckOrigin(r, backend); err != nil {
		return nil, err
	}
	r = f.withClient(r)
	r.Body = http.MaxBytesReader(nil, r.Body, f.cfg.BodyLimit)
	username, password, err := f.credentials(r)
	if err != nil {
		return nil, err
	}
	from, find := f.knownDevice(r, func(ctx context.Context) (U, error) { return f.cfg.FindLogin(ctx, username) })
	attempt, err := f.limits.login(r, username, from)
	if err != nil {
		f.users.Record(r.Context(), authn.Event{Kind: authn.EventLogin, Outcome: authn.Limited, UserID: from.User, Backend: backend})
		return nil, err
	}
	defer attempt.End()
	u, err := f.users.AuthenticateWith(r.Context(), find, password)
	if err != nil {
		if !errors.Is(err, authn.ErrBadCredentials) {
			attempt.TakeBack() // nothing was learnt
		}
		return nil, loginError(err)
	}
	res, err := f.users.Login(r.Context(), backend, u, authn.MethodPassword)
	if err != nil {
		if errors.Is(err, authn.ErrUnavailable) || f.isGate(backend, u, err) {
			attempt.TakeBack() // what a hook refuses counts: it may be a second factor
		}
		return nil, loginError(err)
	}
	f.tellOfDevice(r, u)
	attempt.Succeed()
	res.AddCookie(f.deviceCookie(r, u))
	return res, nil
}

// isGate reports whether a log-in with the right password was refused by what no
// guess changes.
func (f *Factory[U]) isGate(backend string, u U, err error) bool {
	b, _ := f.users.Backend(backend)
	if errors.Is(err, authn.ErrNotVerified) {
		return authn.RequiresVerified(b) && !u.AuthAccount().IsVerified
	}
	keeper, ok := authn.Can[authn.SessionBackend](b)
	return errors.Is(err, authn.ErrTooManySessions) && ok && keeper.SessionLimit().Refuse
}

// credentials reads the password grant of RFC 6749 §4.3.2, whose grant_type
// may be left out.
func (f *Factory[U]) credentials(r *http.Request) (username, password string, err error) {
	form, err := decodeForm(r)
	if err != nil {
		return "", "", err
	}
	var faults Faults
	username, password = formField(form, "username", &faults), formField(form, "password", &faults)
	if utf8.RuneCountInString(password) > authn.MaxPasswordLength {
		faults = append(faults, passwordTooLong)
	}
	checkGrant(form, "password", &faults)
	if len(faults) > 0 {
		return "", "", faults.httpError()
	}
	return username, password, nil
}

func loginError(err error) error {
	switch {
	case errors.Is(err, authn.ErrBadCredentials):
		return badRequest("LOGIN_BAD_CREDENTIALS", err)
	case errors.Is(err, authn.ErrNotVerified):
		return badRequest("LOGIN_USER_NOT_VERIFIED", err)
	case errors.Is(err, authn.ErrTooManySessions):
		return badRequest("LOGIN_TOO_MANY_SESSIONS", err)
	}
	return err
}

func (f *Factory[U]) logout(backend string) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		res, err := f.users.Logout(r, backend)
		if err != nil {
			return err
		}
		return res.Write(w)
	}
}
