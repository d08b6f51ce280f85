package userdb_test

import (
	"errors"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/userdb"
)

func TestDenylist(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		list, err := userdb.NewDenylist(db.Where("1 = 0"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := list.Denied(t.Context(), [32]byte{}); !errors.Is(err, userdb.ErrNotMigrated) {
			t.Error(err)
		}
		for range 2 {
			if err := list.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		authntest.TestDenylist(t, func(*testing.T) authn.Denylist { return list })
		var rows int64
		if err := db.Table(userdb.DefaultDenylistTable).Count(&rows).Error; err != nil || rows != 2 {
			t.Errorf("%d rows, %v: what has expired is removed by later log-outs", rows, err)
		}
		if _, err := list.DeleteExpired(t.Context(), time.Now().Add(2*time.Hour), 10); err != nil {
			t.Error(err)
		}
		if err := db.Table(userdb.DefaultDenylistTable).Count(&rows).Error; err != nil || rows != 1 {
			t.Errorf("%d rows, %v: one never expires", rows, err)
		}
	})
}
