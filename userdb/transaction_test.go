package userdb_test

import (
	"context"
	"errors"
	"testing"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/userdb"
)

var errUndo = errors.New("undo it")

// known reports whether somebody has this nick's address.
func known(t *testing.T, store *userdb.Store[knight, *knight], nick string) bool {
	t.Helper()
	_, err := store.ByEmail(t.Context(), nick+"@camelot.example.com")
	if err != nil && !errors.Is(err, authn.ErrUserNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func TestAConflictLeavesTheCallersTransactionAsItWas(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[knight](t, db)
		create(t, store, newKnight("bors"))
		u := create(t, store, newKnight("lionel"))
		conflicts := func(ctx context.Context, store *userdb.Store[knight, *knight]) error {
			if _, err := store.Create(ctx, func(k *knight) error {
				k.Account, k.Nick = account("BORS@camelot.example.com"), "b"
				return nil
			}); !errors.Is(err, authn.ErrUserExists) {
				t.Errorf("Create: %v", err)
			}
			if _, err := store.Update(ctx, u.AuthID(), func(k *knight) error {
				k.Email = "BORS@camelot.example.com"
				return nil
			}); !errors.Is(err, authn.ErrUserExists) {
				t.Errorf("Update: %v", err)
			}
			if _, err := store.Update(ctx, u.AuthID(), func(k *knight) error { k.Nick = "bors"; return nil }); !errors.Is(err, authn.ErrConflict) {
				t.Errorf("Update of another column: %v", err)
			}
			if _, err := store.Update(ctx, u.AuthID(), func(k *knight) error { k.Age = -1; return nil }); !errors.Is(err, authn.ErrRejected) {
				t.Errorf("Update against a check: %v", err)
			}
			_, err := store.Update(ctx, u.AuthID(), func(k *knight) error { k.Age++; return nil })
			return err
		}
		for name, begin := range map[string]func() error{
			"InTransaction": func() error {
				return store.InTransaction(t.Context(), func(ctx context.Context) error { return conflicts(ctx, store) })
			},
			"WithTx": func() error {
				return db.Transaction(func(tx *gorm.DB) error { return conflicts(userdb.WithTx(t.Context(), tx), store) })
			},
			"a store of the transaction": func() error {
				return db.Transaction(func(tx *gorm.DB) error {
					within, err := userdb.New[knight](tx)
					if err != nil {
						return err
					}
					return conflicts(t.Context(), within)
				})
			},
		} {
			if err := begin(); err != nil {
				t.Errorf("%s: the transaction did not go on: %v", name, err)
			}
		}
		if stored, err := store.ByID(t.Context(), u.AuthID()); err != nil || stored.Age != 3 || stored.Nick != "lionel" {
			t.Errorf("%v, %+v", err, stored)
		}
	})
}

func TestWhatIsRolledBackDidNotHappen(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[knight](t, db)
		kept := create(t, store, newKnight("bors"))
		gone := create(t, store, newKnight("lionel"))
		err := store.InTransaction(t.Context(), func(ctx context.Context) error {
			u, err := store.Create(ctx, newKnight("galahad"))
			if err != nil {
				return err
			}
			if _, err := store.ByID(ctx, u.AuthID()); err != nil {
				t.Errorf("the transaction does not see what it did: %v", err)
			}
			if _, err := store.Update(ctx, kept.AuthID(), func(k *knight) error { k.Age = 99; return nil }); err != nil {
				t.Error(err)
			}
			if err := store.Delete(ctx, gone.AuthID()); err != nil {
				t.Error(err)
			}
			return errUndo
		})
		if err != errUndo {
			t.Errorf("got %v, want the error itself", err)
		}
		if stored, err := store.ByID(t.Context(), kept.AuthID()); err != nil || stored.Age != 0 {
			t.Errorf("%v, %+v", err, stored)
		}
		if known(t, store, "galahad") || !known(t, store, "lionel") {
			t.Error("the transaction was not undone")
		}
	})
}

func TestAPanicRollsBack(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[knight](t, db)
		func() {
			defer func() { _ = recover() }()
			_ = store.InTransaction(t.Context(), func(ctx context.Context) error {
				if _, err := store.Create(ctx, newKnight("bors")); err != nil {
					t.Error(err)
				}
				panic("no longer")
			})
		}()
		if known(t, store, "bors") {
			t.Error("the transaction was not undone")
		}
	})
}

func TestATransactionWithinOneIsAPartOfIt(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[knight](t, db)
		add := func(ctx context.Context, nick string, outcome error) error {
			return store.InTransaction(ctx, func(ctx context.Context) error {
				if _, err := store.Create(ctx, newKnight(nick)); err != nil {
					t.Error(err)
				}
				return outcome
			})
		}
		err := store.InTransaction(t.Context(), func(ctx context.Context) error {
			if err := add(ctx, "undone", errUndo); err != errUndo {
				t.Errorf("got %v, want the error itself", err)
			}
			return add(ctx, "bors", nil)
		})
		if err != nil || !known(t, store, "bors") || known(t, store, "undone") {
			t.Errorf("%v: what the inner one undid is not what is gone", err)
		}
		err = store.InTransaction(t.Context(), func(ctx context.Context) error {
			if err := add(ctx, "lionel", nil); err != nil {
				t.Error(err)
			}
			return errUndo
		})
		if err != errUndo || known(t, store, "lionel") {
			t.Errorf("%v: what the inner one did outlived the outer one", err)
		}
	})
}

func TestTxIsTheTransactionOfTheContext(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[knight](t, db)
		if _, ok := userdb.Tx(t.Context()); ok {
			t.Error("a transaction of a bare context")
		}
		err := store.InTransaction(t.Context(), func(ctx context.Context) error {
			tx, ok := userdb.Tx(ctx)
			if !ok {
				t.Fatal("no transaction")
			}
			if tx.Statement.Context != ctx {
				t.Error("its statements are not the context's")
			}
			mustExec(t, tx, `CREATE TABLE audit (line text)`)
			if _, err := store.Create(ctx, newKnight("bors")); err != nil {
				t.Error(err)
			}
			return errUndo
		})
		if err != errUndo || db.Migrator().HasTable("audit") || known(t, store, "bors") {
			t.Errorf("%v: the two are not one transaction", err)
		}
	})
}

func TestATransactionOfAnotherDatabaseIsNotUsed(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store, other := newStore[knight](t, db), newStore[knight](t, testdb.SQLite(t))
		err := other.InTransaction(t.Context(), func(ctx context.Context) error {
			u, err := store.Create(ctx, newKnight("bors"))
			if err != nil {
				return err
			}
			if _, err := store.ByID(ctx, u.AuthID()); err != nil {
				t.Error(err)
			}
			return errUndo
		})
		if err != errUndo || !known(t, store, "bors") || known(t, other, "bors") {
			t.Errorf("%v: the user is in the wrong database", err)
		}
	})
}
