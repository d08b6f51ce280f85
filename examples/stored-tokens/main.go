// Command stored-tokens logs people in with tokens that a log-out ends: in the
// users' database, and in Redis where REDIS_URL is set.
//
//	go run ./examples/stored-tokens
package main

import (
	"context"
	"errors"
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
	"github.com/echo-users/echo-users/strategies/database"
	"github.com/echo-users/echo-users/strategies/redis"
	"github.com/echo-users/echo-users/userdb"
)

// AppUser is the application's user.
type AppUser struct {
	userdb.User
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	db, err := gorm.Open(sqlite.Open("stored-tokens.db?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)&_txlock=immediate"), &gorm.Config{})
	if err != nil {
		return err
	}
	e, users, err := newServer(ctx, db, os.Getenv("REDIS_URL"))
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
	go func() { served <- e.Start("127.0.0.1:8000") }()
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

func newServer(ctx context.Context, db *gorm.DB, redisURL string) (*echo.Echo, *authn.Users[*AppUser], error) {
	store, err := userdb.New[AppUser](db)
	if err != nil {
		return nil, nil, err
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, nil, err
	}
	stored, err := newDatabaseBackend(ctx, store)
	if err != nil {
		return nil, nil, err
	}
	list := []authn.Backend{stored}
	if redisURL != "" {
		inRedis, err := newRedisBackend(redisURL)
		if err != nil {
			return nil, nil, err
		}
		list = append(list, inRedis)
	}
	users, err := authn.New(store, authn.Config{}, list...)
	if err != nil {
		return nil, nil, err
	}
	e := echo.New()
	e.HTTPErrorHandler = echo4.ErrorHandler
	echo4.Mount(e, routes.All(users))
	e.GET("/hello", echo4.Handle(users.CurrentUser(authn.Active), func(c echo.Context, u *AppUser) error {
		return c.String(http.StatusOK, "Hello, "+u.Email+"!\n")
	}))
	return e, users, nil
}

func newDatabaseBackend(ctx context.Context, store *userdb.Store[AppUser, *AppUser]) (authn.Backend, error) {
	tokens, err := userdb.NewTokens(store, userdb.TokensConfig{})
	if err != nil {
		return nil, err
	}
	if err := tokens.Migrate(ctx); err != nil {
		return nil, err
	}
	strategy, err := database.New(tokens, database.Config{Lifetime: 14 * 24 * time.Hour})
	if err != nil {
		return nil, err
	}
	return backends.New("database", backends.Bearer{}, strategy), nil
}

func newRedisBackend(url string) (authn.Backend, error) {
	options, err := goredis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	options.ContextTimeoutEnabled = true
	strategy, err := redis.New(goredis.NewClient(options), redis.Config{Lifetime: 14 * 24 * time.Hour})
	if err != nil {
		return nil, err
	}
	return backends.New("redis", backends.Bearer{}, strategy), nil
}
