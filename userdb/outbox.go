package userdb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/echo-users/echo-users/authn"
)

// Outbox keeps mails that are to be sent in a table of the users' database, so
// that a crash loses none: the [authn.Outbox] of [authn.Config]. It is safe for
// concurrent use, also by several processes.
type Outbox struct {
	db *gorm.DB
}

// outboxRow is a row of the outbox' table. Times are in nanoseconds since
// 1970: SQLite has no type for them.
type outboxRow struct {
	ID        string `gorm:"primaryKey"`
	Kind      string
	UserID    string
	Email     string
	CreatedAt int64 `gorm:"autoCreateTime:false"`
	DueAt     int64
	Attempts  int
}

const outboxTable = "echo_users_outbox"

// TableName returns "echo_users_outbox".
func (outboxRow) TableName() string { return outboxTable }

// NewOutbox returns an outbox in db, whose table must have been migrated
// ([Outbox.Migrate]).
func NewOutbox(db *gorm.DB) (*Outbox, error) {
	if db == nil {
		return nil, errors.New("userdb: db is nil")
	}
	return &Outbox{db: db.Session(&gorm.Session{NewDB: true, Logger: discreet{db.Logger}})}, nil
}

// Migrate creates the table, unless it is there.
func (o *Outbox) Migrate(ctx context.Context) error {
	err := newSession(ctx, o.db).Transaction(func(tx *gorm.DB) error {
		return runOnce(tx,
			`CREATE TABLE IF NOT EXISTS `+outboxTable+` (
				id varchar(64) PRIMARY KEY,
				kind varchar(64) NOT NULL,
				user_id varchar(255) NOT NULL,
				email varchar(320) NOT NULL,
				created_at bigint NOT NULL,
				due_at bigint NOT NULL,
				attempts integer NOT NULL DEFAULT 0
			)`,
			`CREATE INDEX IF NOT EXISTS ix_`+outboxTable+`_due_at ON `+outboxTable+` (due_at)`)
	})
	if err != nil {
		return fmt.Errorf("userdb: migration of table %q: %w", outboxTable, err)
	}
	return nil
}

// Put keeps an errand, in the transaction that ctx carries.
func (o *Outbox) Put(ctx context.Context, e authn.Errand, due time.Time) error {
	ctx, cancel := bounded(ctx, DefaultTimeout)
	defer cancel()
	return newSession(ctx, o.db).Create(&outboxRow{
		ID: e.ID, Kind: e.Kind, UserID: e.UserID, Email: e.Email,
		CreatedAt: e.CreatedAt.UnixNano(), DueAt: due.UnixNano(), Attempts: e.Attempts,
	}).Error
}

// Claim returns at most n errands that are due, those that have waited longest
// first.
func (o *Outbox) Claim(ctx context.Context, now, again time.Time, n int) ([]authn.Errand, error) {
	ctx, cancel := bounded(ctx, DefaultTimeout)
	defer cancel()
	var claimed []authn.Errand
	err := newSession(ctx, o.db).Transaction(func(tx *gorm.DB) error {
		due := tx.Where("due_at <= ?", now.UnixNano()).Order("due_at").Limit(n)
		if tx.Name() == "postgres" {
			due = due.Clauses(clause.Locking{Strength: "UPDATE", Options: "SKIP LOCKED"})
		}
		var rows []outboxRow
		if err := due.Find(&rows).Error; err != nil {
			return err
		}
		for _, row := range rows {
			// On SQLite another process may have been faster.
			updated := tx.Model(&outboxRow{ID: row.ID}).Where("due_at = ?", row.DueAt).
				Updates(map[string]any{"due_at": again.UnixNano(), "attempts": gorm.Expr("attempts + 1")})
			if updated.Error != nil {
				return updated.Error
			}
			if updated.RowsAffected == 1 {
				claimed = append(claimed, authn.Errand{
					ID: row.ID, Kind: row.Kind, UserID: row.UserID, Email: row.Email,
					CreatedAt: time.Unix(0, row.CreatedAt), Attempts: row.Attempts + 1,
				})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// Defer makes an errand due at another time.
func (o *Outbox) Defer(ctx context.Context, id string, due time.Time) error {
	ctx, cancel := bounded(ctx, DefaultTimeout)
	defer cancel()
	return newSession(ctx, o.db).Model(&outboxRow{ID: id}).Update("due_at", due.UnixNano()).Error
}

// Done removes an errand.
func (o *Outbox) Done(ctx context.Context, id string) error {
	ctx, cancel := bounded(ctx, DefaultTimeout)
	defer cancel()
	return newSession(ctx, o.db).Delete(&outboxRow{ID: id}).Error
}
