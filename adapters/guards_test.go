package adapters_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	echov4 "github.com/labstack/echo/v4"
	middlewarev4 "github.com/labstack/echo/v4/middleware"
	echov5 "github.com/labstack/echo/v5"
	middlewarev5 "github.com/labstack/echo/v5/middleware"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/adapters/echo5"
	"github.com/echo-users/echo-users/adapters/nethttp"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/internal/fronts"
	"github.com/echo-users/echo-users/routes"
)

type soul struct {
	authn.Account
	id string
}

func (s *soul) AuthID() string              { return s.id }
func (s *soul) AuthAccount() *authn.Account { return &s.Account }

// souls is a store of three users.
type souls struct{ authn.Store[*soul] }

func (souls) ByID(_ context.Context, id string) (*soul, error) {
	switch id {
	case "plain":
		return &soul{id: id, Account: authn.Account{IsActive: true}}, nil
	case "inactive":
		return &soul{id: id}, nil
	case "super":
		return &soul{id: id, Account: authn.Account{IsActive: true, IsVerified: true, IsSuperuser: true}}, nil
	case "away":
		return nil, errors.New("connection refused")
	}
	return nil, authn.ErrUserNotFound
}

// named is a backend that believes who says a name.
type named struct{}

func (named) Name() string      { return "named" }
func (named) Challenge() string { return "Named" }

func (named) Authenticate(r *http.Request) (authn.Identity, error) {
	switch name := r.Header.Get("Name"); name {
	case "":
		return authn.Identity{}, authn.ErrNoCredential
	case "bad":
		return authn.Identity{}, authn.ErrInvalidToken
	default:
		return authn.Identity{Subject: name}, nil
	}
}

func newUsers(t *testing.T) *authn.Users[*soul] {
	t.Helper()
	users, err := authn.New(souls{}, authn.Config{Realm: "souls"}, named{})
	if err != nil {
		t.Fatal(err)
	}
	return users
}

// over runs a test over each front, as it is and with our error handler.
func over(t *testing.T, f func(t *testing.T, front fronts.Front)) {
	t.Helper()
	for how, makeFront := range map[string]func(string) (fronts.Front, error){"": fronts.New, ", bare": fronts.Bare} {
		for _, name := range fronts.Names {
			t.Run(name+how, func(t *testing.T) {
				front, err := makeFront(name)
				if err != nil {
					t.Fatal(err)
				}
				f(t, front)
			})
		}
	}
}

var bothWays = []string{"/handle", "/middleware"}

// guard guards both of bothWays, which have h answer.
func guard(front fronts.Front, g *authn.Guard[*soul], h fronts.HandlerFunc[*soul]) {
	fronts.Handle(front, bothWays[0], g, h)
	fronts.Middleware(front, bothWays[1], g, h)
}

