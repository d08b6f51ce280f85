package authn

import (
	"context"
	"fmt"
	"time"
)

// MethodPassword is the authentication method of a password log-in
// (RFC 8176 §2, "pwd").
const MethodPassword = "pwd"

// Identity is what a verified credential says. The zero value says nothing
// and opens nothing.
type Identity struct {
	// Subject is the user's id as text.
	Subject string
	// Backend is the name of the backend that issued or verified the credential.
	Backend string
	// SessionID names the session where the backend keeps one.
	SessionID string
	// Generation is the account's generation when the credential was issued.
	Generation int64
	// IssuedAt is when the credential was issued; zero if it doesn't say.
	IssuedAt time.Time
	// AuthTime is when the person authenticated; zero if unknown.
	AuthTime time.Time
	// Methods is how the person authenticated (RFC 8176 "amr" values).
	Methods []string
	// ExpiresAt is when the credential ends; zero if it never does. At issue it
	// is when the credential must have ended, unless it is zero.
	ExpiresAt time.Time
	// Scopes limit what the credential may be used for.
	Scopes []string
	// Renewed says that the credential was issued for another one and nothing
	// else, as [Fresh] wants to know.
	Renewed bool
	// Claims is what else a verified token says, as the strategy encodes it;
	// the strategy's package reads it.
	Claims string
	// User is the user who logs in, at issue alone: for claims, and not to be
	// kept.
	User any
	// Loaded is a user that a token store loaded just now, in the query that
	// read the token. [Users] takes it where it has the manager's user type,
	// in place of loading it, and applies the same rules.
	Loaded any

	verifiedOnly bool // see [RequireVerified]
}

type principalKey struct{}

// principal is the one value that a guard adds to a request's context, and the
// context itself. Its user is nil where an optional guard found nobody.
type principal struct {
	context.Context
	user     any
	identity Identity
}

// Value returns the principal for its key.
func (p *principal) Value(key any) any {
	if key == (principalKey{}) {
		return p
	}
	return p.Context.Value(key)
}

// String keeps the user and the identity out of a context that is printed.
func (p *principal) String() string { return fmt.Sprintf("%v.WithUser", p.Context) }

// UserFrom returns the user that a guard found for the request with this
// context. It reports false outside of a guard, behind an optional guard
// without a user, and for another user type than the guard's.
func UserFrom[U User](ctx context.Context) (U, bool) {
	p, ok := ctx.Value(principalKey{}).(*principal)
	if !ok {
		var none U
		return none, false
	}
	u, ok := p.user.(U)
	return u, ok
}

// IdentityFrom returns what the credential of the request with this context
// says. It reports false where [UserFrom] finds no user of any type.
func IdentityFrom(ctx context.Context) (Identity, bool) {
	p, ok := ctx.Value(principalKey{}).(*principal)
	if !ok || p.user == nil {
		return Identity{}, false
	}
	return p.identity, true
}
