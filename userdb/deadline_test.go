package userdb_test

import (
	"context"
	"slices"
	"testing"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/internal/testdb"
)

// TestWhoHangsUpCostsNoConnection: pgx closes the connection of a statement that
// is given up, so that clients who hang up could have all of them opened anew.
func TestWhoHangsUpCostsNoConnection(t *testing.T) {
	db := testdb.Postgres(t)
	store := newStore[knight](t, db)
	u := create(t, store, newKnight("bors"))
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxOpenConns(2) // one holds the table
	pool.SetMaxIdleConns(2)
	connections := func() (pids []int) {
		t.Helper()
		err := db.Transaction(func(*gorm.DB) error { // there are two
			return db.Raw("SELECT pid FROM pg_stat_activity WHERE datname = current_database() ORDER BY pid").Scan(&pids).Error
		})
		if err != nil {
			t.Fatal(err)
		}
		return pids
	}
	before := connections()
	for name, call := range map[string]func(context.Context) error{
		"ByID":    func(ctx context.Context) error { _, err := store.ByID(ctx, u.AuthID()); return err },
		"ByEmail": func(ctx context.Context) error { _, err := store.ByEmail(ctx, u.Email); return err },
		"Update": func(ctx context.Context) error {
			_, err := store.Update(ctx, u.AuthID(), func(k *knight) error { k.Age++; return nil })
			return err
		},
		"InTransaction": func(ctx context.Context) error {
			return store.InTransaction(ctx, func(ctx context.Context) error { _, err := store.ByID(ctx, u.AuthID()); return err })
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, hangUp := context.WithCancel(t.Context())
			defer hangUp()
			answer := make(chan error, 1)
			// Nothing gets at the table until the client has hung up.
			err := db.Transaction(func(tx *gorm.DB) error {
				if err := tx.Exec(`LOCK TABLE "user"`).Error; err != nil {
					return err
				}
				go func() { answer <- call(ctx) }()
				for waits := false; !waits; {
					if err := tx.Raw("SELECT EXISTS (SELECT FROM pg_locks WHERE pid IN ? AND NOT granted)", before).Row().Scan(&waits); err != nil {
						return err
					}
				}
				hangUp()
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := <-answer; err != nil {
				t.Errorf("%v, want the answer to what had begun", err)
			}
			if now := connections(); !slices.Equal(now, before) {
				t.Errorf("connections %v, and %v before", now, before)
				before = now
			}
		})
	}
}
