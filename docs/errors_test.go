package docs_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/routes"
)

// Problem is an error in the form of RFC 9457.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   any    `json:"code,omitempty"`
}

func writeProblem(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	answer := echo4.AsHTTPError(err)
	if answer.Status >= http.StatusInternalServerError {
		c.Logger().Error(err) // never a password or a token
	}
	for name, values := range answer.Header {
		c.Response().Header()[name] = values // Retry-After, WWW-Authenticate
	}
	c.Response().Header().Set(echo.HeaderContentType, "application/problem+json")
	c.Response().WriteHeader(answer.Status)
	problem := Problem{Type: "about:blank", Title: http.StatusText(answer.Status), Status: answer.Status, Code: answer.Detail}
	if err := json.NewEncoder(c.Response()).Encode(problem); err != nil {
		c.Logger().Error(err)
	}
}

func TestProblems(t *testing.T) {
	users := newAppUsers(t)
	e := echo.New()
	e.HTTPErrorHandler = writeProblem
	echo4.Mount(e, routes.All(users))
	e.GET("/hello", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }, echo4.Middleware(users.CurrentUser(authn.Active)))
	for what, c := range map[string]struct {
		got  string
		want []string
	}{
		"no credential": {get(e, "/hello", ""), []string{"401", `"status":401`, `"code":"Unauthorized"`}},
		"no route":      {get(e, "/nowhere", ""), []string{"404", `"title":"Not Found"`}},
		"bad log-in": {
			post(e, "/auth/jwt/login", "application/x-www-form-urlencoded", "username=ann@example.com&password=wrong").Body.String(),
			[]string{`"status":400`, `"code":"LOGIN_BAD_CREDENTIALS"`},
		},
		"faulty fields": {
			post(e, "/auth/register", "application/json", `{"email":"ann"}`).Body.String(),
			[]string{`"status":422`, `"loc":["body","email"]`, `"loc":["body","password"]`},
		},
	} {
		for _, want := range c.want {
			if !strings.Contains(c.got, want) {
				t.Errorf("%s: %s, want %s", what, c.got, want)
			}
		}
	}
}
