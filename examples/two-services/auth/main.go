// Command auth is the service that has the users. It signs tokens with a private
// key, and publishes the public one; ../orders verifies them with that.
//
//	go run ./examples/two-services/auth
//	go run ./examples/two-services/orders
//
// Its key is in auth-key.pem, which it makes if it isn't there. To rotate it,
// while both services run: put a new key into auth-key-next.pem, which verifies
// from then on; after a minute rename the two, so that it signs; and remove the
// old one when its last token has expired.
package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"io/fs"
	"log"
	"log/slog"
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
	"github.com/echo-users/echo-users/strategies/jwt/jwks"
	"github.com/echo-users/echo-users/userdb"
)

// AppUser is the application's user.
type AppUser struct {
	userdb.User
}

const (
	keyFile  = "auth-key.pem"
	nextFile = "auth-key-next.pem"
)

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
	if err := makeKey(keyFile); err != nil {
		return err
	}
	keys, err := jwt.NewKeySet(ctx, keysIn(keyFile, nextFile), jwt.KeySetConfig{})
	if err != nil {
		return err
	}
	go keys.Run(ctx, 10*time.Second, slog.Default())

	db, err := gorm.Open(sqlite.Open("auth.db?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)&_txlock=immediate"), &gorm.Config{})
	if err != nil {
		return err
	}
	e, users, err := newServer(ctx, db, keys)
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

// makeKey makes a private key, as `openssl genpkey -algorithm ed25519` does,
// unless the file is there.
func makeKey(file string) error {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der}), f.Close())
}

// keysIn is a source of the keys in two files, of which the second may be
// missing.
func keysIn(first, second string) jwt.KeySource {
	return func(ctx context.Context) ([]jwt.Key, error) {
		if _, err := os.Stat(second); errors.Is(err, fs.ErrNotExist) {
			return jwt.FileKeys(first)(ctx)
		}
		return jwt.FileKeys(first, second)(ctx)
	}
}

func newServer(ctx context.Context, db *gorm.DB, keys jwt.Keys) (*echo.Echo, *authn.Users[*AppUser], error) {
	store, err := userdb.New[AppUser](db)
	if err != nil {
		return nil, nil, err
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, nil, err
	}
	issuing, err := backends.JWT(keys, backends.JWTConfig{Config: jwt.Config{
		Lifetime: 10 * time.Minute,
		Issuer:   "https://auth.example.com",
		Audience: []string{"auth", "orders"},
	}})
	if err != nil {
		return nil, nil, err
	}
	users, err := authn.New(store, authn.Config{}, issuing)
	if err != nil {
		return nil, nil, err
	}
	published, err := jwks.Handler(issuing)
	if err != nil {
		return nil, nil, err
	}
	e := echo.New()
	e.HTTPErrorHandler = echo4.ErrorHandler
	echo4.Mount(e, routes.All(users))
	e.GET("/.well-known/jwks.json", echo.WrapHandler(published))
	return e, users, nil
}
