package routes_test

import (
	"net/http"
	"strings"
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

func TestReauthentication(t *testing.T) {
	const stale = "insufficient_user_authentication"
	const bad = "UPDATE_USER_BAD_CURRENT_PASSWORD"
	for name, c := range map[string]struct {
		needs routes.Reauthentication
		body  string
		later bool // than the log-in is fresh
		want  int
		code  string
	}{
		"nothing asked":                 {routes.Reauthentication{}, `{"password":"other"}`, true, 200, ""},
		"no change":                     {routes.Reauthentication{Password: true}, `{}`, true, 200, ""},
		"the same address":              {routes.Reauthentication{Password: true}, `{"email":"ann@Example.com"}`, true, 200, ""},
		"a password of null":            {routes.Reauthentication{Password: true}, `{"password":null}`, true, 200, ""},
		"password missing":              {routes.Reauthentication{Password: true}, `{"password":"other"}`, false, 422, ""},
		"password missing, address":     {routes.Reauthentication{Password: true}, `{"email":"bob@example.com"}`, false, 422, ""},
		"wrong":                         {routes.Reauthentication{Password: true}, `{"password":"other","current_password":"x"}`, false, 400, bad},
		"null":                          {routes.Reauthentication{Password: true}, `{"password":"other","current_password":null}`, false, 422, ""},
		"a number":                      {routes.Reauthentication{Password: true}, `{"password":"other","current_password":7}`, false, 422, ""},
		"empty":                         {routes.Reauthentication{Password: true}, `{"password":"other","current_password":""}`, false, 400, bad},
		"too long":                      {routes.Reauthentication{Password: true}, `{"password":"other","current_password":"` + strings.Repeat("x", 5000) + `"}`, false, 422, ""},
		"right":                         {routes.Reauthentication{Password: true}, `{"password":"other","current_password":"secret"}`, true, 200, ""},
		"right, address":                {routes.Reauthentication{Password: true}, `{"email":"bob@example.com","current_password":"secret"}`, true, 200, ""},
		"fresh":                         {routes.Reauthentication{Fresh: time.Minute}, `{"password":"other"}`, false, 200, ""},
		"stale":                         {routes.Reauthentication{Fresh: time.Minute}, `{"password":"other"}`, true, 401, stale},
		"stale, with a password unread": {routes.Reauthentication{Fresh: time.Minute}, `{"email":"bob@example.com","current_password":"secret"}`, true, 401, stale},
		"stale, no change":              {routes.Reauthentication{Fresh: time.Minute}, `{}`, true, 200, ""},
		"either: fresh":                 {routes.Reauthentication{Fresh: time.Minute, Password: true}, `{"password":"other"}`, false, 200, ""},
		"either: fresh, and wrong":      {routes.Reauthentication{Fresh: time.Minute, Password: true}, `{"password":"other","current_password":"x"}`, false, 400, bad},
		"either: password":              {routes.Reauthentication{Fresh: time.Minute, Password: true}, `{"password":"other","current_password":"secret"}`, true, 200, ""},
		"either: neither":               {routes.Reauthentication{Fresh: time.Minute, Password: true}, `{"password":"other"}`, true, 401, stale},
		"either: wrong":                 {routes.Reauthentication{Fresh: time.Minute, Password: true}, `{"password":"other","current_password":"x"}`, true, 400, bad},
	} {
		t.Run(name, func(t *testing.T) {
			clock := authntest.NewClock(time.Unix(1_700_000_000, 0))
			b, err := backends.JWT(jwt.Secret([]byte(strings.Repeat("k", 32))), backends.JWTConfig{Config: jwt.Config{Now: clock.Now}})
			if err != nil {
				t.Fatal(err)
			}
			s := serveSite(t, testdb.SQLite(t), authn.Config{Now: clock.Now}, routes.Config[*userdb.User]{Reauthenticate: c.needs}, b)
			s.register("ann@example.com")
			token := s.login("jwt", "ann@example.com", "secret")
			if c.later {
				clock.Advance(time.Minute + time.Second)
			}
			got := s.json("PATCH", "/users/me", c.body, token)
			s.wants(name, got, c.want, c.code)
			if challenge := got.header.Get("WWW-Authenticate"); c.want == 401 && challenge != `Bearer realm="users", error="insufficient_user_authentication", max_age="60"` {
				t.Error(challenge)
			}
			if c.want != 200 {
				s.login("jwt", "ann@example.com", "secret") // as before
			}
		})
	}
}

// A stolen credential is no way to try passwords.
func TestAttemptsAtTheCurrentPasswordAreLimited(t *testing.T) {
	s := serveSite(t, testdb.SQLite(t), authn.Config{}, routes.Config[*userdb.User]{Reauthenticate: routes.Reauthentication{Password: true}}, newJWT(t))
	s.register("ann@example.com")
	token := s.login("jwt", "ann@example.com", "secret")
	for range 10 {
		s.wants("a guess", s.json("PATCH", "/users/me", `{"password":"other","current_password":"x"}`, token), http.StatusBadRequest, "")
	}
	got := s.json("PATCH", "/users/me", `{"password":"other","current_password":"secret"}`, token)
	s.wants("the eleventh", got, http.StatusTooManyRequests, "Too Many Requests")
	if got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

func TestReauthenticationForSuperusers(t *testing.T) {
	s := serveSite(t, testdb.SQLite(t), authn.Config{}, routes.Config[*userdb.User]{Limits: noLimits, Reauthenticate: routes.Reauthentication{Password: true}}, newJWT(t))
	yes := true
	s.set(s.register("root@example.com"), authn.Update[*userdb.User]{IsSuperuser: &yes})
	id := s.register("ann@example.com")
	s.wants("another's password", s.json("PATCH", "/users/"+id, `{"password":"other"}`, s.login("jwt", "root@example.com", "secret")), 200, "")
	if _, err := routes.New(s.users, routes.Config[*userdb.User]{Reauthenticate: routes.Reauthentication{Fresh: time.Millisecond}}); err == nil {
		t.Error("a freshness of a millisecond")
	}
}
