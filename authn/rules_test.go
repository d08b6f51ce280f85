package authn_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/echo-users/echo-users/authn"
)

// schemed is a backend with a scheme; quiet is one without.
type schemed struct {
	headed
	scheme string
}

func (b schemed) Challenge() string { return b.scheme }

type quiet struct{ authn.Backend }

func TestOneChallengeForEachScheme(t *testing.T) {
	a, b, c := schemed{"first", "Bearer"}, schemed{"second", "Bearer"}, schemed{"third", "Negotiate"}
	for what, guard := range map[string]struct {
		backends []authn.Backend
		rules    []authn.Rule
		want     string
	}{
		"one":             {[]authn.Backend{a}, nil, `["Bearer realm=\"users\""]`},
		"two of one kind": {[]authn.Backend{a, b}, nil, `["Bearer realm=\"users\""]`},
		"two kinds":       {[]authn.Backend{a, b, c}, nil, `["Bearer realm=\"users\"" "Negotiate realm=\"users\""]`},
		"wrapped":         {[]authn.Backend{around{a}, authn.RequireVerified(c)}, nil, `["Bearer realm=\"users\"" "Negotiate realm=\"users\""]`},
		"none":            {[]authn.Backend{quiet{a}}, nil, `[]`},
		"only the third":  {[]authn.Backend{a, b, c}, []authn.Rule{authn.Only("third")}, `["Negotiate realm=\"users\""]`},
	} {
		users, err := authn.New(newSouls(), authn.Config{}, guard.backends...)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = users.CurrentUser(authn.Active, guard.rules...).Check(request())
		w := httptest.NewRecorder()
		authn.WriteError(w, err)
		if got := fmt.Sprintf("%q", w.Header().Values("WWW-Authenticate")); got != guard.want || w.Code != http.StatusUnauthorized {
			t.Errorf("%s: %s", what, got)
		}
	}
}

func TestOnlyAddsUp(t *testing.T) {
	users := newGuards(t, newSouls())
	for what, c := range map[string]struct {
		rules []authn.Rule
		want  string
	}{
		"everyone":  {nil, "first second strict "},
		"one":       {[]authn.Rule{authn.Only("second")}, "second "},
		"two":       {[]authn.Rule{authn.Only("strict", "first")}, "first strict "},
		"two words": {[]authn.Rule{authn.Only("strict"), authn.Only("first")}, "first strict "},
		"twice":     {[]authn.Rule{authn.Only("first", "first")}, "first "},
	} {
		g, opened := users.CurrentUser(authn.Active, c.rules...), ""
		for _, name := range []string{"first", "second", "strict"} {
			if _, _, err := g.Check(request(name, "verified")); err == nil {
				opened += name + " "
			}
		}
		if opened != c.want {
			t.Errorf("%s: opened by %s, want %s", what, opened, c.want)
		}
	}
}

// Require adds a rule to a new guard and leaves the old one as it was; own
// rules come last, in order, and stop at the first that refuses.
func TestRequire(t *testing.T) {
	users := newGuards(t, newSouls())
	var ran []string
	rule := func(name string, err error) func(*soul) error {
		return func(u *soul) error { ran = append(ran, name+" "+u.id); return err }
	}
	refusal := errors.New("not today")
	base := users.CurrentUser(authn.Active, authn.Superuser)
	for _, name := range []string{"a", "b", "c"} { // three, so that a slice that grew has room for a fourth
		base = base.Require(rule(name, nil))
	}
	left, right := base.Require(rule("left", nil)), base.Require(rule("right", refusal)).Require(rule("never", nil))
	for what, c := range map[string]struct {
		guard *authn.Guard[*soul]
		user  string
		want  error
		ran   string
	}{
		"base":         {base, "super", nil, "[a super b super c super]"},
		"left":         {left, "super", nil, "[a super b super c super left super]"},
		"right":        {right, "super", refusal, "[a super b super c super right super]"},
		"no superuser": {left, "plain", authn.ErrForbidden, "[]"},
		"inactive":     {left, "inactive", authn.ErrUnauthorized, "[]"},
		"nobody":       {left, "", authn.ErrUnauthorized, "[]"},
	} {
		ran = nil
		_, _, err := c.guard.Check(request("first", c.user))
		if !errors.Is(err, c.want) || fmt.Sprint(ran) != c.ran {
			t.Errorf("%s: %v, ran %v, want %s", what, err, ran, c.ran)
		}
		if c.want == refusal && !errors.Is(err, authn.ErrForbidden) {
			t.Errorf("%s: %v isn't ErrForbidden", what, err)
		}
	}
}

// Whatever a rule's error is made of, it lets nobody in, and says only what it
// says as an answer of its own.
func TestErrorsOfRules(t *testing.T) {
	users := newGuards(t, newSouls())
	own := &authn.HTTPError{Status: http.StatusPaymentRequired, Detail: "PAY"}
	for _, c := range []struct {
		err      error
		status   int
		body     string
		optional bool // whether an optional guard takes it for nobody
	}{
		{errors.New("x"), 403, "Forbidden", true},
		{authn.ErrForbidden, 403, "Forbidden", true},
		{authn.ErrUnauthorized, 403, "Forbidden", true},
		{authn.ErrUserNotFound, 403, "Forbidden", true},
		{own, 402, "PAY", true},
		{fmt.Errorf("unpaid: %w", own), 402, "PAY", true},
		{authn.ErrUnavailable, 503, "Service Unavailable", false},
		{fmt.Errorf("%w: cut", authn.ErrUnavailable), 503, "Service Unavailable", false},
	} {
		refuse := func(*soul) error { return c.err }
		u, _, err := users.CurrentUser(authn.Active).Require(refuse).Check(request("first", "plain"))
		w := httptest.NewRecorder()
		authn.WriteError(w, err)
		if u != nil || w.Code != c.status || w.Body.String() != `{"detail":"`+c.body+`"}` || !errors.Is(err, c.err) {
			t.Errorf("%v: %v, %d %s", c.err, u, w.Code, w.Body)
		}
		u, _, err = users.CurrentUser(authn.Active, authn.Optional).Require(refuse).Check(request("first", "plain"))
		if u != nil || (err == nil) != c.optional {
			t.Errorf("%v, optional: %v, %v", c.err, u, err)
		}
	}
}

// A manager's backends are what New got, whoever changes a slice later.
func TestBackendsAreTheManagers(t *testing.T) {
	given := []authn.Backend{headed("first"), headed("second")}
	users, err := authn.New(newSouls(), authn.Config{}, given...)
	if err != nil {
		t.Fatal(err)
	}
	given[0] = headed("other")
	users.Backends()[1] = nil
	if got := fmt.Sprint(users.Backends()); got != "[first second]" {
		t.Errorf("%s", got)
	}
	for name, want := range map[string]bool{"first": true, "second": true, "other": false, "": false, "First": false} {
		if b, ok := users.Backend(name); ok != want || (b != nil) != want {
			t.Errorf("%q: %v, %t", name, b, ok)
		}
	}
}
