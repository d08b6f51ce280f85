package routes_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/userdb"
)

// A request that was begun with a credential and ends after it died changes
// nothing.
func TestSlowBodiesActWithWhatIsValidAtTheirEnd(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		s := newSite(t, db)
		id := s.register("ann@example.com")
		adminID := s.register("admin@example.com")
		s.set(adminID, authn.Update[*userdb.User]{IsSuperuser: &yes})
		token, adminToken := s.login("jwt", "ann@example.com", "secret"), s.login("jwt", "admin@example.com", "secret")
		changed := "changed"
		for what, c := range map[string]struct {
			path, token string
			meanwhile   func()
			status      int
		}{
			"the password changes": {"/users/me", token, func() { s.set(id, authn.Update[*userdb.User]{Password: &changed}) }, 401},
			"superuser no more":    {"/users/" + id, adminToken, func() { s.set(adminID, authn.Update[*userdb.User]{IsSuperuser: &no}) }, 403},
		} {
			body, writer := io.Pipe()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, s.url+c.path, body)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", "Bearer "+c.token)
			answer := make(chan reply)
			go func() { answer <- s.answer(r) }()
			fmt.Fprint(writer, `{"password":`) // returns when the client has sent it
			c.meanwhile()
			fmt.Fprint(writer, `"hijacked"}`)
			writer.Close()
			if got := <-answer; got.status != c.status {
				t.Errorf("%s: %d %s", what, got.status, got.body)
			}
		}
		if got := s.form("/auth/jwt/login", "username", "ann@example.com", "password", "hijacked"); got.status == 200 {
			t.Error("the password was changed with a dead credential")
		}
	})
}

// An update asks again, after the hash, whether its asker still may.
func TestUpdatesAskAgain(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		s := newSite(t, db)
		id, adminID := s.register("ann@example.com"), s.register("admin@example.com")
		s.set(adminID, authn.Update[*userdb.User]{IsSuperuser: &yes})
		ann, err := s.users.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		admin, err := s.users.Get(t.Context(), adminID)
		if err != nil {
			t.Fatal(err)
		}
		changed := "changed"
		if _, err := s.users.Update(t.Context(), id, authn.Update[*userdb.User]{By: ann, Password: &changed}); err != nil {
			t.Error(err)
		}
		for what, by := range map[string]*userdb.User{"an old self": ann} {
			if _, err := s.users.Update(t.Context(), id, authn.Update[*userdb.User]{By: by, IsSuperuser: &yes}); authn.AsHTTPError(err).Status != 401 {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := s.users.Update(t.Context(), id, authn.Update[*userdb.User]{By: admin, IsVerified: &yes}); err != nil {
			t.Error(err)
		}
		s.set(adminID, authn.Update[*userdb.User]{IsActive: &no})
		if _, err := s.users.Update(t.Context(), id, authn.Update[*userdb.User]{By: admin, IsSuperuser: &yes}); authn.AsHTTPError(err).Status != 401 {
			t.Errorf("a deactivated superuser: %v", err)
		}
		if _, err := s.users.Update(t.Context(), id, authn.Update[*userdb.User]{Own: func(u *userdb.User) error { u.IsSuperuser = true; return nil }}); err == nil {
			t.Error("Own changed the account")
		}
	})
}
