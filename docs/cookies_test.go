package docs_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
)

func newCookieBackend(secret []byte) (*backends.Backend, error) {
	return backends.CookieJWT(jwt.Secret(secret), backends.CookieJWTConfig{
		Cookie: backends.CookieConfig{Name: "__Host-session"},
	})
}

func newSiblingBackend(secret []byte) (*backends.Backend, error) {
	return backends.CookieJWT(jwt.Secret(secret), backends.CookieJWTConfig{
		Cookie: backends.CookieConfig{
			TrustedOrigins: []string{"https://app.example.com"},
		},
	})
}

func allowSibling(e *echo.Echo) {
	e.Use(middleware.CORSWithConfig(middleware.CORSConfig{
		AllowOrigins:     []string{"https://app.example.com"},
		AllowCredentials: true,
		AllowHeaders:     []string{echo.HeaderContentType},
	}))
}

// What docs/cookies.md says of OPTIONS and of CORS.
func TestPreflights(t *testing.T) {
	backend, err := newSiblingBackend([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newCookieBackend([]byte(strings.Repeat("k", 32))); err != nil {
		t.Fatal(err)
	}
	users, err := authn.New(new(authntest.Memory), authn.Config{}, backend)
	if err != nil {
		t.Fatal(err)
	}
	serve := func(withCORS bool, method, path string) *httptest.ResponseRecorder {
		e := echo.New()
		if withCORS {
			allowSibling(e)
		}
		echo4.Mount(e, routes.All(users))
		e.PATCH("/profile", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }, echo4.Middleware(users.CurrentUser(authn.Active)))
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("Origin", "https://app.example.com")
		r.Header.Set("Access-Control-Request-Method", http.MethodPatch)
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		return w
	}
	for _, path := range []string{"/profile", "/users/me", "/auth/cookie/login"} {
		w := serve(true, http.MethodOptions, path)
		if w.Code != http.StatusNoContent || w.Header().Get("Access-Control-Allow-Origin") != "https://app.example.com" || w.Header().Get("Access-Control-Allow-Credentials") != "true" {
			t.Errorf("preflight of %s: %d %v", path, w.Code, w.Header())
		}
		if w := serve(false, http.MethodOptions, path); w.Code != http.StatusNoContent || w.Header().Get("Allow") == "" || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("OPTIONS of %s without CORS: %d %v", path, w.Code, w.Header())
		}
	}
	if w := serve(true, http.MethodPatch, "/profile"); w.Code != http.StatusUnauthorized || w.Header().Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("a refusal that the application can't read: %d %v", w.Code, w.Header())
	}
}
