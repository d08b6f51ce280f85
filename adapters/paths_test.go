package adapters_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
)

// A guard is around its handler, whatever a request calls the way there.
func TestNoSpellingOfAPathGoesAroundAGuard(t *testing.T) {
	guard := newUsers(t).CurrentUser(authn.Active)
	reached := ""
	secret := func(c echo.Context) error { reached = c.Request().RequestURI; return c.NoContent(http.StatusOK) }
	e := echo.New()
	e.Pre(middleware.MethodOverride(), middleware.RemoveTrailingSlash(), middleware.Rewrite(map[string]string{"/old/*": "/admin/$1"}))
	e.GET("/:page", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
	e.Any("/admin/secret", func(c echo.Context) error { return secret(c) }, echo4.Middleware(guard))
	e.Group("/team", echo4.Middleware(guard)).Any("/:name", secret)
	e.Group("/files", echo4.Middleware(guard)).Any("/*", secret)
	e.GET("/handle/*", echo4.Handle(guard, func(c echo.Context, _ *soul) error { return secret(c) }))
	opened := 0
	for _, path := range []string{
		"/admin/secret", "/admin/secret/", "//admin/secret", "/admin//secret", "/admin%2Fsecret", "/admin%2fsecret", "/%61dmin/secret", "/ADMIN/secret", "/./admin/secret",
		"/x/../admin/secret", "/admin/secret%00", "/admin/secret;x", "/admin/secret?x", "/admin/secret%09", `/admin\secret`, "/old/secret", "/old/..%2fadmin/secret", "/old//secret",
		"/team/ann", "/team/a%2Fb", "/team/%2e%2e", "/team/..%2fadmin%2fsecret", "/team//", "/files/", "/files/a/b", "/files/..%2f..%2fetc%2fpasswd", "/files//a", "/files/%2e%2e/x", "/handle/a%2Fb", "/handle//",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE", "get", "PROPFIND"} {
			for _, override := range []string{"", "GET", "OPTIONS"} {
				for _, user := range []string{"", "bad", "inactive", "plain"} {
					r := httptest.NewRequest(http.MethodGet, "/", nil)
					r.Header.Set("Name", user)
					r.Method, r.RequestURI = method, path
					u, err := url.ParseRequestURI(path)
					if err != nil {
						t.Fatal(err)
					}
					r.URL = u
					if override != "" {
						r.Header.Set(echo.HeaderXHTTPMethodOverride, override)
					}
					reached = ""
					e.ServeHTTP(httptest.NewRecorder(), r)
					if reached != "" && user != "plain" {
						t.Errorf("%s %s as %q, overridden by %q, is let in", method, path, user, override)
					}
					if reached != "" {
						opened++
					}
				}
			}
		}
	}
	if opened < 100 {
		t.Errorf("%d requests came through: does the test look?", opened)
	}
}