func get(h http.Handler, path, name string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Name", name)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// Every front answers as WriteError does, header for header, whichever error
// handler it has.
func TestRefusalsAreAlike(t *testing.T) {
	users := newUsers(t)
	own := &authn.HTTPError{Status: http.StatusTeapot, Detail: map[string]any{"code": "HOT"}, Header: http.Header{"X-Tea": {"a"}}, Err: errors.New("hunter2")}
	active := users.CurrentUser(authn.Active)
	for what, c := range map[string]struct {
		guard *authn.Guard[*soul]
		name  string
	}{
		"nobody":     {active, ""},
		"invalid":    {active, "bad"},
		"inactive":   {active, "inactive"},
		"forbidden":  {users.CurrentUser(authn.Active, authn.Superuser), "plain"},
		"away":       {active, "away"},
		"a rule":     {active.Require(func(*soul) error { return errors.New("hunter2") }), "plain"},
		"its own":    {active.Require(func(*soul) error { return own }), "plain"},
		"rule, away": {active.Require(func(*soul) error { return authn.ErrUnavailable }), "plain"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Name", c.name)
		_, _, err := c.guard.Check(r)
		want := httptest.NewRecorder()
		authn.WriteError(want, err)
		over(t, func(t *testing.T, front fronts.Front) {
			ran := false
			guard(front, c.guard, func(http.ResponseWriter, *http.Request, *soul) error { ran = true; return nil })
			for _, path := range bothWays {
				got := get(front, path, c.name)
				if got.Code != want.Code || strings.TrimSpace(got.Body.String()) != want.Body.String() || ran {
					t.Errorf("%s, %s: %d %s, want %d %s", what, path, got.Code, got.Body, want.Code, want.Body)
				}
				for _, field := range []string{"Www-Authenticate", "Cache-Control", "Retry-After", "X-Tea"} {
					if !slices.Equal(got.Header()[field], want.Header()[field]) {
						t.Errorf("%s, %s: %s %q, want %q", what, path, field, got.Header()[field], want.Header()[field])
					}
				}
				if strings.Contains(fmt.Sprint(got.Body, got.Header()), "hunter2") {
					t.Errorf("%s, %s: the cause is in the answer", what, path)
				}
			}
		})
	}
}

func TestTheUserReachesTheHandler(t *testing.T) {
	users := newUsers(t)
	over(t, func(t *testing.T, front fronts.Front) {
		guard(front, users.CurrentUser(authn.Active), func(w http.ResponseWriter, r *http.Request, u *soul) error {
			inContext, ok := authn.UserFrom[*soul](r.Context())
			_, err := fmt.Fprint(w, u.id, " ", inContext == u, " ", ok)
			return err
		})
		fronts.Handle(front, "/perhaps", users.CurrentUser(authn.Active, authn.Optional), func(w http.ResponseWriter, _ *http.Request, u *soul) error {
			_, err := fmt.Fprint(w, u == nil)
			return err
		})
		for _, c := range []struct{ path, name, want string }{
			{"/handle", "plain", "200 plain true true"},
			{"/middleware", "plain", "200 plain true true"},
			{"/perhaps", "", "200 true"},
			{"/perhaps", "inactive", "200 true"},
			{"/perhaps", "plain", "200 false"},
			{"/perhaps", "away", `503 {"detail":"Service Unavailable"}`},
		} {
			got := get(front, c.path, c.name)
			if got := fmt.Sprint(got.Code, " ", strings.TrimSpace(got.Body.String())); got != c.want {
				t.Errorf("%s as %q: %s, want %s", c.path, c.name, got, c.want)
			}
		}
	})
}

// An error that a guarded handler returns has the contract's body where the
// error handler is ours.
func TestAHandlersErrorIsAnswered(t *testing.T) {
	users := newUsers(t)
	for _, name := range fronts.Names {
		front, err := fronts.New(name)
		if err != nil {
			t.Fatal(err)
		}
		guard(front, users.CurrentUser(authn.Active), func(http.ResponseWriter, *http.Request, *soul) error {
			return fmt.Errorf("hunter2: %w", authn.ErrUserNotFound)
		})
		for _, path := range bothWays {
			got := get(front, path, "plain")
			if got.Code != http.StatusNotFound || strings.TrimSpace(got.Body.String()) != `{"detail":"Not Found"}` {
				t.Errorf("%s, %s: %d %s", name, path, got.Code, got.Body)
			}
		}
	}
}

// An error handler of the application's own sees the kind, the status and the
// cause, and may answer with WriteError, which says nothing twice.
func TestErrorHandlersSeeTheCause(t *testing.T) {
	late := errors.New("after closing time")
	users := newUsers(t)
	var seen error
	four, five := echov4.New(), echov5.New()
	four.HTTPErrorHandler = func(err error, c echov4.Context) { seen = err; authn.WriteError(c.Response(), err) }
	five.HTTPErrorHandler = func(c *echov5.Context, err error) { seen = err; authn.WriteError(c.Response(), err) }
	rule := users.CurrentUser(authn.Active).Require(func(*soul) error { return late })
	four.GET("/", func(echov4.Context) error { return nil }, echo4.Middleware(rule))
	five.GET("/", func(*echov5.Context) error { return nil }, echo5.Middleware(rule))
	for name, h := range map[string]http.Handler{"echo4": four, "echo5": five} {
		got := get(h, "/", "plain")
		if !errors.Is(seen, authn.ErrForbidden) || !errors.Is(seen, late) {
			t.Errorf("%s: %v", name, seen)
		}
		if answer := authn.AsHTTPError(seen); answer.Status != http.StatusForbidden || answer.Detail != "Forbidden" {
			t.Errorf("%s: %+v", name, answer)
		}
		if values := got.Header()["Www-Authenticate"]; got.Code != http.StatusForbidden || len(values) != 1 {
			t.Errorf("%s: %d %q", name, got.Code, values)
		}
	}
	var status echov5.HTTPStatusCoder
	get(five, "/", "plain")
	if !errors.As(seen, &status) || status.StatusCode() != http.StatusForbidden {
		t.Errorf("Echo v5 sees no status in %v", seen)
	}
	var known *echov4.HTTPError
	get(four, "/", "plain")
	if !errors.As(seen, &known) || known.Code != http.StatusForbidden {
		t.Errorf("Echo v4 sees no status in %v", seen)
	}
}

// What the guarded handler returns is its own.
func TestAHandlersErrorIsItsOwn(t *testing.T) {
	own := errors.New("its own")
	var seen error
	four, five := echov4.New(), echov5.New()
	four.HTTPErrorHandler = func(err error, _ echov4.Context) { seen = err }
	five.HTTPErrorHandler = func(_ *echov5.Context, err error) { seen = err }
	active := newUsers(t).CurrentUser(authn.Active)
	four.GET("/", echo4.Handle(active, func(echov4.Context, *soul) error { return own }))
	five.GET("/", echo5.Handle(active, func(*echov5.Context, *soul) error { return own }))
	for name, h := range map[string]http.Handler{"echo4": four, "echo5": five} {
		if seen = nil; get(h, "/", "plain") == nil || seen != own {
			t.Errorf("%s: %v", name, seen)
		}
	}
}

// Echo's own errors, of a rule of the application's or from Echo itself, keep
// their code and message.
func TestErrorsOfEchoKeepTheirAnswer(t *testing.T) {
	users := newUsers(t)
	active := users.CurrentUser(authn.Active)
	four, five := echov4.New(), echov5.New()
	four.HTTPErrorHandler, five.HTTPErrorHandler = echo4.ErrorHandler, echo5.ErrorHandler
	four.GET("/rule", echo4.Handle(active.Require(func(*soul) error { return echov4.NewHTTPError(http.StatusTeapot, "short") }), nil))
	five.GET("/rule", echo5.Handle(active.Require(func(*soul) error { return echov5.NewHTTPError(http.StatusTeapot, "short") }), nil))
	four.GET("/handler", func(echov4.Context) error { return echov4.NewHTTPError(http.StatusConflict, errors.New("twice")) })
	five.GET("/handler", func(*echov5.Context) error { return echov5.NewHTTPError(http.StatusConflict, "twice") })
	four.GET("/sentinel", func(echov4.Context) error { return echov4.ErrStatusRequestEntityTooLarge })
	five.GET("/sentinel", func(*echov5.Context) error { return echov5.ErrStatusRequestEntityTooLarge })
	four.GET("/wrapped", func(echov4.Context) error {
		return fmt.Errorf("hunter2: %w", echov4.NewHTTPError(http.StatusGone))
	})
	five.GET("/wrapped", func(*echov5.Context) error {
		return fmt.Errorf("hunter2: %w", echov5.NewHTTPError(http.StatusGone, ""))
	})
	four.GET("/around", func(c echov4.Context) error {
		return echov4.NewHTTPError(http.StatusGone, "closed").SetInternal(echo4.Error(c, authn.ErrForbidden))
	})
	five.GET("/around", func(c *echov5.Context) error {
		return echov5.NewHTTPError(http.StatusGone, "closed").Wrap(echo5.Error(c, authn.ErrForbidden))
	})
	for name, h := range map[string]http.Handler{"echo4": four, "echo5": five} {
		for path, want := range map[string]string{
			"/around":   `410 {"detail":"closed"}`,
			"/handler":  `409 {"detail":"twice"}`,
			"/sentinel": `413 {"detail":"Request Entity Too Large"}`,
			"/wrapped":  `410 {"detail":"Gone"}`,
			"/nowhere":  `404 {"detail":"Not Found"}`,
		} {
			got := get(h, path, "plain")
			if got := fmt.Sprint(got.Code, " ", strings.TrimSpace(got.Body.String())); got != want {
				t.Errorf("%s, %s: %s, want %s", name, path, got, want)
			}
		}
		if got := get(h, "/rule", "plain"); got.Code != http.StatusTeapot || strings.TrimSpace(got.Body.String()) != `{"detail":"short"}` {
			t.Errorf("%s: a rule's error: %d %s", name, got.Code, got.Body)
		}
	}
}

// What a route or a rule returns is answered alike by every error handler.
func TestErrorsOfEchoHaveOurBodyFromOurRoutes(t *testing.T) {
	active := newUsers(t).CurrentUser(authn.Active)
	for how, makeFront := range map[string]func(string) (fronts.Front, error){"ours": fronts.New, "bare": fronts.Bare} {
		for name, returned := range map[string][]error{
			"echo4": {echov4.NewHTTPError(http.StatusConflict, "twice"), echov4.NewHTTPError(http.StatusConflict, errors.New("twice"))},
			"echo5": {echov5.NewHTTPError(http.StatusConflict, "twice")},
		} {
			front, err := makeFront(name)
			if err != nil {
				t.Fatal(err)
			}
			for i, err := range returned {
				route, rule := fmt.Sprint("/route/", i), fmt.Sprint("/rule/", i)
				front.Mount(routes.List{{Method: http.MethodGet, Path: route, Name: route, Handler: func(http.ResponseWriter, *http.Request) error { return err }}})
				fronts.Handle(front, rule, active.Require(func(*soul) error { return err }), nil)
				for _, path := range []string{route, rule} {
					if got := get(front, path, "plain"); got.Code != http.StatusConflict || strings.TrimSpace(got.Body.String()) != `{"detail":"twice"}` {
						t.Errorf("%s, %s, %s: %d %s", name, how, path, got.Code, got.Body)
					}
				}
			}
		}
	}
}

// upstream is an error of a client of another service, which has a status as
// Echo v5's errors do.
type upstream int

func (u upstream) Error() string   { return fmt.Sprintf("hunter2: upstream said %d", int(u)) }
func (u upstream) StatusCode() int { return int(u) }

// brokenSouls is a store that fails.
type brokenSouls struct {
	souls
	err error
}

func (s brokenSouls) ByID(context.Context, string) (*soul, error) { return nil, s.err }

// What a store was told isn't what the client is told.
func TestAStoresErrorHasNoSay(t *testing.T) {
	for _, cause := range []error{
		upstream(http.StatusOK), upstream(http.StatusNotFound), upstream(http.StatusUnauthorized), upstream(-1),
		echov4.NewHTTPError(http.StatusOK, "hunter2"), echov4.NewHTTPError(http.StatusNotFound, "hunter2"),
		echov5.NewHTTPError(http.StatusOK, "hunter2"), echov5.NewHTTPError(http.StatusNotFound, "hunter2"), echov5.ErrNotFound,
	} {
		users, err := authn.New(brokenSouls{err: cause}, authn.Config{}, named{})
		if err != nil {
			t.Fatal(err)
		}
		over(t, func(t *testing.T, front fronts.Front) {
			guard(front, users.CurrentUser(authn.Active, authn.Optional), func(http.ResponseWriter, *http.Request, *soul) error { return nil })
			for _, path := range bothWays {
				got := get(front, path, "plain")
				if got.Code != http.StatusServiceUnavailable || strings.TrimSpace(got.Body.String()) != `{"detail":"Service Unavailable"}` || got.Header().Get("Retry-After") == "" {
					t.Errorf("%v, %s: %d %s %v", cause, path, got.Code, got.Body, got.Header())
				}
			}
		})
	}
}

// An answer that says itself what it is isn't its cause's.
func TestACauseHasNoSay(t *testing.T) {
	users := newUsers(t)
	for _, cause := range []error{
		upstream(http.StatusNotFound), echov4.NewHTTPError(http.StatusNotFound, "hunter2"),
		echov5.NewHTTPError(http.StatusNotFound, "hunter2"), echov5.ErrNotFound,
	} {
		own := &authn.HTTPError{Status: http.StatusPaymentRequired, Detail: "UNPAID", Header: http.Header{"X-Bill": {"7"}}, Err: cause}
		over(t, func(t *testing.T, front fronts.Front) {
			fronts.Handle(front, "/rule", users.CurrentUser(authn.Active).Require(func(*soul) error { return own }), nil)
			front.Mount(routes.List{{Method: http.MethodGet, Path: "/route", Name: "route", Handler: func(http.ResponseWriter, *http.Request) error { return fmt.Errorf("pay: %w", own) }}})
			for _, path := range []string{"/rule", "/route"} {
				got := get(front, path, "plain")
				if got.Code != http.StatusPaymentRequired || strings.TrimSpace(got.Body.String()) != `{"detail":"UNPAID"}` || got.Header().Get("X-Bill") != "7" {
					t.Errorf("%#v, %s: %d %s %v", cause, path, got.Code, got.Body, got.Header())
				}
			}
		})
	}
}

// A body that a middleware of the framework's cuts off is 413, as ours is.
func TestAFrameworksBodyLimit(t *testing.T) {
	users, err := authn.New(&authntest.Memory{}, authn.Config{}, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	four, five, mux := echov4.New(), echov5.New(), http.NewServeMux()
	four.Use(middlewarev4.BodyLimit("100B"))
	five.Use(middlewarev5.BodyLimit(100))
	echo4.Mount(four, routes.All(users))
	echo5.Mount(five, routes.All(users))
	nethttp.Mount(mux, routes.All(users))
	for name, h := range map[string]http.Handler{"echo4": four, "echo5": five, "nethttp": http.MaxBytesHandler(mux, 100)} {
		body := strings.NewReader(`{"email":"` + strings.Repeat("a", 500) + `"}`)
		r := httptest.NewRequest(http.MethodPost, "/auth/register", io.MultiReader(body)) // of unknown length
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusRequestEntityTooLarge || strings.TrimSpace(w.Body.String()) != `{"detail":"Request Entity Too Large"}` {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

// A status that is none, or one of success, answers no error.
func TestNoErrorIsASuccess(t *testing.T) {
	users := newUsers(t)
	for _, status := range []int{-1, 0, http.StatusEarlyHints, http.StatusOK, http.StatusNoContent, 1000} {
		for _, cause := range []error{upstream(status), echov4.NewHTTPError(status, "hunter2"), echov5.NewHTTPError(status, "hunter2")} {
			over(t, func(t *testing.T, front fronts.Front) {
				fronts.Handle(front, "/rule", users.CurrentUser(authn.Active).Require(func(*soul) error { return cause }), nil)
				front.Mount(routes.List{{Method: http.MethodGet, Path: "/route", Name: "route", Handler: func(http.ResponseWriter, *http.Request) error { return cause }}})
				for path, want := range map[string]string{"/rule": `403 {"detail":"Forbidden"}`, "/route": `500 {"detail":"Internal Server Error"}`} {
					got := get(front, path, "plain")
					if got := fmt.Sprint(got.Code, " ", strings.TrimSpace(got.Body.String())); got != want {
						t.Errorf("%#v, %s: %s, want %s", cause, path, got, want)
					}
				}
			})
		}
	}
}

func TestUserOutsideOfAGuard(t *testing.T) {
	g := newUsers(t).CurrentUser(authn.Active)
	over(t, func(t *testing.T, front fronts.Front) {
		optional := newUsers(t).CurrentUser(authn.Active, authn.Optional)
		fronts.Middleware(front, "/", optional, func(w http.ResponseWriter, _ *http.Request, u *soul) error {
			_, err := fmt.Fprint(w, u == nil)
			return err
		})
		if got := get(front, "/", ""); got.Body.String() != "true" {
			t.Error(got.Body)
		}
	})
	c := echov4.New().NewContext(httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder())
	if u, ok := echo4.User(g, c); ok || u != nil {
		t.Errorf("%v: nobody was checked", u)
	}
}

// One guard serves many requests at once, each with its own user.
func TestOneGuardManyRequests(t *testing.T) {
	g := newUsers(t).CurrentUser(authn.AnyStatus)
	over(t, func(t *testing.T, front fronts.Front) {
		guard(front, g, func(w http.ResponseWriter, _ *http.Request, u *soul) error {
			_, err := fmt.Fprint(w, u.id)
			return err
		})
		names := []string{"plain", "inactive", "super"}
		done := make(chan string)
		for i := range 60 {
			go func() {
				name := names[i%len(names)]
				if w := get(front, bothWays[i%2], name); w.Body.String() != name {
					done <- fmt.Sprintf("%s got %d %s", name, w.Code, w.Body)
					return
				}
				done <- ""
			}()
		}
		for range 60 {
			if problem := <-done; problem != "" {
				t.Error(problem)
			}
		}
	})
}

// The log has the cause of a 5xx, and not the answer's JSON.
func TestTheCauseIsLogged(t *testing.T) {
	var log4, log5 strings.Builder
	four, five := echov4.New(), echov5.New()
	four.HTTPErrorHandler, five.HTTPErrorHandler = echo4.ErrorHandler, echo5.ErrorHandler
	four.Logger.SetOutput(&log4)
	five.Logger = slog.New(slog.NewJSONHandler(&log5, nil))
	active := newUsers(t).CurrentUser(authn.Active)
	four.GET("/", echo4.Handle(active, func(echov4.Context, *soul) error { return nil }))
	five.GET("/", echo5.Handle(active, func(*echov5.Context, *soul) error { return nil }))
	get(four, "/", "away")
	get(five, "/", "away")
	get(four, "/", "bad")
	get(five, "/", "bad")
	var logStd strings.Builder
	std := nethttp.Handle(active, func(http.ResponseWriter, *http.Request, *soul) error { return nil })
	server := &http.Server{ErrorLog: log.New(&logStd, "", 0)}
	served := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		std.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.ServerContextKey, server)))
	})
	get(served, "/", "away")
	get(served, "/", "bad")
	for name, logged := range map[string]string{"echo4": log4.String(), "echo5": log5.String(), "nethttp": logStd.String()} {
		if strings.Count(logged, "\n") != 1 || !strings.Contains(logged, "connection refused") {
			t.Errorf("%s: %s", name, logged)
		}
	}
}

// Nobody writes lines into the log by a path, or by what a store repeats.
func TestAnEntryOfTheLogIsALine(t *testing.T) {
	var logged strings.Builder
	server := &http.Server{ErrorLog: log.New(&logged, "", 0)}
	mux := http.NewServeMux()
	nethttp.Mount(mux, routes.List{{Method: http.MethodGet, Path: "/things/{id}", Handler: func(_ http.ResponseWriter, r *http.Request) error {
		return fmt.Errorf("no integer: %s", r.PathValue("id"))
	}}})
	r := httptest.NewRequest(http.MethodGet, "/things/a%0aroot%20logged%20in%1b[2J%c2%85b", nil)
	mux.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithValue(r.Context(), http.ServerContextKey, server)))
	if got, want := logged.String(), "GET /things/a%0aroot%20logged%20in%1b[2J%c2%85b: no integer: a root logged in [2J b\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
