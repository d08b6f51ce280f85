package userdb_test

import (
	"errors"
	"fmt"
	"testing"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/userdb"
)

// chronicled users write a line beside each of their own writes.
type chronicled struct {
	userdb.User
	X int
}

func (chronicled) TableName() string { return "chronicled" }

func chronicle(tx *gorm.DB, line string) error {
	return tx.Exec(`INSERT INTO chronicle (line) VALUES (?)`, line).Error
}

func (*chronicled) AfterCreate(tx *gorm.DB) error { return chronicle(tx, "created") }
func (*chronicled) AfterUpdate(tx *gorm.DB) error { return chronicle(tx, "updated") }
func (*chronicled) AfterDelete(tx *gorm.DB) error { return chronicle(tx, "deleted") }

func TestWhatModelHooksWroteBesideNoWriteIsUndone(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		mustExec(t, db, `CREATE TABLE chronicle (line text)`)
		store := newStore[chronicled](t, db)
		wrote := func(want ...string) {
			t.Helper()
			var lines []string
			if err := db.Raw(`SELECT line FROM chronicle`).Scan(&lines).Error; err != nil || fmt.Sprint(lines) != fmt.Sprint(want) {
				t.Errorf("%v, %q, want %q", err, lines, want)
			}
			mustExec(t, db, `DELETE FROM chronicle`)
		}
		fill := func(u *chronicled) error { u.Account = account("a@example.com"); return nil }
		u := create(t, store, fill)
		wrote("created")
		if _, err := store.Create(t.Context(), fill); !errors.Is(err, authn.ErrUserExists) {
			t.Errorf("Create: %v", err)
		}
		wrote()
		runs := 0
		if _, err := store.Update(t.Context(), u.AuthID(), func(u *chronicled) error {
			if runs++; runs < 4 { // another one comes between
				mustExec(t, db, `UPDATE chronicled SET credential_generation = credential_generation + 1`)
			}
			u.X = 7
			return nil
		}); err != nil || runs != 4 {
			t.Errorf("Update: %v after %d runs", err, runs)
		}
		wrote("updated")
		if err := store.Delete(t.Context(), u.AuthID()); err != nil {
			t.Error(err)
		}
		wrote("deleted")
	})
}

// GORM knows no condition by a zero key, and AllowGlobalUpdate lets it do
// without one.
func TestTheZeroKeyIsOneUser(t *testing.T) {
	for _, global := range []bool{false, true} {
		testdb.Each(t, func(t *testing.T, db *gorm.DB) {
			newStore[page](t, db)
			store, err := userdb.New[page](db.Session(&gorm.Session{AllowGlobalUpdate: global}))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"x", "y", "z"} {
				create(t, store, func(p *page) error { p.Account = account(name + "@example.com"); return nil })
			}
			mustExec(t, db, `INSERT INTO pages (id, email, hashed_password, is_active, is_superuser, is_verified) VALUES (0, 'zero@example.com', '', true, false, false)`)
			count := func(condition string) (n int) {
				t.Helper()
				if err := db.Raw(`SELECT count(*) FROM pages WHERE ` + condition).Scan(&n).Error; err != nil {
					t.Fatal(err)
				}
				return n
			}
			if _, err := store.Update(t.Context(), "0", func(p *page) error { p.IsVerified = true; return nil }); err != nil || count("is_verified") != 1 {
				t.Errorf("Update: %v, %d users", err, count("is_verified"))
			}
			if err := store.Delete(t.Context(), "0"); err != nil || count("id = 0") != 0 || count("true") != 3 {
				t.Errorf("Delete: %v, %d users are left", err, count("true"))
			}
			if err := store.Delete(t.Context(), "0"); !errors.Is(err, authn.ErrUserNotFound) || count("true") != 3 {
				t.Errorf("deleting nobody: %v, %d users are left", err, count("true"))
			}
		})
	}
}
