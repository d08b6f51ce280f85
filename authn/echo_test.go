package authn_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/authn"
)

// guarded is an Echo whose /guarded is behind the guard in both ways.
func guarded(g *authn.Guard[*soul], h func(echo.Context, *soul) error) *echo.Echo {
	e := echo.New()
	e.GET("/handle", g.Handle(h))
	e.GET("/middleware", func(c echo.Context) error {
		u, _ := g.User(c)
		return h(c, u)
	}, g.Middleware)
	return e
}

func serve(e *echo.Echo, path string, headers ...string) *httptest.ResponseRecorder {
	r := request(headers...)
	r.URL.Path = path
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	return w
}

var bothWays = []string{"/handle", "/middleware"}

// Echo's own error handler answers as WriteError does, header for header.
func TestEchoAnswersAsNetHTTPDoes(t *testing.T) {
	users := newGuards(t, newSouls())
	own := &authn.HTTPError{Status: http.StatusTeapot, Detail: map[string]any{"code": "HOT"}, Header: http.Header{"X-Tea": {"a"}}, Err: errors.New("hunter2")}
	for what, c := range map[string]struct {
		guard   *authn.Guard[*soul]
		headers []string
	}{
		"nobody":     {users.CurrentUser(authn.Active), nil},
		"invalid":    {users.CurrentUser(authn.Active), []string{"first", "bad"}},
		"forbidden":  {users.CurrentUser(authn.Active, authn.Superuser), []string{"first", "plain"}},
		"away":       {users.CurrentUser(authn.Active), []string{"first", "away"}},
		"a rule":     {users.CurrentUser(authn.Active).Require(func(*soul) error { return errors.New("hunter2") }), []string{"first", "plain"}},
		"its own":    {users.CurrentUser(authn.Active).Require(func(*soul) error { return own }), []string{"first", "plain"}},
		"rule, away": {users.CurrentUser(authn.Active).Require(func(*soul) error { return authn.ErrUnavailable }), []string{"first", "plain"}},
	} {
		_, _, err := c.guard.Check(request(c.headers...))
		want := httptest.NewRecorder()
		authn.WriteError(want, err)
		ran := false
		e := guarded(c.guard, func(echo.Context, *soul) error { ran = true; return nil })
		for _, path := range bothWays {
			got := serve(e, path, c.headers...)
			if got.Code != want.Code || strings.TrimSpace(got.Body.String()) != want.Body.String() || ran {
				t.Errorf("%s, %s: %d %s, want %d %s", what, path, got.Code, got.Body, want.Code, want.Body)
			}
			for _, name := range []string{"Www-Authenticate", "Cache-Control", "Retry-After", "X-Tea"} {
				if !slices.Equal(got.Header()[name], want.Header()[name]) {
					t.Errorf("%s, %s: %s %q, want %q", what, path, name, got.Header()[name], want.Header()[name])
				}
			}
			if strings.Contains(fmt.Sprint(got.Body, got.Header()), "hunter2") {
				t.Errorf("%s, %s: the cause is in the answer", what, path)
			}
		}
	}
}

// An error handler of the application's own sees the kind, the status, and the cause.
func TestErrorHandlersSeeTheCause(t *testing.T) {
	late := errors.New("after closing time")
	users := newGuards(t, newSouls())
	e := guarded(users.CurrentUser(authn.Active).Require(func(*soul) error { return late }), nil)
	var seen error
	e.HTTPErrorHandler = func(err error, c echo.Context) { seen = err }
	for _, path := range bothWays {
		serve(e, path, "first", "plain")
		var known *echo.HTTPError
		if !errors.Is(seen, authn.ErrForbidden) || !errors.Is(seen, late) || !errors.As(seen, &known) || known.Code != http.StatusForbidden {
			t.Errorf("%s: %v", path, seen)
		}
		if answer := authn.AsHTTPError(seen); answer.Status != http.StatusForbidden || answer.Detail != "Forbidden" {
			t.Errorf("%s: %+v", path, answer)
		}
	}
}

// An error handler may answer with WriteError, and says nothing twice.
func TestErrorHandlersMayWriteTheError(t *testing.T) {
	users := newGuards(t, newSouls())
	e := guarded(users.CurrentUser(authn.Active, authn.Only("first")), nil)
	e.HTTPErrorHandler = func(err error, c echo.Context) { authn.WriteError(c.Response(), err) }
	for _, path := range bothWays {
		for value, want := range map[string]string{
			"bad":  `401 {"detail":"Unauthorized"} ["First realm=\"souls\", error=\"invalid_token\""] []`,
			"away": `503 {"detail":"Service Unavailable"} [] ["1"]`,
		} {
			w := serve(e, path, "first", value)
			if got := fmt.Sprintf("%d %s %q %q", w.Code, w.Body, w.Header()["Www-Authenticate"], w.Header()["Retry-After"]); got != want {
				t.Errorf("%s, %s: %s", path, value, got)
			}
		}
	}
}

// What the guarded handler returns is its own.
func TestAHandlersErrorIsItsOwn(t *testing.T) {
	own := errors.New("its own")
	g := newGuards(t, newSouls()).CurrentUser(authn.Active)
	e := guarded(g, func(c echo.Context, u *soul) error {
		if u == nil || u.id != "plain" {
			t.Errorf("%v", u)
		}
		return own
	})
	var seen error
	e.HTTPErrorHandler = func(err error, c echo.Context) { seen = err }
	for _, path := range bothWays {
		if serve(e, path, "first", "plain"); seen != own {
			t.Errorf("%s: %v", path, seen)
		}
	}
}

func TestUserOutsideOfAGuard(t *testing.T) {
	g := newGuards(t, newSouls()).CurrentUser(authn.Active)
	c := echo.New().NewContext(request("first", "plain"), httptest.NewRecorder())
	if u, ok := g.User(c); ok || u != nil {
		t.Errorf("%v: nobody was checked", u)
	}
}

// One guard serves many requests at once, each with its own user.
func TestOneGuardManyRequests(t *testing.T) {
	g := newGuards(t, newSouls()).CurrentUser(authn.AnyStatus)
	e := guarded(g, func(c echo.Context, u *soul) error { return c.String(http.StatusOK, u.id) })
	ids := []string{"plain", "inactive", "verified", "super", "both"}
	done := make(chan string)
	for i := range 100 {
		go func() {
			id := ids[i%len(ids)]
			w := serve(e, bothWays[i%2], "first", id)
			if w.Body.String() != id {
				done <- fmt.Sprintf("%s got %d %s", id, w.Code, w.Body)
				return
			}
			done <- ""
		}()
	}
	for range 100 {
		if problem := <-done; problem != "" {
			t.Error(problem)
		}
	}
}
