package userdb_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/userdb"
)

func mustExec(t *testing.T, db *gorm.DB, sql string, values ...any) {
	t.Helper()
	if err := db.Exec(sql, values...).Error; err != nil {
		t.Fatal(err)
	}
}

func TestMigratingAgainChangesNothing(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[knight](t, db)
		u := create(t, store, newKnight("bors"))
		for range 2 {
			if err := store.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := store.ByID(t.Context(), u.AuthID()); err != nil {
			t.Error(err)
		}
		mustExec(t, db, `DROP TABLE "user"`)
		newStore[knight](t, db)
		create(t, store, newKnight("bors"))
	})
}

func TestManyProcessesMigrateAtOnce(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		var group sync.WaitGroup
		for range 6 {
			group.Go(func() {
				store, err := userdb.New[knight](db)
				if err == nil {
					err = store.Migrate(t.Context())
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	})
}

func TestANewerDatabaseIsLeftAlone(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[knight](t, db)
		mustExec(t, db, `INSERT INTO echo_users_migration (table_name, version) VALUES ('user', 1000)`)
		wants(t, store.Migrate(t.Context()), "newer than this library")
	})
}

func TestAnUnrelatedTableIsLeftAlone(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		mustExec(t, db, `CREATE TABLE "user" (id char(36) PRIMARY KEY, email varchar(320))`)
		store, err := userdb.New[knight](db)
		if err != nil {
			t.Fatal(err)
		}
		wants(t, store.Migrate(t.Context()), `no column "hashed_password"`)
	})
}

func TestOwnFieldsOfAnExistingTableAreAdded(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		u := create(t, newStore[userdb.User](t, db), func(u *userdb.User) error { u.Account = account("old@example.com"); return nil })
		grown := newStore[knight](t, db)
		stored, err := grown.ByID(t.Context(), u.AuthID())
		if err != nil || stored.Email != "old@example.com" || stored.Nick != "" || stored.Age != 0 {
			t.Errorf("%v, %+v", err, stored)
		}
		create(t, grown, newKnight("bors"))
		if _, err := grown.Create(t.Context(), func(k *knight) error {
			k.Account, k.Nick = account("other@example.com"), "bors"
			return nil
		}); !errors.Is(err, authn.ErrConflict) {
			t.Errorf("the unique index of an own field: %v", err)
		}
	})
}

func TestAddressesThatDifferInCaseStopTheMigration(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		mustExec(t, db, `CREATE TABLE "user" (id integer PRIMARY KEY, email varchar(320) NOT NULL UNIQUE, hashed_password varchar(1024) NOT NULL,
			is_active boolean NOT NULL, is_superuser boolean NOT NULL, is_verified boolean NOT NULL)`)
		for i, email := range []string{"a@example.com", "b@example.com", "A@example.com"} {
			mustExec(t, db, `INSERT INTO "user" VALUES (?, ?, '', true, false, false)`, i+1, email)
		}
		store, err := userdb.New[userdb.Model[int64]](db)
		if err != nil {
			t.Fatal(err)
		}
		var duplicates *userdb.DuplicateEmailError
		if err := store.Migrate(t.Context()); !errors.As(err, &duplicates) || len(duplicates.Rows) != 2 {
			t.Fatalf("%v", err)
		} else {
			wants(t, err, "1 (a@example.com)")
			wants(t, err, "3 (A@example.com)")
		}
		if db.Migrator().HasColumn("user", "credential_generation") {
			t.Error("the migration that stopped left something behind")
		}
		mustExec(t, db, `DELETE FROM "user" WHERE id = 3`)
		if err := store.Migrate(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// legacy is a user of a fastapi-users application, with its own column.
type legacy[K userdb.Key] struct {
	userdb.Model[K]
	FirstName *string `gorm:"size:50"`
}

func TestADatabaseOfFastAPIUsers(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine+"/uuid", func(t *testing.T) { openLegacy[uuid.UUID](t, engine, "uuid") })
		t.Run(engine+"/int", func(t *testing.T) { openLegacy[int64](t, engine, "int") })
	}
}

