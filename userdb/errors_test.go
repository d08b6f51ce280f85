package userdb_test

import (
	"errors"
	"testing"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/userdb"
)

func TestWhatWasNotMigratedIsSaid(t *testing.T) {
	for name, spoil := range map[string]string{
		"table":  `DROP TABLE "user"`,
		"column": `ALTER TABLE "user" DROP COLUMN credential_generation`,
	} {
		t.Run(name, func(t *testing.T) {
			testdb.Each(t, func(t *testing.T, db *gorm.DB) {
				store := newStore[knight](t, db)
				u := create(t, store, newKnight("bors"))
				mustExec(t, db, spoil)
				said := func(method string, err error) {
					t.Helper()
					wants(t, err, "has Store.Migrate been run?")
					for _, kind := range []error{authn.ErrUserNotFound, authn.ErrUserExists, authn.ErrConflict, authn.ErrRejected} {
						if errors.Is(err, kind) {
							t.Errorf("%s: %v", method, err)
						}
					}
				}
				_, err := store.ByID(t.Context(), u.AuthID())
				said("ByID", err)
				_, err = store.ByEmail(t.Context(), u.Email)
				said("ByEmail", err)
				_, err = store.Create(t.Context(), newKnight("lionel"))
				said("Create", err)
				_, err = store.Update(t.Context(), u.AuthID(), func(k *knight) error { k.Age++; return nil })
				said("Update", err)
				said("Delete", store.Delete(t.Context(), u.AuthID()))
				if db.Name() == "postgres" {
					said("ByIDs", store.ByIDs(t.Context(), []string{u.AuthID(), u.AuthID()}, func(int, *knight) {}))
				}
				through, err := userdb.New[knight](db.Where("is_active"))
				if err != nil {
					t.Fatal(err)
				}
				_, err = through.ByID(t.Context(), u.AuthID())
				said("ByID through GORM", err)
			})
		})
	}
}
