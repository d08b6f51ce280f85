package docs_test

import (
	"net/http"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/authn/usercache"
	"github.com/echo-users/echo-users/userdb"
)

func newCachedUsers(store *userdb.Store[AppUser, *AppUser], web authn.Backend) (*authn.Users[*AppUser], error) {
	cached, err := usercache.New(store, usercache.Config{})
	if err != nil {
		return nil, err
	}
	users, err := authn.New(cached, authn.Config{}, web)
	if err != nil {
		return nil, err
	}
	return users, nil
}

func TestCachedUsers(t *testing.T) {
	store := newAppStore(t)
	users, err := newCachedUsers(store, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	u, err := users.Register(t.Context(), "ann@example.com", "correct horse", nil)
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	e.GET("/", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }, echo4.Middleware(users.CurrentUser(authn.Active)))
	get := func() int { return serve(e, authntest.As(request("GET", "/", ""), u)).Code }
	if a, b := get(), get(); a != 204 || b != 204 {
		t.Fatal(a, b)
	}
	if err := users.Delete(t.Context(), u.AuthID()); err != nil {
		t.Fatal(err)
	}
	if code := get(); code != 401 {
		t.Error(code)
	}
}
