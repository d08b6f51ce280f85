package docs_test

import (
	"net/http"
	"testing"

	echov4 "github.com/labstack/echo/v4"
	echov5 "github.com/labstack/echo/v5"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/adapters/echo5"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/routes"
)

func bothEchos(users *authn.Users[*AppUser]) http.Handler {
	active := users.CurrentUser(authn.Active)

	old := echov4.New()
	old.HTTPErrorHandler = echo4.ErrorHandler
	old.GET("/orders", echo4.Handle(active, func(c echov4.Context, u *AppUser) error {
		return c.String(http.StatusOK, "Orders of "+u.Email)
	}))

	moved := echov5.New()
	moved.HTTPErrorHandler = echo5.ErrorHandler
	echo5.Mount(moved, routes.All(users))
	moved.GET("/invoices", echo5.Handle(active, func(c *echov5.Context, u *AppUser) error {
		return c.String(http.StatusOK, "Invoices of "+u.Email)
	}))

	mux := http.NewServeMux()
	mux.Handle("/", old)
	for _, path := range []string{"/auth/", "/users/", "/invoices", "/invoices/"} {
		mux.Handle(path, moved)
	}
	return mux
}

func TestBothEchos(t *testing.T) {
	users := newAppUsers(t)
	ann, err := users.Register(t.Context(), "ann@example.com", "correct horse", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := users.Login(t.Context(), "jwt", ann, authn.MethodPassword)
	if err != nil {
		t.Fatal(err)
	}
	h, token := bothEchos(users), tokenOf(t, answer)
	for _, c := range []struct{ path, token, want string }{
		{"/orders", token, "200 Orders of ann@example.com"},
		{"/invoices", token, "200 Invoices of ann@example.com"},
		{"/orders", "", `401 {"detail":"Unauthorized"}`},
		{"/invoices", "", `401 {"detail":"Unauthorized"}`},
		{"/users/me", "", `401 {"detail":"Unauthorized"}`},
		{"/nowhere", "", `404 {"detail":"Not Found"}`},
		{"/invoices/7", "", `404 {"detail":"Not Found"}`},
	} {
		if got := get(h, c.path, c.token); got != c.want {
			t.Errorf("%s: %s, want %s", c.path, got, c.want)
		}
	}
}