func openLegacy[K userdb.Key](t *testing.T, engine, key string) {
	db, fixture := testdb.FastAPIUsers(t, engine, key)
	before := schemaOf(t, db)
	store := newStore[legacy[K]](t, db)
	for column := range before {
		if !schemaOf(t, db)[column] {
			t.Errorf("column %s is gone", column)
		}
	}
	if len(fixture.Users) != 6 {
		t.Fatalf("%d users in the fixture", len(fixture.Users))
	}
	for email, want := range fixture.Users {
		u, err := store.ByEmail(t.Context(), strings.ToUpper(email))
		if err != nil {
			t.Errorf("%s: %v", email, err)
			continue
		}
		if u.Email != email || u.AuthID() != fmt.Sprint(want.ID) || u.Generation != 0 ||
			u.IsActive != want.IsActive || u.IsSuperuser != want.IsSuperuser || u.IsVerified != want.IsVerified {
			t.Errorf("%s: %+v", email, u)
		}
	}
	newUser := create(t, store, func(u *legacy[K]) error { u.Account = account("new@camelot.example.com"); return nil })

	// The Python side goes on with its own statements.
	id, other := any("6e6a4a80-1b0a-4d53-9f3c-6f1f6a9e7c11"), any("6e6a4a80-1b0a-4d53-9f3c-6f1f6a9e7c12")
	if key == "int" {
		id, other = 1000, 1001
	}
	mustExec(t, db, `INSERT INTO "user" (email, hashed_password, is_active, is_superuser, is_verified, id, first_name) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		"python@camelot.example.com", "$2b$12$x", true, false, false, id, nil)
	mustExec(t, db, `UPDATE "user" SET is_verified=? WHERE "user".id = ?`, true, id)
	python, err := store.ByEmail(t.Context(), "Python@camelot.example.com")
	if err != nil || python.Generation != 0 || !python.IsVerified {
		t.Errorf("%v, %+v", err, python)
	}
	if err := db.Exec(`INSERT INTO "user" (email, hashed_password, is_active, is_superuser, is_verified, id) VALUES (?, '', true, false, false, ?)`,
		strings.ToUpper(newUser.Email), other).Error; err == nil {
		t.Error("the Python side could make an account of an address that is taken")
	}
}

func TestAReusedKeyBeginsWithANewGeneration(t *testing.T) {
	db, fixture := testdb.FastAPIUsers(t, "sqlite", "int")
	store := newStore[legacy[int64]](t, db)
	last := fmt.Sprint(len(fixture.Users))
	if _, err := store.Update(t.Context(), last, func(u *legacy[int64]) error { u.Generation = 7; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int64{8, 9} {
		u := create(t, store, func(u *legacy[int64]) error { u.Account = account("heir@example.com"); return nil })
		if u.AuthID() != last || u.Generation != want {
			t.Errorf("user %s has generation %d, want %d", u.AuthID(), u.Generation, want)
		}
		mustExec(t, db, `DELETE FROM "user" WHERE id = ?`, u.ID) // as the Python side does
	}
}

func schemaOf(t *testing.T, db *gorm.DB) map[string]bool {
	t.Helper()
	columns, err := db.Migrator().ColumnTypes("user")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range columns {
		length, _ := c.Length()
		nullable, _ := c.Nullable()
		seen[fmt.Sprint(c.Name(), " ", strings.ToLower(c.DatabaseTypeName()), " ", length, " ", nullable)] = true
	}
	return seen
}

func TestTheLookUpByEmailUsesTheIndex(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		newStore[knight](t, db)
		explain := "EXPLAIN QUERY PLAN "
		if db.Name() == "postgres" {
			mustExec(t, db, `SET enable_seqscan = off`)
			explain = "EXPLAIN "
		}
		rows, err := db.Raw(explain + `SELECT id FROM "user" WHERE lower(email) = lower('a@example.com')`).Rows()
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var plan strings.Builder
		for rows.Next() {
			var a, b, c int
			var line string
			if db.Name() == "postgres" {
				err = rows.Scan(&line)
			} else {
				err = rows.Scan(&a, &b, &c, &line)
			}
			if err != nil {
				t.Fatal(err)
			}
			plan.WriteString(line)
		}
		if !strings.Contains(plan.String(), "ux_user__lower_email") {
			t.Error(plan.String())
		}
	})
}
