package redis

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/strategies/internal/opaque"
)

// PlainPrefix is what fastapi-users' keys begin with.
const PlainPrefix = "fastapi_users_token:"

// Config has the options of [New].
type Config struct {
	// Prefix is what keys begin with; the hash of a token follows it. Defaults
	// to "echo_users_token:".
	Prefix string
	// PlainPrefix is what keys begin with that fastapi-users' RedisStrategy
	// wrote, with tokens in the clear, such as [PlainPrefix]: those tokens open
	// what they opened. None is ever added. Defaults to none.
	PlainPrefix string
	// Audience keeps tokens apart: a strategy finds those alone that were
	// issued under its own. Defaults to the name of the backend that it is
	// bound to; set it to have several backends share tokens, or to rename one.
	Audience string
	// Lifetime of the tokens. Defaults to one hour.
	Lifetime time.Duration
	// Timeout is how long a call may take. Defaults to three seconds.
	Timeout time.Duration

	// Now is the clock. Defaults to [time.Now].
	Now func() time.Time
}

const (
	defaultPrefix   = "echo_users_token:"
	defaultLifetime = time.Hour
	defaultTimeout  = 3 * time.Second
)

// Strategy issues opaque tokens, reads and revokes them. It implements
// [authn.Strategy] and [authn.Revoker], and is safe for concurrent use.
type Strategy struct {
	client goredis.UniversalClient
	cfg    Config
}

