package userdb_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/userdb"
)

func mustMigrate[T any, U interface {
	*T
	authn.User
}](t *testing.T, db *gorm.DB) *userdb.Store[T, U] {
	t.Helper()
	store, err := userdb.New[T, U](db)
	if err == nil {
		err = store.Migrate(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func createIn[T any, U interface {
	*T
	authn.User
}](t *testing.T, store *userdb.Store[T, U], email string) (U, error) {
	t.Helper()
	return store.Create(t.Context(), func(u U) error {
		*u.AuthAccount() = authn.Account{Email: email, HashedPassword: "h", IsActive: true}
		return nil
	})
}

// Alembic's autogenerate drops an index that it doesn't know.
func TestMigrateRestoresTheEmailIndex(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := mustMigrate[userdb.User](t, db)
		if err := db.Exec(`DROP INDEX ux_user__lower_email`).Error; err != nil {
			t.Fatal(err)
		}
		mustMigrate[userdb.User](t, db)
		if _, err := createIn(t, store, "ann@example.com"); err != nil {
			t.Fatal(err)
		}
		if _, err := createIn(t, store, "ANN@example.com"); !errors.Is(err, authn.ErrUserExists) {
			t.Errorf("two accounts of one address: %v", err)
		}
		// One of another name will do, and one that isn't unique won't.
		for _, sql := range []string{`DROP INDEX ux_user__lower_email`, `CREATE UNIQUE INDEX mine ON "user" (lower(email))`} {
			if err := db.Exec(sql).Error; err != nil {
				t.Fatal(err)
			}
		}
		mustMigrate[userdb.User](t, db)
		var again int64
		query := `SELECT count(*) FROM sqlite_master WHERE name = 'ux_user__lower_email'`
		if db.Name() == "postgres" {
			query = `SELECT count(*) FROM pg_class WHERE relname = 'ux_user__lower_email'`
		}
		if err := db.Raw(query).Scan(&again).Error; err != nil || again != 0 {
			t.Errorf("a second index was made: %v", err)
		}
		for _, sql := range []string{`DROP INDEX mine`, `CREATE INDEX ux_user__lower_email ON "user" (lower(email))`} {
			if err := db.Exec(sql).Error; err != nil {
				t.Fatal(err)
			}
		}
		if err := store.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "ux_user__lower_email") {
			t.Errorf("an index that isn't unique: %v", err)
		}
	})
}

func TestMigrateRefusesANameThatIsTaken(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		for _, sql := range []string{`CREATE TABLE other (email text)`, `CREATE UNIQUE INDEX ux_user__lower_email ON other (lower(email))`} {
			if err := db.Exec(sql).Error; err != nil {
				t.Fatal(err)
			}
		}
		store, err := userdb.New[userdb.User](db)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "taken") {
			t.Error(err)
		}
	})
}

// The peer made the table anew: our column is gone.
func TestMigrateAfterTheTableWasMadeAnew(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := mustMigrate[userdb.User](t, db)
		key := "char(36)"
		if db.Name() == "postgres" {
			key = "uuid"
		}
		for _, sql := range []string{`DROP TABLE "user"`, `CREATE TABLE "user" (id ` + key + ` PRIMARY KEY, email varchar(320) NOT NULL,
			hashed_password varchar(1024) NOT NULL, is_active boolean NOT NULL, is_superuser boolean NOT NULL, is_verified boolean NOT NULL)`} {
			if err := db.Exec(sql).Error; err != nil {
				t.Fatal(err)
			}
		}
		if _, err := store.ByEmail(t.Context(), "ann@example.com"); err == nil || !strings.Contains(err.Error(), "has Store.Migrate been run?") {
			t.Errorf("an error that doesn't help: %v", err)
		}
		mustMigrate[userdb.User](t, db)
		if _, err := createIn(t, store, "ann@example.com"); err != nil {
			t.Error(err)
		}
	})
}

// A column of the application's own, beside our index.
type lowered struct {
	userdb.User
	EmailLower string `gorm:"unique"`
}

func TestOwnUniqueColumnsAreUnique(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := mustMigrate[lowered](t, db)
		for i, want := range []error{nil, authn.ErrConflict} {
			_, err := store.Create(t.Context(), func(u *lowered) error {
				*u.AuthAccount() = authn.Account{Email: string(rune('a'+i)) + "@example.com", HashedPassword: "h"}
				u.EmailLower = "same"
				return nil
			})
			if !errors.Is(err, want) {
				t.Errorf("%d: %v, want %v", i, err, want)
			}
		}
	})
}

type longNamed struct{ userdb.User }

func (longNamed) TableName() string { return strings.Repeat("t", 60) }

func TestLongTableNames(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := mustMigrate[longNamed](t, db)
		if _, err := createIn(t, store, "ann@example.com"); err != nil {
			t.Fatal(err)
		}
		if _, err := createIn(t, store, "Ann@example.com"); !errors.Is(err, authn.ErrUserExists) {
			t.Error(err)
		}
	})
}

