package userdb_test

import (
	"errors"
	"reflect"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/userdb"
)

// counting counts what passes GORM's callbacks.
func counting(t *testing.T, db *gorm.DB) *atomic.Int64 {
	t.Helper()
	var queries atomic.Int64
	err := db.Callback().Query().After("gorm:query").Register("test:count", func(*gorm.DB) { queries.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	return &queries
}

func TestLookUpsReadWhatGORMReads(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[knight](t, db)
		motto := "for the grail"
		u := create(t, store, func(k *knight) error {
			k.Account = authn.Account{Email: "Kay@camelot.example.com", HashedPassword: "h", IsVerified: true, Generation: 1 << 40}
			k.Age, k.Motto, k.Shield = 33, &motto, shield{Color: "gold", Quarters: map[string]string{"a": "b"}}
			return nil
		})
		bare := create(t, store, func(k *knight) error { k.Account = account("bare@camelot.example.com"); k.Nick = "n"; return nil })
		queries := counting(t, db)
		for _, id := range []string{u.AuthID(), bare.AuthID()} {
			fast, err := store.ByID(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			byEmail, err := store.ByEmail(t.Context(), fast.Email)
			if err != nil {
				t.Fatal(err)
			}
			if queries.Load() != 0 {
				t.Error("the look-up went through GORM's callbacks")
			}
			plain := new(knight)
			if err := db.Take(plain, "id = ?", id).Error; err != nil {
				t.Fatal(err)
			}
			queries.Store(0)
			if !reflect.DeepEqual(fast, plain) || !reflect.DeepEqual(byEmail, plain) {
				t.Errorf("\n%+v\n%+v\n%+v", fast, byEmail, plain)
			}
		}
	})
}

func TestTwoLookUpsShareNoMemory(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[knight](t, db)
		motto := "mine"
		u := create(t, store, func(k *knight) error {
			k.Account, k.Motto, k.Shield = account("kay@camelot.example.com"), &motto, shield{Emblems: []string{"key"}}
			return nil
		})
		first, err := store.ByID(t.Context(), u.AuthID())
		if err != nil {
			t.Fatal(err)
		}
		*first.Motto, first.Shield.Emblems[0] = "yours", "lock"
		second, err := store.ByID(t.Context(), u.AuthID())
		if err != nil || *second.Motto != "mine" || second.Shield.Emblems[0] != "key" {
			t.Errorf("%v, %+v", err, second)
		}
	})
}

// buried users stay in the table.
type buried struct {
	userdb.User
	DeletedAt gorm.DeletedAt
}

func (buried) TableName() string { return "buried" }

// greeted users have a hook.
type greeted struct {
	userdb.User
	Greeting string `gorm:"-"`
}

func (greeted) TableName() string { return "greeted" }

func (g *greeted) AfterFind(*gorm.DB) error { g.Greeting = "hail"; return nil }

// squires have associations.
type squire struct {
	userdb.User
	Horses []horse `gorm:"foreignKey:SquireID"`
}

func (squire) TableName() string { return "squires" }

type horse struct {
	ID       int64
	SquireID string
	Name     string
}

