package jwt_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/strategies/jwt"
)

// twin returns a strategy with KeepVerified and the same one without.
func twin(t *testing.T, keys jwt.Keys, cfg jwt.Config) (keeping, plain *jwt.Strategy) {
	t.Helper()
	plain, err := jwt.New(keys, cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.KeepVerified = true
	if keeping, err = jwt.New(keys, cfg); err != nil {
		t.Fatal(err)
	}
	return keeping, plain
}

func issue(t *testing.T, s *jwt.Strategy, id authn.Identity) string {
	t.Helper()
	token, err := s.Issue(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return token.Value
}

// What is kept of a token says nothing else than the token, and belongs to
// whoever reads it.
func TestKeptTokensReadAlike(t *testing.T) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	secret := jwt.Secret([]byte(strings.Repeat("k", 64)))
	for algorithm, key := range map[jwt.Algorithm]jwt.Key{jwt.HS256: secret, jwt.HS384: secret, jwt.HS512: secret, jwt.EdDSA: jwt.PrivateKey(private)} {
		keeping, plain := twin(t, key, jwt.Config{Algorithm: algorithm})
		token := issue(t, keeping, authn.Identity{
			Subject: "ann", Generation: 3, SessionID: "s", AuthTime: time.Now(), Methods: []string{"pwd", "otp"}, Scopes: []string{"a", "b"},
		})
		want, err := plain.Read(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			got, err := keeping.Read(t.Context(), token)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %+v, %v, want %+v", algorithm, got, err, want)
			}
			got.Methods[0], got.Scopes[0] = "changed", "changed"
		}
	}
}

// A token that is kept opens no other one: what differs from it in a letter is
// verified.
func TestAKeptTokenVouchesForNoOther(t *testing.T) {
	keeping, _ := twin(t, jwt.Secret([]byte(strings.Repeat("k", 32))), jwt.Config{})
	ann, bob := issue(t, keeping, authn.Identity{Subject: "ann"}), issue(t, keeping, authn.Identity{Subject: "bob"})
	for range 2 {
		for _, token := range []string{ann, bob} {
			if _, err := keeping.Read(t.Context(), token); err != nil {
				t.Fatal(err)
			}
		}
	}
	dot := strings.LastIndexByte(bob, '.')
	for what, forged := range map[string]string{
		"bob's claims under ann's signature": bob[:dot] + ann[strings.LastIndexByte(ann, '.'):],
		"no signature":                       bob[:dot+1],
		"longer":                             bob + "A",
		"a letter of the claims":             bob[:dot-2] + "A" + bob[dot-1:],
	} {
		for range 2 {
			if id, err := keeping.Read(t.Context(), forged); !errors.Is(err, authn.ErrInvalidToken) {
				t.Errorf("%s: %+v, %v", what, id, err)
			}
		}
	}
}

