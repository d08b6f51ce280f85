package main

import (
	"errors"
	"strings"

	"github.com/glebarez/sqlite"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// pragmas make SQLite wait for a lock, and take it where a transaction begins.
const pragmas = "_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&_txlock=immediate"

// connections is how many of a Postgres' 100 the server takes.
const connections = 25

func openDatabase(url string) (*gorm.DB, error) {
	quiet := &gorm.Config{Logger: logger.Discard}
	if strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://") {
		db, err := gorm.Open(postgres.Open(url), quiet)
		if err != nil {
			return nil, err
		}
		pool, err := db.DB()
		if err != nil {
			return nil, err
		}
		pool.SetMaxOpenConns(connections)
		pool.SetMaxIdleConns(connections)
		return db, nil
	}
	if file, ok := strings.CutPrefix(url, "sqlite:"); ok {
		return gorm.Open(sqlite.Open("file:"+strings.TrimPrefix(file, "//")+"?"+pragmas), quiet)
	}
	if url != "" {
		return nil, errors.New(`DATABASE_URL must begin with "postgres://" or "sqlite:"`)
	}
	db, err := gorm.Open(sqlite.Open("file::memory:?"+pragmas), quiet)
	if err != nil {
		return nil, err
	}
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	// The database is its one connection's, and lives as long.
	pool.SetMaxOpenConns(1)
	pool.SetConnMaxLifetime(0)
	pool.SetConnMaxIdleTime(0)
	return db, nil
}
