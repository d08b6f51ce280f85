package userdb_test

import (
	"errors"
	"slices"
	"testing"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/userdb"
)

// A db's own conditions say which users there are, and never which one is
// asked for.
func TestConditionsOfTheDBAndOurs(t *testing.T) {
	for name, given := range map[string]func(*gorm.DB) *gorm.DB{
		"or":         func(db *gorm.DB) *gorm.DB { return db.Where("age > 30").Or("nick = ?", "young") },
		"or in text": func(db *gorm.DB) *gorm.DB { return db.Where("age > 30 or\nnick = ?", "young") },
		"or alone":   func(db *gorm.DB) *gorm.DB { return db.Or("age > 30 OR nick = ?", "young") },
		"or first":   func(db *gorm.DB) *gorm.DB { return db.Or("nick = ?", "young").Or("age > 30") },
		"scope": func(db *gorm.DB) *gorm.DB {
			return db.Scopes(func(tx *gorm.DB) *gorm.DB { return tx.Where("age > 30").Or("nick = ?", "young") })
		},
		"scope twice": func(db *gorm.DB) *gorm.DB {
			return db.Where("age >= 0").Scopes(func(tx *gorm.DB) *gorm.DB { return tx.Where("age > 30 OR nick = ?", "young") })
		},
		"order": func(db *gorm.DB) *gorm.DB { return db.Where("age > 30").Or("nick = ?", "young").Order("age DESC") },
	} {
		t.Run(name, func(t *testing.T) {
			testdb.Each(t, func(t *testing.T, db *gorm.DB) { testConditions(t, db, given) })
		})
	}
}

func testConditions(t *testing.T, db *gorm.DB, given func(*gorm.DB) *gorm.DB) {
	ctx := t.Context()
	all := newStore[knight](t, db)
	var ids []string
	for name, age := range map[string]int{"arthur": 40, "bors": 50, "young": 10, "out": 20} {
		u := create(t, all, func(k *knight) error {
			k.Account, k.Age, k.Nick = account(name+"@camelot.example.com"), age, name
			return nil
		})
		if name != "out" {
			ids = append(ids, u.AuthID())
		}
	}
	slices.Sort(ids)
	store, err := userdb.New[knight](given(db))
	if err != nil {
		t.Fatal(err)
	}
	out, err := all.ByEmail(ctx, "out@camelot.example.com")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		u, err := store.ByID(ctx, id)
		if err != nil || u.AuthID() != id {
			t.Fatalf("by id %s: %+v, %v", id, u, err)
		}
		if found, err := store.ByEmail(ctx, u.Email); err != nil || found.AuthID() != id {
			t.Errorf("by e-mail: %+v, %v", found, err)
		}
		if found, err := store.AllowLegacyDuplicates().ByEmail(ctx, u.Email); err != nil || found.AuthID() != id {
			t.Errorf("by exact e-mail: %+v, %v", found, err)
		}
		if found, err := store.Find(ctx, "1 = 0 or\nnick = ?", u.Nick); err != nil || found.AuthID() != id {
			t.Errorf("by a condition: %+v, %v", found, err)
		}
		if u, err = store.Update(ctx, id, func(k *knight) error { k.Shield.Color = "of " + k.Nick; return nil }); err != nil || u.AuthID() != id {
			t.Errorf("update: %+v, %v", u, err)
		}
	}
	for _, lookUp := range []func() error{
		func() error { _, err := store.ByID(ctx, out.AuthID()); return err },
		func() error { _, err := store.ByEmail(ctx, out.Email); return err },
		func() error { _, err := store.Find(ctx, "nick = ?", out.Nick); return err },
		func() error {
			_, err := store.Update(ctx, out.AuthID(), func(k *knight) error { k.Age = 99; return nil })
			return err
		},
		func() error { return store.Delete(ctx, out.AuthID()) },
	} {
		if err := lookUp(); !errors.Is(err, authn.ErrUserNotFound) {
			t.Errorf("a user that the db leaves out: %v", err)
		}
	}
	var listed []string
	for q := (authn.Query{Limit: 1}); ; {
		page, err := store.List(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		q.After = page[0].AuthID()
		if listed = append(listed, q.After); len(listed) > len(ids) {
			break
		}
	}
	if !slices.Equal(listed, ids) {
		t.Errorf("listed %q, want %q", listed, ids)
	}
	if err := store.Delete(ctx, ids[1]); err != nil {
		t.Error(err)
	}
	var rows []knight
	if err := db.Find(&rows).Error; err != nil || len(rows) != 3 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		if want := "of " + row.Nick; row.Nick != "out" && row.Shield.Color != want {
			t.Errorf("%s has %q", row.Nick, row.Shield.Color)
		}
	}
}
