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

func TestCursorsAreKeys(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		uuids := newStore[knight](t, db)
		integers := newStore[counted](t, db)
		create(t, integers, func(u *counted) error { u.Account = account("ann@example.com"); return nil })
		for _, after := range []string{"nobody", "1 OR 1=1", "\x00", "\xff", strings.Repeat("9", 300)} {
			if _, err := uuids.List(t.Context(), authn.Query{After: after, Limit: 1}); !errors.Is(err, authn.ErrUserNotFound) {
				t.Errorf("after %q: %v", after, err)
			}
			if _, err := integers.List(t.Context(), authn.Query{After: after, Limit: 1}); !errors.Is(err, authn.ErrUserNotFound) {
				t.Errorf("after %q: %v", after, err)
			}
		}
		for after, want := range map[string]int{"0": 1, "1": 0, "9223372036854775807": 0, "-9223372036854775808": 1} {
			if found, err := integers.List(t.Context(), authn.Query{After: after, Limit: 5}); err != nil || len(found) != want {
				t.Errorf("after %s: %d users, %v", after, len(found), err)
			}
		}
	})
}

// counted has integer keys, in a table of its own.
type counted struct{ userdb.Model[int64] }

func (counted) TableName() string { return "counted" }
