package userdb_test

import (
	"errors"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/userdb"
)

// oneAccount checks that the index makes one address one account.
func oneAccount[T any, U interface {
	*T
	authn.User
}](t *testing.T, store *userdb.Store[T, U], email string) {
	t.Helper()
	create(t, store, func(u U) error { *u.AuthAccount() = account(email); return nil })
	_, err := store.Create(t.Context(), func(u U) error { *u.AuthAccount() = account(strings.ToUpper(email)); return nil })
	if !errors.Is(err, authn.ErrUserExists) {
		t.Errorf("a second account of %s: %v", email, err)
	}
}

// indexesOf returns the names of a table's indexes that SQL made.
func indexesOf(t *testing.T, db *gorm.DB, table string) []string {
	t.Helper()
	query := "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = ?"
	if db.Name() == "postgres" {
		query = "SELECT indexname FROM pg_indexes WHERE tablename = ? AND indexname NOT LIKE '%_pkey'"
	}
	var names []string
	if err := db.Raw(query, table).Scan(&names).Error; err != nil {
		t.Fatal(err)
	}
	return names
}

func TestATableThatWasCreatedAnewIsMigratedAnew(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		newStore[page](t, db)
		mustExec(t, db, `DROP TABLE pages`)
		mustExec(t, db, `CREATE TABLE pages (id integer PRIMARY KEY, email varchar(320) NOT NULL UNIQUE, hashed_password varchar(1024) NOT NULL,
			is_active boolean NOT NULL, is_superuser boolean NOT NULL, is_verified boolean NOT NULL)`)
		newStore[page](t, db)
		mustExec(t, db, `INSERT INTO pages (id, email, hashed_password, is_active, is_superuser, is_verified) VALUES (7, 'kay@example.com', '', true, false, false)`)
		if err := db.Exec(`INSERT INTO pages (id, email, hashed_password, is_active, is_superuser, is_verified) VALUES (8, 'Kay@example.com', '', true, false, false)`).Error; err == nil {
			t.Error("two accounts of one address")
		}
	})
}

// Alembic's batch_alter_table copies an SQLite table, drops it, and renames the
// copy: indexes and triggers are gone.
func TestASQLiteTableThatWasRebuiltIsMigratedAnew(t *testing.T) {
	db, _ := testdb.FastAPIUsers(t, "sqlite", "int")
	store := newStore[userdb.Model[int64]](t, db)
	for _, sql := range []string{
		`PRAGMA foreign_keys = 0`,
		`CREATE TABLE copy (id INTEGER NOT NULL PRIMARY KEY, email VARCHAR(320) NOT NULL, hashed_password VARCHAR(1024) NOT NULL,
			is_active BOOLEAN NOT NULL, is_superuser BOOLEAN NOT NULL, is_verified BOOLEAN NOT NULL, credential_generation bigint NOT NULL DEFAULT 0)`,
		`INSERT INTO copy SELECT id, email, hashed_password, is_active, is_superuser, is_verified, credential_generation FROM "user"`,
		`DROP TABLE "user"`,
		`ALTER TABLE copy RENAME TO "user"`,
	} {
		mustExec(t, db, sql)
	}
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	oneAccount(t, store, "bors@example.com")
	fill := func(u *userdb.Model[int64]) error { u.Account = account("new@example.com"); return nil }
	gone := create(t, store, fill)
	if err := store.Delete(t.Context(), gone.AuthID()); err != nil {
		t.Fatal(err)
	}
	if heir := create(t, store, fill); heir.ID != gone.ID || heir.Generation <= gone.Generation {
		t.Errorf("%d of generation %d after %d of generation %d", heir.ID, heir.Generation, gone.ID, gone.Generation)
	}
}

func TestANameThatIsTakenStopsTheMigration(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[knight](t, db)
		mustExec(t, db, `CREATE TABLE log (email varchar(320))`)
		for _, taken := range []string{
			`CREATE UNIQUE INDEX ux_user__lower_email ON log (lower(email))`, // another table's
			`CREATE INDEX ux_user__lower_email ON "user" (lower(email))`,     // not unique
			`CREATE UNIQUE INDEX ux_user__lower_email ON "user" (email)`,     // by letter case
			`CREATE UNIQUE INDEX ux_user__lower_email ON "user" (lower(email), id)`,
			`CREATE UNIQUE INDEX ux_user__lower_email ON "user" (lower(email)) WHERE is_active`,
		} {
			mustExec(t, db, `DROP INDEX ux_user__lower_email`)
			mustExec(t, db, taken)
			err := store.Migrate(t.Context())
			wants(t, err, "ux_user__lower_email is taken")
			wants(t, err, "drop or rename that")
		}
	})
}

