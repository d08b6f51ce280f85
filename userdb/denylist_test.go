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

func TestDenylistOfTokensThatLastForCenturies(t *testing.T) {
	d, err := userdb.NewDenylist(testdb.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, until := range []time.Time{now.AddDate(100, 0, 0), now.AddDate(560, 0, 0), now.AddDate(1000, 0, 0), time.Unix(253402300799, 0), time.Unix(32503680000, 0)} {
		id := [32]byte{byte(until.Year()), byte(until.Year() >> 8)}
		if err := d.Deny(t.Context(), id, until, now); err != nil {
			t.Fatal(err)
		}
		if err := d.Deny(t.Context(), [32]byte{9}, now.Add(time.Minute), now.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		denied, err := d.Denied(t.Context(), id)
		t.Log(until.Year(), until.UnixNano(), denied, err)
		if !denied {
			t.Errorf("a token that is valid until %d was revoked, and is forgotten", until.Year())
		}
	}
}
