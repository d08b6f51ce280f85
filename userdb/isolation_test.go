package userdb_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/userdb"
)

// isolated opens a database whose transactions are of a stricter level.
func isolated(t *testing.T, level string) *gorm.DB {
	t.Helper()
	db := testdb.Postgres(t)
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	var name string
	if err := db.Raw(`SELECT current_database()`).Scan(&name).Error; err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, `ALTER DATABASE `+name+` SET default_transaction_isolation = '`+level+`'`)
	pool.SetMaxIdleConns(0) // the level is that of new connections
	pool.SetMaxIdleConns(4)
	return db
}

// together runs f so many times at once.
func together(n int, f func()) {
	var start, done sync.WaitGroup
	start.Add(1)
	for range n {
		done.Go(func() {
			start.Wait()
			f()
		})
	}
	start.Done()
	done.Wait()
}

func TestStricterIsolation(t *testing.T) {
	for _, level := range []string{"repeatable read", "serializable"} {
		t.Run(level, func(t *testing.T) {
			db := isolated(t, level)
			together(4, func() { newStore[knight](t, db) })
			store := newStore[knight](t, db)
			u := create(t, store, newKnight("bors"))
			const n = 8
			together(n, func() {
				if _, err := store.Update(t.Context(), u.AuthID(), func(k *knight) error { k.Generation++; return nil }); err != nil {
					t.Errorf("Update: %v", err)
				}
			})
			if stored, err := store.ByID(t.Context(), u.AuthID()); err != nil || stored.Generation != n {
				t.Errorf("%v, generation %d of %d", err, stored.Generation, n)
			}
			var made sync.Map
			together(n, func() {
				k, err := store.Create(t.Context(), func(k *knight) error {
					k.Account, k.Nick = account("galahad@camelot.example.com"), uuid.NewString()[:20]
					return nil
				})
				switch {
				case err == nil:
					made.Store(k.AuthID(), true)
				case !errors.Is(err, authn.ErrUserExists):
					t.Errorf("Create: %v", err)
				}
			})
			users := 0
			made.Range(func(id, _ any) bool {
				users++
				together(n, func() {
					if err := store.Delete(t.Context(), id.(string)); err != nil && !errors.Is(err, authn.ErrUserNotFound) {
						t.Errorf("Delete: %v", err)
					}
				})
				return true
			})
			if users != 1 || known(t, store, "galahad") {
				t.Errorf("%d users of one address", users)
			}
		})
	}
}

// stateError is an error of Postgres', by its SQLSTATE.
type stateError string

func (e stateError) Error() string    { return "given up: " + string(e) }
func (e stateError) SQLState() string { return string(e) }

// interrupted users' hooks meet an error for a while.
type interrupted struct {
	userdb.User
	Runs int
}

func (interrupted) TableName() string { return "interrupted" }

func interrupt(tx *gorm.DB) error {
	if f, ok := tx.Get("test:interrupt"); ok {
		return f.(func() error)()
	}
	return nil
}

func (u *interrupted) BeforeCreate(tx *gorm.DB) error { u.Runs++; return interrupt(tx) }
func (u *interrupted) BeforeUpdate(tx *gorm.DB) error { return interrupt(tx) }
func (u *interrupted) BeforeDelete(tx *gorm.DB) error { return interrupt(tx) }

func TestWhatTheDatabaseGaveUpIsTriedAgain(t *testing.T) {
	for _, code := range []string{"40001", "40P01"} {
		testdb.Each(t, func(t *testing.T, db *gorm.DB) {
			newStore[interrupted](t, db)
			left := 0
			store, err := userdb.New[interrupted](db.Set("test:interrupt", func() error {
				if left--; left >= 0 {
					return stateError(code)
				}
				return nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			left = 2
			u := create(t, store, func(u *interrupted) error { u.Account = account("a@example.com"); return nil })
			if u.Runs != 1 {
				t.Errorf("the row has traces of %d attempts", u.Runs)
			}
			left = 2
			changes := 0
			if _, err := store.Update(t.Context(), u.AuthID(), func(u *interrupted) error { changes++; u.IsVerified = true; return nil }); err != nil || changes != 3 {
				t.Errorf("Update: %v after %d runs", err, changes)
			}
			left = 1
			err = store.InTransaction(t.Context(), func(ctx context.Context) error {
				_, err := store.Update(ctx, u.AuthID(), func(u *interrupted) error { u.IsVerified = false; return nil })
				return err
			})
			if err == nil || !strings.Contains(err.Error(), code) || left != 0 {
				t.Errorf("within the caller's transaction, which is the caller's to try again: %v", err)
			}
			left = 2
			if err := store.Delete(t.Context(), u.AuthID()); err != nil {
				t.Errorf("Delete: %v", err)
			}
		})
	}
}
