package oauth

import (
	"errors"
	"net/http"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/linked"
	"github.com/echo-users/echo-users/routes"
)

// The kinds of failure beside those of packages authn and linked, told apart
// with [errors.Is].
var (
	// ErrInvalidState: the state is of another browser, provider, flow or user,
	// or was used.
	ErrInvalidState = errors.New("oauth: invalid state")
	// ErrMalformedState: the state was not made here.
	ErrMalformedState = errors.New("oauth: malformed state")
	// ErrExpiredState: the person took too long.
	ErrExpiredState = errors.New("oauth: expired state")
	// ErrInvalidCode: the provider doesn't take the code, or there is none.
	ErrInvalidCode = errors.New("oauth: invalid code")
	// ErrInvalidIDToken: the ID token is not the provider's word to this
	// application about this log-in.
	ErrInvalidIDToken = errors.New("oauth: invalid ID token")
	// ErrInvalidIssuer: the answer says that it is another provider's (RFC 9207).
	ErrInvalidIssuer = errors.New("oauth: answer of another issuer")
	// ErrInvalidRedirect: redirect_to is not on the list, or the backend's
	// credential can't be handed over that way.
	ErrInvalidRedirect = errors.New("oauth: invalid redirect_to")
	// ErrInvalidRequest: a parameter is repeated, or too long.
	ErrInvalidRequest = errors.New("oauth: invalid request")
	// ErrRefused: the person, or the provider, has refused. [RefusedError] says how.
	ErrRefused = errors.New("oauth: refused by the provider")
)

// RefusedError is an [ErrRefused] with the provider's error code (RFC 6749
// §4.1.2.1).
type RefusedError struct {
	// Code is one of those that standards name, or "provider_error".
	Code string
}

// Error names the code.
func (e *RefusedError) Error() string { return ErrRefused.Error() + ": " + e.Code }

// Unwrap returns [ErrRefused].
func (e *RefusedError) Unwrap() error { return ErrRefused }

// refused makes the error of a provider's code, and repeats nothing that no
// standard names (RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6).
func refused(code string) error {
	switch code {
	case "access_denied", "invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope",
		"server_error", "temporarily_unavailable",
		"interaction_required", "login_required", "account_selection_required", "consent_required",
		"user_cancelled_authorize", "user_cancelled_login":
	default:
		code = "provider_error"
	}
	return &RefusedError{Code: code}
}

// codes are the contract's "detail"s, and ours.
var codes = []struct {
	kind error
	code string
}{
	{linked.ErrNoEmail, "OAUTH_NOT_AVAILABLE_EMAIL"},
	{authn.ErrInvalidEmail, "OAUTH_NOT_AVAILABLE_EMAIL"},
	{authn.ErrUserExists, "OAUTH_USER_ALREADY_EXISTS"},
	{linked.ErrTaken, "OAUTH_ACCOUNT_ALREADY_LINKED"},
	{linked.ErrLastWayIn, "OAUTH_LAST_WAY_IN"},
	{linked.ErrInvalidSubject, "OAUTH_INVALID_SUBJECT"},
	{ErrInvalidState, "OAUTH_INVALID_STATE"},
	{ErrMalformedState, "ACCESS_TOKEN_DECODE_ERROR"},
	{ErrExpiredState, "ACCESS_TOKEN_ALREADY_EXPIRED"},
	{ErrInvalidCode, "OAUTH_INVALID_CODE"},
	{ErrInvalidIDToken, "OAUTH_INVALID_ID_TOKEN"},
	{ErrInvalidIssuer, "OAUTH_INVALID_ISSUER"},
	{ErrInvalidRedirect, "OAUTH_INVALID_REDIRECT"},
	{ErrInvalidRequest, "OAUTH_INVALID_REQUEST"},
}

// answerTo returns the answer to an error of a flow.
func answerTo(err error) error {
	if errors.Is(err, authn.ErrUnavailable) {
		return err
	}
	var known *authn.HTTPError
	if errors.As(err, &known) {
		return err
	}
	bad := func(code string) error {
		return &authn.HTTPError{Status: http.StatusBadRequest, Detail: code, Err: err}
	}
	var refusal *RefusedError
	if errors.As(err, &refusal) {
		return bad(refusal.Code)
	}
	for _, c := range codes {
		if errors.Is(err, c.kind) {
			return bad(c.code)
		}
	}
	if errors.Is(err, linked.ErrNotFound) {
		return &authn.HTTPError{Status: http.StatusNotFound, Detail: http.StatusText(http.StatusNotFound), Err: err}
	}
	return routes.LoginError(err)
}
