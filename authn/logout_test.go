package authn_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/backends"
)

// failing revokes nothing while it is away.
type failing struct {
	authntest.Tokens
	away error
}

func (s *failing) Revoke(ctx context.Context, token string) error {
	if s.away != nil {
		return s.away
	}
	return s.Tokens.Revoke(ctx, token)
}

// club has two backends of revocable tokens, one of which wants verified
// users, and ann is logged in at each.
type club struct {
	users       *authn.Users[*authntest.User]
	main, extra *failing
	tokens      map[string]string
	id          string
}

func newClub(t *testing.T) *club {
	t.Helper()
	c := &club{main: new(failing), extra: new(failing), tokens: map[string]string{}}
	store := new(authntest.Memory)
	ann, err := store.Create(t.Context(), func(u *authntest.User) error {
		u.Account = authn.Account{Email: "ann@example.com", IsActive: true, IsVerified: true}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c.id = ann.ID
	c.users, err = authn.New(store, authn.Config{Logger: slog.New(slog.DiscardHandler)},
		backends.New("main", backends.Bearer{}, c.main), authn.RequireVerified(backends.New("extra", backends.Bearer{}, c.extra)), authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	for name, strategy := range map[string]authn.Strategy{"main": c.main, "extra": c.extra} {
		token, err := strategy.Issue(t.Context(), authn.Identity{Subject: ann.ID, AuthTime: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		c.tokens[name] = "Bearer " + token.Value
	}
	return c
}

// alive reports whether the token of that backend still opens a guard.
func (c *club) alive(name string) bool {
	_, _, err := c.users.CurrentUser(authn.AnyStatus, authn.Only(name)).Check(request("Authorization", c.tokens[name]))
	return err == nil
}

func TestLogoutEndsTheCredential(t *testing.T) {
	away := errors.New("connection refused")
	off := false
	for what, c := range map[string]struct {
		backend, token string
		away           error
		update         authn.Update[*authntest.User]
		want           error
		ended          bool
	}{
		"ended":                {backend: "main", token: "main", ended: true},
		"ended, verified":      {backend: "extra", token: "extra", ended: true},
		"no token":             {backend: "main", want: authn.ErrUnauthorized},
		"another's token":      {backend: "main", token: "extra", want: authn.ErrUnauthorized},
		"an inactive user":     {backend: "main", token: "main", update: authn.Update[*authntest.User]{IsActive: &off}, want: authn.ErrUnauthorized},
		"an unverified user":   {backend: "extra", token: "extra", update: authn.Update[*authntest.User]{IsVerified: &off}, want: authn.ErrForbidden},
		"away":                 {backend: "main", token: "main", away: away, want: away},
		"no such backend":      {backend: "none", token: "main", want: authn.ErrNotSupported},
		"one that can't do it": {backend: "impersonator", token: "main", want: authn.ErrNotSupported},
	} {
		club := newClub(t)
		club.main.away = c.away
		if _, err := club.users.Update(t.Context(), club.id, c.update); err != nil {
			t.Fatal(err)
		}
		r := request()
		if c.token != "" {
			r.Header.Set("Authorization", club.tokens[c.token])
		}
		before := map[string]bool{"main": club.alive("main"), "extra": club.alive("extra")}
		res, err := club.users.Logout(r, c.backend)
		if !errors.Is(err, c.want) || (res == nil) != (err != nil) || res != nil && res.Status != http.StatusNoContent {
			t.Errorf("%s: %v, %v", what, res, err)
		}
		if c.away != nil && !errors.Is(err, authn.ErrUnavailable) {
			t.Errorf("%s: %v isn't ErrUnavailable", what, err)
		}
		for name, was := range before {
			if ended := was && !club.alive(name); ended != (c.ended && name == c.backend) {
				t.Errorf("%s: the token of %s ended: %t", what, name, ended)
			}
		}
	}
}
