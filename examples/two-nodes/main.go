// Command two-nodes runs two nodes of one application, which keep users in memory
// for guards, on one database:
//
//	REDIS_URL=redis://127.0.0.1:6379 go run ./examples/two-nodes
//
// They tell each other of changes through Redis; through Postgres where
// DATABASE_URL says so; and without either not at all: then the other node hears
// of a change after five seconds at most.
package main

import (
	"context"
	"crypto/rand"
	"errors"
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
	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/usercache"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/strategies/redis"
	"github.com/echo-users/echo-users/userdb"
	"github.com/echo-users/echo-users/userdb/notify"
)

// AppUser is the application's user.
type AppUser struct {
	userdb.User
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv("DATABASE_URL"), os.Getenv("REDIS_URL"), "127.0.0.1:8000", "127.0.0.1:8001"); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, databaseURL, redisURL string, addresses ...string) error {
	db, err := open(databaseURL)
	if err != nil {
		return err
	}
	pool, err := db.DB()
	if err != nil {
		return err
	}
	pool.SetMaxOpenConns(20)
	pool.SetMaxIdleConns(20)
	secret := make([]byte, 32)
	rand.Read(secret)
	ended := make(chan error, len(addresses))
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for _, address := range addresses {
		channel, err := newChannel(db, redisURL)
		if err != nil {
			return err
		}
		n, err := newNode(ctx, db, channel, secret)
		if err != nil {
			return err
		}
		fmt.Printf("a node listens on http://%s\n", address)
		go func() { ended <- n.serve(ctx, address) }()
	}
	for range addresses {
		err = errors.Join(err, <-ended)
		stop() // one that ends takes the others along
	}
	return errors.Join(err, pool.Close())
}

func open(databaseURL string) (*gorm.DB, error) {
	if databaseURL != "" {
		return gorm.Open(postgres.Open(databaseURL), &gorm.Config{})
	}
	return gorm.Open(sqlite.Open("two-nodes.db?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)&_txlock=immediate"), &gorm.Config{})
}

// newChannel returns what a node hears of the others by, or nil.
func newChannel(db *gorm.DB, redisURL string) (usercache.Channel, error) {
	if redisURL != "" {
		options, err := goredis.ParseURL(redisURL)
		if err != nil {
			return nil, errors.New("REDIS_URL can't be read") // the error may repeat a password
		}
		options.ContextTimeoutEnabled = true
		return redis.NewChannel(goredis.NewClient(options), redis.ChannelConfig{})
	}
	if db.Name() == "postgres" {
		return notify.New(db, notify.Config{})
	}
	return nil, nil
}

// node is one process of an application, as a rule.
type node struct {
	server *echo.Echo
	users  *authn.Users[*AppUser]
	cached *usercache.Store[*AppUser]
}

func newNode(ctx context.Context, db *gorm.DB, channel usercache.Channel, secret []byte) (*node, error) {
	store, err := userdb.New[AppUser](db)
	if err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, err
	}
	cached, err := usercache.New(store, usercache.Config{Channel: channel})
	if err != nil {
		return nil, err
	}
	web, err := backends.JWT(jwt.Secret(secret), backends.JWTConfig{Config: jwt.Config{KeepVerified: true}})
	if err != nil {
		return nil, err
	}
	users, err := authn.New(cached, authn.Config{}, web)
	if err != nil {
		return nil, err
	}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = echo4.ErrorHandler
	echo4.Mount(e, routes.All(users))
	active := users.CurrentUser(authn.Active)
	e.GET("/hello", echo4.Handle(active, func(c echo.Context, u *AppUser) error {
		return c.String(http.StatusOK, "Hello, "+u.Email+"!\n")
	}))
	e.POST("/leave", echo4.Handle(active, func(c echo.Context, u *AppUser) error {
		if err := users.SignOutEverywhere(c.Request().Context(), u.AuthID()); err != nil {
			return echo4.Error(c, err)
		}
		return c.String(http.StatusOK, "Bye.\n")
	}))
	return &node{e, users, cached}, nil
}

func (n *node) serve(ctx context.Context, address string) error {
	defer n.cached.Close()
	e := n.server
	e.Server.ReadHeaderTimeout, e.Server.MaxHeaderBytes = 5*time.Second, 32<<10
	e.Server.ReadTimeout, e.Server.WriteTimeout, e.Server.IdleTimeout = 30*time.Second, 30*time.Second, 2*time.Minute
	served := make(chan error, 1)
	go func() { served <- e.Start(address) }()
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
	return n.users.Shutdown(mailing)
}
