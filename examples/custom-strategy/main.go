// Command custom-strategy is a server with plugs of its own: a strategy, and a
// backend without a token. It is a module of its own and imports exported
// names only, as your program would.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/routes"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8000", "listen on this `address`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	e, users, err := newServer(Certificates{})
	if err != nil {
		log.Fatal(err)
	}
	e.HidePort = true
	if e.Listener, err = net.Listen("tcp", *addr); err != nil {
		log.Fatal(err)
	}
	fmt.Printf(welcome, e.Listener.Addr())
	e.Server.ReadHeaderTimeout, e.Server.MaxHeaderBytes = 5*time.Second, 32<<10
	e.Server.ReadTimeout, e.Server.WriteTimeout, e.Server.IdleTimeout = 30*time.Second, 30*time.Second, 2*time.Minute
	go func() {
		if err := e.Start(""); err != http.ErrServerClosed {
			log.Fatal(err)
		}
	}()
	<-ctx.Done()
	// What was accepted is answered, and the mails are sent.
	answering, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if e.Shutdown(answering) != nil {
		e.Close() // who is slower than that is cut off
	}
	mailing, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := users.Shutdown(mailing); err != nil {
		log.Fatal(err)
	}
}

func newServer(certificates Certificates) (*echo.Echo, *authn.Users[*authntest.User], error) {
	session := backends.New("session", backends.Bearer{}, new(Sessions))
	// A store in memory will do for an example.
	users, err := authn.New(new(authntest.Memory), authn.Config{}, session, certificates)
	if err != nil {
		return nil, nil, err
	}
	e := echo.New()
	e.HideBanner, e.HTTPErrorHandler = true, echo4.ErrorHandler
	echo4.Mount(e, routes.All(users))
	e.GET("/hello", echo4.Handle(users.CurrentUser(authn.Active), func(c echo.Context, u *authntest.User) error {
		return c.String(http.StatusOK, "Hello, "+u.Email+"\n")
	}))
	return e, users, nil
}

const welcome = `Listening on http://%[1]s. Try, in another terminal:

  curl http://%[1]s/auth/register -H 'Content-Type: application/json' \
       -d '{"email": "ann@example.com", "password": "correct horse"}'
  curl http://%[1]s/auth/session/login -d username=ann@example.com -d 'password=correct horse'
  curl http://%[1]s/hello -H 'Authorization: Bearer <the access_token>'
  curl -i -X POST http://%[1]s/auth/session/logout -H 'Authorization: Bearer <the access_token>'
`