// New returns a strategy over the client, or an error that says what is wrong
// with the options, the client's included: it must respect the deadlines of
// contexts (ContextTimeoutEnabled), and ask no replica, which may not have
// heard of a log-out.
func New(client goredis.UniversalClient, cfg Config) (*Strategy, error) {
	if err := checkClient(client); err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	if err := opaque.CheckAudience(cfg.Audience); err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	if cfg.Lifetime < 0 || 0 < cfg.Lifetime && cfg.Lifetime < time.Millisecond || cfg.Timeout < 0 {
		return nil, errors.New("redis: Lifetime must be at least a millisecond, and Timeout must not be negative")
	}
	if cfg.Prefix == "" {
		cfg.Prefix = defaultPrefix
	}
	if cfg.PlainPrefix != "" && (strings.HasPrefix(cfg.Prefix, cfg.PlainPrefix) || strings.HasPrefix(cfg.PlainPrefix, cfg.Prefix)) {
		return nil, errors.New("redis: neither of Prefix and PlainPrefix may begin with the other: a hash would be a token")
	}
	if cfg.Lifetime == 0 {
		cfg.Lifetime = defaultLifetime
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Strategy{client: client, cfg: cfg}, nil
}

func checkClient(client goredis.UniversalClient) error {
	var deadlines, replicas bool
	switch client := client.(type) {
	case nil:
		return errors.New("the client is nil")
	case *goredis.Client:
		deadlines = client.Options().ContextTimeoutEnabled
	case *goredis.ClusterClient:
		deadlines = client.Options().ContextTimeoutEnabled
		replicas = client.Options().ReadOnly || client.Options().RouteByLatency || client.Options().RouteRandomly
	case *goredis.Ring:
		deadlines = client.Options().ContextTimeoutEnabled
	default:
		return nil
	}
	if !deadlines {
		return errors.New("set ContextTimeoutEnabled in the client's options: else a server that is silent holds requests beyond their deadline")
	}
	if replicas {
		return errors.New("unset ReadOnly, RouteByLatency and RouteRandomly in the client's options: a replica may not have heard of a log-out")
	}
	return nil
}

// record is what is stored of a token, as JSON. Times are in Unix nanoseconds,
// zero for none.
type record struct {
	Subject    string   `json:"sub"`
	Generation int64    `json:"gen"`
	SessionID  string   `json:"sid,omitempty"`
	IssuedAt   int64    `json:"iat"`
	AuthTime   int64    `json:"auth_time,omitempty"`
	ExpiresAt  int64    `json:"exp"`
	Methods    []string `json:"amr,omitempty"`
	Scopes     []string `json:"scope,omitempty"`
}

// key is where a token is.
func (s *Strategy) key(token string) string {
	hash := opaque.Hash(s.cfg.Audience, token)
	return s.cfg.Prefix + base64.RawURLEncoding.EncodeToString(hash[:])
}

// ForBackend returns the strategy for a backend of this name; see
// [Config.Audience].
func (s *Strategy) ForBackend(name string) authn.Strategy {
	if s.cfg.Audience != "" {
		return s
	}
	cfg := s.cfg
	cfg.Audience = name
	return &Strategy{client: s.client, cfg: cfg}
}

// Issue makes a token for the strategy's lifetime.
func (s *Strategy) Issue(ctx context.Context, id authn.Identity) (authn.Token, error) {
	if id.Subject == "" {
		return authn.Token{}, errors.New("redis: the identity has no subject")
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	token := opaque.New()
	now := s.cfg.Now()
	expires := now.Add(s.cfg.Lifetime)
	if !id.ExpiresAt.IsZero() && id.ExpiresAt.Before(expires) {
		expires = id.ExpiresAt
	}
	stored, err := json.Marshal(record{
		Subject: id.Subject, Generation: id.Generation, SessionID: id.SessionID,
		IssuedAt: toNanos(id.IssuedAt), AuthTime: toNanos(id.AuthTime), ExpiresAt: toNanos(expires),
		Methods: id.Methods, Scopes: id.Scopes,
	})
	if err != nil {
		return authn.Token{}, err
	}
	if err := s.client.Set(ctx, s.key(token), stored, max(expires.Sub(now), time.Millisecond)).Err(); err != nil {
		return authn.Token{}, away(ctx, s.client, err)
	}
	return authn.Token{Value: token, ExpiresAt: expires}, nil
}

// Read looks a token up: [authn.ErrInvalidToken].
func (s *Strategy) Read(ctx context.Context, token string) (authn.Identity, error) {
	if !opaque.IsToken(token) {
		return authn.Identity{}, authn.ErrInvalidToken
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	stored, err := s.client.Get(ctx, s.key(token)).Bytes()
	if errors.Is(err, goredis.Nil) {
		return s.readPlain(ctx, token)
	}
	if err != nil {
		return authn.Identity{}, away(ctx, s.client, err)
	}
	var r record
	if err := json.Unmarshal(stored, &r); err != nil {
		return authn.Identity{}, errors.New("redis: what is stored of a token can't be read") // err may repeat it
	}
	expires := fromNanos(r.ExpiresAt)
	if r.Subject == "" || !s.cfg.Now().Before(expires) {
		return authn.Identity{}, authn.ErrInvalidToken
	}
	return authn.Identity{
		Subject: r.Subject, Generation: r.Generation, SessionID: r.SessionID,
		IssuedAt: fromNanos(r.IssuedAt), AuthTime: fromNanos(r.AuthTime), ExpiresAt: expires,
		Methods: r.Methods, Scopes: r.Scopes,
	}, nil
}

// readPlain looks for what fastapi-users stored: the user's id. The key's own
// expiry is the token's.
func (s *Strategy) readPlain(ctx context.Context, token string) (authn.Identity, error) {
	if s.cfg.PlainPrefix == "" {
		return authn.Identity{}, authn.ErrInvalidToken
	}
	subject, err := s.client.Get(ctx, s.cfg.PlainPrefix+token).Result()
	if errors.Is(err, goredis.Nil) || err == nil && subject == "" {
		return authn.Identity{}, authn.ErrInvalidToken
	}
	if err != nil {
		return authn.Identity{}, away(ctx, s.client, err)
	}
	return authn.Identity{Subject: subject}, nil
}

// Revoke ends a token, wherever it is stored.
func (s *Strategy) Revoke(ctx context.Context, token string) error {
	if !opaque.IsToken(token) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	keys := []string{s.key(token)}
	if s.cfg.PlainPrefix != "" {
		keys = append(keys, s.cfg.PlainPrefix+token)
	}
	for _, key := range keys { // one by one: in a Cluster they are on different servers
		if err := s.client.Del(ctx, key).Err(); err != nil {
			return away(ctx, s.client, err)
		}
	}
	return nil
}

// away returns the error, and has a Cluster's client look who is a master now:
// by itself it does so once a minute, and where a server redirects it.
func away(ctx context.Context, client goredis.UniversalClient, err error) error {
	if cluster, ok := client.(*goredis.ClusterClient); ok && err != nil {
		cluster.ReloadState(context.WithoutCancel(ctx))
	}
	return err
}

func toNanos(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Unix() >= math.MaxInt64/int64(time.Second): // the year 2262
		return math.MaxInt64
	case t.Unix() < 0:
		return 1
	}
	return max(t.UnixNano(), 1)
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}
