package authn

import (
	"errors"
	"fmt"
)

// The kinds of failure, told apart with [errors.Is].
var (
	// ErrNoCredential: the request carries none for this backend.
	ErrNoCredential = errors.New("authn: no credential")
	// ErrInvalidToken: the credential is malformed, expired, revoked, void or
	// someone else's.
	ErrInvalidToken = errors.New("authn: invalid token")
	// ErrUnauthorized: no backend yielded a user whom the guard lets in (401).
	ErrUnauthorized = errors.New("authn: unauthorized")
	// ErrForbidden: the user is known and isn't allowed (403).
	ErrForbidden = errors.New("authn: forbidden")
	// ErrCrossSite: the credential is one that browsers send by themselves, and
	// another site had this request sent (403).
	ErrCrossSite = errors.New("authn: cross-site request")
	// ErrUnavailable: a store or a key is away (503). It wraps the cause.
	ErrUnavailable = errors.New("authn: unavailable")

	// ErrUserNotFound: there is no such user.
	ErrUserNotFound = errors.New("authn: user not found")
	// ErrUserExists: the e-mail address belongs to another user.
	ErrUserExists = errors.New("authn: user already exists")
	// ErrConflict: another unique field of the application's is taken.
	ErrConflict = errors.New("authn: conflict with another user")
	// ErrRejected: the store refuses a value of the application's own fields,
	// as too long or against a constraint.
	ErrRejected = errors.New("authn: value rejected by the store")

	// ErrBadCredentials: unknown user, wrong password or inactive user.
	ErrBadCredentials = errors.New("authn: bad credentials")
	// ErrNotVerified: the backend takes verified users alone.
	ErrNotVerified = errors.New("authn: user not verified")
	// ErrAlreadyVerified: there is nothing left to verify.
	ErrAlreadyVerified = errors.New("authn: user already verified")
	// ErrSessionNotFound: the user has no such session.
	ErrSessionNotFound = errors.New("authn: session not found")
	// ErrTooManySessions: the user has as many sessions as may be.
	ErrTooManySessions = errors.New("authn: too many sessions")
	// ErrNotSupported: the backend, or the manager as it is set up, can't do that.
	ErrNotSupported = errors.New("authn: not supported")

	// ErrInvalidEmail: not an e-mail address.
	ErrInvalidEmail = errors.New("authn: invalid e-mail address")
	// ErrPasswordTooLong: beyond [MaxPasswordLength].
	ErrPasswordTooLong = errors.New("authn: password too long")
)

// PasswordError says why a new password was refused. Its reason is shown to
// the person; it must not repeat the password.
type PasswordError struct {
	Reason string
}

// Error returns the reason.
func (e *PasswordError) Error() string { return "authn: password refused: " + e.Reason }

// unavailable marks an error that no contract names: the store is away. An
// error that already has a kind keeps it.
func unavailable(err error) error {
	if err == nil || errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
