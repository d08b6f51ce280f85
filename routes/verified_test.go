package routes_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

func newJWT(t *testing.T) authn.Backend {
	t.Helper()
	b, err := backends.JWT(jwt.Secret([]byte(strings.Repeat("k", 32))), backends.JWTConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestUsersRoutesForVerifiedUsersAlone(t *testing.T) {
	s := serveSite(t, testdb.SQLite(t), authn.Config{}, routes.Config[*userdb.User]{RequireVerified: true, Limits: noLimits}, newJWT(t))
	id := s.register("ann@example.com")
	yes := true
	s.set(id, authn.Update[*userdb.User]{IsSuperuser: &yes})
	token := s.login("jwt", "ann@example.com", "secret")
	for _, want := range []int{http.StatusForbidden, http.StatusOK} {
		for _, route := range [][2]string{{"GET", "/users/me"}, {"PATCH", "/users/me"}, {"GET", "/users/" + id}, {"PATCH", "/users/" + id}} {
			if got := s.json(route[0], route[1], "{}", token); got.status != want {
				t.Errorf("%v: %d, want %d", route, got.status, want)
			}
		}
		s.set(id, authn.Update[*userdb.User]{IsVerified: &yes})
	}
}

// What a middleware of the application's puts into the request's context, a
// hook finds there.
func TestHooksHaveTheContextOfTheRequest(t *testing.T) {
	type key struct{}
	s := serveSite(t, testdb.SQLite(t), authn.Config{}, routes.Config[*userdb.User]{Limits: noLimits}, newJWT(t))
	var heard []string
	s.users.Use(authn.Hooks[*userdb.User]{
		AfterRegister: func(ctx context.Context, _ *userdb.User) { heard = append(heard, ctx.Value(key{}).(string)) },
		AfterLogin: func(ctx context.Context, _ *userdb.User, _ *authn.Response) error {
			heard = append(heard, ctx.Value(key{}).(string))
			return nil
		},
	})
	e := echo.New()
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			c.SetRequest(r.WithContext(context.WithValue(r.Context(), key{}, r.RemoteAddr)))
			return next(c)
		}
	})
	echo4.Mount(e, routes.All(s.users))
	for _, request := range [][3]string{
		{"/auth/register", "application/json", `{"email":"ann@example.com","password":"secret"}`},
		{"/auth/jwt/login", "application/x-www-form-urlencoded", "username=ann@example.com&password=secret"},
	} {
		r := httptest.NewRequest(http.MethodPost, request[0], strings.NewReader(request[2]))
		r.Header.Set("Content-Type", request[1])
		r.RemoteAddr = "192.0.2.7:1234"
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		if w.Code >= 300 {
			t.Errorf("%s: %d %s", request[0], w.Code, w.Body)
		}
	}
	if strings.Join(heard, " ") != "192.0.2.7:1234 192.0.2.7:1234" {
		t.Errorf("%q", heard)
	}
}
