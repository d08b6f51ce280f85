package testdb

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glebarez/sqlite"
	"gorm.io/driver/postgres" // registers the driver "pgx" too
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// patience bounds what is done to a server for a test.
const patience = 30 * time.Second

// Each runs f as the subtests "sqlite" and "postgres", each on a fresh database.
func Each(t *testing.T, f func(t *testing.T, db *gorm.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { f(t, Postgres(t)) })
}

// SQLite opens a fresh database in a file of the test's.
func SQLite(t testing.TB) *gorm.DB {
	t.Helper()
	return openSQLite(t, SQLiteFile(t))
}

// Postgres opens a fresh database on the server of TEST_DATABASE_URL, and drops it after the test.
func Postgres(t testing.TB) *gorm.DB {
	t.Helper()
	return openPostgres(t, PostgresURL(t))
}

// SQLiteFile is the path of a file, not yet made, for a program under test.
func SQLiteFile(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "test.db")
}

// PostgresURL makes a fresh database on the server of TEST_DATABASE_URL for a
// program under test, and drops it after the test, whoever is still connected.
func PostgresURL(t testing.TB) string {
	t.Helper()
	given := os.Getenv("TEST_DATABASE_URL")
	if given == "" {
		leaveOut(t, "Postgres", "TEST_DATABASE_URL")
	}
	fresh, err := url.Parse(given)
	if err != nil || fresh.Scheme != "postgres" && fresh.Scheme != "postgresql" {
		t.Fatal("TEST_DATABASE_URL must be like postgres://user:password@host:5432/postgres") // err holds the password
	}
	name := "echo_users_test_" + strings.ToLower(rand.Text())
	fresh.Path = "/" + name
	// template0, because nobody can be connected to it.
	serve(t, given, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'UTF8'")
	t.Cleanup(func() { serve(t, given, "DROP DATABASE "+name+" WITH (FORCE)") })
	return fresh.String()
}

// serve runs SQL on a connection of its own.
func serve(t testing.TB, url, query string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, query); err != nil {
		t.Fatal(err)
	}
}

func openSQLite(t testing.TB, file string) *gorm.DB {
	t.Helper()
	return open(t, sqlite.Open(file+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)&_txlock=immediate"))
}

func openPostgres(t testing.TB, url string) *gorm.DB {
	t.Helper()
	db := open(t, postgres.Open(url))
	pool(t, db).SetMaxOpenConns(16) // packages are tested side by side, and a server has 100
	return db
}

func open(t testing.TB, dialector gorm.Dialector) *gorm.DB {
	t.Helper()
	db, err := gorm.Open(dialector, &gorm.Config{Logger: logger.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pool(t, db).Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func pool(t testing.TB, db *gorm.DB) *sql.DB {
	t.Helper()
	p, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	return p
}
