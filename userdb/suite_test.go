package userdb_test

import (
	"testing"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/userdb"
)

func TestTheSuite(t *testing.T) {
	for engine, open := range map[string]func(testing.TB) *gorm.DB{"sqlite": testdb.SQLite, "postgres": testdb.Postgres} {
		t.Run(engine+"/uuid", func(t *testing.T) {
			authntest.TestStore(t, func(t *testing.T) authn.Store[*userdb.User] { return newStore[userdb.User](t, open(t)) })
		})
		t.Run(engine+"/int64", func(t *testing.T) {
			authntest.TestStore(t, func(t *testing.T) authn.Store[*page] { return newStore[page](t, open(t)) })
		})
		t.Run(engine+"/text", func(t *testing.T) {
			authntest.TestStore(t, func(t *testing.T) authn.Store[*scribe] { return newStore[scribe](t, open(t)) })
		})
		t.Run(engine+"/through GORM", func(t *testing.T) {
			authntest.TestStore(t, func(t *testing.T) authn.Store[*greeted] { return newStore[greeted](t, open(t)) })
		})
		t.Run(engine+"/other names", func(t *testing.T) {
			authntest.TestStore(t, func(t *testing.T) authn.Store[*member] { return newStore[member](t, open(t)) })
		})
	}
}

func TestOutboxSuite(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		authntest.TestOutbox(t, func(t *testing.T) authn.Outbox {
			outbox, err := userdb.NewOutbox(db)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := outbox.Migrate(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.Exec("DELETE FROM echo_users_outbox").Error; err != nil {
				t.Fatal(err)
			}
			return outbox
		})
	})
}
