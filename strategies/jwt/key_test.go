package jwt_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/strategies/jwt"
)

// keyPair is a private key of each kind, made once.
type keyPair struct {
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
	ed  ed25519.PrivateKey
}

func newKeys(t testing.TB) keyPair {
	t.Helper()
	var keys keyPair
	var err error
	if keys.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	if keys.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if _, keys.ed, err = ed25519.GenerateKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestAKeyIsForTheAlgorithmsOfItsKind(t *testing.T) {
	keys := newKeys(t)
	all := []jwt.Algorithm{jwt.HS256, jwt.HS384, jwt.HS512, jwt.RS256, jwt.PS256, jwt.ES256, jwt.EdDSA,
		"none", "None", "hs256", "HS1", "RS384", "ES384", "ES512", "PS512", "A256GCM"}
	for kind, c := range map[string]struct {
		key jwt.Key
		may []jwt.Algorithm
	}{
		"secret":         {jwt.Secret(bytes.Repeat([]byte("s"), 64)), []jwt.Algorithm{jwt.HS256, jwt.HS384, jwt.HS512}},
		"RSA":            {jwt.PrivateKey(keys.rsa), []jwt.Algorithm{jwt.RS256, jwt.PS256}},
		"public RSA":     {jwt.PublicKey(&keys.rsa.PublicKey), []jwt.Algorithm{jwt.RS256, jwt.PS256}},
		"EC":             {jwt.PrivateKey(keys.ec), []jwt.Algorithm{jwt.ES256}},
		"public EC":      {jwt.PublicKey(&keys.ec.PublicKey), []jwt.Algorithm{jwt.ES256}},
		"Ed25519":        {jwt.PrivateKey(keys.ed), []jwt.Algorithm{jwt.EdDSA}},
		"public Ed25519": {jwt.PublicKey(keys.ed.Public()), []jwt.Algorithm{jwt.EdDSA}},
	} {
		for _, algorithm := range all {
			s, err := jwt.New(c.key, jwt.Config{Algorithm: algorithm})
			if slices.Contains(c.may, algorithm) != (err == nil) || (s != nil) != (err == nil) {
				t.Errorf("%s with %s: %v", kind, algorithm, err)
			}
			if err != nil && !strings.Contains(err.Error(), string(algorithm)) {
				t.Errorf("%s with %s: the error doesn't name the algorithm: %v", kind, algorithm, err)
			}
		}
	}
}

func TestShortSecretsNeedAWord(t *testing.T) {
	for _, c := range []struct {
		algorithm jwt.Algorithm
		size      int
	}{{jwt.HS256, 32}, {jwt.HS384, 48}, {jwt.HS512, 64}} {
		whole := bytes.Repeat([]byte("S3CR3T"), 11)
		for size, want := range map[int]bool{1: false, c.size - 1: false, c.size: true, c.size + 1: true} {
			_, err := jwt.New(jwt.Secret(whole[:size]), jwt.Config{Algorithm: c.algorithm})
			if (err == nil) != want {
				t.Errorf("%s with %d bytes: %v", c.algorithm, size, err)
			}
			if err != nil && (!strings.Contains(err.Error(), fmt.Sprint(c.size)) || strings.Contains(err.Error(), "S3C")) {
				t.Errorf("%s with %d bytes: the error doesn't help, or has the secret: %v", c.algorithm, size, err)
			}
			s := newStrategy(t, jwt.Secret(whole[:size]), jwt.Config{Algorithm: c.algorithm, InsecureShortSecret: true})
			token, err := s.Issue(t.Context(), authn.Identity{Subject: "ann"})
			if err != nil {
				t.Fatal(err)
			}
			if id, err := s.Read(t.Context(), token.Value); err != nil || id.Subject != "ann" {
				t.Errorf("%s with %d bytes, allowed: %v", c.algorithm, size, err)
			}
		}
		for _, empty := range [][]byte{nil, {}} {
			if _, err := jwt.New(jwt.Secret(empty), jwt.Config{Algorithm: c.algorithm, InsecureShortSecret: true}); err == nil {
				t.Errorf("%s with an empty secret", c.algorithm)
			}
		}
	}
}

func TestASecretIsCopied(t *testing.T) {
	mine := bytes.Clone(secret)
	s := newStrategy(t, jwt.Secret(mine), jwt.Config{})
	clear(mine)
	if _, err := s.Read(t.Context(), signed(goodHeader, goodClaims)); err != nil {
		t.Errorf("the caller's slice is the key: %v", err)
	}
}

// Half a key is an error of New: not a panic, then or at the first token.
func TestHalfKeysAreRefused(t *testing.T) {
	keys := newKeys(t)
	for what, key := range map[string]func() jwt.Key{
		"nil *rsa.PrivateKey":           func() jwt.Key { return jwt.PrivateKey((*rsa.PrivateKey)(nil)) },
		"nil *ecdsa.PrivateKey":         func() jwt.Key { return jwt.PrivateKey((*ecdsa.PrivateKey)(nil)) },
		"nil ed25519.PrivateKey":        func() jwt.Key { return jwt.PrivateKey(ed25519.PrivateKey(nil)) },
		"rsa.PrivateKey, public part":   func() jwt.Key { return jwt.PrivateKey(&rsa.PrivateKey{PublicKey: keys.rsa.PublicKey}) },
		"rsa.PrivateKey, no modulus":    func() jwt.Key { return jwt.PrivateKey(&rsa.PrivateKey{D: keys.rsa.D}) },
		"zero ecdsa.PrivateKey":         func() jwt.Key { return jwt.PrivateKey(&ecdsa.PrivateKey{}) },
		"ecdsa.PrivateKey, public part": func() jwt.Key { return jwt.PrivateKey(&ecdsa.PrivateKey{PublicKey: keys.ec.PublicKey}) },
		"short ed25519.PrivateKey":      func() jwt.Key { return jwt.PrivateKey(ed25519.PrivateKey("short")) },
		"nil *rsa.PublicKey":            func() jwt.Key { return jwt.PublicKey((*rsa.PublicKey)(nil)) },
		"nil *ecdsa.PublicKey":          func() jwt.Key { return jwt.PublicKey((*ecdsa.PublicKey)(nil)) },
		"nil ed25519.PublicKey":         func() jwt.Key { return jwt.PublicKey(ed25519.PublicKey(nil)) },
		"nil":                           func() jwt.Key { return jwt.PublicKey(nil) },
		"zero rsa.PublicKey":            func() jwt.Key { return jwt.PublicKey(&rsa.PublicKey{}) },
		"zero ecdsa.PublicKey":          func() jwt.Key { return jwt.PublicKey(&ecdsa.PublicKey{}) },
		"ecdsa.PublicKey of a curve":    func() jwt.Key { return jwt.PublicKey(&ecdsa.PublicKey{Curve: elliptic.P256()}) },
		"rsa.PublicKey by value":        func() jwt.Key { return jwt.PublicKey(rsa.PublicKey{}) },
	} {
		func() {
			defer func() {
				if r := recover(); r != nil {
					t.Errorf("%s: a panic: %v", what, r)
				}
			}()
			if s, err := jwt.New(key(), jwt.Config{}); err == nil || s != nil {
				t.Errorf("%s makes a strategy", what)
			}
		}()
	}
}

// A token that is signed with HMAC, under the public key as the secret, is the
// classic confusion of algorithms (RFC 8725 §2.1).
func TestAPublicKeyIsNoSecret(t *testing.T) {
	keys := newKeys(t)
	for kind, c := range map[string]struct {
		key jwt.Key
		pub crypto.PublicKey
	}{
		"RSA":     {jwt.PrivateKey(keys.rsa), &keys.rsa.PublicKey},
		"EC":      {jwt.PublicKey(&keys.ec.PublicKey), &keys.ec.PublicKey},
		"Ed25519": {jwt.PublicKey(keys.ed.Public()), keys.ed.Public()},
	} {
		der, err := x509.MarshalPKIXPublicKey(c.pub)
		if err != nil {
			t.Fatal(err)
		}
		block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		s := newStrategy(t, c.key, jwt.Config{})
		for _, public := range [][]byte{der, block, bytes.TrimSpace(block)} {
			for _, algorithm := range []string{"HS256", "RS256", "ES256", "EdDSA", "none"} {
				unsigned := encode(`{"alg":"`+algorithm+`","typ":"JWT"}`) + "." + encode(goodClaims)
				mac := hmac.New(sha256.New, public)
				mac.Write([]byte(unsigned))
				for _, signature := range []string{encode(string(mac.Sum(nil))), ""} {
					if _, err := s.Read(t.Context(), unsigned+"."+signature); !errors.Is(err, authn.ErrInvalidToken) {
						t.Errorf("%s, %s: %v", kind, algorithm, err)
					}
				}
			}
		}
	}
}

func TestKeysAndStrategiesPrintNoSecret(t *testing.T) {
	s := newStrategy(t, jwt.Secret(secret), jwt.Config{})
	for what, value := range map[string]any{"key": jwt.Secret(secret), "strategy": s, "strategy by value": *s} {
		var printed strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			fmt.Fprintf(&printed, verb+"\n", value)
		}
		slog.New(slog.NewTextHandler(&printed, nil)).Info("made", "value", value)
		slog.New(slog.NewJSONHandler(&printed, nil)).Info("made", "value", value)
		if data, err := json.Marshal(value); err == nil {
			printed.Write(data)
		}
		decimal := strings.Trim(fmt.Sprint(secret[:8]), "[]")
		bytesOf := strings.TrimSuffix(fmt.Sprintf("%#v", secret[:8]), "}")[len("[]byte{"):]
		for _, form := range []string{
			string(secret[:8]), hex.EncodeToString(secret[:8]), base64.StdEncoding.EncodeToString(secret[:6]), decimal, bytesOf,
		} {
			if strings.Contains(printed.String(), form) {
				t.Errorf("the %s prints its secret, as %s", what, form)
			}
		}
	}
}

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
