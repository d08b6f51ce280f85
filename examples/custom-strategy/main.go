// Command custom-strategy is a server with plugs of its own: a strategy, and a
// backend without a token. It is a module of its own and imports exported
// names only, as your program would.
package main

import (
	"fmt"
	"log"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/routes"
)

func main() {
	e, err := newServer(Certificates{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on http://127.0.0.1:8000: register, log in at /auth/session/login, log out at /auth/session/logout")
	log.Fatal(e.Start("127.0.0.1:8000"))
}

func newServer(certificates Certificates) (*echo.Echo, error) {
	session := backends.New("session", backends.Bearer{}, new(Sessions))
	// A store in memory will do for an example.
	users, err := authn.New(new(authntest.Memory), authn.Config{}, session, certificates)
	if err != nil {
		return nil, err
	}
	e := echo.New()
	e.HideBanner, e.HTTPErrorHandler = true, routes.ErrorHandler
	routes.Mount(e, users)
	e.GET("/hello", users.CurrentUser(authn.Active).Handle(func(c echo.Context, u *authntest.User) error {
		return c.String(http.StatusOK, "Hello, "+u.Email+"\n")
	}))
	return e, nil
}
