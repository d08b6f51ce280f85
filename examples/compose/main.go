// Command compose is a service as it runs in containers: users in Postgres,
// tokens in Redis, configuration in the environment, a route that says whether
// it is ready, and an orderly end.
//
//	docker compose -f examples/compose/compose.yaml up --build
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"
	goredis "github.com/redis/go-redis/v9"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/redis"
	"github.com/echo-users/echo-users/userdb"
)

type user = userdb.User

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv("LISTEN"), os.Getenv("DATABASE_URL"), os.Getenv("REDIS_URL")); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr, databaseURL, redisURL string) error {
	if addr == "" {
		addr = "127.0.0.1:8000"
	}
	if databaseURL == "" || redisURL == "" {
		return errors.New("set DATABASE_URL (postgres://…) and REDIS_URL (redis://…)")
	}
	db, err := gorm.Open(postgres.Open(databaseURL), &gorm.Config{})
	if err != nil {
		return err
	}
	pool, err := db.DB()
	if err != nil {
		return err
	}
	defer pool.Close()
	pool.SetMaxOpenConns(20)
	pool.SetMaxIdleConns(20)
	options, err := goredis.ParseURL(redisURL)
	if err != nil {
		return errors.New("REDIS_URL must be like redis://user:password@host:6379/0") // err may hold the password
	}
	options.ContextTimeoutEnabled = true
	client := goredis.NewClient(options)
	defer client.Close()
	e, users, err := newServer(ctx, db, client)
	if err != nil {
		return err
	}
	// A thread more than processors: what is cheap needn't wait for a hash to
	// give way.
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	return serve(ctx, addr, e, users)
}

func newServer(ctx context.Context, db *gorm.DB, client *goredis.Client) (*echo.Echo, *authn.Users[*user], error) {
	store, err := userdb.New[user](db)
	if err != nil {
		return nil, nil, err
	}
	if err := store.Migrate(ctx); err != nil { // several processes may start at once
		return nil, nil, err
	}
	strategy, err := redis.New(client, redis.Config{Lifetime: 24 * time.Hour})
	if err != nil {
		return nil, nil, err
	}
	users, err := authn.New(store, authn.Config{}, backends.New("redis", backends.Bearer{}, strategy))
	if err != nil {
		return nil, nil, err
	}
	e := echo.New()
	e.HTTPErrorHandler = echo4.ErrorHandler
	echo4.Mount(e, routes.All(users))
	e.GET("/hello", echo4.Handle(users.CurrentUser(authn.Active), func(c echo.Context, u *user) error {
		return c.String(http.StatusOK, "Hello, "+u.Email+"!\n")
	}))
	e.GET("/ready", ready(db, client))
	return e, users, nil
}

// ready answers 204 where the service can serve, and 503 where it can't.
func ready(db *gorm.DB, client *goredis.Client) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx, cancel := context.WithTimeout(c.Request().Context(), 2*time.Second)
		defer cancel()
		pool, err := db.DB()
		if err == nil {
			err = errors.Join(pool.PingContext(ctx), client.Ping(ctx).Err())
		}
		if err != nil {
			return echo4.Error(c, fmt.Errorf("%w: %w", authn.ErrUnavailable, err))
		}
		return c.NoContent(http.StatusNoContent)
	}
}

func serve(ctx context.Context, addr string, e *echo.Echo, users *authn.Users[*user]) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           e,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Printf("Listening on http://%s\n", listener.Addr())
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	// What was accepted is answered, and the mails are sent.
	answering, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if server.Shutdown(answering) != nil {
		server.Close() // who is slower than that is cut off
	}
	mailing, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return users.Shutdown(mailing)
}
