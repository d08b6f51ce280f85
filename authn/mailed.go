package authn

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
)

// Mailed is what a token says that is mailed to a person: whose it is, and
// what it dies with.
type Mailed struct {
	// Subject is the user's id as text.
	Subject string
	// Email is the address that the token was mailed to, and proves.
	Email string
	// Generation is the account's generation when a reset token was made, and
	// PasswordDigest a digest of its password hash, short enough for a URL. The token
	// dies when both have changed, as they do with a new password: signing out
	// changes the one alone, so that whoever has a credential of somebody's keeps
	// them from no reset by it; an upgrade of the hash the other. It dies, too, when
	// the account was switched off and on. A verify token has neither.
	Generation     int64
	PasswordDigest string
	// PasswordFingerprint is a password hash of the account's password hash,
	// in place of the three: what fastapi-users' reset tokens say.
	PasswordFingerprint string
	// ExpiresAt is when the token ends, set by the strategy.
	ExpiresAt time.Time
}

// MailedTokens makes and reads the tokens of one purpose. Package
// strategies/jwt has them. Implementations are safe for concurrent use, and
// refuse the tokens of every other purpose.
type MailedTokens interface {
	// Make returns a token that says what m says.
	Make(ctx context.Context, m Mailed) (Token, error)
	// Open reads a token: [ErrInvalidToken] for one that is malformed, expired
	// or of another purpose; any other error means that a store or a key is away.
	Open(ctx context.Context, token string) (Mailed, error)
}

// open reads a mailed token and loads whom it names: [ErrInvalidToken],
// [ErrNotSupported] where there are no such tokens.
func (m *Users[U]) open(ctx context.Context, tokens MailedTokens, token string) (U, Mailed, error) {
	var none U
	if tokens == nil {
		return none, Mailed{}, ErrNotSupported
	}
	if token == "" || len(token) > MaxCredentialSize {
		return none, Mailed{}, ErrInvalidToken
	}
	mailed, err := tokens.Open(ctx, token)
	if err != nil {
		if !errors.Is(err, ErrInvalidToken) {
			err = unavailable(err)
		}
		return none, Mailed{}, err
	}
	u, err := m.Get(ctx, mailed.Subject)
	if errors.Is(err, ErrUserNotFound) {
		err = ErrInvalidToken
	}
	return u, mailed, err
}

// RequestVerify has a token mailed to the user with this address, with which
// they prove that it is theirs ([Hooks.AfterRequestVerify]). Whether there is
// such a user, inactive or verified already, shows neither in the answer nor
// in its time: they are looked up in the background.
// [ErrNotSupported] without [Config.VerifyTokens], [ErrUnavailable].
func (m *Users[U]) RequestVerify(ctx context.Context, email string) error {
	if m.cfg.VerifyTokens == nil {
		return fmt.Errorf("%w: Config.VerifyTokens is not set", ErrNotSupported)
	}
	return m.requestToken(ctx, errandVerify, email)
}

// Verify makes the user verified whom a mailed token names:
// [ErrInvalidToken], also for a token of an address that isn't theirs any
// more, [ErrAlreadyVerified], [ErrNotSupported], [ErrUnavailable]. Of many at
// once, one succeeds.
func (m *Users[U]) Verify(ctx context.Context, token string) (verified U, err error) {
	var none U
	var subject string
	defer func() { m.recordUnfit(ctx, EventVerified, subject, err) }()
	u, mailed, err := m.open(ctx, m.cfg.VerifyTokens, token)
	if err != nil {
		return none, err
	}
	subject = u.AuthID()
	var refused error
	u, err = m.store.Update(ctx, u.AuthID(), func(u U) error {
		switch account := u.AuthAccount(); {
		case account.Email != mailed.Email:
			refused = ErrInvalidToken
		case account.IsVerified:
			refused = ErrAlreadyVerified
		default:
			account.IsVerified, refused = true, nil
		}
		return refused
	})
	if err != nil {
		return none, spent(err, refused)
	}
	m.Record(ctx, Event{Kind: EventVerified, UserID: u.AuthID()})
	m.afterVerify(ctx, u)
	return u, nil
}

// ForgotPassword has a token mailed to the user with this address, with which
// they set a new password ([Hooks.AfterForgotPassword]). Whether there is such
// an active user shows neither in the answer nor in its time.
// [ErrNotSupported] without [Config.ResetTokens], [ErrUnavailable].
func (m *Users[U]) ForgotPassword(ctx context.Context, email string) error {
	if m.cfg.ResetTokens == nil {
		return fmt.Errorf("%w: Config.ResetTokens is not set", ErrNotSupported)
	}
	return m.requestToken(ctx, errandReset, email)
}

