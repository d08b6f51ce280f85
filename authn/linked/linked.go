// Package linked has the rules of linked accounts: those that people have at
// other providers, and by which they log in here. Who asks a provider, package
// oauth, is another matter; who keeps them is, too: package userdb does.
package linked

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"
)

// Account is a person's account at a provider, linked to a user here. It prints
// and logs without its tokens.
type Account struct {
	// ID is the link's own key, as text.
	ID string
	// UserID is the id of the user whom it logs in, as text.
	UserID string
	// Provider is the provider's name here, such as "google".
	Provider string
	// Issuer says whose accounts they are, such as "https://accounts.google.com":
	// the identity is issuer and subject (OpenID Connect Core §5.7). Empty for a
	// link that fastapi-users made.
	Issuer string
	// Subject is the account's unchanging id at the provider.
	Subject string
	// Email is the address that the provider told last. It needn't be the user's.
	Email string
	// Verification is what the provider said of Email; Unsaid for a link that
	// fastapi-users made.
	Verification Verification
	// Tokens are the provider's.
	Tokens Tokens
}

// NumericSubject is the Subject of an account whose id is a number; none for 0,
// which is what decoders make of a number that isn't there.
func NumericSubject(id int64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatInt(id, 10)
}

// Tokens are what a provider gave to act for the person. They print and log as
// "[tokens]".
type Tokens struct {
	// Access is the access token, and Refresh the one that renews it, if any.
	Access, Refresh string
	// ExpiresAt is when Access ends; zero if the provider doesn't say.
	ExpiresAt time.Time
}

const redacted = "[tokens]"

// String returns "[tokens]", never a secret.
func (Tokens) String() string { return redacted }

// GoString returns "[tokens]", never a secret.
func (Tokens) GoString() string { return redacted }

// LogValue returns "[tokens]", never a secret.
func (Tokens) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON returns null, never a secret.
func (Tokens) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// The kinds of failure, told apart with [errors.Is].
var (
	// ErrNotFound: there is no such link, or it is another user's.
	ErrNotFound = errors.New("linked: account not found")
	// ErrTaken: the account is linked to another user.
	ErrTaken = errors.New("linked: account is linked to another user")
	// ErrLastWayIn: without it the person could not log in any more.
	ErrLastWayIn = errors.New("linked: the last way to log in")
	// ErrNoEmail: the provider tells no e-mail address, and a new user needs one.
	ErrNoEmail = errors.New("linked: the provider tells no e-mail address")
	// ErrInvalidSubject: the provider doesn't say whose account it is.
	ErrInvalidSubject = errors.New("linked: the provider doesn't say whose account it is")
)

// Store keeps linked accounts. Package userdb implements it over GORM. Every
// method is atomic and safe for concurrent use, is part of a transaction that
// its context carries, and touches that user's accounts alone whose id it is
// given. An error that isn't named here means that the store is away.
type Store interface {
	// ByIdentity returns the account of a provider with this subject:
	// [ErrNotFound]. One without an issuer counts as of any; one of another
	// issuer doesn't count. [ErrTaken] where several users have it.
	ByIdentity(ctx context.Context, provider, issuer, subject string) (Account, error)
	// ByUser returns what a user has, the oldest first where that is known.
	ByUser(ctx context.Context, userID string) ([]Account, error)
	// Insert keeps a new account and returns it with its ID: [ErrTaken] where
	// that identity is linked already, authn.ErrUserNotFound where there is no
	// such user, or their account is of another generation. It stays of that one
	// until the account is kept.
	Insert(ctx context.Context, a Account, generation int64) (Account, error)
	// Update writes Issuer, Email, Verification and Tokens: [ErrNotFound].
	Update(ctx context.Context, a Account) error
	// Delete removes one: [ErrNotFound]. Unless others is nil, the user must
	// have another one of these providers: [ErrLastWayIn]. Of two at once that
	// are each other's last, one is removed.
	Delete(ctx context.Context, userID, id string, others []string) error
	// DeleteAll removes all that a user has.
	DeleteAll(ctx context.Context, userID string) error
	// UseOnce notes that something of one use was used, until it ends by itself:
	// true the first time, false ever after.
	UseOnce(ctx context.Context, id [32]byte, until, now time.Time) (bool, error)
}
