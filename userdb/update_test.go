package userdb_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/userdb"
)

func TestUpdateWritesWhatChangedZeroValuesToo(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[knight](t, db)
		motto := "for the grail"
		u := create(t, store, func(k *knight) error {
			k.Account = account("percival@camelot.example.com")
			k.IsSuperuser, k.Age, k.Motto, k.Nick = true, 20, &motto, "percy"
			k.Shield = shield{Color: "red", Emblems: []string{"cup"}}
			return nil
		})
		updated, err := store.Update(t.Context(), u.AuthID(), func(k *knight) error {
			k.IsActive, k.IsSuperuser, k.Age, k.Nick, k.Motto = false, false, 0, "", nil
			k.Shield.Emblems[0] = "dove"
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		stored, err := store.ByID(t.Context(), u.AuthID())
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range []*knight{updated, stored} {
			if k.IsActive || k.IsSuperuser || k.Age != 0 || k.Nick != "" || k.Motto != nil || k.Shield.Emblems[0] != "dove" || k.Shield.Color != "red" {
				t.Errorf("%+v", k)
			}
		}
	})
}

func TestUpdateSeesAChangeBehindAPointer(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[knight](t, db)
		motto := "old"
		u := create(t, store, func(k *knight) error { k.Account = account("kay@camelot.example.com"); k.Motto = &motto; return nil })
		if _, err := store.Update(t.Context(), u.AuthID(), func(k *knight) error { *k.Motto = "new"; return nil }); err != nil {
			t.Fatal(err)
		}
		if stored, err := store.ByID(t.Context(), u.AuthID()); err != nil || *stored.Motto != "new" {
			t.Errorf("%v, %v", err, *stored.Motto)
		}
	})
}

func TestUpdateTellsWhatIsTaken(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[knight](t, db)
		create(t, store, newKnight("bors"))
		u := create(t, store, newKnight("lionel"))
		refused := errors.New("refused")
		for name, tc := range map[string]struct {
			change func(*knight) error
			want   error
		}{
			"address":               {func(k *knight) error { k.Email = "BORS@camelot.example.com"; return nil }, authn.ErrUserExists},
			"other unique field":    {func(k *knight) error { k.Nick = "bors"; return nil }, authn.ErrConflict},
			"against a check":       {func(k *knight) error { k.Age = -1; return nil }, authn.ErrRejected},
			"refused by the caller": {func(k *knight) error { k.Age = 7; return refused }, refused},
			"own address in capitals": {func(k *knight) error {
				k.Email = strings.ToUpper(k.Email)
				return nil
			}, nil},
		} {
			if _, err := store.Update(t.Context(), u.AuthID(), tc.change); !errors.Is(err, tc.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		stored, err := store.ByID(t.Context(), u.AuthID())
		if err != nil || stored.Age != 0 || stored.Nick != "lionel" || stored.Email != "LIONEL@CAMELOT.EXAMPLE.COM" {
			t.Errorf("%v, %+v", err, stored)
		}
		if _, err := store.Update(t.Context(), "0192d1f0-0000-7000-8000-000000000000", func(*knight) error { return nil }); !errors.Is(err, authn.ErrUserNotFound) {
			t.Errorf("nobody's update: %v", err)
		}
	})
}

func TestConcurrentUpdatesLoseNothing(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[knight](t, db)
		u := create(t, store, newKnight("bors"))
		const n = 8
		var group sync.WaitGroup
		for range n {
			group.Go(func() {
				if _, err := store.Update(t.Context(), u.AuthID(), func(k *knight) error { k.Generation++; return nil }); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if stored, err := store.ByID(t.Context(), u.AuthID()); err != nil || stored.Generation != n {
			t.Errorf("%v, generation %d of %d", err, stored.Generation, n)
		}
	})
}

func TestAnUpdateOfAnOlderAccountBeginsAnew(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[knight](t, db)
		u := create(t, store, newKnight("bors"))
		runs := 0
		after, err := store.Update(t.Context(), u.AuthID(), func(k *knight) error {
			if runs++; runs == 1 { // another program changes the password in between
				if err := db.Exec(`UPDATE "user" SET hashed_password = 'newer'`).Error; err != nil {
					return err
				}
			}
			k.IsVerified = true
			return nil
		})
		if err != nil || runs != 2 || after.HashedPassword != "newer" || !after.IsVerified {
			t.Errorf("%v after %d runs: %+v", err, runs, after)
		}
	})
}

func TestAnAddressOutOfSightIsTaken(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		create(t, newStore[knight](t, db), func(k *knight) error {
			k.Account, k.Nick = account("hidden@example.com"), "hidden"
			k.IsVerified = false
			return nil
		})
		store, err := userdb.New[knight](db.Where("is_verified"))
		if err != nil {
			t.Fatal(err)
		}
		seen := create(t, store, func(k *knight) error {
			k.Account, k.Nick = account("seen@example.com"), "seen"
			k.IsVerified = true
			return nil
		})
		if _, err := store.Create(t.Context(), func(k *knight) error {
			k.Account, k.Nick = account("Hidden@example.com"), "other"
			return nil
		}); !errors.Is(err, authn.ErrUserExists) {
			t.Errorf("Create: %v", err)
		}
		if _, err := store.Update(t.Context(), seen.AuthID(), func(k *knight) error {
			k.Email = "Hidden@example.com"
			return nil
		}); !errors.Is(err, authn.ErrUserExists) {
			t.Errorf("Update: %v", err)
		}
	})
}
