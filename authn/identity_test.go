package authn_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
)

// twoKinds are two managers with user types of their own, over one request.
func twoKinds(t *testing.T) (souls *authn.Guard[*soul], others *authn.Guard[*authntest.User], other *authntest.User) {
	t.Helper()
	store := new(authntest.Memory)
	other, err := store.Create(t.Context(), func(u *authntest.User) error { u.IsActive = true; return nil })
	if err != nil {
		t.Fatal(err)
	}
	managed, err := authn.New(store, authn.Config{}, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	return newGuards(t, newSouls()).CurrentUser(authn.AnyStatus), managed.CurrentUser(authn.Active), other
}

func TestUserFromIsTyped(t *testing.T) {
	souls, others, other := twoKinds(t)
	for what, c := range map[string]struct {
		ctx         func() context.Context
		soul, other bool
	}{
		"no guard": {t.Context, false, false},
		"a soul": {func() context.Context {
			_, r, err := souls.Check(request("first", "plain"))
			if err != nil {
				t.Fatal(err)
			}
			return r.Context()
		}, true, false},
		"another": {func() context.Context {
			_, r, err := others.Check(authntest.As(request(), other))
			if err != nil {
				t.Fatal(err)
			}
			return r.Context()
		}, false, true},
	} {
		ctx := c.ctx()
		s, isSoul := authn.UserFrom[*soul](ctx)
		o, isOther := authn.UserFrom[*authntest.User](ctx)
		if isSoul != c.soul || (s != nil) != c.soul || isOther != c.other || (o != nil) != c.other {
			t.Errorf("%s: %v %t, %v %t", what, s, isSoul, o, isOther)
		}
		if _, ok := authn.UserFrom[authn.User](ctx); ok != (c.soul || c.other) {
			t.Errorf("%s: as any user: %t", what, ok)
		}
		id, ok := authn.IdentityFrom(ctx)
		if ok != (c.soul || c.other) || (id.Subject != "") != ok || (id.Backend != "") != ok {
			t.Errorf("%s: %+v, %t", what, id, ok)
		}
	}
}

// saying is a backend that says all that an identity can hold.
type saying struct{ id authn.Identity }

func (saying) Name() string { return "saying" }

func (b saying) Authenticate(*http.Request) (authn.Identity, error) { return b.id, nil }

func TestTheIdentityReachesTheHandler(t *testing.T) {
	said := authn.Identity{
		Subject: "renewed", Backend: "a lie", SessionID: "session", Generation: 2, IssuedAt: time.Unix(1, 0), AuthTime: time.Unix(2, 0),
		Methods: []string{"pwd", "otp"}, ExpiresAt: time.Unix(3, 0), Scopes: []string{"read"}, Claims: "claims",
	}
	users, err := authn.New(newSouls(), authn.Config{}, saying{said})
	if err != nil {
		t.Fatal(err)
	}
	u, r, err := users.CurrentUser(authn.Active).Check(request())
	if err != nil || u.id != "renewed" {
		t.Fatal(u, err)
	}
	if text := fmt.Sprint(r.Context(), fmt.Sprintf("%+v", r.Context())); strings.Contains(text, "session") || strings.Contains(text, "claims") {
		t.Errorf("the context prints %s", text)
	}
	got, _ := authn.IdentityFrom(r.Context())
	said.Backend = "saying"
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", said) {
		t.Errorf("%+v\nwant %+v", got, said)
	}
}

// The user that a token store loaded beside the token passes the same rules as
// one that the manager loads.
func TestAUserWhoCameWithTheToken(t *testing.T) {
	for what, c := range map[string]struct {
		user       any
		subject    string
		generation int64
		want       string
	}{
		"taken":              {&soul{id: "pre", Account: authn.Account{IsActive: true, IsVerified: true}}, "pre", 0, "pre"},
		"inactive":           {&soul{id: "pre", Account: authn.Account{IsVerified: true}}, "pre", 0, "401"},
		"unverified":         {&soul{id: "pre", Account: authn.Account{IsActive: true}}, "pre", 0, "403"},
		"another generation": {&soul{id: "pre", Account: authn.Account{IsActive: true, IsVerified: true, Generation: 1}}, "pre", 0, "401"},
		"that generation":    {&soul{id: "pre", Account: authn.Account{IsActive: true, IsVerified: true, Generation: 1}}, "pre", 1, "pre"},
		"no subject":         {&soul{id: "pre", Account: authn.Account{IsActive: true, IsVerified: true}}, "", 0, "401"},
		"another type":       {&authntest.User{ID: "pre"}, "verified", 0, "verified"},
		"no user":            {nil, "verified", 0, "verified"},
		"another type, gone": {&authntest.User{ID: "pre"}, "pre", 0, "401"},
	} {
		users, err := authn.New(newSouls(), authn.Config{}, saying{authn.Identity{Subject: c.subject, Generation: c.generation, Loaded: c.user}})
		if err != nil {
			t.Fatal(err)
		}
		u, r, err := users.CurrentUser(authn.Active, authn.Verified).Check(request())
		got := ""
		if err != nil {
			got = fmt.Sprint(authn.AsHTTPError(err).Status)
		} else {
			got = u.id
		}
		if id, _ := authn.IdentityFrom(r.Context()); got != c.want || id.Loaded != nil {
			t.Errorf("%s: %s, want %s (%v)", what, got, c.want, err)
		}
	}
}

