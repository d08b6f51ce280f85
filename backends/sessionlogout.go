package backends

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/echo-users/echo-users/authn"
)

// errWithoutSession is for a token from before there were sessions, which lives
// until it expires: nobody is told that it has ended (RFC 7009 §2.2.1,
// unsupported_token_type).
var errWithoutSession = &authn.HTTPError{
	Status: http.StatusBadRequest, Detail: "TOKEN_WITHOUT_SESSION",
	Err: fmt.Errorf("%w: the token is of no session, and its strategy can't end it", authn.ErrNotSupported),
}

// sessionLogout ends sessions.
type sessionLogout struct{ logoutBackend }

// Logout ends the session of the request's access token, and the token itself
// where the strategy can, and takes both tokens from the client where the
// transport can.
func (b sessionLogout) Logout(r *http.Request) (*authn.Response, error) {
	id, err := b.Authenticate(r)
	if err != nil {
		return nil, err
	}
	switch {
	case id.SessionID != "":
		if err := b.sessions.end(r.Context(), id.Subject, id.SessionID); err != nil {
			return nil, err
		}
	case b.revoker == nil && b.clearer == nil:
		return nil, errWithoutSession
	}
	res, err := b.logoutBackend.Logout(r)
	if err != nil {
		return nil, err
	}
	if clearer, ok := b.sessions.carrier.(authn.RefreshClearer); ok {
		return clearer.ClearRefresh(), nil
	}
	return res, nil
}

// sessionRevoker ends sessions by either of their tokens.
type sessionRevoker struct{ *Backend }

// Revoke ends the session of a refresh token, whether or not it has been
// exchanged, or of an access token, and the latter itself where the strategy
// can: [authn.ErrInvalidToken].
func (b sessionRevoker) Revoke(ctx context.Context, token string) error {
	if t, ok := parseRefreshToken(token); ok {
		session, kept, err := b.sessions.rotation(ctx, b.name, t)
		switch {
		case err == nil && kept.issued(t):
			return b.sessions.end(ctx, session.Subject, session.ID)
		case err != nil && !errors.Is(err, authn.ErrInvalidToken):
			return err
		}
		// An access token may have the form of one (RFC 7009 §2.1).
	}
	id, err := b.strategy.Read(ctx, token)
	if err != nil {
		return err
	}
	if id.SessionID != "" {
		if err := b.sessions.end(ctx, id.Subject, id.SessionID); err != nil {
			return err
		}
	} else if _, ok := b.strategy.(authn.Revoker); !ok {
		return errWithoutSession
	}
	return b.revokeToken(ctx, authn.Token{Value: token})
}
