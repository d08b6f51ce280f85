// Command from-fastapi serves the users of a fastapi-users application: it opens
// the application's database, and whoever had a password, a token or a mailed
// link there has it here.
//
// Without a database it serves a copy of a database that fastapi-users wrote, and
// prints credentials of the time before to try:
//
//	go run ./examples/from-fastapi
//	DATABASE_URL=postgres://… go run ./examples/from-fastapi -key uuid
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/glebarez/sqlite"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8000", "listen on this `address`")
	url := flag.String("db", os.Getenv("DATABASE_URL"), "the `database`: postgres://user@host/name, or a SQLite file; DATABASE_URL, where a password in it is out of sight")
	flag.Lookup("db").DefValue = "" // help shows it
	key := flag.String("key", "uuid", "the kind of the users' `keys`: uuid or int")
	cfg := config{lifetime: time.Hour}
	flag.BoolVar(&cfg.allowDuplicates, "allow-legacy-duplicates", false, "begin although addresses differ in letter case alone")
	flag.BoolVar(&cfg.pythonKnowsBcryptAlone, "bcrypt", false, "write bcrypt hashes, while a fastapi-users before version 13 runs on the same database")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *url, *key, cfg); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr, url, key string, cfg config) error {
	cfg.secrets = secretsFromEnvironment()
	cfg.redisURL = os.Getenv("REDIS_URL")
	if url == "" {
		s, remove, err := newSample()
		if err != nil {
			return err
		}
		defer remove()
		url, key, cfg.secrets, cfg.insecure, cfg.lifetime = s.file, s.Key, s.Secrets, true, tenYears
		s.print(addr)
	}
	if cfg.secrets.JWT == "" {
		return errors.New("set JWT_SECRET, COOKIE_SECRET, RESET_SECRET and VERIFY_SECRET to the secrets of the Python application")
	}
	db, err := open(url)
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
	var app *application
	switch key {
	case "uuid":
		app, err = newApplication[uuid.UUID](ctx, db, cfg)
	case "int":
		app, err = newApplication[int64](ctx, db, cfg)
	default:
		err = errors.New("-key must be uuid or int")
	}
	if err != nil {
		return err
	}
	return serve(ctx, addr, app)
}

// open opens a database. Its errors don't repeat the URL, which may hold a
// password.
func open(url string) (*gorm.DB, error) {
	quiet := &gorm.Config{Logger: logger.Discard}
	switch {
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		if _, err := pgconn.ParseConfig(url); err != nil {
			return nil, errors.New("the URL of the database can't be read: is a character of the password to be escaped?")
		}
		return gorm.Open(postgres.Open(url), quiet)
	case strings.ContainsAny(url, "=@"), strings.Contains(url, "://"):
		return nil, errors.New("the database must be like postgres://user:password@host/name (without +asyncpg), or a SQLite file")
	}
	if _, err := os.Stat(url); err != nil {
		return nil, err // SQLite would make an empty database
	}
	return gorm.Open(sqlite.Open(url+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&_txlock=immediate"), quiet)
}

func serve(ctx context.Context, addr string, app *application) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           app.echo,
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
	return app.shutdown(mailing)
}
