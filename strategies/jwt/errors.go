package jwt

import (
	"errors"

	gojwt "github.com/golang-jwt/jwt/v5"

	"github.com/echo-users/echo-users/authn"
)

// invalid is an [authn.ErrInvalidToken] with golang-jwt's error for the
// reason. The reasons are made once: a refusal is cheap, and says nothing of
// the token.
type invalid struct{ reason error }

func (e *invalid) Error() string   { return authn.ErrInvalidToken.Error() + ": " + e.reason.Error() }
func (e *invalid) Unwrap() []error { return []error{authn.ErrInvalidToken, e.reason} }

var (
	errMalformed            = &invalid{gojwt.ErrTokenMalformed}
	errUnverifiable         = &invalid{gojwt.ErrTokenUnverifiable}
	errSignature            = &invalid{gojwt.ErrTokenSignatureInvalid}
	errRequiredClaimMissing = &invalid{gojwt.ErrTokenRequiredClaimMissing}
	errExpired              = &invalid{gojwt.ErrTokenExpired}
	errNotValidYet          = &invalid{gojwt.ErrTokenNotValidYet}
	errInvalidIssuer        = &invalid{gojwt.ErrTokenInvalidIssuer}
	errInvalidAudience      = &invalid{gojwt.ErrTokenInvalidAudience}
	errRevoked              = &invalid{errors.New("token is revoked")}
	errInvalidSubject       = &invalid{gojwt.ErrTokenInvalidSubject}
)
