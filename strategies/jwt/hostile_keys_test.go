package jwt_test

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/strategies/jwt"
)

// TestASilentSourceHoldsNoRequest has a source that goes silent and heeds no
// context: a request waits for the set's timeout, and no longer.
func TestASilentSourceHoldsNoRequest(t *testing.T) {
	key := jwt.Secret([]byte(strings.Repeat("k", 32)))
	var silent atomic.Bool
	entered, release := make(chan struct{}, 1), make(chan struct{})
	defer close(release)
	keys, err := jwt.NewKeySet(t.Context(), func(context.Context) ([]jwt.Key, error) {
		if silent.Load() {
			entered <- struct{}{}
			<-release
		}
		return []jwt.Key{key}, nil
	}, jwt.KeySetConfig{Timeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	s, err := jwt.New(keys, jwt.Config{})
	if err != nil {
		t.Fatal(err)
	}
	tok := gojwt.New(gojwt.SigningMethodHS256)
	tok.Header["kid"] = "made up"
	made, err := tok.SignedString([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	silent.Store(true)
	read := func(when string) {
		t.Helper()
		if _, err := s.Read(t.Context(), made); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, authn.ErrInvalidToken) {
			t.Errorf("%s: %v", when, err)
		}
	}
	read("the request that has the keys loaded")
	<-entered
	read("one that comes meanwhile")
	if err := keys.Reload(canceled(t)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// A verifier of another issuer's tokens, with its public key in a file: the kid is the issuer's own.
func TestASourceThatIsAwayTakesNoKeyAway(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	var away atomic.Bool
	var loads atomic.Int32
	clock := time.Unix(1_700_000_000, 0)
	now := func() time.Time { return clock }
	keys, err := jwt.NewKeySet(t.Context(), func(ctx context.Context) ([]jwt.Key, error) {
		loads.Add(1)
		if away.Load() {
			return nil, errors.New("away")
		}
		return []jwt.Key{jwt.PublicKey(public)}, nil // as FileKeys of a PEM, or a JWKS without kid
	}, jwt.KeySetConfig{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	s, err := jwt.New(keys, jwt.Config{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	tok := gojwt.NewWithClaims(gojwt.SigningMethodEdDSA, gojwt.MapClaims{"sub": "ann", "aud": "fastapi-users:auth", "exp": clock.Add(time.Hour).Unix()})
	tok.Header["kid"] = "2024-1"
	good, err := tok.SignedString(private)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := s.Read(t.Context(), good); err != nil {
			t.Fatal(err)
		}
		clock = clock.Add(6 * time.Second)
	}
	if n := loads.Load(); n > 2 {
		t.Errorf("ten valid tokens, one each six seconds: loaded %d times", n)
	}
	away.Store(true)
	if _, err := s.Read(t.Context(), good); err != nil {
		t.Errorf("the source is away, and a token of a key that the set has is: %v", err)
	}
}

func TestNoPublicKeyIsASecret(t *testing.T) {
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, _ := x509.MarshalPKIXPublicKey(public)
	for what, text := range map[string]string{
		"a JWK": fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":%q}`, base64.RawURLEncoding.EncodeToString(public)),
		"ssh":   "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA" + base64.RawStdEncoding.EncodeToString(public) + " auth@example.com",
		"PEM without its lines (Keycloak shows it so)": base64.StdEncoding.EncodeToString(der),
	} {
		key, err := jwt.ParseKey([]byte(text))
		if err != nil {
			continue
		}
		s, err := jwt.New(key, jwt.Config{})
		if err != nil {
			continue
		}
		forged, _ := gojwt.NewWithClaims(gojwt.SigningMethodHS256, gojwt.MapClaims{"sub": "root", "aud": "fastapi-users:auth", "exp": time.Now().Add(time.Hour).Unix()}).SignedString([]byte(text))
		if id, err := s.Read(t.Context(), forged); err == nil {
			t.Errorf("%s: a public text is a secret, and whoever knows it is %s", what, id.Subject)
		}
	}
}
