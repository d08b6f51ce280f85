package userdb_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

// hangUp is a store of sessions elsewhere (as Redis), whose client hangs up once a session was carried over.
type hangUp struct {
	authntest.MemorySessions
	cancel context.CancelFunc
}

func (h *hangUp) UpdateSession(ctx context.Context, s authn.Session, now time.Time) (bool, error) {
	ok, err := h.MemorySessions.UpdateSession(ctx, s, now)
	if h.cancel != nil {
		h.cancel()
	}
	return ok, err
}

func TestNoSessionOfAGenerationToCome(t *testing.T) {
	store, err := userdb.New[userdb.User](testdb.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept := new(hangUp)
	b, err := backends.JWT(jwt.Secret([]byte(strings.Repeat("k", 32))), backends.JWTConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if b, err = backends.WithSessions(b, kept, backends.SessionConfig{}); err != nil {
		t.Fatal(err)
	}
	users, err := authn.New(store, authn.Config{}, b)
	if err != nil {
		t.Fatal(err)
	}
	ann, err := users.Register(t.Context(), "ann@example.com", "correct horse", nil)
	if err != nil {
		t.Fatal(err)
	}
	login := func() (p struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}) {
		u, err := users.Get(t.Context(), ann.AuthID())
		if err != nil {
			t.Fatal(err)
		}
		res, err := users.Login(t.Context(), "jwt", u)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		if err := res.Write(w); err != nil {
			t.Fatal(err)
		}
		_ = json.Unmarshal(w.Body.Bytes(), &p)
		return p
	}
	guard := users.CurrentUser(authn.Active)
	ask := func(ctx context.Context, token string) (*userdb.User, *http.Request, error) {
		r := httptest.NewRequest("GET", "/", nil).WithContext(ctx)
		r.Header.Set("Authorization", "Bearer "+token)
		return guard.Check(r)
	}
	thief, victim := login(), login()
	// The thief asks to sign out elsewhere, and hangs up before the answer.
	ctx, cancel := context.WithCancel(t.Context())
	u, r, err := ask(ctx, thief.Access)
	if err != nil {
		t.Fatal(err)
	}
	kept.cancel = cancel
	_, err = users.SignOutElsewhere(r, u)
	kept.cancel = nil
	now, _ := users.Get(t.Context(), ann.AuthID())
	t.Log("sign out elsewhere:", err, "generation of the account:", now.Generation)
	_, _, err = ask(t.Context(), victim.Access)
	t.Log("the victim's session, though nothing was signed out:", err)
	_, _, err = ask(t.Context(), thief.Access)
	t.Log("the thief's session before the new password:", err)
	// The victim sets a new password.
	pw := "a new password"
	if _, err := users.Update(t.Context(), ann.AuthID(), authn.Update[*userdb.User]{Password: &pw}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ask(t.Context(), thief.Access); err == nil {
		t.Error("after the new password the thief's session opens")
	}
	if _, err := users.Refresh(httptest.NewRequest("POST", "/", nil), "jwt", thief.Refresh); err == nil {
		t.Error("after the new password the thief's session is renewed")
	}
}
