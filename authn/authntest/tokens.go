package authntest

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// Tokens is a strategy of random tokens in memory, for tests. Its zero value
// works. It revokes, and passes [TestStrategy].
type Tokens struct {
	// Lifetime of the tokens. Defaults to one hour.
	Lifetime time.Duration
	// Clock tells the time. Defaults to the real one.
	Clock *Clock

	mu     sync.Mutex
	issued map[string]authn.Identity
}

// Issue makes a token.
func (s *Tokens) Issue(ctx context.Context, id authn.Identity) (authn.Token, error) {
	if err := ctx.Err(); err != nil {
		return authn.Token{}, err
	}
	lifetime := s.Lifetime
	if lifetime == 0 {
		lifetime = time.Hour
	}
	id.User, id.ExpiresAt = nil, s.now().Add(lifetime)
	token := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.issued == nil {
		s.issued = map[string]authn.Identity{}
	}
	s.issued[token] = id
	return authn.Token{Value: token, ExpiresAt: id.ExpiresAt}, nil
}

// Read returns what a token says.
func (s *Tokens) Read(ctx context.Context, token string) (authn.Identity, error) {
	if err := ctx.Err(); err != nil {
		return authn.Identity{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id, ok := s.issued[token]
	if !ok || !s.now().Before(id.ExpiresAt) {
		return authn.Identity{}, authn.ErrInvalidToken
	}
	return id, nil
}

// Revoke ends a token.
func (s *Tokens) Revoke(ctx context.Context, token string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.issued, token)
	return nil
}

func (s *Tokens) now() time.Time {
	if s.Clock != nil {
		return s.Clock.Now()
	}
	return time.Now()
}
