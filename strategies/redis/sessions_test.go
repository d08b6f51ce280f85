package redis_test

import (
	"errors"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/strategies/redis"
)

func newSessions(t *testing.T) (*redis.Sessions, *goredis.Client, string) {
	t.Helper()
	client := newClient(t)
	p := prefix(t, client)
	sessions, err := redis.NewSessions(client, redis.SessionsConfig{Prefix: p})
	if err != nil {
		t.Fatal(err)
	}
	return sessions, client, p
}

func TestSessionsSuite(t *testing.T) {
	authntest.TestSessions(t, func(t *testing.T) (authn.SessionStore, string, string) {
		sessions, _, _ := newSessions(t)
		return sessions, "ann", "{bob}" // which would be a hash tag
	})
}

// What Redis keeps is gone when the last of a user's sessions has expired, and
// no sooner.
func TestSessionsExpire(t *testing.T) {
	sessions, client, p := newSessions(t)
	ctx, now := t.Context(), time.Now()
	insert := func(id string, life time.Duration) {
		t.Helper()
		session := authn.Session{ID: id, Subject: "ann", CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(life)}
		if err := sessions.InsertSession(ctx, session, now, authn.SessionLimit{}); err != nil {
			t.Fatal(err)
		}
	}
	ttl := func(least, most time.Duration) {
		t.Helper()
		if left, err := client.PTTL(ctx, p+"ann").Result(); err != nil || left < least || left > most {
			t.Errorf("the key lives for %v, %v, want %v to %v", left, err, least, most)
		}
	}
	insert("short", time.Minute)
	ttl(50*time.Second, time.Minute)
	insert("long", time.Hour)
	ttl(59*time.Minute, time.Hour)
	insert("shorter", time.Second)
	ttl(59*time.Minute, time.Hour)
	session, err := sessions.Session(ctx, "ann", "short")
	if err != nil {
		t.Fatal(err)
	}
	session.ExpiresAt = now.Add(2 * time.Hour)
	if updated, err := sessions.UpdateSession(ctx, session, now); err != nil || !updated {
		t.Errorf("%t, %v", updated, err)
	}
	ttl(119*time.Minute, 2*time.Hour)
	if err := sessions.DeleteSessions(ctx, "ann", ""); err != nil {
		t.Error(err)
	}
	if keys := keysOf(t, client, p); len(keys) != 0 {
		t.Errorf("left: %q", keys)
	}
}

// An insertion whose answer was lost is made again, and counts once.
func TestAnInsertionThatIsRepeated(t *testing.T) {
	sessions, _, _ := newSessions(t)
	now := time.Now()
	one := authn.SessionLimit{Max: 1, Refuse: true}
	session := authn.Session{ID: "one", Subject: "ann", CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(time.Hour)}
	for range 2 {
		if err := sessions.InsertSession(t.Context(), session, now, one); err != nil {
			t.Error(err)
		}
	}
	session.ID = "two"
	if err := sessions.InsertSession(t.Context(), session, now, one); !errors.Is(err, authn.ErrTooManySessions) {
		t.Error(err)
	}
}

func TestSessionsThatAreAway(t *testing.T) {
	client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true, MaxRetries: -1})
	defer client.Close()
	sessions, err := redis.NewSessions(client, redis.SessionsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sessions.Session(t.Context(), "ann", "one"); err == nil || errors.Is(err, authn.ErrSessionNotFound) {
		t.Error(err)
	}
	if err := sessions.DeleteSession(t.Context(), "ann", "one"); err == nil || errors.Is(err, authn.ErrSessionNotFound) {
		t.Error(err)
	}
	if _, err := redis.NewSessions(goredis.NewClient(&goredis.Options{}), redis.SessionsConfig{}); err == nil {
		t.Error("a client without deadlines")
	}
	if _, err := redis.NewSessions(client, redis.SessionsConfig{Timeout: -1}); err == nil {
		t.Error("a negative timeout")
	}
}