// A strategy that kept the user of the log-in doesn't keep them from changing.
func TestAUserWhoWasKeptIsLoadedAnew(t *testing.T) {
	kept := &soul{id: "renewed", Account: authn.Account{IsActive: true, IsSuperuser: true}}
	users, err := authn.New(newSouls(), authn.Config{}, saying{authn.Identity{Subject: "renewed", User: kept}})
	if err != nil {
		t.Fatal(err)
	}
	if u, _, err := users.CurrentUser(authn.AnyStatus).Check(request()); u != nil || !errors.Is(err, authn.ErrUnauthorized) {
		t.Errorf("%v, %v", u, err)
	}
}

// A token store that found the token and no user says so, and nothing breaks.
func TestANilUserWhoCameWithTheToken(t *testing.T) {
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("a panic: %v", r)
		}
	}()
	for subject, want := range map[string]string{"verified": "verified", "gone": ""} {
		users, err := authn.New(newSouls(), authn.Config{}, saying{authn.Identity{Subject: subject, Loaded: (*soul)(nil)}})
		if err != nil {
			t.Fatal(err)
		}
		u, _, err := users.CurrentUser(authn.Active).Check(request())
		if (u != nil) != (want != "") || u != nil && u.id != want || u == nil && !errors.Is(err, authn.ErrUnauthorized) {
			t.Errorf("%s: %v, %v", subject, u, err)
		}
	}
}

// Behind an optional guard that finds nobody whom it would let in there is
// nobody, also where a laxer guard stands before it.
func TestAnOptionalGuardForgetsWhomAnotherFound(t *testing.T) {
	users := newGuards(t, newSouls())
	_, r, err := users.CurrentUser(authn.AnyStatus).Check(request("first", "inactive", "second", "plain"))
	if err != nil {
		t.Fatal(err)
	}
	for what, g := range map[string]*authn.Guard[*soul]{
		"refused by status":  users.CurrentUser(authn.Active, authn.Optional, authn.Only("first")),
		"refused by a rule":  users.CurrentUser(authn.Active, authn.Optional, authn.Superuser, authn.Only("second")),
		"refused by Require": users.CurrentUser(authn.Active, authn.Optional, authn.Only("second")).Require(func(*soul) error { return authn.ErrForbidden }),
		"no credential":      users.CurrentUser(authn.Active, authn.Optional, authn.Only("strict")),
	} {
		u, inner, err := g.Check(r)
		if u != nil || err != nil {
			t.Errorf("%s: %v, %v", what, u, err)
		}
		if u, ok := authn.UserFrom[*soul](inner.Context()); ok {
			t.Errorf("%s: the context still has %s", what, u.id)
		}
		if id, ok := authn.IdentityFrom(inner.Context()); ok {
			t.Errorf("%s: the context still has %+v", what, id)
		}
	}
	if u, _, err := users.CurrentUser(authn.Active, authn.Only("second")).Check(r); !errors.Is(err, authn.ErrUnauthorized) {
		t.Errorf("a guard that finds somebody else: %v, %v", u, err)
	}
	u, inner, err := users.CurrentUser(authn.AnyStatus, authn.Only("first")).Check(r)
	if again, _ := authn.UserFrom[*soul](inner.Context()); err != nil || again != u || u.id != "inactive" {
		t.Errorf("a guard that finds the same user: %v, %v", again, err)
	}
	if u, _ := authn.UserFrom[*soul](r.Context()); u.id != "inactive" {
		t.Errorf("the outer request was changed: %s", u.id)
	}
}

func TestARequestIsNotChanged(t *testing.T) {
	g := newGuards(t, newSouls()).CurrentUser(authn.Active)
	r := request("first", "plain")
	_, guarded, err := g.Check(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := authn.UserFrom[*soul](r.Context()); ok || guarded == r {
		t.Error("the user is in the caller's request")
	}
	bad := httptest.NewRequest("GET", "/", nil)
	if _, same, err := g.Check(bad); err == nil || same != bad {
		t.Errorf("%v", err)
	}
}
