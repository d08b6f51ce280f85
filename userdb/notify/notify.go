// Package notify carries messages between the nodes of an application by
// Postgres' LISTEN and NOTIFY: it is a channel of package usercache for programs
// that have no Redis.
package notify

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/userdb"
)

// Config has the options of [New].
type Config struct {
	// Name is the channel's in Postgres, at most 63 bytes. Defaults to
	// "echo_users".
	Name string
	// Timeout is how long sending a message, or beginning to listen, may take.
	// Defaults to three seconds.
	Timeout time.Duration
}

const (
	defaultName    = "echo_users"
	defaultTimeout = 3 * time.Second
	maxName        = 63 // NAMEDATALEN
)

// Channel is a channel of Postgres. Safe for concurrent use.
type Channel struct {
	db  *gorm.DB
	cfg Config
}

// New returns a channel of db, which must be gorm.io/driver/postgres' with its
// usual driver, pgx. Listening takes one of db's connections for itself. A pooler
// between, such as PgBouncer in transaction mode, doesn't let messages through:
// give it a db that goes to Postgres itself.
func New(db *gorm.DB, cfg Config) (*Channel, error) {
	if db == nil {
		return nil, errors.New("notify: the db is nil")
	}
	if name := db.Name(); name != "postgres" {
		return nil, fmt.Errorf("notify: %q has no NOTIFY, Postgres has", name)
	}
	if cfg.Name == "" {
		cfg.Name = defaultName
	}
	if len(cfg.Name) > maxName {
		return nil, fmt.Errorf("notify: Name has %d bytes, and Postgres takes %d", len(cfg.Name), maxName)
	}
	if cfg.Timeout < 0 {
		return nil, errors.New("notify: Timeout must not be negative")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	return &Channel{db: db, cfg: cfg}, nil
}

// Publish sends a message to all who listen: when the transaction that ctx
// carries ([userdb.WithTx]) commits, and not at all if it doesn't; or else now,
// also where that transaction is one of another db than the channel's, whose
// messages may not get here.
func (c *Channel) Publish(ctx context.Context, message string) error {
	db, inside := userdb.Tx(ctx)
	if inside = inside && c.isOn(db); inside {
		ctx = context.WithoutCancel(ctx) // a statement that is cut off takes the transaction along
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	if !inside {
		db = c.db.Session(&gorm.Session{NewDB: true, Context: ctx})
	}
	_, err := db.Statement.ConnPool.ExecContext(ctx, "SELECT pg_notify($1, $2)", c.cfg.Name, message)
	return err
}

// isOn reports whether a transaction is one of the channel's db.
func (c *Channel) isOn(tx *gorm.DB) bool {
	theirs, err := tx.DB()
	if err != nil {
		return false
	}
	ours, err := c.db.DB()
	return err == nil && ours == theirs
}

// Listen calls ready once it hears everything, and hear with each message, until
// ctx ends or the connection does.
func (c *Channel) Listen(ctx context.Context, ready func(), hear func(message string)) error {
	pool, err := c.db.DB()
	if err != nil {
		return err
	}
	begin, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	conn, err := pool.Conn(begin)
	if err != nil {
		return err
	}
	defer conn.Close()
	err = nil
	discarded := conn.Raw(func(driverConn any) error {
		own, ok := driverConn.(*stdlib.Conn)
		if !ok {
			err = fmt.Errorf("notify: the connection is a %T, and must be pgx'", driverConn)
			return nil
		}
		err = listen(ctx, begin, own.Conn(), c.cfg.Name, ready, hear)
		return driver.ErrBadConn // it listens: nobody else should get it
	})
	if err == nil && !errors.Is(discarded, driver.ErrBadConn) {
		err = discarded
	}
	return err
}

func listen(ctx, begin context.Context, conn *pgx.Conn, name string, ready func(), hear func(string)) error {
	if _, err := conn.Exec(begin, "LISTEN "+pgx.Identifier{name}.Sanitize()); err != nil {
		return err
	}
	ready()
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		if n.Channel == name {
			hear(n.Payload)
		}
	}
}