func TestWhatGORMWouldAddIsNotLost(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		ctx := t.Context()
		t.Run("soft delete", func(t *testing.T) {
			store := newStore[buried](t, db)
			u := create(t, store, func(b *buried) error { b.Account = account("b@example.com"); return nil })
			if err := store.Delete(ctx, u.AuthID()); err != nil {
				t.Fatal(err)
			}
			if _, err := store.ByID(ctx, u.AuthID()); !errors.Is(err, authn.ErrUserNotFound) {
				t.Errorf("a softly deleted user by id: %v", err)
			}
			if _, err := store.ByEmail(ctx, "B@example.com"); !errors.Is(err, authn.ErrUserNotFound) {
				t.Errorf("a softly deleted user by e-mail: %v", err)
			}
			var rows int64
			if err := db.Unscoped().Model(&buried{}).Count(&rows).Error; err != nil || rows != 1 {
				t.Errorf("%d rows, %v", rows, err)
			}
		})
		t.Run("hook", func(t *testing.T) {
			store := newStore[greeted](t, db)
			u := create(t, store, func(g *greeted) error { g.Account = account("g@example.com"); return nil })
			if found, err := store.ByID(ctx, u.AuthID()); err != nil || found.Greeting != "hail" {
				t.Errorf("%v, %+v", err, found)
			}
			if found, err := store.Update(ctx, u.AuthID(), func(g *greeted) error { g.IsVerified = true; return nil }); err != nil || !found.IsVerified {
				t.Errorf("%v, %+v", err, found)
			}
		})
		t.Run("preload", func(t *testing.T) {
			if err := db.AutoMigrate(&horse{}); err != nil {
				t.Fatal(err)
			}
			newStore[squire](t, db)
			store, err := userdb.New[squire](db.Preload("Horses"))
			if err != nil {
				t.Fatal(err)
			}
			u := create(t, store, func(s *squire) error { s.Account = account("s@example.com"); return nil })
			if err := db.Create(&horse{SquireID: u.AuthID(), Name: "Gringolet"}).Error; err != nil {
				t.Fatal(err)
			}
			for range 2 {
				found, err := store.ByID(ctx, u.AuthID())
				if err != nil || len(found.Horses) != 1 {
					t.Errorf("%v, %+v", err, found)
				}
			}
		})
		t.Run("scope", func(t *testing.T) {
			newStore[knight](t, db)
			verified := func(tx *gorm.DB) *gorm.DB { return tx.Where("is_verified") }
			store, err := userdb.New[knight](db.Scopes(verified))
			if err != nil {
				t.Fatal(err)
			}
			u := create(t, store, newKnight("unverified"))
			for range 2 {
				if _, err := store.ByID(ctx, u.AuthID()); !errors.Is(err, authn.ErrUserNotFound) {
					t.Errorf("a user out of the scope: %v", err)
				}
			}
		})
		t.Run("plugin", func(t *testing.T) {
			session := db.Session(&gorm.Session{})
			session.Config = &gorm.Config{}
			*session.Config = *db.Config
			session.Plugins = map[string]gorm.Plugin{"test": nil}
			store, err := userdb.New[knight](session)
			if err != nil {
				t.Fatal(err)
			}
			queries := counting(t, db)
			if _, err := store.ByEmail(ctx, "x@example.com"); !errors.Is(err, authn.ErrUserNotFound) || queries.Load() == 0 {
				t.Errorf("%v after %d queries of GORM's", err, queries.Load())
			}
		})
	})
}

// member has columns of other names than ours.
type member struct {
	Number  int64         `gorm:"primaryKey;column:member_no"`
	Login   memberAccount `gorm:"embedded"`
	Created time.Time     `gorm:"autoCreateTime"`
}

type memberAccount struct {
	Email          string `gorm:"column:mail"`
	HashedPassword string `gorm:"column:pw"`
	IsActive       bool   `gorm:"column:enabled"`
	IsSuperuser    bool   `gorm:"column:root"`
	IsVerified     bool   `gorm:"column:confirmed"`
	Generation     int64  `gorm:"column:pw_generation"`
}

func (m *member) AuthID() string              { return strconv.FormatInt(m.Number, 10) }
func (m *member) AuthAccount() *authn.Account { return (*authn.Account)(&m.Login) }
func (member) TableName() string              { return "club_members" }

func TestOwnNames(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[member](t, db)
		u := roundTrip(t, store, account("m@example.com"))
		if u.Created.IsZero() {
			t.Error("GORM's own times were not written")
		}
		var mail string
		if err := db.Raw(`SELECT mail FROM club_members WHERE enabled`).Scan(&mail).Error; err != nil || mail != "m@example.com" {
			t.Errorf("%v, %q", err, mail)
		}
	})
}
