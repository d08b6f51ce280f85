package userdb_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/userdb"
)

// numbered has the widest key that there is.
type numbered struct {
	ID    uint64        `gorm:"primaryKey"`
	Login authn.Account `gorm:"embedded"`
}

func (n *numbered) AuthID() string              { return fmt.Sprint(n.ID) }
func (n *numbered) AuthAccount() *authn.Account { return &n.Login }

// greetedByNumber looks users up through GORM.
type greetedByNumber struct {
	userdb.Model[int64]
}

func (*greetedByNumber) AfterFind(*gorm.DB) error { return nil }

// beyond are keys that are too large for a column of 32 or 64 bits.
var beyond = []string{"2147483648", "-2147483649", "9999999999", "9223372036854775807", "9223372036854775808", "18446744073709551615"}

func TestAKeyOutOfRangeIsNobodys(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		fixture, _ := testdb.FastAPIUsers(t, db.Name(), "int") // int4 on Postgres
		integers, throughGORM, wide := newStore[userdb.Model[int64]](t, fixture), newStore[greetedByNumber](t, fixture), newStore[numbered](t, db)
		for _, id := range beyond {
			if _, err := integers.ByID(t.Context(), id); !errors.Is(err, authn.ErrUserNotFound) {
				t.Errorf("%s: %v", id, err)
			}
			if _, err := throughGORM.ByID(t.Context(), id); !errors.Is(err, authn.ErrUserNotFound) {
				t.Errorf("%s through GORM: %v", id, err)
			}
			if _, err := wide.ByID(t.Context(), id); !errors.Is(err, authn.ErrUserNotFound) {
				t.Errorf("%s of 64 bits: %v", id, err)
			}
			if err := integers.Delete(t.Context(), id); !errors.Is(err, authn.ErrUserNotFound) {
				t.Errorf("deleting %s: %v", id, err)
			}
			if _, err := integers.Update(t.Context(), id, func(*userdb.Model[int64]) error { return nil }); !errors.Is(err, authn.ErrUserNotFound) {
				t.Errorf("updating %s: %v", id, err)
			}
		}
	})
}

func TestAKeyOutOfRangeDoesNotHurtABatch(t *testing.T) {
	db, fixture := testdb.FastAPIUsers(t, "postgres", "int")
	store := newStore[userdb.Model[int64]](t, db)
	found := 0
	if err := store.ByIDs(t.Context(), append([]string{"1", "2", "3"}, beyond...), func(int, *userdb.Model[int64]) { found++ }); err != nil || found != 3 {
		t.Errorf("%v, %d of %d users", err, found, len(fixture.Users))
	}
}

func TestTheLookUpByANarrowKeyUsesTheIndex(t *testing.T) {
	db, _ := testdb.FastAPIUsers(t, "postgres", "int")
	err := db.Connection(func(tx *gorm.DB) error {
		mustExec(t, tx, `SET enable_seqscan = off`)
		var plan []string
		err := tx.Raw(`EXPLAIN SELECT email FROM "user" WHERE id = CAST(? AS bigint)`, 1).Scan(&plan).Error
		if !strings.Contains(strings.Join(plan, "\n"), "Index Cond") {
			t.Error(plan)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// narrow has fields that are wider than their columns.
type narrow struct {
	userdb.Model[int64]
	Age   int64
	Coins uint64
	Nick  string `gorm:"uniqueIndex"`
}

func TestAnOwnValueOutOfRangeIsRejected(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		kind := "integer PRIMARY KEY AUTOINCREMENT"
		if db.Name() == "postgres" {
			kind = "serial PRIMARY KEY"
		}
		mustExec(t, db, `CREATE TABLE "user" (id `+kind+`, age integer, email varchar(320) NOT NULL UNIQUE, hashed_password varchar(1024) NOT NULL,
			is_active boolean NOT NULL, is_superuser boolean NOT NULL, is_verified boolean NOT NULL)`)
		store := newStore[narrow](t, db)
		u := create(t, store, func(u *narrow) error { u.Account = account("kay@example.com"); return nil })
		long := make([]byte, 1<<15)
		for i := range long { // what can't be compressed doesn't fit into a row of an index
			long[i] = byte('!' + rand.N(90))
		}
		faults := map[string]func(*narrow){"2⁶³": func(u *narrow) { u.Coins = 1 << 63 }}
		if db.Name() == "postgres" {
			faults["2⁴⁰ in 32 bits"] = func(u *narrow) { u.Age = 1 << 40 }
			faults["too long for the index"] = func(u *narrow) { u.Nick = string(long) }
		}
		for name, fault := range faults {
			_, err := store.Create(t.Context(), func(u *narrow) error { u.Account, u.Nick = account("b@example.com"), "b"; fault(u); return nil })
			if !errors.Is(err, authn.ErrRejected) {
				t.Errorf("Create, %s: %v", name, err)
			}
			_, err = store.Update(t.Context(), u.AuthID(), func(u *narrow) error { fault(u); return nil })
			if !errors.Is(err, authn.ErrRejected) {
				t.Errorf("Update, %s: %v", name, err)
			}
		}
	})
}
