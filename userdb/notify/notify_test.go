package notify_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/userdb"
	"github.com/echo-users/echo-users/userdb/notify"
)

func newChannel(t *testing.T, db *gorm.DB) *notify.Channel {
	t.Helper()
	channel, err := notify.New(db, notify.Config{Name: `test "` + rand.Text()})
	if err != nil {
		t.Fatal(err)
	}
	return channel
}

func TestChannel(t *testing.T) {
	channel := newChannel(t, testdb.Postgres(t))
	authntest.TestChannel(t, func(*testing.T) authntest.Channel { return channel })
}

var errUndo = errors.New("undo it")

// What is published in a transaction is heard if that commits, and when.
func TestATransactionsMessagesAreHeardWhenItCommits(t *testing.T) {
	db := testdb.Postgres(t)
	channel := newChannel(t, db)
	ready, heard := make(chan struct{}), make(chan string, 10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- channel.Listen(ctx, func() { close(ready) }, func(message string) { heard <- message })
	}()
	defer func() {
		cancel()
		<-ended
	}()
	<-ready
	publish := func(ctx context.Context, message string) {
		t.Helper()
		if err := channel.Publish(ctx, message); err != nil {
			t.Error(err)
		}
	}
	within := func(message string, end error) {
		t.Helper()
		err := db.Transaction(func(tx *gorm.DB) error {
			publish(userdb.WithTx(t.Context(), tx), message)
			publish(t.Context(), "before "+message)
			return end
		})
		if !errors.Is(err, end) {
			t.Fatal(err)
		}
	}
	within("undone", errUndo)
	within("committed", nil)
	publish(t.Context(), "after")
	for _, want := range []string{"before undone", "before committed", "committed", "after"} {
		select {
		case got := <-heard:
			if got != want {
				t.Errorf("%q is heard, want %q", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%q isn't heard", want)
		}
	}
}

// A message for one database says nothing in another, even of the same kind.
func TestATransactionOfAnotherDatabaseTakesNoMessage(t *testing.T) {
	channel, other := newChannel(t, testdb.Postgres(t)), testdb.Postgres(t)
	heard := make(chan string, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := channel.Listen(ctx, func() {
		if err := other.Transaction(func(tx *gorm.DB) error {
			return channel.Publish(userdb.WithTx(t.Context(), tx), "message")
		}); err != nil {
			t.Error(err)
		}
	}, func(message string) {
		heard <- message
		cancel()
	})
	if len(heard) == 0 {
		t.Error("it isn't heard: ", err)
	}
}

// A statement that is cut off closes the connection, and a transaction that was
// to commit can't: how long a writer waits for the message doesn't count in one.
func TestATransactionDoesNotEndWithTheWaitForItsMessage(t *testing.T) {
	db := testdb.Postgres(t)
	channel := newChannel(t, db)
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	err = db.Transaction(func(tx *gorm.DB) error {
		seen := &watched{Tx: tx.Statement.ConnPool.(*sql.Tx), pool: pool}
		tx.Statement.ConnPool = seen
		ctx, cancel := context.WithCancel(userdb.WithTx(t.Context(), tx))
		cancel()
		if err := channel.Publish(ctx, "message"); err != nil || seen.ctxErr != nil {
			t.Error(err, seen.ctxErr)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// watched notes whether a statement could be cut off by the caller.
type watched struct {
	*sql.Tx
	pool   *sql.DB
	ctxErr error
}

func (w *watched) GetDBConn() (*sql.DB, error) { return w.pool, nil }

func (w *watched) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	w.ctxErr = ctx.Err()
	return w.Tx.ExecContext(ctx, query, args...)
}

// The connection that listened goes to nobody else.
func TestTheConnectionIsNotUsedAgain(t *testing.T) {
	db := testdb.Postgres(t)
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxOpenConns(1)
	channel := newChannel(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	if err := channel.Listen(ctx, cancel, func(string) {}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	var listening int64
	if err := db.Raw("SELECT count(*) FROM pg_listening_channels()").Scan(&listening).Error; err != nil || listening != 0 {
		t.Error(listening, err)
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	if _, err := notify.New(nil, notify.Config{}); err == nil {
		t.Error("no db")
	}
	if _, err := notify.New(testdb.SQLite(t), notify.Config{}); err == nil || !strings.Contains(err.Error(), "sqlite") {
		t.Error(err)
	}
	db := testdb.Postgres(t)
	for _, cfg := range []notify.Config{{Timeout: -1}, {Name: strings.Repeat("x", 64)}} {
		if _, err := notify.New(db, cfg); err == nil {
			t.Errorf("%+v", cfg)
		}
	}
}
