// Command orders is a service without users: it takes the tokens of ../auth, and
// verifies them with the public keys that are published there.
//
//	go run ./examples/two-services/orders
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/strategies/jwt/jwks"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8001", "listen on this `address`")
	keys := flag.String("keys", "http://127.0.0.1:8000/.well-known/jwks.json", "the `URL` of the public keys")
	flag.Parse()
	if err := run(*addr, *keys); err != nil {
		log.Fatal(err)
	}
}

func run(addr, url string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// InsecureHTTP because both run on this machine.
	keys, err := jwt.NewKeySet(ctx, jwks.Source(url, jwks.Config{InsecureHTTP: true}), jwt.KeySetConfig{})
	if err != nil {
		return err
	}
	go keys.Run(ctx, time.Minute, slog.Default())
	e, err := newServer(keys)
	if err != nil {
		return err
	}
	e.Server.ReadHeaderTimeout, e.Server.MaxHeaderBytes = 5*time.Second, 32<<10
	e.Server.ReadTimeout, e.Server.WriteTimeout, e.Server.IdleTimeout = 30*time.Second, 30*time.Second, 2*time.Minute
	served := make(chan error, 1)
	go func() { served <- e.Start(addr) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if e.Shutdown(grace) != nil {
		return e.Close() // who is slower than that is cut off
	}
	return nil
}

func newServer(keys jwt.Keys) (*echo.Echo, error) {
	tokens, err := backends.JWT(keys, backends.JWTConfig{Config: jwt.Config{
		Issuer:   "https://auth.example.com",
		Audience: []string{"orders"},
	}})
	if err != nil {
		return nil, err
	}
	callers, err := authn.NewVerifier(authn.Config{}, tokens)
	if err != nil {
		return nil, err
	}
	e := echo.New()
	e.HTTPErrorHandler = echo4.ErrorHandler
	e.GET("/orders", echo4.Handle(callers.CurrentUser(authn.Active), func(c echo.Context, caller *authn.Subject) error {
		return c.String(http.StatusOK, fmt.Sprintf("The orders of user %s.\n", caller.AuthID()))
	}))
	return e, nil
}
