package redis_test

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/strategies/redis"
)

var _ authn.Revoker = (*redis.Strategy)(nil)

func newClient(t *testing.T) *goredis.Client {
	t.Helper()
	options, err := goredis.ParseURL(testdb.RedisURL(t))
	if err != nil {
		t.Fatal("TEST_REDIS_URL is no URL of Redis") // err may hold the password
	}
	options.ContextTimeoutEnabled = true
	client := goredis.NewClient(options)
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

// prefix returns one of this test's, whose keys are removed after it.
func prefix(t *testing.T, client *goredis.Client) string {
	t.Helper()
	p := "test_" + rand.Text() + ":"
	t.Cleanup(func() {
		if keys := keysOf(t, client, p); len(keys) > 0 {
			client.Del(context.Background(), keys...)
		}
	})
	return p
}

func keysOf(t *testing.T, client *goredis.Client, prefix string) []string {
	t.Helper()
	keys, err := client.Keys(context.Background(), prefix+"*").Result()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func newStrategy(t *testing.T, client *goredis.Client, cfg redis.Config) *redis.Strategy {
	t.Helper()
	if cfg.Prefix == "" {
		cfg.Prefix = prefix(t, client)
	}
	s, err := redis.New(client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func issue(t *testing.T, s authn.Strategy, id authn.Identity) string {
	t.Helper()
	token, err := s.Issue(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return token.Value
}

func TestSuite(t *testing.T) {
	client := newClient(t)
	authntest.TestStrategy(t, func(t *testing.T) authn.Strategy { return newStrategy(t, client, redis.Config{}) })
}

func TestATokenSaysWhatWasIssued(t *testing.T) {
	clock := authntest.NewClock(time.Unix(1_700_000_000, 5))
	s := newStrategy(t, newClient(t), redis.Config{Now: clock.Now})
	want := authn.Identity{
		Subject: "ann", Generation: 3, SessionID: "s", IssuedAt: clock.Now(), AuthTime: clock.Now().Add(-time.Minute),
		Methods: []string{"pwd", "otp"}, Scopes: []string{"read"},
	}
	got, err := s.Read(t.Context(), issue(t, s, want))
	if err != nil {
		t.Fatal(err)
	}
	if got.Subject != "ann" || got.Generation != 3 || got.SessionID != "s" || !got.IssuedAt.Equal(want.IssuedAt) || !got.AuthTime.Equal(want.AuthTime) ||
		!slices.Equal(got.Methods, want.Methods) || !slices.Equal(got.Scopes, want.Scopes) || !got.ExpiresAt.Equal(clock.Now().Add(time.Hour)) {
		t.Errorf("%+v", got)
	}
}

// Both Redis and the strategy's clock end a token.
func TestTokensExpire(t *testing.T) {
	client := newClient(t)
	clock := authntest.NewClock(time.Now())
	p := prefix(t, client)
	s := newStrategy(t, client, redis.Config{Prefix: p, Lifetime: time.Minute, Now: clock.Now})
	token := issue(t, s, authn.Identity{Subject: "ann"})
	for _, key := range keysOf(t, client, p) {
		if left := client.PTTL(t.Context(), key).Val(); left <= 50*time.Second || left > time.Minute {
			t.Errorf("Redis keeps the key for %v", left)
		}
	}
	clock.Advance(time.Minute - 1)
	if _, err := s.Read(t.Context(), token); err != nil {
		t.Error(err)
	}
	clock.Advance(1)
	if _, err := s.Read(t.Context(), token); !errors.Is(err, authn.ErrInvalidToken) {
		t.Error("an expired token:", err)
	}
}

// What is stored opens nothing, and isn't the token.
func TestStoredValuesAreNoTokens(t *testing.T) {
	client := newClient(t)
	p, plain := prefix(t, client), prefix(t, client)
	s := newStrategy(t, client, redis.Config{Prefix: p, PlainPrefix: plain})
	token := issue(t, s, authn.Identity{Subject: "ann"})
	keys := keysOf(t, client, p)
	if len(keys) != 1 {
		t.Fatal(keys)
	}
	value := client.Get(t.Context(), keys[0]).Val()
	for _, stored := range []string{keys[0], strings.TrimPrefix(keys[0], p), value, "ann"} {
		if strings.Contains(stored, token) {
			t.Error("the token is stored in the clear")
		}
		if _, err := s.Read(t.Context(), stored); !errors.Is(err, authn.ErrInvalidToken) {
			t.Errorf("%q opens something: %v", stored, err)
		}
	}
}

func TestTokensOfFastAPIUsers(t *testing.T) {
	client := newClient(t)
	plain := prefix(t, client)
	const token = "fW4jCi3vuqo5_BW3UP7p48ptAhWhjGSuoKI5vm1mfHI"
	if err := client.Set(t.Context(), plain+token, "ann", time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := newStrategy(t, client, redis.Config{}).Read(t.Context(), token); !errors.Is(err, authn.ErrInvalidToken) {
		t.Error("read though nobody asked for it:", err)
	}
	s := newStrategy(t, client, redis.Config{PlainPrefix: plain})
	if id, err := s.Read(t.Context(), token); err != nil || id.Subject != "ann" || id.Generation != 0 {
		t.Errorf("%+v, %v", id, err)
	}
	if err := s.Revoke(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(t.Context(), token); !errors.Is(err, authn.ErrInvalidToken) {
		t.Error("after the log-out:", err)
	}
}

func TestBackendsKeepTheirTokensApart(t *testing.T) {
	one := newStrategy(t, newClient(t), redis.Config{})
	web, partner := one.ForBackend("web"), one.ForBackend("partner")
	token := issue(t, web, authn.Identity{Subject: "ann"})
	for _, other := range []authn.Strategy{partner, one} {
		if _, err := other.Read(t.Context(), token); !errors.Is(err, authn.ErrInvalidToken) {
			t.Error("another backend reads it:", err)
		}
		if err := other.(authn.Revoker).Revoke(t.Context(), token); err != nil {
			t.Error(err)
		}
	}
	if _, err := web.Read(t.Context(), token); err != nil {
		t.Error("another backend has ended it:", err)
	}
	shared := newStrategy(t, newClient(t), redis.Config{Audience: "app"})
	if _, err := shared.ForBackend("web").Read(t.Context(), issue(t, shared.ForBackend("partner"), authn.Identity{Subject: "ann"})); err != nil {
		t.Error("an audience of their own:", err)
	}
}

func TestWhatCannotBeReadIsAway(t *testing.T) {
	client := newClient(t)
	p := prefix(t, client)
	s := newStrategy(t, client, redis.Config{Prefix: p})
	token := issue(t, s, authn.Identity{Subject: "ann"})
	for _, stored := range []any{"", "{", `"ann"`, "[]"} {
		if err := client.Set(t.Context(), keysOf(t, client, p)[0], stored, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if id, err := s.Read(t.Context(), token); err == nil || errors.Is(err, authn.ErrInvalidToken) {
			t.Errorf("%q: %+v, %v", stored, id, err)
		}
	}
	for _, stored := range []any{"{}", "null", `{"sub":"ann"}`, `{"exp":9000000000000000000}`} {
		if err := client.Set(t.Context(), keysOf(t, client, p)[0], stored, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if id, err := s.Read(t.Context(), token); err == nil {
			t.Errorf("%q: %+v", stored, id)
		}
	}
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	good := goredis.NewClient(&goredis.Options{ContextTimeoutEnabled: true})
	careless := goredis.NewClient(&goredis.Options{})
	replicas := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}, ContextTimeoutEnabled: true, ReadOnly: true})
	for _, client := range []goredis.UniversalClient{good, careless, replicas} {
		defer client.Close()
	}
	for _, c := range []struct {
		client goredis.UniversalClient
		cfg    redis.Config
		want   string
	}{
		{nil, redis.Config{}, "nil"},
		{careless, redis.Config{}, "ContextTimeoutEnabled"},
		{replicas, redis.Config{}, "ReadOnly"},
		{good, redis.Config{Lifetime: -1}, "Lifetime"},
		{good, redis.Config{Lifetime: 1}, "Lifetime"},
		{good, redis.Config{Timeout: -1}, "Timeout"},
		{good, redis.Config{Audience: "a\x00b"}, "audience"},
		{good, redis.Config{Prefix: "t:", PlainPrefix: "t"}, "PlainPrefix"},
		{good, redis.Config{Prefix: "t", PlainPrefix: "t"}, "PlainPrefix"},
	} {
		if _, err := redis.New(c.client, c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.cfg, err, c.want)
		}
	}
}
