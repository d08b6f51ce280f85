package docs_test

import (
	"net/http"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
)

func allowApplication(e *echo.Echo) {
	e.Use(middleware.CORSWithConfig(middleware.CORSConfig{
		AllowOrigins:  []string{"https://app.example.org"},
		AllowHeaders:  []string{echo.HeaderAuthorization, echo.HeaderContentType},
		ExposeHeaders: []string{echo.HeaderRetryAfter, echo.HeaderWWWAuthenticate},
	}))
}

func TestAnApplicationOfAnotherSite(t *testing.T) {
	users, e := newApp()
	allowApplication(e)
	e.GET("/hello", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }, echo4.Middleware(users.CurrentUser(authn.Active)))

	preflight := request(http.MethodOptions, "/hello", "")
	preflight.Header.Set("Origin", "https://app.example.org")
	preflight.Header.Set("Access-Control-Request-Method", "GET")
	preflight.Header.Set("Access-Control-Request-Headers", "authorization")
	w := serve(e, preflight)
	if w.Code != http.StatusNoContent || w.Header().Get("Access-Control-Allow-Origin") != "https://app.example.org" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	for origin, want := range map[string]string{"https://app.example.org": "https://app.example.org", "https://evil.example.org": ""} {
		r := request(http.MethodGet, "/hello", "")
		r.Header.Set("Origin", origin)
		if w := serve(e, r); w.Code != http.StatusUnauthorized || w.Header().Get("Access-Control-Allow-Origin") != want {
			t.Errorf("%s: %d %v", origin, w.Code, w.Header())
		}
	}
}
