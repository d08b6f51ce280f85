package userdb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// DefaultDenylistTable is where revoked tokens are remembered.
const DefaultDenylistTable = "denied_token"

// Denylist remembers revoked tokens in a table, by their hash
// ([authn.Denylist]). Safe for concurrent use.
//
// [authn.Denylist]: https://pkg.go.dev/github.com/echo-users/echo-users/authn#Denylist
type Denylist struct {
	db                  *gorm.DB
	insert, find, sweep string
}

// NewDenylist returns the denylist of a database. Its table must have been
// migrated ([Denylist.Migrate]).
func NewDenylist(db *gorm.DB) (*Denylist, error) {
	if db == nil {
		return nil, errors.New("userdb: db is nil")
	}
	d := &Denylist{db: db.Session(&gorm.Session{NewDB: true, Logger: discreet{db.Logger}})}
	const table = DefaultDenylistTable
	d.insert = joinSQL(db, nil, "INSERT INTO", name(table), "(id, expires_at) VALUES (", value, ",", value, ") ON CONFLICT (id) DO NOTHING")
	d.find = joinSQL(db, nil, "SELECT count(*) FROM", name(table), "WHERE id =", value)
	d.sweep = sweepSQL(db, table, "id")
	return d, nil
}

// Deny adds a token, and removes some that have expired.
func (d *Denylist) Deny(ctx context.Context, id [32]byte, until, now time.Time) error {
	if _, err := d.exec(ctx, d.insert, id[:], toNanos(until)); err != nil {
		return err
	}
	_, err := d.DeleteExpired(ctx, now, maxSwept)
	return err
}

// Denied reports whether a token was added.
func (d *Denylist) Denied(ctx context.Context, id [32]byte) (bool, error) {
	ctx, cancel := bounded(ctx, DefaultTimeout)
	defer cancel()
	var found int
	err := poolOf(ctx, d.db).QueryRowContext(ctx, d.find, id[:]).Scan(&found)
	return found > 0, d.migrated(err)
}

// DeleteExpired removes at most n tokens that had expired by then, and returns
// how many. Log-outs do that on the way.
func (d *Denylist) DeleteExpired(ctx context.Context, by time.Time, n int) (int, error) {
	return d.exec(ctx, d.sweep, toNanos(by), n)
}

func (d *Denylist) exec(ctx context.Context, query string, values ...any) (int, error) {
	ctx, cancel := bounded(ctx, DefaultTimeout)
	defer cancel()
	result, err := poolOf(ctx, d.db).ExecContext(ctx, query, values...)
	if err != nil {
		return 0, d.migrated(err)
	}
	rows, err := result.RowsAffected()
	return int(rows), err
}

func (d *Denylist) migrated(err error) error {
	if isMissing(err) {
		return fmt.Errorf("%w: %w (has Denylist.Migrate been run?)", ErrNotMigrated, err)
	}
	return err
}

// Migrate creates the table, unless it is there.
func (d *Denylist) Migrate(ctx context.Context) error {
	err := newSession(ctx, d.db).Transaction(func(tx *gorm.DB) error {
		return runOnce(tx,
			"CREATE TABLE IF NOT EXISTS "+DefaultDenylistTable+" (id "+blobType(tx)+" PRIMARY KEY, expires_at bigint NOT NULL)",
			"CREATE INDEX IF NOT EXISTS ix_"+DefaultDenylistTable+"_expires_at ON "+DefaultDenylistTable+" (expires_at)")
	})
	if err != nil {
		return fmt.Errorf("userdb: migration of table %q: %w", DefaultDenylistTable, err)
	}
	return nil
}
