package userdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
)

type transactionKey struct{}

// WithTx returns a context that carries a transaction of the application's
// own: what a [Store] or an [Outbox] on the same database does with it is part
// of the transaction. It must not be used after the transaction has ended, nor
// by several goroutines at once. A transaction that was begun with a request's
// context ends when the client hangs up, and can cost its connection.
func WithTx(ctx context.Context, tx *gorm.DB) context.Context {
	return context.WithValue(ctx, transactionKey{}, tx)
}

// Tx returns the transaction that ctx carries: in DuringRegister and
// BeforeDelete of [authn.Hooks], the one that the hook is a part of.
//
// [authn.Hooks]: https://pkg.go.dev/github.com/echo-users/echo-users/authn#Hooks
func Tx(ctx context.Context) (*gorm.DB, bool) {
	tx, ok := ctx.Value(transactionKey{}).(*gorm.DB)
	if !ok {
		return nil, false
	}
	return tx.Session(&gorm.Session{NewDB: true, Context: ctx}), true
}

// poolOf returns where the statements of this context go: the transaction that
// it carries, if that is one on db's database, or db's connections.
func poolOf(ctx context.Context, db *gorm.DB) gorm.ConnPool {
	if tx, ok := ctx.Value(transactionKey{}).(*gorm.DB); ok && (tx.ConnPool == db.ConnPool || sameDatabase(tx.ConnPool, db.ConnPool)) {
		return tx.Statement.ConnPool
	}
	return db.Statement.ConnPool
}

// sameDatabase looks beneath what GORM puts around a pool that prepares
// statements.
func sameDatabase(a, b gorm.ConnPool) bool {
	beneath := func(pool gorm.ConnPool) *sql.DB {
		if connector, ok := pool.(gorm.GetDBConnector); ok {
			db, _ := connector.GetDBConn()
			return db
		}
		db, _ := pool.(*sql.DB)
		return db
	}
	db := beneath(a)
	return db != nil && db == beneath(b)
}

// session returns db for statements of this context.
func session(ctx context.Context, db *gorm.DB) *gorm.DB {
	given := db.WithContext(ctx)
	given.Statement.ConnPool = poolOf(ctx, db)
	return given
}

// newSession is session without db's conditions.
func newSession(ctx context.Context, db *gorm.DB) *gorm.DB {
	given := db.Session(&gorm.Session{NewDB: true, Context: ctx})
	given.Statement.ConnPool = poolOf(ctx, db)
	return given
}

// InTransaction calls f with a context that carries a transaction, or a
// savepoint within the one that ctx carries ([authn.Transactor]). It is rolled
// back unless it is over within three times the store's timeout, and goes on when
// ctx is cancelled, as does f's context. Hooks hear of its events once it is
// committed ([authn.HoldEvents]).
//
// [authn.HoldEvents]: https://pkg.go.dev/github.com/echo-users/echo-users/authn#HoldEvents
func (s *Store[T, U]) InTransaction(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, cancel := bounded(ctx, transactionTimeouts*s.timeout)
	defer cancel()
	ctx, tell := authn.HoldEvents(ctx)
	err := newSession(ctx, s.db).Transaction(func(tx *gorm.DB) error { return f(WithTx(ctx, tx)) })
	if err == nil {
		tell()
	}
	return err
}

// Outside returns the context without its transaction, and whether it carried
// one ([authn.Transactor]).
func (s *Store[T, U]) Outside(ctx context.Context) (context.Context, bool) {
	if _, ok := ctx.Value(transactionKey{}).(*gorm.DB); !ok {
		return ctx, false
	}
	return context.WithValue(ctx, transactionKey{}, nil), true
}

var errNothingWritten = errors.New("userdb: nothing was written")

// write runs a statement that writes a row, and reports whether it did. An
// error, or no row, undoes what hooks of the model wrote beside it, and leaves
// the transaction that ctx carries as it was before.
func (s *Store[T, U]) write(ctx context.Context, statement func(db *gorm.DB) *gorm.DB) (bool, error) {
	run := func(db *gorm.DB) error {
		tx := statement(db)
		if tx.Error == nil && tx.RowsAffected == 0 {
			return errNothingWritten
		}
		return tx.Error
	}
	var err error
	db := session(ctx, s.db)
	inside := isTransaction(db)
	if inside || !db.SkipDefaultTransaction {
		err = db.Transaction(run)
	} else {
		err = run(db)
	}
	switch {
	case errors.Is(err, errNothingWritten):
		return false, nil
	case !inside && isSerialization(err):
		err = fmt.Errorf("%w: %w", errGivenUp, err)
	}
	return err == nil, err
}

// errGivenUp: the database gave a transaction of ours up for another one, so
// that it can be tried again. One of the caller's is the caller's to try again.
var errGivenUp = errors.New("userdb: given up for another transaction")

// insist is write, again where the database gave it up.
func (s *Store[T, U]) insist(ctx context.Context, statement func(db *gorm.DB) *gorm.DB) (written bool, err error) {
	for attempt := range maxAttempts {
		if err := pause(ctx, attempt); err != nil {
			return false, err
		}
		written, err = s.write(ctx, statement)
		if !errors.Is(err, errGivenUp) {
			break
		}
	}
	return written, err
}

func isTransaction(db *gorm.DB) bool {
	_, ok := db.Statement.ConnPool.(gorm.TxCommitter)
	return ok
}
