// Command oauth-provider is an OpenID provider for development and tests, with
// two people who have accounts there: the example server of zitadel/oidc, on
// this machine alone. Its client is "web" with the secret "secret".
//
//	cd examples/oauth-provider && go run .
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
)

// people are by their user names.
type people map[string]*storage.User

func (p people) GetUserByID(id string) *storage.User {
	for _, user := range p {
		if user.ID == id {
			return user
		}
	}
	return nil
}

func (p people) GetUserByUsername(name string) *storage.User { return p[name] }

func (p people) ExampleClientID() string { return "" }

func main() {
	addr := flag.String("addr", "127.0.0.1:9998", "listen on this loopback `address`")
	callbacks := flag.String("app", "http://127.0.0.1:8000", "the `URL` of the application")
	flag.Parse()
	slog.SetLogLoggerLevel(slog.LevelError + 1) // it would log each request
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *callbacks); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr, app string) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	if ip := listener.Addr().(*net.TCPAddr).IP; !ip.IsLoopback() {
		return errors.New("a provider that anybody can sign in at is for this machine alone: listen on 127.0.0.1")
	}
	issuer := "http://" + listener.Addr().String()
	storage.RegisterClients(storage.WebClient("web", "secret", app+"/auth/loopback/callback", app+"/auth/associate/loopback/callback"))
	handler := exampleop.SetupServer(issuer, storage.NewStorage(people{
		"ann": {ID: "ann-at-the-provider", Username: "ann", Password: "ann", FirstName: "Ann", Email: "ann@example.com", EmailVerified: true},
		"bob": {ID: "bob-at-the-provider", Username: "bob", Password: "bob", FirstName: "Bob", Email: "bob@example.com"},
	}), nil, false)
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	fmt.Printf("A provider is at %s ; ann and bob sign in with their names as passwords.\n", issuer)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		return server.Close() // who is slower than that is cut off
	}
	return nil
}
