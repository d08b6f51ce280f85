package jwt

import (
	"errors"

	gojwt "github.com/golang-jwt/jwt/v5"

	"github.com/echo-users/echo-users/authn"
)

// invalid is an [authn.ErrInvalidToken] with golang-jwt's error for the
// reason. The reasons are made once: a refusal is cheap, and says nothing of
// the token.
type invalid struct{ kinds [2]error }

func newInvalid(reason error) *invalid { return &invalid{[2]error{authn.ErrInvalidToken, reason}} }

func (e *invalid) Error() string   { return e.kinds[0].Error() + ": " + e.kinds[1].Error() }
func (e *invalid) Unwrap() []error { return e.kinds[:] }

var (
	errMalformed            = newInvalid(gojwt.ErrTokenMalformed)
	errUnverifiable         = newInvalid(gojwt.ErrTokenUnverifiable)
	errSignature            = newInvalid(gojwt.ErrTokenSignatureInvalid)
	errRequiredClaimMissing = newInvalid(gojwt.ErrTokenRequiredClaimMissing)
	errExpired              = newInvalid(gojwt.ErrTokenExpired)
	errNotValidYet          = newInvalid(gojwt.ErrTokenNotValidYet)
	errInvalidIssuer        = newInvalid(gojwt.ErrTokenInvalidIssuer)
	errInvalidAudience      = newInvalid(gojwt.ErrTokenInvalidAudience)
	errRevoked              = newInvalid(errors.New("token is revoked"))
	errInvalidSubject       = newInvalid(gojwt.ErrTokenInvalidSubject)
)
