package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// Sessions is a strategy: random tokens, of which the server keeps the hash.
type Sessions struct {
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time

	mu     sync.Mutex
	byHash map[[sha256.Size]byte]authn.Identity
}

// Issue remembers what the credential says, and gives out the only copy of it.
func (s *Sessions) Issue(_ context.Context, id authn.Identity) (authn.Token, error) {
	token := rand.Text()
	id.User = nil // a user who is kept grows old
	id.ExpiresAt = s.now().Add(12 * time.Hour)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byHash == nil {
		s.byHash = map[[sha256.Size]byte]authn.Identity{}
	}
	s.byHash[sha256.Sum256([]byte(token))] = id
	return authn.Token{Value: token, ExpiresAt: id.ExpiresAt}, nil
}

// Read returns what was remembered.
func (s *Sessions) Read(_ context.Context, token string) (authn.Identity, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, ok := s.byHash[sha256.Sum256([]byte(token))]
	if !ok || !s.now().Before(id.ExpiresAt) {
		return authn.Identity{}, authn.ErrInvalidToken
	}
	return id, nil
}

// Revoke forgets it. With this method the backend has a log-out route.
func (s *Sessions) Revoke(_ context.Context, token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byHash, sha256.Sum256([]byte(token)))
	return nil
}

func (s *Sessions) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}