func TestAnIndexThatIsNotValidDoesNotCount(t *testing.T) {
	db := testdb.Postgres(t)
	store := newStore[knight](t, db)
	mustExec(t, db, `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ux_user__lower_email'::regclass`)
	wants(t, store.Migrate(t.Context()), "ux_user__lower_email is taken")
}

func TestATriggerOfAnotherTableStopsTheMigration(t *testing.T) {
	db, _ := testdb.FastAPIUsers(t, "sqlite", "int")
	store, err := userdb.New[userdb.Model[int64]](db)
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, `CREATE TABLE log (id integer)`)
	mustExec(t, db, `CREATE TRIGGER user_retire_key AFTER DELETE ON log BEGIN DELETE FROM log; END`)
	wants(t, store.Migrate(t.Context()), `the trigger user_retire_key is on table "log"`)
}

// named has indexes that are there under other names.
type named struct {
	userdb.User
	Nick   string `gorm:"size:20;unique"`
	Motto  string `gorm:"size:20;index"`
	Height int    `gorm:"index:,sort:desc"`
}

func TestAnEquivalentIndexCountsUnderAnyName(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		mustExec(t, db, `CREATE TABLE "user" (id char(36) PRIMARY KEY, email varchar(320) NOT NULL, hashed_password varchar(1024) NOT NULL,
			is_active boolean NOT NULL, is_superuser boolean NOT NULL, is_verified boolean NOT NULL, nick varchar(20), motto varchar(20),
			CONSTRAINT only_one UNIQUE (nick))`)
		mustExec(t, db, `CREATE UNIQUE INDEX by_address ON "user" ( LOWER(email) )`)
		mustExec(t, db, `CREATE INDEX by_motto ON "user" (motto)`)
		for range 2 {
			newStore[named](t, db)
		}
		for _, index := range indexesOf(t, db, "user") {
			switch index {
			case "by_address", "by_motto", "only_one", "idx_user_height":
			default:
				t.Errorf("%s was made beside an equivalent one", index)
			}
		}
	})
}

// beside has columns whose names come close to what our indexes are called.
type beside struct {
	userdb.User
	EmailLower string `gorm:"unique"`
	Other      string `gorm:"column:loweremail;unique"`
}

func TestAnOwnColumnDoesNotPassForTheEmailIndex(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[beside](t, db)
		create(t, store, func(u *beside) error { u.Account = account("a@example.com"); return nil })
		for name, fill := range map[string]func(*beside){
			"email_lower": func(u *beside) { u.Other = "another" },
			"loweremail":  func(u *beside) { u.EmailLower = "another" },
		} {
			_, err := store.Create(t.Context(), func(u *beside) error { u.Account = account("b@example.com"); fill(u); return nil })
			if !errors.Is(err, authn.ErrConflict) {
				t.Errorf("%s: %v", name, err)
			}
		}
		mustExec(t, db, `DROP INDEX ux_user__lower_email`)
		if err := store.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err := store.Create(t.Context(), func(u *beside) error {
			u.Account, u.EmailLower, u.Other = account("A@example.com"), "x", "x"
			return nil
		})
		if !errors.Is(err, authn.ErrUserExists) {
			t.Errorf("a second account: %v", err)
		}
	})
}

// Names of two tables that are the same in the first 63 bytes.
const endless = "user_of_a_table_whose_name_is_almost_as_long_as_names_can_be_"

type endlessOne struct {
	userdb.User
	Nick string `gorm:"unique"`
}

func (endlessOne) TableName() string { return endless + "1" }

type endlessTwo struct{ userdb.User }

func (endlessTwo) TableName() string { return endless + "2" }

func TestLongNamesDoNotClash(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		for range 2 {
			newStore[endlessOne](t, db)
			newStore[endlessTwo](t, db)
		}
		oneAccount(t, newStore[endlessTwo](t, db), "kay@example.com")
		store := newStore[endlessOne](t, db)
		oneAccount(t, store, "kay@example.com")
		if _, err := store.Create(t.Context(), func(u *endlessOne) error { u.Account = account("bors@example.com"); return nil }); !errors.Is(err, authn.ErrConflict) {
			t.Errorf("the unique index of an own field: %v", err)
		}
	})
}

func TestADatabaseOfTheOldNamesStaysAsItIs(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[named](t, db)
		mustExec(t, db, `DROP INDEX ux_user__lower_email`)
		mustExec(t, db, `CREATE UNIQUE INDEX ux_user_email_lower ON "user" (lower(email))`)
		before := indexesOf(t, db, "user")
		if err := store.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if after := indexesOf(t, db, "user"); len(after) != len(before) {
			t.Errorf("%q became %q", before, after)
		}
	})
}