func TestKeptTokensExpire(t *testing.T) {
	clock := authntest.NewClock(time.Now())
	keeping, _ := twin(t, jwt.Secret([]byte(strings.Repeat("k", 32))), jwt.Config{Lifetime: time.Minute, Now: clock.Now})
	token := issue(t, keeping, authn.Identity{Subject: "ann"})
	for range 2 {
		if _, err := keeping.Read(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	clock.Advance(time.Minute)
	if _, err := keeping.Read(t.Context(), token); !errors.Is(err, authn.ErrInvalidToken) {
		t.Errorf("expired: %v", err)
	}
}

// What was signed by a key that is retired is refused, kept or not.
func TestKeptTokensEndWithTheirKey(t *testing.T) {
	old, next := jwt.Secret([]byte(strings.Repeat("o", 32))).WithID("old"), jwt.Secret([]byte(strings.Repeat("n", 32))).WithID("next")
	now := []jwt.Key{old}
	keys, err := jwt.NewKeySet(t.Context(), func(context.Context) ([]jwt.Key, error) { return now, nil }, jwt.KeySetConfig{})
	if err != nil {
		t.Fatal(err)
	}
	keeping, _ := twin(t, keys, jwt.Config{})
	token := issue(t, keeping, authn.Identity{Subject: "ann"})
	for _, step := range []struct {
		keys []jwt.Key
		good bool
	}{{[]jwt.Key{old}, true}, {[]jwt.Key{next, old}, true}, {[]jwt.Key{next}, false}, {[]jwt.Key{next, old}, true}} {
		now = step.keys
		if err := keys.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := keeping.Read(t.Context(), token); (err == nil) != step.good || err != nil && !errors.Is(err, authn.ErrInvalidToken) {
				t.Errorf("%v: %v", step.keys, err)
			}
		}
	}
}

// What was revoked is refused at once, kept or not.
func TestKeptTokensAreRevoked(t *testing.T) {
	s, err := jwt.NewRevocable(jwt.Secret([]byte(strings.Repeat("k", 32))), jwt.Config{KeepVerified: true}, new(authntest.MemoryDenylist))
	if err != nil {
		t.Fatal(err)
	}
	token := issue(t, s.Strategy, authn.Identity{Subject: "ann"})
	for range 2 {
		if _, err := s.Read(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Revoke(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(t.Context(), token); !errors.Is(err, authn.ErrInvalidToken) {
		t.Errorf("revoked: %v", err)
	}
}

// A refused token is refused each time: for another purpose, without exp, and
// one that isn't valid yet, until it is.
func TestRefusedTokensAreNotKept(t *testing.T) {
	clock := authntest.NewClock(time.Unix(1_700_000_000, 0))
	secret := []byte(strings.Repeat("k", 32))
	keeping, _ := twin(t, jwt.Secret(secret), jwt.Config{Now: clock.Now, Issuer: "us"})
	sign := func(claims gojwt.MapClaims) string {
		token, err := gojwt.NewWithClaims(gojwt.SigningMethodHS256, claims).SignedString(secret)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	later := clock.Now().Add(time.Hour).Unix()
	soon := sign(gojwt.MapClaims{"sub": "a", "iss": "us", "aud": jwt.DefaultAudience, "exp": later, "nbf": clock.Now().Add(time.Minute).Unix()})
	for what, token := range map[string]string{
		"another audience": sign(gojwt.MapClaims{"sub": "a", "iss": "us", "aud": "fastapi-users:reset", "exp": later}),
		"another issuer":   sign(gojwt.MapClaims{"sub": "a", "iss": "them", "aud": jwt.DefaultAudience, "exp": later}),
		"no exp":           sign(gojwt.MapClaims{"sub": "a", "iss": "us", "aud": jwt.DefaultAudience}),
		"no subject":       sign(gojwt.MapClaims{"iss": "us", "aud": jwt.DefaultAudience, "exp": later}),
		"not yet":          soon,
	} {
		for range 3 {
			if _, err := keeping.Read(t.Context(), token); !errors.Is(err, authn.ErrInvalidToken) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	clock.Advance(time.Minute)
	if _, err := keeping.Read(t.Context(), soon); err != nil {
		t.Errorf("now it is valid: %v", err)
	}
}

// More tokens than there are places for push each other out, and are read all the
// same, also at once.
func TestMoreTokensThanAreKept(t *testing.T) {
	keeping, _ := twin(t, jwt.Secret([]byte(strings.Repeat("k", 32))), jwt.Config{})
	tokens := map[string]string{}
	for i := range 6000 {
		name := fmt.Sprint("user", i)
		tokens[name] = issue(t, keeping, authn.Identity{Subject: name})
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for name, token := range tokens {
				if id, err := keeping.Read(t.Context(), token); err != nil || id.Subject != name {
					t.Errorf("%s: %+v, %v", name, id, err)
					return
				}
			}
		})
	}
	group.Wait()
}
