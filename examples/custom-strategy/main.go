// Command custom-strategy is a server with plugs of its own: a strategy, and a
// backend without a token. It is a module of its own and imports exported
// names only, as your program would.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/routes"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8000", "listen on this `address`")
	flag.Parse()
	e, err := newServer(Certificates{})
	if err != nil {
		log.Fatal(err)
	}
	e.HidePort = true
	if e.Listener, err = net.Listen("tcp", *addr); err != nil {
		log.Fatal(err)
	}
	fmt.Printf(welcome, e.Listener.Addr())
	log.Fatal(e.Start(""))
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

const welcome = `Listening on http://%[1]s. Try, in another terminal:

  curl http://%[1]s/auth/register -H 'Content-Type: application/json' \
       -d '{"email": "ann@example.com", "password": "correct horse"}'
  curl http://%[1]s/auth/session/login -d username=ann@example.com -d 'password=correct horse'
  curl http://%[1]s/hello -H 'Authorization: Bearer <the access_token>'
  curl -i -X POST http://%[1]s/auth/session/logout -H 'Authorization: Bearer <the access_token>'
`
