package authn_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn"
)

// memory is a store of souls by id. An error is what every call returns.
type memory struct {
	authn.Store[*soul]
	souls map[string]*soul
	err   error
}

func (s *memory) ByID(_ context.Context, id string) (*soul, error) {
	if s.err != nil {
		return nil, s.err
	}
	u, ok := s.souls[id]
	if !ok {
		return nil, authn.ErrUserNotFound
	}
	return u, nil
}

// headed is a backend that believes the header of its own name: "<id>",
// "<id>/<generation>", "bad" or "away".
type headed string

func (b headed) Name() string      { return string(b) }
func (b headed) Challenge() string { return strings.ToUpper(string(b[:1])) + string(b[1:]) }

func (b headed) Authenticate(r *http.Request) (authn.Identity, error) {
	switch value := r.Header.Get(string(b)); value {
	case "":
		return authn.Identity{}, authn.ErrNoCredential
	case "bad":
		return authn.Identity{}, authn.ErrInvalidToken
	case "away":
		return authn.Identity{}, errors.New("connection refused")
	case "preloaded":
		return authn.Identity{Subject: "pre", Loaded: &soul{id: "pre"}}, nil
	default:
		id := authn.Identity{Subject: value}
		if subject, generation, ok := strings.Cut(value, "/"); ok {
			id.Subject = subject
			fmt.Sscan(generation, &id.Generation)
		}
		return id, nil
	}
}

func newSouls() *memory {
	return &memory{souls: map[string]*soul{
		"plain":    {id: "plain", Account: authn.Account{IsActive: true}},
		"inactive": {id: "inactive", Account: authn.Account{IsVerified: true, IsSuperuser: true}},
		"verified": {id: "verified", Account: authn.Account{IsActive: true, IsVerified: true}},
		"super":    {id: "super", Account: authn.Account{IsActive: true, IsSuperuser: true}},
		"both":     {id: "both", Account: authn.Account{IsActive: true, IsSuperuser: true, IsVerified: true}},
		"renewed":  {id: "renewed", Account: authn.Account{IsActive: true, Generation: 2}},
	}}
}

func newGuards(t *testing.T, store authn.Store[*soul]) *authn.Users[*soul] {
	t.Helper()
	users, err := authn.New(store, authn.Config{Realm: "souls"}, headed("first"), headed("second"), authn.RequireVerified(headed("strict")))
	if err != nil {
		t.Fatal(err)
	}
	return users
}

