package authn

import (
	"context"
	"time"
)

// Denylist remembers tokens that were revoked before they expired, by a hash
// that names each: for tokens that no store knows, such as JSON Web Tokens
// (strategies/jwt's NewRevocable). Packages userdb and strategies/redis
// implement it. Methods are safe for concurrent use; any error means that the
// list is away.
type Denylist interface {
	// Deny adds a token, for as long as it would be valid: until then, or for
	// ever where that is zero. Adding one again changes nothing.
	Deny(ctx context.Context, id [32]byte, until, now time.Time) error
	// Denied reports whether a token that is valid otherwise was added.
	Denied(ctx context.Context, id [32]byte) (bool, error)
}
