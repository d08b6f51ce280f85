package docs_test

import (
	"path/filepath"
	"testing"

	"github.com/glebarez/sqlite"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
)

func openSQLite(file string) (*gorm.DB, error) {
	return gorm.Open(sqlite.Open(file+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&_txlock=immediate"), &gorm.Config{})
}

func openPostgres(url string) (*gorm.DB, error) {
	db, err := gorm.Open(postgres.Open(url), &gorm.Config{})
	if err != nil {
		return nil, err
	}
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(20)
	pool.SetMaxIdleConns(20)
	return db, nil
}

func TestOpening(t *testing.T) {
	db, err := openSQLite(filepath.Join(t.TempDir(), "app.db"))
	if err != nil {
		t.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	if _, err := newUsers(t.Context(), db, secret()); err != nil {
		t.Error(err)
	}
	var mode string
	var keys int
	if db.Raw("PRAGMA journal_mode").Scan(&mode); mode != "wal" {
		t.Error(mode)
	}
	if db.Raw("PRAGMA foreign_keys").Scan(&keys); keys != 1 {
		t.Error(keys)
	}
	if _, err := openPostgres("postgres://nobody@127.0.0.1:1/nothing"); err == nil {
		t.Error("opened a Postgres that isn't there")
	}
}
