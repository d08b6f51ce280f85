package authn

import (
	"context"
	"log/slog"
	"time"
)

// Strategy is what a token is: it issues one for an identity and reads it
// back. Implementations are safe for concurrent use.
type Strategy interface {
	// Issue makes a token. id.User is the user who logs in, for claims; don't
	// keep it.
	Issue(ctx context.Context, id Identity) (Token, error)
	// Read verifies a token and returns what it says. A token that is
	// malformed, expired, revoked or someone else's is [ErrInvalidToken]; any
	// other error means that the strategy's store is away, and lets nobody in.
	Read(ctx context.Context, token string) (Identity, error)
}

// Revoker is a [Strategy] that can end a token before it expires, or a
// [Backend] that can ([Users.Revoke]).
type Revoker interface {
	// Revoke ends the token. A token that isn't there any more is no error;
	// a store that can't be reached is.
	Revoke(ctx context.Context, token string) error
}

// Renewer is a [Strategy] whose tokens can be renewed with nothing but
// themselves, up to a time after the person authenticated.
type Renewer interface {
	// CanRenew reports whether it does.
	CanRenew() bool
	// Renew returns what the token says that comes after one of id: the same
	// generation and authentication, and Renewed. [ErrInvalidToken] where the
	// time is up.
	Renew(id Identity) (Identity, error)
}

// Token is a credential on its way to the person who logged in. It prints
// and logs as "[token]".
type Token struct {
	// Value is the secret itself.
	Value string
	// ExpiresAt is when the token ends; zero if it never does.
	ExpiresAt time.Time
}

const redacted = "[token]"

// String returns "[token]", never the secret.
func (Token) String() string { return redacted }

// GoString returns "[token]", never the secret.
func (Token) GoString() string { return redacted }

// LogValue returns "[token]", never the secret.
func (Token) LogValue() slog.Value { return slog.StringValue(redacted) }
