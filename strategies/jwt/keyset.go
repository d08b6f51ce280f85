package jwt

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// Keys is what a strategy signs and verifies with: a [Key], or a [*KeySet].
type Keys interface {
	// attach calls prepare with the keys, now and whenever they are others,
	// and what it returns once nobody objects.
	attach(prepare func(keys []Key) (use func(), err error)) error
	// look is for a key that isn't there: it may be by now, which look reports.
	look(ctx context.Context) (changed bool, err error)
}

func (k Key) attach(prepare func([]Key) (func(), error)) error {
	use, err := prepare([]Key{k})
	if err == nil {
		use()
	}
	return err
}

func (Key) look(context.Context) (bool, error) { return false, nil }

// KeySource returns the keys of a [KeySet] as they are now: the first one
// signs, and all verify. Without a key that can sign in the first place, a
// strategy of them only verifies.
type KeySource func(ctx context.Context) ([]Key, error)

// KeySet is several keys that may change while the program runs: the first one
// signs, and all verify. Safe for concurrent use.
//
// To rotate without refusing a token, each process must know a key before any
// signs with it: add the new key behind the first, in all processes; then put
// it first; then remove the old one, no sooner than its last token has expired.
// See [KeySet.Run].
type KeySet struct {
	source KeySource
	cfg    KeySetConfig

	loading chan struct{} // full while keys are loaded
	looked  time.Time     // when a token last named a key that isn't there
	failed  error         // what came of the last time that keys were loaded

	mu       sync.Mutex // of what follows; never held while keys are loaded
	keys     []Key
	prepares []func([]Key) (func(), error)
}

// KeySetConfig has the options of [NewKeySet].
type KeySetConfig struct {
	// LookEvery is how often a token that names a key which isn't there has the
	// keys loaded again, at most: whoever makes tokens up could have it done all
	// the time. Defaults to five seconds.
	LookEvery time.Duration
	// Timeout is how long such a request waits at most, and how long keys may
	// take to load. Defaults to three seconds.
	Timeout time.Duration
	// Now is the clock. Defaults to [time.Now].
	Now func() time.Time
}

