package database

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// Hash is what is stored of a token: the SHA-256 of its audience, a zero byte
// and the token's text. It opens nothing.
type Hash = [sha256.Size]byte

// Store keeps tokens by their hash. Every method is atomic and safe for
// concurrent use, and ends within seconds; an error that isn't named here means
// that the store is away.
type Store interface {
	// InsertToken keeps what id says of a token, but for its backend's name,
	// its user and its claims. [authn.ErrUserNotFound] where there is no such
	// user any more.
	InsertToken(ctx context.Context, hash Hash, id authn.Identity) error

	// Token returns what was kept, also of a token that has expired, and when
	// the token was last used. Where the same query can load the user, it is
	// in Loaded. [authn.ErrInvalidToken] where there is no such token.
	Token(ctx context.Context, hash Hash) (id authn.Identity, used time.Time, err error)

	// TouchToken notes that a token was used at this time, unless a use after
	// since is noted. A token that isn't there is no error.
	TouchToken(ctx context.Context, hash Hash, at, since time.Time) error

	// DeleteToken removes a token. One that isn't there is no error.
	DeleteToken(ctx context.Context, hash Hash) error

	// DeleteExpired removes tokens that had expired by then, at most n of them,
	// and returns how many.
	DeleteExpired(ctx context.Context, by time.Time, n int) (int, error)
}

// PlainStore is a [Store] that also has tokens in the clear, which
// fastapi-users' DatabaseStrategy wrote. None is ever added, and their place
// is another than that of hashes: a hash that is presented as a token must
// not be found in it.
type PlainStore interface {
	// PlainToken returns whose a token is and when it was issued:
	// [authn.ErrInvalidToken], also where the store has no such place.
	PlainToken(ctx context.Context, token string) (authn.Identity, error)

	// DeletePlainToken removes a token. One that isn't there is no error.
	DeletePlainToken(ctx context.Context, token string) error
}
