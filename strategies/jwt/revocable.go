package jwt

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"strings"

	"github.com/echo-users/echo-users/authn"
)

// Revocable is a [Strategy] whose tokens can be revoked, for the price of a
// look-up at each request. Its tokens have a "jti" (RFC 7519 §4.1.7); those
// without one, of before or of fastapi-users, can be revoked as well. It
// implements [authn.Revoker] and is safe for concurrent use.
type Revocable struct {
	*Strategy
	denylist authn.Denylist
}

// NewRevocable is [New] for tokens that can be revoked.
func NewRevocable(keys Keys, cfg Config, denylist authn.Denylist) (*Revocable, error) {
	if denylist == nil {
		return nil, errors.New("jwt: the denylist is nil")
	}
	s, err := New(keys, cfg)
	if err != nil {
		return nil, err
	}
	s.newID = rand.Text
	return &Revocable{Strategy: s, denylist: denylist}, nil
}

// Read is [Strategy.Read], and refuses what was revoked.
func (s *Revocable) Read(ctx context.Context, token string) (authn.Identity, error) {
	var room claims
	c, err := s.read(ctx, token, &room)
	if err != nil {
		return authn.Identity{}, err
	}
	denied, err := s.denylist.Denied(ctx, s.denialID(c, token))
	if err != nil {
		return authn.Identity{}, err
	}
	if denied {
		return authn.Identity{}, errRevoked
	}
	return c.identity(), nil
}

// Revoke ends a token. One that isn't valid needs no ending.
func (s *Revocable) Revoke(ctx context.Context, token string) error {
	var room claims
	c, err := s.read(ctx, token, &room)
	if errors.Is(err, authn.ErrInvalidToken) {
		return nil
	}
	if err != nil {
		return err
	}
	until := c.says.ExpiresAt
	if renewable := c.says.AuthTime.Add(s.cfg.RenewFor); s.isFamily(c) && !until.IsZero() && renewable.After(until) {
		until = renewable
	}
	if !until.IsZero() {
		until = until.Add(s.cfg.Leeway)
	}
	return s.denylist.Deny(ctx, s.denialID(c, token), until, s.cfg.Now())
}

// isFamily reports whether a token ends with those that it was renewed from, and
// for.
func (s *Revocable) isFamily(c *claims) bool { return s.cfg.RenewFor > 0 && c.says.SessionID != "" }

// denialID names a token: by its jti, who issued it and whose it is, or by all
// that is signed. Not by the signature, of which some algorithms allow several.
// A token that can be renewed is named by the log-in.
func (s *Revocable) denialID(c *claims, token string) [sha256.Size]byte {
	whose := "\x00" + c.issuer + "\x00" + c.owner() + "\x00"
	if s.isFamily(c) {
		return sha256.Sum256([]byte("sid" + whose + c.says.SessionID))
	}
	if c.id != "" {
		return sha256.Sum256([]byte("jti" + whose + c.id))
	}
	return sha256.Sum256([]byte("jws\x00" + token[:strings.LastIndexByte(token, '.')]))
}
