package authn

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// RefreshBackend is a [Backend] that renews what it has issued.
type RefreshBackend interface {
	// RefreshParameter reports whether what renews is a parameter of the
	// request, "refresh_token" (RFC 6749 §6). Otherwise it is where the
	// transport has put it, a cookie say.
	RefreshParameter() bool
	// Grant returns what a refresh token says: [ErrNoCredential],
	// [ErrInvalidToken], or a [*ReuseError], which ends the session. It changes
	// nothing else. token is empty unless it is a parameter.
	Grant(r *http.Request, token string) (Identity, error)
	// Refresh issues a credential for id, which the grant has said, in place of
	// the token, and builds the answer. Only [Users.Refresh] calls it, after
	// every gate.
	Refresh(r *http.Request, token string, id Identity) (*Response, error)
}

// ReuseError is an [ErrInvalidToken] for a refresh token that had been
// exchanged already: somebody has a copy, and the session has ended
// (RFC 9700 §4.14.2).
type ReuseError struct {
	Session Session
}

// Error names neither the session nor the token.
func (e *ReuseError) Error() string {
	return "authn: a refresh token was used again, and its session has ended"
}

// Unwrap returns [ErrInvalidToken].
func (e *ReuseError) Unwrap() error { return ErrInvalidToken }

// Refresh renews a credential at the named backend: it reads what the request
// has for that, loads the user, asks the gates of a log-in, and only then has
// the backend exchange it. token is empty unless it is a parameter of the
// request ([RefreshBackend]). [ErrNoCredential]; [ErrInvalidToken], also for
// users who are gone or inactive; both as a 401 with the challenge of a guard;
// [ErrNotVerified]; [ErrCrossSite]; [ErrNotSupported]; [ErrUnavailable]; or a
// hook's own error.
func (m *Users[U]) Refresh(r *http.Request, backend, token string) (res *Response, err error) {
	b, door, err := capability[RefreshBackend](m, backend, "refresh")
	if err != nil {
		return nil, err
	}
	ctx, began := m.begin(r.Context(), DeedRefresh)
	defer func() { m.end(ctx, DeedRefresh, backend, began, res != nil, err) }()
	if ctx != r.Context() {
		r = r.WithContext(ctx)
	}
	res, err = m.refresh(r, b, door, token)
	if err == nil || errors.Is(err, ErrUnavailable) {
		return res, err
	}
	guard := m.CurrentUser(Active, Only(backend))
	for kind, refusal := range map[error]*HTTPError{ErrInvalidToken: guard.invalid, ErrNoCredential: guard.nobody} {
		if errors.Is(err, kind) {
			answer := *refusal
			answer.Err = err
			return nil, &answer
		}
	}
	return nil, err
}

func (m *Users[U]) refresh(r *http.Request, b Backend, door RefreshBackend, token string) (*Response, error) {
	if len(token) > MaxCredentialSize {
		return nil, ErrInvalidToken
	}
	if !door.RefreshParameter() {
		if err := m.CheckOrigin(r, b.Name()); err != nil {
			return nil, err
		}
	}
	ctx := r.Context()
	var how reading
	u, err := m.recognise(ctx, &how, func() (Identity, error) { return door.Grant(r, token) })
	if err != nil {
		return nil, m.refreshError(ctx, err)
	}
	id := how.id
	id.Backend, id.IssuedAt, id.User, id.Loaded = b.Name(), m.cfg.Now(), u, nil
	if err := m.passGates(ctx, b, u, id); err != nil {
		if errors.Is(err, ErrBadCredentials) {
			err = ErrInvalidToken
		}
		return nil, err
	}
	res, err := door.Refresh(r, token, id)
	if err != nil {
		return nil, m.refreshError(ctx, err)
	}
	return res, nil
}

// refreshError tells the kinds of a backend's error, and has hooks hear of a
// token that was used again.
func (m *Users[U]) refreshError(ctx context.Context, err error) error {
	var reused *ReuseError
	if errors.As(err, &reused) {
		m.afterReuse(context.WithoutCancel(ctx), reused.Session) // whoever asked may be gone
	}
	if isAway(err) {
		return unavailable(err)
	}
	return err
}

// Revoke ends a token at the named backend, whoever presents it, and what it
// belongs to: the session of a refresh token or of an access token (RFC 7009).
// A token that isn't one, or isn't any more, is no error. [ErrNotSupported], also
// for a token that can't be ended, [ErrUnavailable].
func (m *Users[U]) Revoke(ctx context.Context, backend, token string) error {
	_, revoker, err := capability[Revoker](m, backend, "revocation")
	if err != nil {
		return err
	}
	if token == "" || len(token) > MaxCredentialSize {
		return nil
	}
	err = revoker.Revoke(ctx, token)
	if errors.Is(err, ErrInvalidToken) {
		return nil
	}
	if errors.Is(err, ErrNotSupported) {
		return err
	}
	return unavailable(err)
}

// capability returns the named backend and what it can do, or
// [ErrNotSupported].
func capability[T any, U User](m *Users[U], backend, deed string) (Backend, T, error) {
	b, ok := m.Backend(backend)
	if !ok {
		var none T
		return nil, none, fmt.Errorf("%w: no backend is named %q", ErrNotSupported, backend)
	}
	t, ok := Can[T](b)
	if !ok {
		return nil, t, fmt.Errorf("%w: %s at %q", ErrNotSupported, deed, backend)
	}
	return b, t, nil
}
