// Command conformance is the server that outside suites hold against
// fastapi-users' contract. It is no example to copy: its secrets are short by
// default, and allowed to be, because the contract names them.
//
//	DATABASE_URL    postgres://… or sqlite:FILE; else SQLite in memory
//	FRONT           echo4 (the default), echo5 or nethttp: what serves it
//	REDIS_URL       redis://…; without it there is no backend "redis"
//	USER_KEY        int for integer keys; else UUIDs
//	JWT_SECRET, MY_JWT_SECRET, COOKIE_SECRET, RESET_SECRET, VERIFY_SECRET
//	TOKEN_LIFETIME  seconds, of the access tokens
//	SESSION_STORE   database or redis: where the backend "session" keeps sessions
//	REFRESH_GRACE   seconds in which an exchanged refresh token works once more
//	HARDENED        1 for limits and lock-outs, counted in Redis where it is there
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/google/uuid"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8000", "listen on this `address`")
	flag.Parse()
	keepFreeMemory()
	if err := run(*addr); err != nil {
		log.Fatal(err)
	}
}

// keepFreeMemory starts the program again with what docs/performance recommends
// for many log-ins at once, unless GOGC or GODEBUG is set: Go reads them when a
// program starts. Where there is no exec, it goes on without.
func keepFreeMemory() {
	_, collected := os.LookupEnv("GOGC")
	_, debugged := os.LookupEnv("GODEBUG")
	if collected || debugged {
		return
	}
	if self, err := os.Executable(); err == nil {
		_ = syscall.Exec(self, os.Args, append(os.Environ(), "GOGC=150", "GODEBUG=madvdontneed=0"))
	}
}

func run(addr string) error {
	// A thread more than processors: what is cheap needn't wait for a hash to
	// give way.
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	cfg, err := configFromEnv()
	if err != nil {
		return err
	}
	db, err := openDatabase(cfg.databaseURL)
	if err != nil {
		return err
	}
	var server *server
	switch key := os.Getenv("USER_KEY"); key {
	case "", "uuid":
		server, err = newServer[uuid.UUID](ctx, db, cfg)
	case "int":
		server, err = newServer[int64](ctx, db, cfg)
	default:
		err = fmt.Errorf("USER_KEY is %q; it can be uuid or int", key)
	}
	if err != nil {
		return err
	}

	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	front := &http.Server{
		Handler:           server.front,
		ErrorLog:          log.New(io.Discard, "", 0), // whoever starts it may read nothing but its first line
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
	}
	served := make(chan error, 1)
	go func() { served <- front.Serve(listener) }()
	fmt.Println("listening on", listener.Addr())

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	answer(front, 8*time.Second)
	mailing, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := server.shutdown(mailing); err != nil {
		return err
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	pool, err := db.DB()
	if err != nil {
		return err
	}
	return pool.Close()
}

// answer stops a server when it has answered what it accepted, or cuts off who
// is slower than patience.
func answer(front *http.Server, patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if front.Shutdown(ctx) != nil {
		front.Close()
	}
}

// config is what the environment says.
type config struct {
	jwtSecret, myJWTSecret, cookieSecret, resetSecret, verifySecret string

	lifetime time.Duration
	hardened bool
	redisURL string

	sessionStore string
	refreshGrace time.Duration

	databaseURL string
	front       string // one of fronts.Names
}

func configFromEnv() (config, error) {
	seconds, err := strconv.Atoi(cmp.Or(os.Getenv("TOKEN_LIFETIME"), "3600"))
	if err != nil || seconds <= 0 {
		return config{}, errors.New("TOKEN_LIFETIME must be a positive number of seconds")
	}
	grace, err := strconv.Atoi(cmp.Or(os.Getenv("REFRESH_GRACE"), "30"))
	if err != nil || grace <= 0 {
		return config{}, errors.New("REFRESH_GRACE must be a positive number of seconds")
	}
	return config{
		jwtSecret:    cmp.Or(os.Getenv("JWT_SECRET"), "SECRET"),
		myJWTSecret:  cmp.Or(os.Getenv("MY_JWT_SECRET"), "OTHER-SECRET"),
		cookieSecret: cmp.Or(os.Getenv("COOKIE_SECRET"), "COOKIE-SECRET"),
		resetSecret:  cmp.Or(os.Getenv("RESET_SECRET"), "RESET-SECRET"),
		verifySecret: cmp.Or(os.Getenv("VERIFY_SECRET"), "VERIFY-SECRET"),
		lifetime:     time.Duration(seconds) * time.Second,
		hardened:     os.Getenv("HARDENED") == "1",
		redisURL:     os.Getenv("REDIS_URL"),
		sessionStore: cmp.Or(os.Getenv("SESSION_STORE"), "database"),
		refreshGrace: time.Duration(grace) * time.Second,
		databaseURL:  os.Getenv("DATABASE_URL"),
		front:        os.Getenv("FRONT"),
	}, nil
}
