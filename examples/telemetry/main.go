// Command telemetry has users whom OpenTelemetry sees: metrics for Prometheus on
// a port of their own, and spans on the standard output.
//
//	go run .
//	curl http://127.0.0.1:9464/metrics
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/glebarez/sqlite"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/telemetry"
	"github.com/echo-users/echo-users/authn/usercache"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

// AppUser is the application's user.
type AppUser struct {
	userdb.User
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, "telemetry.db", "127.0.0.1:8000", "127.0.0.1:9464"); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, file, address, metricsAddress string) error {
	db, err := gorm.Open(sqlite.Open(file+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)&_txlock=immediate"), &gorm.Config{})
	if err != nil {
		return err
	}
	p, err := newProviders(os.Stdout)
	if err != nil {
		return err
	}
	users, err := newUsers(ctx, db, p)
	if err != nil {
		return err
	}
	server := newServer(users)
	server.Server.ReadHeaderTimeout, server.Server.MaxHeaderBytes = 5*time.Second, 32<<10
	server.Server.ReadTimeout, server.Server.WriteTimeout, server.Server.IdleTimeout = 30*time.Second, 30*time.Second, 2*time.Minute
	metrics := &http.Server{Addr: metricsAddress, Handler: p.handler, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 2)
	go func() { ended <- server.Start(address) }()
	go func() { ended <- metrics.ListenAndServe() }()
	fmt.Printf("users on http://%s, metrics on http://%s/metrics\n", address, metricsAddress)

	var failed error
	select {
	case <-ctx.Done():
	case failed = <-ended:
	}
	answering, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if server.Shutdown(answering) != nil {
		server.Close() // who is slower than that is cut off
	}
	patience, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(failed, users.Shutdown(patience), metrics.Shutdown(patience), p.shutdown(patience))
}

// providers are where telemetry goes: the application's choice.
type providers struct {
	meters  *sdkmetric.MeterProvider
	tracers *sdktrace.TracerProvider
	handler http.Handler // of metrics
}

func newProviders(spans io.Writer) (*providers, error) {
	registry := prometheus.NewRegistry()
	metrics, err := exporter.New(exporter.WithRegisterer(registry))
	if err != nil {
		return nil, err
	}
	printer, err := stdouttrace.New(stdouttrace.WithWriter(spans))
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return &providers{
		meters:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(metrics)),
		tracers: sdktrace.NewTracerProvider(sdktrace.WithBatcher(printer)),
		handler: mux,
	}, nil
}

func (p *providers) shutdown(ctx context.Context) error {
	return errors.Join(p.tracers.Shutdown(ctx), p.meters.Shutdown(ctx))
}

func newUsers(ctx context.Context, db *gorm.DB, p *providers) (*authn.Users[*AppUser], error) {
	store, err := userdb.New[AppUser](db)
	if err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, err
	}
	cached, err := usercache.New(store, usercache.Config{})
	if err != nil {
		return nil, err
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	web, err := backends.JWT(jwt.Secret(secret), backends.JWTConfig{})
	if err != nil {
		return nil, err
	}
	observer, err := telemetry.New(p.meters, p.tracers, telemetry.Config{})
	if err != nil {
		return nil, err
	}
	return authn.New(cached, authn.Config{Observer: observer}, web)
}

func newServer(users *authn.Users[*AppUser]) *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = echo4.ErrorHandler
	echo4.Mount(e, routes.All(users))
	active := users.CurrentUser(authn.Active)
	e.GET("/hello", echo4.Handle(active, func(c echo.Context, u *AppUser) error {
		return c.String(http.StatusOK, "Hello, "+u.Email+"!\n")
	}))
	return e
}
