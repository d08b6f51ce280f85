// Command sessions keeps people signed in: with refresh tokens for programs, and
// with cookies for browsers. People see where they are signed in, and sign out
// there; and they see what has happened to their accounts. It keeps its users and
// sessions in sessions.db, or the sessions in Redis where REDIS_URL is set.
//
//	go run ./examples/sessions
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/glebarez/sqlite"
	"github.com/labstack/echo/v4"
	goredis "github.com/redis/go-redis/v9"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/strategies/redis"
	"github.com/echo-users/echo-users/userdb"
)

// AppUser is the application's user.
type AppUser struct {
	userdb.User
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8000", "listen on this `address`")
	flag.Parse()
	if err := run(*addr); err != nil {
		log.Fatal(err)
	}
}

func run(addr string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	db, err := gorm.Open(sqlite.Open("sessions.db?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)&_txlock=immediate"), &gorm.Config{})
	if err != nil {
		return err
	}
	store, err := userdb.New[AppUser](db)
	if err != nil {
		return err
	}
	if err := store.Migrate(ctx); err != nil {
		return err
	}
	sessions, err := openSessions(ctx, store, os.Getenv("REDIS_URL"))
	if err != nil {
		return err
	}
	// For trying it. An application's secrets come from outside: jwt.EnvKeys.
	users, err := newUsers(store, sessions, []byte("an example's secret, of 32 bytes or more"), []byte("another one for cookies, of 32 bytes or more"))
	if err != nil {
		return err
	}
	events, err := openEvents(ctx, db, users)
	if err != nil {
		return err
	}
	e, err := newServer(users, events)
	if err != nil {
		return err
	}
	pool, err := db.DB()
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
	// What was accepted is answered, and the mails are sent.
	answering, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if e.Shutdown(answering) != nil {
		e.Close() // who is slower than that is cut off
	}
	mailing, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(users.Shutdown(mailing), pool.Close())
}

// openSessions keeps them beside the users, or in Redis.
func openSessions(ctx context.Context, store *userdb.Store[AppUser, *AppUser], redisURL string) (authn.SessionStore, error) {
	if redisURL != "" {
		return newRedisSessions(redisURL)
	}
	sessions, err := userdb.NewSessions(store, userdb.SessionsConfig{})
	if err != nil {
		return nil, err
	}
	return sessions, sessions.Migrate(ctx)
}

func newRedisSessions(url string) (authn.SessionStore, error) {
	options, err := goredis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	options.ContextTimeoutEnabled = true
	return redis.NewSessions(goredis.NewClient(options), redis.SessionsConfig{})
}

func newUsers(store *userdb.Store[AppUser, *AppUser], sessions authn.SessionStore, secret, cookieSecret []byte) (*authn.Users[*AppUser], error) {
	short := jwt.Config{Lifetime: 10 * time.Minute}
	access, err := backends.JWT(jwt.Secret(secret), backends.JWTConfig{Name: "app", Config: short})
	if err != nil {
		return nil, err
	}
	app, err := backends.WithSessions(access, sessions, backends.SessionConfig{Limit: authn.SessionLimit{Max: 10}})
	if err != nil {
		return nil, err
	}
	cookie, err := backends.CookieJWT(jwt.Secret(cookieSecret), backends.CookieJWTConfig{Name: "web", Config: short})
	if err != nil {
		return nil, err
	}
	web, err := backends.WithSessions(cookie, sessions, backends.SessionConfig{})
	if err != nil {
		return nil, err
	}
	users, err := authn.New(store, authn.Config{}, app, web)
	if err != nil {
		return nil, err
	}
	users.Use(authn.Hooks[*AppUser]{AfterReuse: func(_ context.Context, u *AppUser, s authn.Session) {
		log.Printf("user %s: a refresh token of the session of %s was used twice; it has ended", u.ID, s.CreatedAt.Format(time.DateTime))
	}})
	return users, nil
}

// openEvents keeps what happens beside the users, and logs it.
func openEvents(ctx context.Context, db *gorm.DB, users *authn.Users[*AppUser]) (*userdb.Events, error) {
	events, err := userdb.NewEvents(db, userdb.EventsConfig{Retention: 30 * 24 * time.Hour})
	if err != nil {
		return nil, err
	}
	users.Use(authn.Hooks[*AppUser]{OnEvent: events.Append})
	users.Use(authn.Hooks[*AppUser]{OnEvent: authn.LogEvents(nil)})
	return events, events.Migrate(ctx)
}

func newServer(users *authn.Users[*AppUser], events *userdb.Events) (*echo.Echo, error) {
	factory, err := routes.New(users, routes.Config[*AppUser]{
		Events:         events,
		Reauthenticate: routes.Reauthentication{Password: true, Fresh: 5 * time.Minute},
	})
	if err != nil {
		return nil, err
	}
	e := echo.New()
	e.HTTPErrorHandler = echo4.ErrorHandler
	echo4.Mount(e, factory.All())
	e.GET("/hello", echo4.Handle(users.CurrentUser(authn.Active), func(c echo.Context, u *AppUser) error {
		return c.String(http.StatusOK, fmt.Sprintf("Hello, %s!\n", u.Email))
	}))
	freshly := users.CurrentUser(authn.Active, authn.Fresh(5*time.Minute))
	e.POST("/payments", echo4.Handle(freshly, func(c echo.Context, u *AppUser) error {
		return c.String(http.StatusOK, "Paid.\n")
	}))
	return e, nil
}
