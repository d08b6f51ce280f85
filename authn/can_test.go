package authn_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/strategies/jwt"
)

// leaving is a backend that logs out by itself.
type leaving struct {
	headed
	how string
}

func (b leaving) Logout(*http.Request) (*authn.Response, error) {
	return &authn.Response{Status: http.StatusNoContent, Body: b.how}, nil
}

// lending is a backend that can what its As says.
type lending struct {
	headed
	out authn.LogoutBackend
}

func (b lending) As(target any) bool {
	out, ok := target.(*authn.LogoutBackend)
	if ok && b.out != nil {
		*out = b.out
		return true
	}
	return false
}

// around wraps a backend, as [http.ResponseController] finds it.
type around struct{ authn.Backend }

func (b around) Unwrap() authn.Backend { return b.Backend }

// hiding wraps a backend, and doesn't let anybody see it.
type hiding struct{ authn.Backend }

func TestCan(t *testing.T) {
	for what, c := range map[string]struct {
		backend authn.Backend
		want    string
	}{
		"nil":                  {nil, ""},
		"neither":              {headed("a"), ""},
		"itself":               {leaving{"a", "self"}, "self"},
		"lent":                 {lending{"a", leaving{"a", "lent"}}, "lent"},
		"not lent":             {lending{"a", nil}, ""},
		"wrapped":              {around{leaving{"a", "inner"}}, "inner"},
		"wrapped twice":        {around{around{lending{"a", leaving{"a", "lent"}}}}, "lent"},
		"wrapped, not lent":    {around{lending{"a", nil}}, ""},
		"the outer one first":  {outer{around{leaving{"a", "inner"}}}, "outer"},
		"verified":             {authn.RequireVerified(leaving{"a", "inner"}), "inner"},
		"wrapped around nil":   {around{}, ""},
		"hidden":               {hiding{leaving{"a", "inner"}}, ""},
		"hidden, lent outside": {outer{around{hiding{headed("a")}}}, "outer"},
	} {
		out, ok := authn.Can[authn.LogoutBackend](c.backend)
		if ok != (c.want != "") {
			t.Errorf("%s: %t", what, ok)
			continue
		}
		if !ok {
			continue
		}
		if res, err := out.Logout(nil); err != nil || res.Body != c.want {
			t.Errorf("%s: %v, %v", what, res.Body, err)
		}
	}
}

// outer wraps, and can log out by itself.
type outer struct{ around }

func (outer) Logout(*http.Request) (*authn.Response, error) {
	return &authn.Response{Body: "outer"}, nil
}

// The demand of [authn.RequireVerified] is a restriction: it must hold through
// any wrapper, or be refused, and never be lost.
func TestTheDemandForVerifiedUsersSurvivesWrapping(t *testing.T) {
	for what, wrap := range map[string]func(authn.Backend) authn.Backend{
		"alone":   func(b authn.Backend) authn.Backend { return b },
		"wrapped": func(b authn.Backend) authn.Backend { return around{b} },
		"twice":   func(b authn.Backend) authn.Backend { return around{outer{around{b}}} },
	} {
		checkDemand(t, what, wrap(authn.RequireVerified(headed("first"))))
	}
}

// A wrapper without Unwrap loses what the backend can do, and must not lose
// what it demands.
func TestTheDemandForVerifiedUsersSurvivesAWrapperThatHides(t *testing.T) {
	checkDemand(t, "hidden", hiding{authn.RequireVerified(headed("first"))})
}

func checkDemand(t *testing.T, what string, b authn.Backend) {
	t.Helper()
	users, err := authn.New(newSouls(), authn.Config{}, b)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]int{"plain": http.StatusForbidden, "verified": 0, "inactive": http.StatusUnauthorized} {
		_, _, err := users.CurrentUser(authn.Active).Check(request("first", id))
		got := 0
		if err != nil {
			got = authn.AsHTTPError(err).Status
		}
		if got != want {
			t.Errorf("%s, %s: %d, want %d", what, id, got, want)
		}
	}
}

func ExampleCan() {
	key := jwt.Secret([]byte(strings.Repeat("k", 32)))
	stateless, err := backends.JWT(key, backends.JWTConfig{})
	if err != nil {
		panic(err)
	}
	revocable := backends.New("sessions", backends.Bearer{}, new(authntest.Tokens))
	for _, b := range []authn.Backend{stateless, revocable, authn.RequireVerified(revocable), authntest.Impersonator{}} {
		_, in := authn.Can[authn.LoginBackend](b)
		_, out := authn.Can[authn.LogoutBackend](b)
		fmt.Printf("%s: log-in %t, log-out %t\n", b.Name(), in, out)
	}
	// Output:
	// jwt: log-in true, log-out false
	// sessions: log-in true, log-out true
	// sessions: log-in true, log-out true
	// impersonator: log-in false, log-out false
}
