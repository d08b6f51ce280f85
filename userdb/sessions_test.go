package userdb_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/userdb"
)

// scout is a user with a key that the database makes.
type scout struct{ userdb.Model[int64] }

func (scout) TableName() string { return "scouts" }

func newSessions[T any, U interface {
	*T
	authn.User
}](t *testing.T, db *gorm.DB) (*userdb.Store[T, U], *userdb.Sessions[T, U]) {
	t.Helper()
	store, err := userdb.New[T, U](db)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	sessions, err := userdb.NewSessions(store, userdb.SessionsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := sessions.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return store, sessions
}

func sessionSuite[T any, U interface {
	*T
	authn.User
}](t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			authntest.TestSessions(t, func(t *testing.T) (authn.SessionStore, string, string) {
				db := map[string]func(testing.TB) *gorm.DB{"sqlite": testdb.SQLite, "postgres": testdb.Postgres}[engine](t)
				store, sessions := newSessions[T, U](t, db)
				ann := create(t, store, func(u U) error { *u.AuthAccount() = account("ann@example.com"); return nil })
				bob := create(t, store, func(u U) error { *u.AuthAccount() = account("bob@example.com"); return nil })
				return sessions, ann.AuthID(), bob.AuthID()
			})
		})
	}
}

func TestSessionsSuite(t *testing.T) {
	t.Run("uuid", func(t *testing.T) { sessionSuite[userdb.User](t) })
	t.Run("int64", func(t *testing.T) { sessionSuite[scout](t) })
	t.Run("other names", func(t *testing.T) { sessionSuite[member](t) })
}

func TestSessionsGoWithTheirUser(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		ctx := t.Context()
		store, sessions := newSessions[userdb.User](t, db)
		u := create(t, store, func(u *userdb.User) error { u.Account = account("ann@example.com"); return nil })
		now := time.Now()
		session := authn.Session{ID: "one", Subject: u.AuthID(), CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(time.Hour)}
		for _, limit := range []authn.SessionLimit{{}, {Max: 5}} {
			nobody := session
			nobody.Subject = "0190163d-8694-739b-aea5-966c26f8ad91"
			if err := sessions.InsertSession(ctx, nobody, now, limit); !errors.Is(err, authn.ErrUserNotFound) {
				t.Errorf("a session of nobody: %v", err)
			}
		}
		err := store.InTransaction(ctx, func(ctx context.Context) error {
			if err := sessions.InsertSession(ctx, session, now, authn.SessionLimit{Max: 5}); err != nil {
				t.Error(err)
			}
			if _, err := sessions.Session(ctx, u.AuthID(), "one"); err != nil {
				t.Error("within the transaction:", err)
			}
			return errors.New("rolled back")
		})
		if all, listErr := sessions.Sessions(ctx, u.AuthID()); err == nil || listErr != nil || len(all) != 0 {
			t.Errorf("after a transaction that was rolled back: %v, %v", all, listErr)
		}
		if err := sessions.InsertSession(ctx, session, now, authn.SessionLimit{}); err != nil {
			t.Fatal(err)
		}
		if err := store.Delete(ctx, u.AuthID()); err != nil {
			t.Fatal(err)
		}
		if all, err := sessions.Sessions(ctx, u.AuthID()); err != nil || len(all) != 0 {
			t.Errorf("sessions of a deleted user: %v, %v", all, err)
		}
	})
}

func TestLogInsRemoveExpiredSessions(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		ctx := t.Context()
		store, sessions := newSessions[userdb.User](t, db)
		ann := create(t, store, func(u *userdb.User) error { u.Account = account("ann@example.com"); return nil })
		bob := create(t, store, func(u *userdb.User) error { u.Account = account("bob@example.com"); return nil })
		now := time.Now()
		insert := func(subject, id string, at time.Time) {
			t.Helper()
			session := authn.Session{ID: id, Subject: subject, CreatedAt: at, SeenAt: at, ExpiresAt: at.Add(time.Hour)}
			if err := sessions.InsertSession(ctx, session, at, authn.SessionLimit{}); err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range []string{"1", "2", "3", "4", "5", "6"} {
			insert(ann.AuthID(), id, now)
		}
		insert(bob.AuthID(), "later", now.Add(time.Hour))
		for _, want := range []int{2, 0} {
			if all, err := sessions.Sessions(ctx, ann.AuthID()); err != nil || len(all) != want {
				t.Errorf("%d of hers are left, %v, want %d", len(all), err, want)
			}
			if _, err := sessions.DeleteExpired(ctx, now.Add(time.Hour), 10); err != nil {
				t.Error(err)
			}
		}
		if _, err := sessions.Session(ctx, bob.AuthID(), "later"); err != nil {
			t.Error(err)
		}
	})
}

func TestSessionsThatWereNotMigrated(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[userdb.User](t, db)
		sessions, err := userdb.NewSessions(store, userdb.SessionsConfig{})
		if err != nil {
			t.Fatal(err)
		}
		u := create(t, store, func(u *userdb.User) error { u.Account = account("ann@example.com"); return nil })
		if _, err := sessions.Session(t.Context(), u.AuthID(), "one"); !errors.Is(err, userdb.ErrNotMigrated) || errors.Is(err, authn.ErrSessionNotFound) {
			t.Error(err)
		}
		if err := sessions.DeleteSessions(t.Context(), u.AuthID(), ""); !errors.Is(err, userdb.ErrNotMigrated) {
			t.Error(err)
		}
	})
}
