package authn

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	pwhash "github.com/echo-users/echo-users/authn/password"
)

const (
	// MaxPasswordLength is the longest password that is looked at, in code
	// points. Longer ones are [ErrPasswordTooLong] before anything is hashed.
	MaxPasswordLength = 4096
	// MaxNewPasswordSize is the longest password that is accepted as a new
	// one, in bytes.
	MaxNewPasswordSize = 1024
)

// PasswordHasher turns passwords into what is stored. [password.Hasher] is
// the default. Implementations are safe for concurrent use.
//
// [password.Hasher]: https://pkg.go.dev/github.com/echo-users/echo-users/authn/password#Hasher
type PasswordHasher interface {
	// Hash returns a hash of the password that says how it was made.
	Hash(ctx context.Context, password string) (string, error)
	// Verify reports whether the password matches, and if so whether the hash
	// should be replaced by a new one. A hash that is empty or unusable
	// matches nothing and costs as much as another.
	Verify(ctx context.Context, password, hash string) (match, outdated bool, err error)
}

// LoadShedder is a [PasswordHasher] that knows beforehand whom it would turn
// away: no user is looked up for them.
type LoadShedder interface {
	// Overloaded returns the error that Hash and Verify would return now for
	// want of room, or nil. It may take its time with the error, lest clients
	// that try again at once take much from those who wait.
	Overloaded(ctx context.Context) error
}

// PasswordPolicy decides about new passwords, on every way that sets one.
type PasswordPolicy interface {
	// CheckPassword returns a [*PasswordError] to refuse. Any other error
	// means that it couldn't decide, and is [ErrUnavailable]. account is the user as it will be.
	CheckPassword(ctx context.Context, password string, account Account) error
}

// MinLength is a [PasswordPolicy] of one rule: at least so many code points.
type MinLength int

// CheckPassword refuses shorter passwords.
func (n MinLength) CheckPassword(_ context.Context, password string, _ Account) error {
	if utf8.RuneCountInString(norm.NFC.String(password)) < int(n) {
		return &PasswordError{Reason: fmt.Sprintf("Password should be at least %d characters", int(n))}
	}
	return nil
}

// hashNew applies the policy to a new password and hashes it.
func (m *Users[U]) hashNew(ctx context.Context, password string, account Account) (string, error) {
	if err := checkPasswordLength(password); err != nil {
		return "", err
	}
	if !utf8.ValidString(password) {
		return "", &PasswordError{Reason: "Password should be valid UTF-8"}
	}
	if len(password) > MaxNewPasswordSize {
		return "", &PasswordError{Reason: fmt.Sprintf("Password should be at most %d bytes", MaxNewPasswordSize)}
	}
	if err := m.checkPolicy(ctx, password, account); err != nil {
		return "", err
	}
	if err := m.checkLoad(ctx); err != nil {
		return "", err
	}
	hash, err := m.cfg.Passwords.Hash(ctx, password)
	if errors.Is(err, pwhash.ErrUnfit) {
		return "", &PasswordError{Reason: "Password should be at most 72 bytes, without NUL"}
	}
	if err != nil {
		return "", unavailable(err)
	}
	return hash, nil
}

// checkLoad is [ErrUnavailable] where the hasher would turn a password away.
func (m *Users[U]) checkLoad(ctx context.Context) error {
	if m.shedder == nil {
		return nil
	}
	if err := m.shedder.Overloaded(ctx); err != nil {
		return unavailable(err)
	}
	return nil
}

// checkPolicy asks the policy about the password of an account as it will be.
func (m *Users[U]) checkPolicy(ctx context.Context, password string, account Account) error {
	account.HashedPassword = ""
	err := m.cfg.PasswordPolicy.CheckPassword(ctx, password, account)
	var refused *PasswordError
	if err == nil || errors.As(err, &refused) {
		return err
	}
	return unavailable(err)
}

func checkPasswordLength(password string) error {
	if len(password) > MaxPasswordLength && utf8.RuneCountInString(password) > MaxPasswordLength {
		return ErrPasswordTooLong
	}
	return nil
}
