package routes_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

// between is a denylist on which a log-out arrives after the first look.
type between struct {
	authntest.MemoryDenylist
	armed atomic.Bool
	looks atomic.Int32
}

func (b *between) Denied(ctx context.Context, id [32]byte) (bool, error) {
	if b.armed.Load() && b.looks.Add(1) == 2 {
		return true, nil
	}
	return b.MemoryDenylist.Denied(ctx, id)
}

func freshnessSite(t *testing.T, clock *authntest.Clock, denied authn.Denylist) *site {
	cookie, err := backends.CookieJWT(jwt.Secret([]byte(strings.Repeat("c", 32))), backends.CookieJWTConfig{
		Name: "cookie", Config: jwt.Config{Now: clock.Now, Lifetime: 24 * time.Hour}, Denylist: denied,
		Cookie: backends.CookieConfig{InsecureHTTP: true, Now: clock.Now},
	})
	if err != nil {
		t.Fatal(err)
	}
	bearer, err := backends.JWT(jwt.Secret([]byte(strings.Repeat("k", 32))), backends.JWTConfig{Config: jwt.Config{Now: clock.Now}})
	if err != nil {
		t.Fatal(err)
	}
	return serveSite(t, testdb.SQLite(t), authn.Config{Now: clock.Now},
		routes.Config[*userdb.User]{Limits: noLimits, Reauthenticate: routes.Reauthentication{Fresh: time.Minute}}, cookie, bearer)
}

// The thief has a victim's stale cookie, and a fresh bearer token of an account of their own.
func TestFreshnessOfAnotherIsNone(t *testing.T) {
	clock := authntest.NewClock(time.Unix(1_700_000_000, 0))
	denied := new(between)
	s := freshnessSite(t, clock, denied)
	s.register("victim@example.com")
	s.register("thief@example.com")
	stolen := s.cookie("victim@example.com", "secret")
	clock.Advance(time.Hour)
	own := "Bearer " + s.login("jwt", "thief@example.com", "secret")
	headers := []string{"Cookie", stolen, "Authorization", own, "Content-Type", "application/json"}
	s.wants("control", s.do("PATCH", "/users/me", `{"password":"taken over"}`, headers...), 401, "insufficient_user_authentication")
	denied.armed.Store(true)
	s.wants("with the thief's freshness", s.do("PATCH", "/users/me", `{"password":"taken over"}`, headers...), 401, "insufficient_user_authentication")
}
