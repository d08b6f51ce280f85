package routes_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/authn/password"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/routes"
)

// busy is a hasher whose queue is too long.
type busy struct{}

type tooLong struct{}

func (tooLong) Error() string             { return "too long" }
func (tooLong) Unwrap() error             { return password.ErrOverloaded }
func (tooLong) RetryAfter() time.Duration { return 6100 * time.Millisecond }

func (busy) Hash(context.Context, string) (string, error) { return "", tooLong{} }
func (busy) Verify(context.Context, string, string) (bool, bool, error) {
	return false, false, tooLong{}
}

// away is a store that answers nothing.
type away struct{ *authntest.Memory }

var errCut = errors.New("connection reset by peer")

func (away) ByID(context.Context, string) (*authntest.User, error)    { return nil, errCut }
func (away) ByEmail(context.Context, string) (*authntest.User, error) { return nil, errCut }
func (away) Create(context.Context, func(*authntest.User) error) (*authntest.User, error) {
	return nil, errCut
}

func TestWhatIsAwayIs503(t *testing.T) {
	for what, c := range map[string]struct {
		store      authn.Store[*authntest.User]
		passwords  authn.PasswordHasher
		retryAfter string
		guarded    int
	}{
		"a store that is away": {away{new(authntest.Memory)}, &password.Hasher{Params: password.Params{Memory: 64, Time: 1}}, "1", 503},
		"too many log-ins":     {new(authntest.Memory), busy{}, "7", 401},
	} {
		tokens := new(authntest.Tokens)
		users, err := authn.New(c.store, authn.Config{Passwords: c.passwords}, backends.New("jwt", backends.Bearer{}, tokens))
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(overFront(t, routes.All(users)))
		t.Cleanup(server.Close)
		s := &site{T: t, url: server.URL}
		for flow, got := range map[string]reply{
			"register": s.json("POST", "/auth/register", `{"email":"a@example.com","password":"correct horse"}`, ""),
			"log in":   s.form("/auth/jwt/login", "username", "a@example.com", "password", "correct horse"),
		} {
			s.wants(fmt.Sprint(what, ": ", flow), got, 503, "Service Unavailable")
			if after := got.header.Get("Retry-After"); after != c.retryAfter || strings.Contains(got.body, "reset") {
				t.Errorf("%s: %s: Retry-After %q, %s", what, flow, after, got.body)
			}
		}
		token, err := tokens.Issue(t.Context(), authn.Identity{Subject: "a", IssuedAt: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		s.wants(what+": guard", s.json("GET", "/users/me", "", token.Value), c.guarded, "")
	}
}
