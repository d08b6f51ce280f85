package jwt_test

import (
	"context"
	"crypto/elliptic"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/strategies/jwt"
)

var _ authn.Revoker = (*jwt.Revocable)(nil)

func newRevocable(t *testing.T, keys jwt.Keys, list authn.Denylist, cfg jwt.Config) *jwt.Revocable {
	t.Helper()
	s, err := jwt.NewRevocable(keys, cfg, list)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRevocableSuite(t *testing.T) {
	authntest.TestStrategy(t, func(t *testing.T) authn.Strategy {
		return newRevocable(t, secretOf("r"), new(authntest.MemoryDenylist), jwt.Config{})
	})
}

// Tokens of before, without a jti, can be revoked; a spelling of the signature
// is no way around.
func TestRevocationOfTokensWithoutID(t *testing.T) {
	for name, key := range pairs(t) {
		plain := newStrategyOf(t, key)
		clock := authntest.NewClock(time.Now())
		list := new(authntest.MemoryDenylist)
		s := newRevocable(t, key, list, jwt.Config{Now: clock.Now})
		one := issueOf(t, plain)
		if _, err := s.Read(t.Context(), one); err != nil {
			t.Fatal(err)
		}
		if err := s.Revoke(t.Context(), one); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(t.Context(), one); !errors.Is(err, authn.ErrInvalidToken) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "ES256" { // of which (r, s) and (r, n-s) are both good
			i := strings.LastIndexByte(one, '.') + 1
			sum, err := base64.RawURLEncoding.DecodeString(one[i:])
			if err != nil {
				t.Fatal(err)
			}
			other := new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(sum[32:]))
			other.FillBytes(sum[32:])
			spelt := one[:i] + base64.RawURLEncoding.EncodeToString(sum)
			if _, err := plain.Read(t.Context(), spelt); err != nil || spelt == one {
				t.Error("the other spelling isn't one:", err)
			}
			if _, err := s.Read(t.Context(), spelt); !errors.Is(err, authn.ErrInvalidToken) {
				t.Errorf("another spelling of a revoked token: %v", err)
			}
		}
		two := issueOf(t, s.Strategy)
		if _, err := s.Read(t.Context(), two); err != nil {
			t.Errorf("%s: another token: %v", name, err)
		}
		clock.Advance(2 * time.Hour)
		if err := s.Revoke(t.Context(), two); err != nil {
			t.Errorf("%s: an expired token: %v", name, err)
		}
	}
}

// noting notes until when tokens are denied, and fails.
type noting struct {
	authntest.MemoryDenylist
	until []time.Time
	err   error
}

func (d *noting) Deny(ctx context.Context, id [32]byte, until, now time.Time) error {
	d.until = append(d.until, until)
	return errors.Join(d.err, d.MemoryDenylist.Deny(ctx, id, until, now))
}

func (d *noting) Denied(ctx context.Context, id [32]byte) (bool, error) {
	denied, err := d.MemoryDenylist.Denied(ctx, id)
	return denied, errors.Join(d.err, err)
}

func TestDenialsEndWithTheirToken(t *testing.T) {
	list := new(noting)
	clock := authntest.NewClock(time.Unix(1_700_000_000, 0))
	cfg := jwt.Config{Now: clock.Now, Lifetime: time.Minute, Leeway: 10 * time.Second}
	s := newRevocable(t, secretOf("r"), list, cfg)
	if err := s.Revoke(t.Context(), issueOf(t, s.Strategy)); err != nil {
		t.Fatal(err)
	}
	cfg.SkipExpiry, cfg.Lifetime = true, 0
	forever := newRevocable(t, secretOf("r"), list, cfg)
	if err := forever.Revoke(t.Context(), issueOf(t, forever.Strategy)); err != nil {
		t.Fatal(err)
	}
	for _, garbage := range []string{"", "x", "a.b.c", issueOf(t, newStrategyOf(t, secretOf("x")))} {
		if err := s.Revoke(t.Context(), garbage); err != nil {
			t.Error(err)
		}
	}
	if len(list.until) != 2 || !list.until[0].Equal(clock.Now().Add(70*time.Second)) || !list.until[1].IsZero() {
		t.Errorf("denied until %v", list.until)
	}
	token := issueOf(t, s.Strategy)
	list.err = errors.New("connection refused")
	if _, err := s.Read(t.Context(), token); err == nil || errors.Is(err, authn.ErrInvalidToken) {
		t.Errorf("the list is away: %v", err)
	}
	if err := s.Revoke(t.Context(), token); err == nil {
		t.Error("revoked while the list is away")
	}
	if _, err := jwt.NewRevocable(secretOf("r"), jwt.Config{}, nil); err == nil {
		t.Error("no list")
	}
	if _, err := jwt.NewRevocable(nil, jwt.Config{}, list); err == nil {
		t.Error("no keys")
	}
}