func request(headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func TestGuards(t *testing.T) {
	users := newGuards(t, newSouls())
	teapot := &authn.HTTPError{Status: http.StatusTeapot}
	guards := map[string]*authn.Guard[*soul]{
		"any":           users.CurrentUser(authn.AnyStatus),
		"active":        users.CurrentUser(authn.Active),
		"verified":      users.CurrentUser(authn.Active, authn.Verified),
		"superuser":     users.CurrentUser(authn.Active, authn.Superuser),
		"all":           users.CurrentUser(authn.Active, authn.Superuser, authn.Verified),
		"optional":      users.CurrentUser(authn.Active, authn.Optional, authn.Verified),
		"only second":   users.CurrentUser(authn.Active, authn.Only("second")),
		"role":          users.CurrentUser(authn.Active).Require(func(u *soul) error { return errors.New("not " + u.id) }),
		"teapot":        users.CurrentUser(authn.Active).Require(func(*soul) error { return fmt.Errorf("hot: %w", teapot) }),
		"optional role": users.CurrentUser(authn.Active, authn.Optional).Require(func(*soul) error { return errors.New("no") }),
		"role away":     users.CurrentUser(authn.Active, authn.Optional).Require(func(*soul) error { return authn.ErrUnavailable }),
	}
	for _, c := range []struct {
		guard, headers, want string // want is the user, or the status
	}{
		{"any", "", "401"},
		{"any", "first plain", "plain"},
		{"any", "first inactive", "inactive"},
		{"any", "second plain", "plain"},
		{"any", "first bad second plain", "plain"},
		{"any", "first nobody second plain", "plain"},
		{"any", "first plain second verified", "plain"},
		{"any", "first away second plain", "plain"},
		{"any", "first away", "503"},
		{"any", "first away second bad", "503"},
		{"any", "first bad", "401"},
		{"any", "first nobody", "401"},
		{"any", "first preloaded", "pre"},
		{"any", "first renewed", "401"},
		{"any", "first renewed/1", "401"},
		{"any", "first renewed/3", "401"},
		{"any", "first renewed/2", "renewed"},
		{"any", "first plain/1 second verified", "verified"},
		{"any", "strict plain", "403"},
		{"any", "strict verified", "verified"},
		{"active", "first plain", "plain"},
		{"active", "first inactive", "401"},
		{"active", "first preloaded", "401"},
		{"active", "first inactive second plain", "401"},
		{"verified", "first plain", "403"},
		{"verified", "first inactive", "401"},
		{"verified", "first verified", "verified"},
		{"superuser", "first plain", "403"},
		{"superuser", "first inactive", "401"},
		{"superuser", "first super", "super"},
		{"all", "first super", "403"},
		{"all", "first verified", "403"},
		{"all", "first both", "both"},
		{"optional", "", ""},
		{"optional", "first bad", ""},
		{"optional", "first inactive", ""},
		{"optional", "first plain", ""},
		{"optional", "first verified", "verified"},
		{"optional", "first away", "503"},
		{"optional", "first away second verified", "verified"},
		{"only second", "first plain", "401"},
		{"only second", "second plain", "plain"},
		{"only second", "first verified second plain", "plain"},
		{"only second", "first away", "401"},
		{"role", "first plain", "403"},
		{"teapot", "first plain", "418"},
		{"optional role", "first plain", ""},
		{"role away", "first plain", "503"},
	} {
		u, r, err := guards[c.guard].Check(request(strings.Fields(c.headers)...))
		got := ""
		switch {
		case err != nil:
			got = fmt.Sprint(authn.AsHTTPError(err).Status)
			if u != nil {
				t.Errorf("%s %q: a user beside an error", c.guard, c.headers)
			}
		case u != nil:
			got = u.id
		}
		if got != c.want {
			t.Errorf("%s, %q: %q, want %q (%v)", c.guard, c.headers, got, c.want, err)
		}
		inContext, ok := authn.UserFrom[*soul](r.Context())
		if identity, known := authn.IdentityFrom(r.Context()); ok != (u != nil) || inContext != u || known != ok || identity.Loaded != nil {
			t.Errorf("%s, %q: the context has %v, %+v", c.guard, c.headers, inContext, identity)
		}
	}
}

func TestAStoreThatIsAwayIs503(t *testing.T) {
	store := newSouls()
	store.err = errors.New("dial tcp: connection refused")
	users := newGuards(t, store)
	for _, rules := range [][]authn.Rule{nil, {authn.Optional}} {
		u, _, err := users.CurrentUser(authn.AnyStatus, rules...).Check(request("first", "plain"))
		if u != nil || !errors.Is(err, authn.ErrUnavailable) {
			t.Errorf("%v, %v", u, err)
		}
		w := httptest.NewRecorder()
		authn.WriteError(w, err)
		if w.Code != 503 || w.Body.String() != `{"detail":"Service Unavailable"}` || w.Header().Get("Retry-After") != "1" {
			t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
		}
	}
}

func TestGuardsNameTheScheme(t *testing.T) {
	users := newGuards(t, newSouls())
	for _, c := range []struct{ header, value, want string }{
		{"none", "x", `[First realm="souls" Second realm="souls" Strict realm="souls"]`},
		{"first", "bad", `[First realm="souls", error="invalid_token" Second realm="souls", error="invalid_token" Strict realm="souls", error="invalid_token"]`},
		{"first", "plain", `[First realm="souls", error="insufficient_scope" Second realm="souls", error="insufficient_scope" Strict realm="souls", error="insufficient_scope"]`},
	} {
		_, _, err := users.CurrentUser(authn.Active, authn.Superuser).Check(request(c.header, c.value))
		w := httptest.NewRecorder()
		authn.WriteError(w, err)
		if got := fmt.Sprint(w.Header()["Www-Authenticate"]); got != c.want {
			t.Errorf("%s %s: %s", c.header, c.value, got)
		}
	}
}

func TestGuardsThatCouldLetNobodyInPanic(t *testing.T) {
	users := newGuards(t, newSouls())
	for what, f := range map[string]func(){
		"no status":       func() { users.CurrentUser(0) },
		"unknown backend": func() { users.CurrentUser(authn.Active, authn.Only("third")) },
		"only nothing":    func() { users.CurrentUser(authn.Active, authn.Only()) },
		"unknown demand":  func() { users.CurrentUser(authn.Active, authn.Demand(99)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", what)
				}
			}()
			f()
		}()
	}
}
