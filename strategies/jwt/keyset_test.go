package jwt_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/strategies/jwt"
)

func secretOf(letter string) jwt.Key { return jwt.Secret([]byte(strings.Repeat(letter, 32))) }

// source is a source of keys that can be changed, and be away.
type source struct {
	mu    sync.Mutex
	keys  []jwt.Key
	err   error
	asked int
}

func (s *source) set(err error, keys ...jwt.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.err = keys, err
}

func (s *source) Keys(context.Context) ([]jwt.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.keys, s.err
}

func newKeySet(t testing.TB, s *source, cfg jwt.KeySetConfig) *jwt.KeySet {
	t.Helper()
	set, err := jwt.NewKeySet(context.Background(), s.Keys, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func newStrategyOf(t testing.TB, keys jwt.Keys) *jwt.Strategy {
	t.Helper()
	s, err := jwt.New(keys, jwt.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func issueOf(t testing.TB, s *jwt.Strategy) string {
	t.Helper()
	token, err := s.Issue(context.Background(), authn.Identity{Subject: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	return token.Value
}

func accepts(t testing.TB, s *jwt.Strategy, token string, want bool, what string) {
	t.Helper()
	id, err := s.Read(context.Background(), token)
	if (err == nil) != want || err == nil && id.Subject != "ann" || err != nil && !errors.Is(err, authn.ErrInvalidToken) {
		t.Errorf("%s: %v, want accepted %t", what, err, want)
	}
}

func headerOf(t testing.TB, token string) map[string]any {
	t.Helper()
	encoded, _, _ := strings.Cut(token, ".")
	data, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	var header map[string]any
	if err := json.Unmarshal(data, &header); err != nil {
		t.Fatal(err)
	}
	return header
}

func pairs(t testing.TB) map[string]jwt.Key {
	t.Helper()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]jwt.Key{"EdDSA": jwt.PrivateKey(ed), "ES256": jwt.PrivateKey(ec), "RS256": jwt.PrivateKey(rs), "HS256": secretOf("h")}
}

// A rotation, step by step: no token that is valid is refused, of any kind of
// key, and none is valid when its key is gone.
func TestRotation(t *testing.T) {
	kinds := pairs(t)
	for name, old := range kinds {
		for other, next := range kinds {
			if name == other {
				next = secretOf("n")
			}
			t.Run(name+" to "+other, func(t *testing.T) {
				plain := issueOf(t, newStrategyOf(t, old)) // of before there was a set
				keys := &source{keys: []jwt.Key{old}}
				set := newKeySet(t, keys, jwt.KeySetConfig{})
				s := newStrategyOf(t, set)
				first := issueOf(t, s)
				if kid, _ := headerOf(t, first)["kid"].(string); kid == "" {
					t.Error("no kid in the header")
				}
				for step, now := range [][]jwt.Key{{old}, {old, next}, {next, old}, {next}} {
					keys.set(nil, now...)
					if err := set.Reload(t.Context()); err != nil {
						t.Fatal(err)
					}
					there := step < 3
					accepts(t, s, plain, there, fmt.Sprint("step ", step, ", a token of the key alone"))
					accepts(t, s, first, there, fmt.Sprint("step ", step, ", the old key's token"))
					accepts(t, s, issueOf(t, s), true, fmt.Sprint("step ", step, ", a new token"))
				}
				if a, b := headerOf(t, first)["kid"], headerOf(t, issueOf(t, s))["kid"]; a == b {
					t.Error("two keys have one kid")
				}
			})
		}
	}
}

func TestRotationUnderLoad(t *testing.T) {
	var all []jwt.Key
	for letter := 'a'; letter <= 'z'; letter++ {
		all = append(all, secretOf(string(letter)))
	}
	keys := &source{keys: all}
	set := newKeySet(t, keys, jwt.KeySetConfig{})
	s := newStrategyOf(t, set)
	var read atomic.Int64
	done := make(chan struct{})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				token, err := s.Issue(context.Background(), authn.Identity{Subject: "ann"})
				if err == nil {
					_, err = s.Read(context.Background(), token.Value)
				}
				if err != nil {
					t.Error(err)
					return
				}
				read.Add(1)
			}
		})
	}
	for i := range 500 { // another one signs each time, and all go on verifying
		first := i % len(all)
		keys.set(nil, slices.Concat(all[first:], all[:first])...)
		if err := set.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for read.Load() < 1000 && !t.Failed() {
	}
	close(done)
	group.Wait()
}

// A token that names a key which isn't there has the keys loaded again, and not
// more often than that.
func TestAKeyThatIsNew(t *testing.T) {
	clock := authntest.NewClock(time.Unix(1_700_000_000, 0))
	issuing := newStrategyOf(t, newKeySet(t, &source{keys: []jwt.Key{secretOf("n").WithID("new")}}, jwt.KeySetConfig{}))
	keys := &source{keys: []jwt.Key{secretOf("o").WithID("old")}}
	verifying := newStrategyOf(t, newKeySet(t, keys, jwt.KeySetConfig{Now: clock.Now, LookEvery: time.Minute}))
	token := issueOf(t, issuing)
	keys.set(nil, secretOf("n").WithID("new"), secretOf("o").WithID("old"))
	accepts(t, verifying, token, true, "a key that came meanwhile")
	if keys.asked != 2 {
		t.Errorf("asked %d times", keys.asked)
	}
	unknown := issueOf(t, newStrategyOf(t, newKeySet(t, &source{keys: []jwt.Key{secretOf("x").WithID("unknown")}}, jwt.KeySetConfig{})))
	for range 5 {
		accepts(t, verifying, unknown, false, "an unknown key")
	}
	if keys.asked != 2 {
		t.Errorf("made-up tokens had the keys loaded %d times", keys.asked)
	}
	clock.Advance(time.Minute)
	keys.set(errors.New("connection refused"))
	for range 2 { // looked for, and remembered
		if _, err := verifying.Read(t.Context(), unknown); err == nil || errors.Is(err, authn.ErrInvalidToken) {
			t.Errorf("the key could not be looked for: %v", err)
		}
	}
	accepts(t, verifying, token, true, "a key that is there, while its source is away")
	if keys.asked != 3 {
		t.Errorf("asked %d times", keys.asked)
	}
	keys.set(nil, secretOf("o").WithID("old"))
	clock.Advance(time.Minute)
	accepts(t, verifying, unknown, false, "an unknown key")
	accepts(t, verifying, token, false, "a key that is gone")
}

// The kid chooses among the keys and nothing more.
func TestKidIsAHint(t *testing.T) {
	one, two := secretOf("1").WithID("one"), secretOf("2").WithID("two")
	both := newStrategyOf(t, newKeySet(t, &source{keys: []jwt.Key{one, two}}, jwt.KeySetConfig{}))
	for what, c := range map[string]struct {
		key  jwt.Key
		want bool
	}{
		"of the second key":                    {two, true},
		"without kid, of the second key":       {secretOf("2"), true},
		"of an unknown key":                    {secretOf("3"), false},
		"an unknown key under a known kid":     {secretOf("3").WithID("two"), false},
		"the second key under the first's kid": {secretOf("2").WithID("one"), false},
		"a known key under an unknown kid":     {secretOf("2").WithID("three"), false},
	} {
		accepts(t, both, issueOf(t, newStrategyOf(t, c.key)), c.want, what)
	}
	unnamed := newStrategyOf(t, secretOf("2"))
	accepts(t, unnamed, issueOf(t, newStrategyOf(t, two)), true, "any kid, where the key was given no name")

	// A public key as an HMAC secret.
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	mixed := newStrategyOf(t, newKeySet(t, &source{keys: []jwt.Key{jwt.PrivateKey(private), one}}, jwt.KeySetConfig{}))
	for _, id := range []string{"one", jwt.PublicKey(public).ID()} {
		forged := newStrategyOf(t, jwt.Secret(public).WithID(id))
		accepts(t, mixed, issueOf(t, forged), false, "signed with the public key's bytes, as "+id)
	}
}

// What a strategy can't use is not taken over.
func TestKeysThatCannotBeTakenOver(t *testing.T) {
	keys := &source{keys: []jwt.Key{secretOf("a")}}
	set := newKeySet(t, keys, jwt.KeySetConfig{})
	s := newStrategyOf(t, set)
	token := issueOf(t, s)
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for what, now := range map[string][]jwt.Key{
		"none":                     nil,
		"the zero key":             {{}},
		"a short secret":           {jwt.Secret([]byte("short"))},
		"a short one behind":       {secretOf("b"), jwt.Secret([]byte("short"))},
		"no key that signs":        {jwt.PublicKey(public), secretOf("b")},
		"one key twice":            {secretOf("b"), secretOf("b")},
		"one id twice":             {secretOf("b").WithID("x"), secretOf("c").WithID("x")},
		"an empty id":              {secretOf("b").WithID("")},
		"an algorithm of another":  {secretOf("b").WithAlgorithm(jwt.ES256)},
		"an unsupported key":       {jwt.PublicKey("no key")},
		"a nil private key":        {jwt.PrivateKey(nil)},
		"a private key of no kind": {jwt.PrivateKey((*rsa.PrivateKey)(nil))},
	} {
		keys.set(nil, now...)
		if err := set.Reload(t.Context()); err == nil || strings.Contains(err.Error(), "short") && !strings.Contains(err.Error(), "bytes") {
			t.Errorf("%s: %v", what, err)
		}
		accepts(t, s, token, true, "after "+what)
		accepts(t, s, issueOf(t, s), true, "a new one, after "+what)
	}
	if _, err := jwt.NewKeySet(t.Context(), nil, jwt.KeySetConfig{}); err == nil {
		t.Error("no source")
	}
	if _, err := jwt.New((*jwt.KeySet)(nil), jwt.Config{}); err == nil {
		t.Error("no key set")
	}
	if _, err := jwt.New(nil, jwt.Config{}); err == nil {
		t.Error("no keys")
	}
	if text := fmt.Sprintf("%v %+v %s", set, set, s); strings.Contains(text, "aaaa") {
		t.Error(text)
	}
}

func pemOf(t *testing.T, kind string, der []byte, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func TestKeysFromFilesAndTheEnvironment(t *testing.T) {
	public, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err8 := x509.MarshalPKCS8PrivateKey(ed)
	sec1, err1 := x509.MarshalECPrivateKey(ec)
	pkix, errX := x509.MarshalPKIXPublicKey(public)
	texts := map[string]string{
		"EdDSA":  pemOf(t, "PRIVATE KEY", pkcs8, err8),
		"ES256":  pemOf(t, "EC PRIVATE KEY", sec1, err1),
		"RS256":  pemOf(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rs), nil),
		"HS256":  "  " + strings.Repeat("s", 32) + "\n",
		"public": pemOf(t, "PUBLIC KEY", pkix, errX),
	}
	dir := t.TempDir()
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("ECHO_USERS_TEST_KEY", text)
			for _, keys := range []jwt.KeySource{jwt.FileKeys(path), jwt.EnvKeys("ECHO_USERS_TEST_KEY", "ECHO_USERS_TEST_NONE")} {
				set, err := jwt.NewKeySet(t.Context(), keys, jwt.KeySetConfig{})
				if err != nil {
					t.Fatal(err)
				}
				s := newStrategyOf(t, set)
				if name == "public" {
					if s.CanIssue() {
						t.Error("a public key signs")
					}
					accepts(t, s, issueOf(t, newStrategyOf(t, jwt.PrivateKey(ed))), true, "its private key's")
					continue
				}
				token := issueOf(t, s)
				if headerOf(t, token)["alg"] != name {
					t.Error(headerOf(t, token))
				}
				accepts(t, s, token, true, "its own")
			}
		})
	}
	for name, text := range map[string]string{
		"empty":       " \n",
		"broken":      "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
		"half":        texts["EdDSA"][:60],
		"two":         texts["EdDSA"] + texts["EdDSA"],
		"certificate": strings.ReplaceAll(texts["public"], "PUBLIC KEY", "CERTIFICATE"),
	} {
		if _, err := jwt.ParseKey([]byte(text)); err == nil || len(text) > 20 && strings.Contains(err.Error(), text[30:40]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := jwt.NewKeySet(t.Context(), jwt.FileKeys(filepath.Join(dir, "missing")), jwt.KeySetConfig{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := jwt.NewKeySet(t.Context(), jwt.EnvKeys("ECHO_USERS_TEST_NONE"), jwt.KeySetConfig{}); err == nil || !strings.Contains(err.Error(), "ECHO_USERS_TEST_NONE") {
		t.Error(err)
	}
}

// Run takes over what changes, and ends with its context.
func TestRunReloads(t *testing.T) {
	keys := &source{keys: []jwt.Key{secretOf("a")}}
	set := newKeySet(t, keys, jwt.KeySetConfig{})
	s := newStrategyOf(t, set)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		set.Run(ctx, time.Millisecond, slog.New(slog.DiscardHandler))
	}()
	token := issueOf(t, newStrategyOf(t, secretOf("b")))
	keys.set(nil, secretOf("b"))
	late := time.After(10 * time.Second)
	for {
		if _, err := s.Read(t.Context(), token); err == nil {
			break
		}
		select {
		case <-late:
			t.Fatal("the new key was never taken over")
		default:
		}
	}
	cancel()
	<-ended
}

// The thumbprint of RFC 7638 §3.1's example.
func TestThumbprints(t *testing.T) {
	n, err := base64.RawURLEncoding.DecodeString("0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw")
	if err != nil {
		t.Fatal(err)
	}
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}
	if id := jwt.PublicKey(public).ID(); id != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Error(id)
	}
	// RFC 8037, appendix A.3.
	x, err := base64.RawURLEncoding.DecodeString("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	if err != nil {
		t.Fatal(err)
	}
	if id := jwt.PublicKey(ed25519.PublicKey(x)).ID(); id != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" {
		t.Error(id)
	}
}

