// Command getting-started is the program of docs/getting-started.md, as it is
// after the page's five steps.
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/glebarez/sqlite"
	"github.com/labstack/echo/v4"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

type AppUser struct {
	userdb.User // a UUID key
	FirstName   string
}

func newUsers(ctx context.Context, db *gorm.DB, secret []byte) (*authn.Users[*AppUser], error) {
	store, err := userdb.New[AppUser](db)
	if err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, err
	}
	web, err := backends.JWT(jwt.Secret(secret), backends.JWTConfig{})
	if err != nil {
		return nil, err
	}
	return authn.New(store, authn.Config{}, web)
}

func newServer(users *authn.Users[*AppUser]) *echo.Echo {
	e := echo.New()
	e.HTTPErrorHandler = echo4.ErrorHandler
	echo4.Mount(e, routes.All(users))
	return e
}

func addRoutes(e *echo.Echo, users *authn.Users[*AppUser]) {
	active := users.CurrentUser(authn.Active)
	// The handler gets the user as a parameter.
	e.GET("/hello", echo4.Handle(active, func(c echo.Context, u *AppUser) error {
		return c.String(http.StatusOK, "Hello, "+u.Email)
	}))
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	db, err := gorm.Open(sqlite.Open("app.db?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&_txlock=immediate"), &gorm.Config{})
	if err != nil {
		log.Fatal(err)
	}
	users, err := newUsers(ctx, db, []byte(os.Getenv("JWT_SECRET")))
	if err != nil {
		log.Fatal(err)
	}
	e := newServer(users)
	addRoutes(e, users)

	// No client takes up the server for nothing.
	e.Server.ReadHeaderTimeout, e.Server.MaxHeaderBytes = 5*time.Second, 32<<10
	e.Server.ReadTimeout, e.Server.WriteTimeout, e.Server.IdleTimeout = 30*time.Second, 30*time.Second, 2*time.Minute
	go func() {
		if err := e.Start("127.0.0.1:8000"); err != http.ErrServerClosed {
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