// ResetPassword sets the password of the active user whom a mailed token
// names, and voids every credential and reset token of theirs:
// [ErrInvalidToken], also for a token made before the last change of the
// password or (unless fastapi-users made it) mailed to an address that isn't
// theirs any more; [*PasswordError], [ErrPasswordTooLong],
// [ErrUnavailable], and the error of [Hooks.DuringResetPassword], with which the
// token isn't spent; [ErrNotSupported]. Of many at once, one succeeds.
func (m *Users[U]) ResetPassword(ctx context.Context, token, password string) (reset U, err error) {
	var none U
	var subject string
	defer func() { m.recordUnfit(ctx, EventPasswordReset, subject, err) }()
	if err := checkPasswordLength(password); err != nil {
		return none, err
	}
	u, mailed, err := m.open(ctx, m.cfg.ResetTokens, token)
	if err != nil {
		return none, err
	}
	subject = u.AuthID()
	before := *u.AuthAccount()
	if !before.IsActive {
		return none, ErrInvalidToken
	}
	if mailed.PasswordFingerprint == "" {
		same := subtle.ConstantTimeCompare([]byte(passwordDigest(before.HashedPassword)), []byte(mailed.PasswordDigest)) == 1
		if outlived(mailed.Generation, before.Generation, same) || before.Email != mailed.Email {
			return none, ErrInvalidToken
		}
	} else {
		match, _, err := m.cfg.Passwords.Verify(ctx, before.HashedPassword, mailed.PasswordFingerprint)
		if err != nil {
			return none, unavailable(err)
		}
		if !match {
			return none, ErrInvalidToken
		}
	}
	hash, err := m.hashNew(ctx, password, before)
	if err != nil {
		return none, err
	}

	var refused error
	var during func(context.Context, U) error
	if m.sharesReset() {
		during = func(ctx context.Context, u U) error {
			refused = m.duringResetPassword(ctx, u)
			return refused
		}
	}
	u, err = m.updateAndTell(ctx, u.AuthID(), func(u U) (Changed, error) {
		account := u.AuthAccount()
		refused = nil
		same := account.HashedPassword == before.HashedPassword
		if !account.IsActive || account.Email != before.Email ||
			outlived(before.Generation, account.Generation, same) || mailed.PasswordFingerprint != "" && !same {
			refused = ErrInvalidToken // spent meanwhile
			return Changed{}, refused
		}
		account.HashedPassword = hash
		account.Generation++
		refused = m.checkPassword(ctx, u, password)
		return Changed{Password: true}, refused
	}, during)
	if err != nil {
		return none, spent(err, refused)
	}
	m.Record(ctx, Event{Kind: EventPasswordReset, UserID: u.AuthID()})
	m.afterResetPassword(ctx, u)
	return u, nil
}

// activation is what switching an account on again raises its generation by: more
// than signing out ever does, for a mailed reset survives that and not this.
const activation = 1 << 32

// outlived reports whether a reset of one generation is void in another, where the
// password's hash is the same or isn't.
func outlived(was, is int64, sameHash bool) bool {
	return was != is && (!sameHash || was/activation != is/activation)
}

// passwordDigest is what a reset token says of a password hash, which has a random
// salt and so is no other's. It tells nothing of the password.
func passwordDigest(hash string) string {
	sum := sha256.Sum256([]byte("echo-users password\x00" + hash))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// recordUnfit records that a mailed token was no good, as an event of this kind,
// if err says so.
func (m *Users[U]) recordUnfit(ctx context.Context, kind EventKind, subject string, err error) {
	if errors.Is(err, ErrInvalidToken) {
		m.Record(ctx, Event{Kind: kind, Outcome: Failed, Reason: ReasonInvalidToken, UserID: subject})
	}
}

// spent tells the error of a write by which a token is used.
func spent(err, refused error) error {
	if errors.Is(err, ErrUserNotFound) {
		return ErrInvalidToken
	}
	return written(err, refused)
}

// CanVerify reports whether there are tokens that prove an address
// ([Config.VerifyTokens]).
func (m *Users[U]) CanVerify() bool { return m.cfg.VerifyTokens != nil }

// CanResetPassword reports whether there are tokens with which a forgotten
// password is replaced ([Config.ResetTokens]).
func (m *Users[U]) CanResetPassword() bool { return m.cfg.ResetTokens != nil }
