package userdb_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/internal/testdb"
)

func TestSeveralUsersInOneQuery(t *testing.T) {
	store := newStore[knight](t, testdb.Postgres(t))
	motto := "mine"
	var ids []string
	for i := range 70 {
		u := create(t, store, func(k *knight) error {
			k.Account, k.Nick, k.Motto = account(fmt.Sprint(i, "@example.com")), fmt.Sprint("n", i), &motto
			return nil
		})
		ids = append(ids, u.AuthID())
	}
	for _, n := range []int{0, 1, 2, 3, 5, 64, 70} {
		asked := append([]string{strings.ToUpper(ids[0])}, ids[:n]...)
		asked = append(asked, asked...) // each one twice
		asked = append(asked, "no id", uuid.NewString())
		loaded := map[int]*knight{}
		if err := store.ByIDs(t.Context(), asked, func(i int, u *knight) { loaded[i] = u }); err != nil {
			t.Fatal(err)
		}
		if len(loaded) != len(asked)-2 {
			t.Errorf("%d of %d were found", len(loaded), len(asked))
		}
		for i, u := range loaded {
			if u.AuthID() != strings.ToLower(asked[i]) || *u.Motto != "mine" {
				t.Errorf("%d: asked for %s, got %+v", i, asked[i], u)
			}
		}
		*loaded[0].Motto = "yours"
		if other := loaded[n+1]; *other.Motto != "mine" {
			t.Error("two copies of one user share memory")
		}
	}
}

func TestWhereABatchIsNotSupported(t *testing.T) {
	if err := newStore[knight](t, testdb.SQLite(t)).ByIDs(t.Context(), nil, nil); !errors.Is(err, authn.ErrNotSupported) {
		t.Errorf("SQLite: %v", err)
	}
	if err := newStore[greeted](t, testdb.Postgres(t)).ByIDs(t.Context(), nil, nil); !errors.Is(err, authn.ErrNotSupported) {
		t.Errorf("through GORM: %v", err)
	}
}