// NewKeySet loads the keys of a source. An error says what is wrong with them.
func NewKeySet(ctx context.Context, source KeySource, cfg KeySetConfig) (*KeySet, error) {
	if source == nil {
		return nil, errors.New("jwt: the source of keys is nil")
	}
	if cfg.LookEvery < 0 || cfg.Timeout < 0 {
		return nil, errors.New("jwt: LookEvery and Timeout must not be negative")
	}
	if cfg.LookEvery == 0 {
		cfg.LookEvery = 5 * time.Second
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 3 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &KeySet{source: source, cfg: cfg, loading: make(chan struct{}, 1)}
	if err := s.Reload(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Reload has the set take over the source's keys as they are now. On an error,
// which also says where a strategy can't use them, it keeps those that it has.
func (s *KeySet) Reload(ctx context.Context) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.end()
	return s.reload(ctx)
}

// begin waits until nobody else loads keys.
func (s *KeySet) begin(ctx context.Context) error {
	select {
	case s.loading <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("jwt: loading keys: %w", ctx.Err())
	}
}

func (s *KeySet) end() { <-s.loading }

func (s *KeySet) reload(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	s.failed = s.take(ctx)
	return s.failed
}

func (s *KeySet) take(ctx context.Context) error {
	keys, err := s.source(ctx)
	if err != nil {
		return fmt.Errorf("jwt: loading keys: %w", err)
	}
	if len(keys) == 0 {
		return errors.New("jwt: loading keys: there is none")
	}
	keys = append([]Key(nil), keys...)
	ids := map[string]bool{}
	for i, key := range keys {
		if err := key.Err(); err != nil {
			return fmt.Errorf("jwt: key %d: %w", i+1, err)
		}
		if key.id == "" {
			keys[i].id = secretID(key)
		}
		if ids[keys[i].id] {
			return fmt.Errorf("jwt: key %d has the id of another one, %q", i+1, keys[i].id)
		}
		ids[keys[i].id] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var uses []func()
	for _, prepare := range s.prepares {
		use, err := prepare(keys)
		if err != nil {
			return fmt.Errorf("jwt: %w", err)
		}
		uses = append(uses, use)
	}
	s.keys = keys
	for _, use := range uses {
		use()
	}
	return nil
}

// secretID names a secret by a part of its hash. It helps guessing no more than
// a token that the secret has signed.
func secretID(key Key) string {
	secret, _ := key.verify.([]byte)
	sum := sha256.Sum256(append([]byte("kid\x00"), secret...))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

func (s *KeySet) attach(prepare func([]Key) (func(), error)) error {
	if s == nil {
		return errors.New("the key set is nil")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	use, err := prepare(s.keys)
	if err != nil {
		return err
	}
	use()
	s.prepares = append(s.prepares, prepare)
	return nil
}

// look loads the keys again, unless that was done lately; then what came of it
// counts.
func (s *KeySet) look(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	if err := s.begin(ctx); err != nil {
		return false, err
	}
	now := s.cfg.Now()
	if now.Sub(s.looked) < s.cfg.LookEvery {
		defer s.end()
		return s.failed == nil, s.failed
	}
	s.looked = now
	done := make(chan error, 1)
	go func() { // others wait for it, whatever becomes of this request
		defer s.end()
		done <- s.reload(context.WithoutCancel(ctx))
	}()
	select {
	case err := <-done:
		return err == nil, err
	case <-ctx.Done():
		return false, fmt.Errorf("jwt: loading keys: %w", ctx.Err())
	}
}

// Run reloads the keys at this interval until ctx ends, and logs what fails.
// Call it in a goroutine of its own. A token that names a key which isn't there
// has them reloaded too, so that an interval may be long.
func (s *KeySet) Run(ctx context.Context, every time.Duration, logger *slog.Logger) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := s.Reload(ctx); err != nil && ctx.Err() == nil {
			logger.ErrorContext(ctx, "jwt: the keys stay as they were", slog.Any("error", err))
		}
	}
}

// Format prints "[keys]", whatever the verb.
func (s *KeySet) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[keys]") }

// LogValue returns "[keys]".
func (s *KeySet) LogValue() slog.Value { return slog.StringValue("[keys]") }

// FixedKeys is a source of keys that stay the same.
func FixedKeys(keys ...Key) KeySource {
	return func(context.Context) ([]Key, error) { return keys, nil }
}

// FileKeys is a source of keys in files, one in each: what [ParseKey] reads.
// The first one signs. A file that isn't there is an error.
func FileKeys(paths ...string) KeySource {
	return func(context.Context) ([]Key, error) {
		var keys []Key
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			key, err := ParseKey(data)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			keys = append(keys, key)
		}
		return keys, nil
	}
}

// EnvKeys is a source of keys in environment variables: what [ParseKey] reads.
// The first one signs, and must be there; others that are empty are left out.
func EnvKeys(names ...string) KeySource {
	return func(context.Context) ([]Key, error) {
		var keys []Key
		for i, name := range names {
			value := os.Getenv(name)
			if value == "" && i > 0 {
				continue
			}
			key, err := ParseKey([]byte(value))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			keys = append(keys, key)
		}
		return keys, nil
	}
}

// ParseKey reads a key: PEM of a private key (PKCS #8, PKCS #1, SEC 1) or of a
// public one (PKIX), or else a secret, as it is but for space around it.
func ParseKey(data []byte) (Key, error) {
	text := strings.TrimSpace(string(data))
	if text == "" {
		return Key{}, errors.New("the key is empty")
	}
	if !strings.Contains(text, "-----BEGIN") {
		if isBareKey(text) {
			return Key{}, errors.New("the key is no secret but a key of its own form (JWK, ssh, DER): give it as PEM")
		}
		return Secret([]byte(text)), nil
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || strings.TrimSpace(string(rest)) != "" {
		return Key{}, errors.New("the key is no PEM, or more than one block")
	}
	key, err := parsePEM(block)
	if err == nil {
		err = key.err
	}
	return key, err
}

// isBareKey recognises keys in forms that are not read: as a secret, a public
// one would let everybody sign who knows it.
func isBareKey(text string) bool {
	for _, form := range []string{"{", "ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"} {
		if strings.HasPrefix(text, form) {
			return true
		}
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return false
	}
	for _, parse := range []func([]byte) error{
		func(der []byte) error { _, err := x509.ParsePKIXPublicKey(der); return err },
		func(der []byte) error { _, err := x509.ParsePKCS1PublicKey(der); return err },
		func(der []byte) error { _, err := x509.ParseCertificate(der); return err },
		func(der []byte) error { _, err := x509.ParsePKCS8PrivateKey(der); return err },
		func(der []byte) error { _, err := x509.ParsePKCS1PrivateKey(der); return err },
		func(der []byte) error { _, err := x509.ParseECPrivateKey(der); return err },
	} {
		if parse(der) == nil {
			return true
		}
	}
	return false
}

func parsePEM(block *pem.Block) (Key, error) {
	var parsed any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		parsed, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "PUBLIC KEY":
		parsed, err = x509.ParsePKIXPublicKey(block.Bytes)
		if err == nil {
			return PublicKey(parsed), nil
		}
	default:
		return Key{}, fmt.Errorf("a PEM block %q is no key: PRIVATE KEY or PUBLIC KEY is", block.Type)
	}
	if err != nil {
		return Key{}, errors.New("the PEM block has no key in it") // err may repeat a part
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return Key{}, fmt.Errorf("private keys of type %T are not supported", parsed)
	}
	return PrivateKey(signer), nil
}

// VerificationKey is a public key with which others verify.
type VerificationKey struct {
	// ID is the "kid" of tokens.
	ID        string
	Algorithm Algorithm
	Key       crypto.PublicKey
}
