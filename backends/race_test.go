package backends_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/backends"
)

// ending is a store whose session is ended by somebody else after so many
// look-ups more.
type ending struct {
	authn.SessionStore
	lookups int
}

func (e *ending) Session(ctx context.Context, subject, id string) (authn.Session, error) {
	if e.lookups--; e.lookups < 0 {
		return authn.Session{}, authn.ErrSessionNotFound
	}
	return e.SessionStore.Session(ctx, subject, id)
}

// TestTheLoserOfARaceIsUnauthorized: a credential that becomes void after the
// guard has looked is refused as by the guard, with a challenge.
func TestTheLoserOfARaceIsUnauthorized(t *testing.T) {
	kept := &ending{SessionStore: new(authntest.MemorySessions), lookups: 100}
	h := newHouseOf(t, kept, backends.Bearer{})
	wants := func(what string, err error) {
		t.Helper()
		challenge := authn.AsHTTPError(err).Header.Get("WWW-Authenticate")
		if !errors.Is(err, authn.ErrUnauthorized) || !strings.HasPrefix(challenge, "Bearer ") || !strings.HasSuffix(challenge, `error="invalid_token"`) {
			t.Errorf("%s: %v, challenge %q", what, err, challenge)
		}
	}
	request := withHeader("Bearer " + h.login().Access)
	ann, checked, err := h.guard.Check(request)
	if err != nil {
		t.Fatal(err)
	}
	kept.lookups = 1
	_, err = h.users.Logout(request, "session")
	wants("log-out", err)
	kept.lookups = 0
	_, err = h.users.SignOutElsewhere(checked, ann)
	wants("signing out elsewhere", err)
	kept.lookups = 100

	password, email := "battery staple", "ann@example.org"
	if _, err := h.users.Update(t.Context(), ann.ID, authn.Update[*authntest.User]{Password: &password}); err != nil {
		t.Fatal(err)
	}
	_, err = h.users.SignOutElsewhere(checked, ann)
	wants("signing out elsewhere after a change of the password", err)
	_, err = h.users.Update(t.Context(), ann.ID, authn.Update[*authntest.User]{Email: &email, By: ann})
	wants("a change of one's own", err)
	bob, err := h.users.Register(t.Context(), "bob@example.com", password, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.users.Update(t.Context(), bob.ID, authn.Update[*authntest.User]{Email: &email, By: ann})
	wants("a change of somebody else's", err)
}
