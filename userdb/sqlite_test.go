package userdb_test

import (
	"context"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/echo-users/echo-users/internal/testdb"
)

// With WAL, readers go on while a writer is in the middle of a transaction;
// with a busy timeout and immediate transactions, writers wait for each other.
func TestSQLiteServesReadersAndWritersAtOnce(t *testing.T) {
	db := testdb.SQLite(t)
	var mode string
	if err := db.Raw("PRAGMA journal_mode").Scan(&mode).Error; err != nil || mode != "wal" {
		t.Fatalf("journal mode %q, %v", mode, err)
	}
	store := newStore[knight](t, db)
	u := create(t, store, newKnight("bors"))

	t.Run("a reader during a write transaction", func(t *testing.T) {
		tx := db.Begin()
		defer tx.Rollback()
		if err := tx.Exec(`UPDATE "user" SET age = 99`).Error; err != nil {
			t.Fatal(err)
		}
		if stored, err := store.ByID(t.Context(), u.AuthID()); err != nil || stored.Age != 0 {
			t.Errorf("%v, age %d", err, stored.Age)
		}
	})

	t.Run("many of each", func(t *testing.T) {
		reading, stop := context.WithCancel(t.Context())
		var readers, writers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for reading.Err() == nil {
					if _, err := store.ByID(t.Context(), u.AuthID()); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for range 4 {
			writers.Go(func() {
				for range 10 {
					if _, err := store.Create(t.Context(), newKnight(uuid.NewString()[:13])); err != nil {
						t.Error(err)
					}
					if _, err := store.Update(t.Context(), u.AuthID(), func(k *knight) error { k.Age++; return nil }); err != nil {
						t.Error(err)
					}
				}
			})
		}
		writers.Wait()
		stop()
		readers.Wait()
		var rows int64
		if err := db.Model(&knight{}).Count(&rows).Error; err != nil || rows != 41 {
			t.Errorf("%d rows, %v", rows, err)
		}
	})
}