// A mailed link goes on working when its key has become one of several.
func TestMailedTokensOfARotatedKey(t *testing.T) {
	reset, err := jwt.NewResetTokens(secretOf("o"), jwt.MailedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	token, err := reset.Make(t.Context(), authn.Mailed{Subject: "ann", Email: "ann@example.com", PasswordDigest: "digest"})
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := jwt.NewResetTokens(newKeySet(t, &source{keys: []jwt.Key{secretOf("n"), secretOf("o")}}, jwt.KeySetConfig{}), jwt.MailedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if mailed, err := rotated.Open(t.Context(), token.Value); err != nil || mailed.Email != "ann@example.com" || mailed.PasswordDigest != "digest" {
		t.Errorf("%+v, %v", mailed, err)
	}
	verify, err := jwt.NewVerifyTokens(newKeySet(t, &source{keys: []jwt.Key{secretOf("n"), secretOf("o")}}, jwt.KeySetConfig{}), jwt.MailedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify.Open(t.Context(), token.Value); !errors.Is(err, authn.ErrInvalidToken) {
		t.Errorf("a token of another purpose: %v", err)
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"))
	f.Add([]byte("secret"))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := jwt.ParseKey(data)
		if err == nil && key.Err() != nil {
			t.Error(key.Err())
		}
	})
}

// BenchmarkRead compares a token without kid with one of a set of keys.
func BenchmarkRead(b *testing.B) {
	for name, keys := range map[string]jwt.Keys{
		"alone":    secretOf("a"),
		"kid":      newKeySet(b, &source{keys: []jwt.Key{secretOf("a")}}, jwt.KeySetConfig{}),
		"kid of 3": newKeySet(b, &source{keys: []jwt.Key{secretOf("a"), secretOf("b"), secretOf("c")}}, jwt.KeySetConfig{}),
	} {
		s := newStrategyOf(b, keys)
		token := issueOf(b, s)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Read(context.Background(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