// Keys of fastapi-users' integer tables have 32 bits on Postgres.
func TestKeysThatDontFitAreNobodys(t *testing.T) {
	db, fixture := testdb.FastAPIUsers(t, "postgres", "int")
	store := mustMigrate[userdb.Model[int64]](t, db)
	const beyond = "2147483648"
	if _, err := store.ByID(t.Context(), beyond); !errors.Is(err, authn.ErrUserNotFound) {
		t.Error(err)
	}
	if err := store.Delete(t.Context(), beyond); !errors.Is(err, authn.ErrUserNotFound) {
		t.Error(err)
	}
	ids := []string{beyond}
	for _, u := range fixture.Users {
		ids = append(ids, u.ID)
	}
	found := 0
	if err := store.ByIDs(t.Context(), ids, func(i int, _ *userdb.Model[int64]) { found++ }); err != nil || found != len(fixture.Users) {
		t.Errorf("%d of %d users, %v", found, len(fixture.Users), err)
	}
	for _, id := range []string{"01", "+1", " 1", "1 ", "1.0"} {
		if _, err := store.ByID(t.Context(), id); !errors.Is(err, authn.ErrUserNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestSpellingsOfUUIDs(t *testing.T) {
	store := mustMigrate[userdb.User](t, testdb.SQLite(t))
	u, err := createIn(t, store, "ann@example.com")
	if err != nil {
		t.Fatal(err)
	}
	id := u.AuthID()
	for _, text := range []string{id, strings.ToUpper(id), "{" + id + "}", "urn:uuid:" + id, strings.ReplaceAll(id, "-", "")} {
		if _, err := store.ByID(t.Context(), text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"x" + id + "y", "(" + id + ")", "{" + id + "x"} {
		if _, err := store.ByID(t.Context(), text); !errors.Is(err, authn.ErrUserNotFound) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// softly is deleted softly; its address stays taken.
type softly struct {
	userdb.User
	DeletedAt gorm.DeletedAt
}

func TestAddressesOfTheSoftlyDeletedAreTaken(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := mustMigrate[softly](t, db)
		u, err := createIn(t, store, "ann@example.com")
		if err == nil {
			err = store.Delete(t.Context(), u.AuthID())
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := createIn(t, store, "Ann@example.com"); !errors.Is(err, authn.ErrUserExists) {
			t.Error(err)
		}
	})
}

type pointing struct{ *userdb.User }

type pointingDeeper struct{ pointing }

type faceless struct{ authn.User }

func TestEmbeddedPointersAreRefused(t *testing.T) {
	db := testdb.SQLite(t)
	wants(t, newError[pointing](db), "embed userdb.User, not *userdb.User")
	wants(t, newError[pointingDeeper](db), "embed userdb.User, not *userdb.User")
	wants(t, newError[faceless](db), "embed userdb.User, not *userdb.User")
}

type Extra struct{ Shoes int }

// extended embeds a pointer that the account has nothing to do with.
type extended struct {
	userdb.User
	*Extra
}

func TestAnotherEmbeddedPointerIsGORMsAffair(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[extended](t, db)
		u := create(t, store, func(u *extended) error {
			u.Account, u.Extra = account("ann@example.com"), &Extra{Shoes: 43}
			return nil
		})
		if _, err := store.Update(t.Context(), u.AuthID(), func(u *extended) error { u.Shoes++; return nil }); err != nil {
			t.Error(err)
		}
		if stored, err := store.ByID(t.Context(), u.AuthID()); err != nil || stored.Shoes != 44 {
			t.Errorf("%v, %+v", err, stored)
		}
		roundTrip(t, store, account("without@example.com"))
	})
}

// A conflict leaves the caller's transaction as it was.
func TestConflictsWithinATransaction(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := mustMigrate[userdb.User](t, db)
		if _, err := createIn(t, store, "bob@example.com"); err != nil {
			t.Fatal(err)
		}
		err := db.Transaction(func(tx *gorm.DB) error {
			ctx := userdb.WithTx(t.Context(), tx)
			u, err := store.Create(ctx, func(u *userdb.User) error { u.Email, u.HashedPassword = "ann@example.com", "h"; return nil })
			if err != nil {
				return err
			}
			if _, err := store.Update(ctx, u.AuthID(), func(u *userdb.User) error { u.Email = "BOB@example.com"; return nil }); !errors.Is(err, authn.ErrUserExists) {
				t.Errorf("Update: %v", err)
			}
			if _, err := store.Create(ctx, func(u *userdb.User) error { u.Email = "Bob@example.com"; return nil }); !errors.Is(err, authn.ErrUserExists) {
				t.Errorf("Create: %v", err)
			}
			_, err = store.Update(ctx, u.AuthID(), func(u *userdb.User) error { u.Email = "anna@example.com"; return nil })
			return err
		})
		if err != nil {
			t.Error(err)
		}
		if _, err := store.ByEmail(t.Context(), "anna@example.com"); err != nil {
			t.Error(err)
		}
		refused := errors.New("refused")
		err = store.InTransaction(t.Context(), func(ctx context.Context) error {
			if _, err := store.Create(ctx, func(u *userdb.User) error { u.Email, u.HashedPassword = "eve@example.com", "h"; return nil }); err != nil {
				t.Error(err)
			}
			return refused
		})
		if !errors.Is(err, refused) {
			t.Error(err)
		}
		if _, err := store.ByEmail(t.Context(), "eve@example.com"); !errors.Is(err, authn.ErrUserNotFound) {
			t.Errorf("what was rolled back is there: %v", err)
		}
	})
}
