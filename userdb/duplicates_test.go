package userdb_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/userdb"
)

// legacyUser is a fastapi-users table's user, of which some addresses differ in letter
// case alone.
type legacyUser = legacy[uuid.UUID]

func eachWithDuplicates(t *testing.T, f func(t *testing.T, db *gorm.DB, store *userdb.Store[legacyUser, *legacyUser])) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			db, _ := testdb.FastAPIUsers(t, engine, "uuid")
			for _, email := range []string{"one@example.com", "ONE@example.com", "TWO@EXAMPLE.COM", "two@example.com", "two@Example.com"} {
				pythonInserts(t, db, uuid.New(), email)
			}
			store, err := userdb.New[legacyUser](db)
			if err != nil {
				t.Fatal(err)
			}
			f(t, db, store)
		})
	}
}

func pythonInserts(t *testing.T, db *gorm.DB, id uuid.UUID, email string) {
	t.Helper()
	mustExec(t, db, `INSERT INTO "user" (id, email, hashed_password, is_active, is_superuser, is_verified) VALUES (?, ?, '$2b$12$x', true, false, false)`, id, email)
}

func allowed(t *testing.T, store *userdb.Store[legacyUser, *legacyUser]) *userdb.Store[legacyUser, *legacyUser] {
	t.Helper()
	store = store.AllowLegacyDuplicates()
	for range 2 {
		if err := store.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

func TestDuplicatesOfAnOlderTableAreAllowedOnRequest(t *testing.T) {
	eachWithDuplicates(t, func(t *testing.T, db *gorm.DB, store *userdb.Store[legacyUser, *legacyUser]) {
		var duplicates *userdb.DuplicateEmailError
		if err := store.Migrate(t.Context()); !errors.As(err, &duplicates) || len(duplicates.Rows) != 5 {
			t.Fatalf("%v", err)
		}
		store = allowed(t, store)
		for typed, want := range map[string]string{
			"one@example.com":                     "one@example.com",
			"ONE@example.com":                     "ONE@example.com",
			"ONE@Example.Com":                     "ONE@example.com",
			"One@example.com":                     "",
			"TWO@EXAMPLE.COM":                     "TWO@EXAMPLE.COM",
			"TWO@example.com":                     "TWO@EXAMPLE.COM",
			"two@example.com":                     "two@example.com",
			"two@Example.com":                     "two@Example.com",
			"two@EXAMPLE.COM":                     "", // two of them are as near
			"Two@example.com":                     "",
			"LANCELOT.DU.LAC@CAMELOT.EXAMPLE.COM": "Lancelot.du.Lac@camelot.example.com",
			"nobody@example.com":                  "",
		} {
			u, err := store.ByEmail(t.Context(), typed)
			switch {
			case want == "" && !errors.Is(err, authn.ErrUserNotFound):
				t.Errorf("%s: %v, %v", typed, u, err)
			case want != "" && (err != nil || u.Email != want):
				t.Errorf("%s: %v, %v", typed, u, err)
			}
		}
	})
}

func TestNoNewDuplicateBesideTheOld(t *testing.T) {
	eachWithDuplicates(t, func(t *testing.T, db *gorm.DB, store *userdb.Store[legacyUser, *legacyUser]) {
		store = allowed(t, store)
		for _, email := range []string{"One@example.com", "one@example.com", "TWO@example.com", "KING.ARTHUR@camelot.example.com"} {
			if _, err := store.Create(t.Context(), spelt(email)); !errors.Is(err, authn.ErrUserExists) {
				t.Errorf("registering %s: %v", email, err)
			}
		}
		other := create(t, store, spelt("three@example.com"))
		old, err := store.ByEmail(t.Context(), "ONE@example.com")
		if err != nil {
			t.Fatal(err)
		}
		for id, email := range map[string]string{
			other.AuthID(): "One@example.com",
			old.AuthID():   "One@example.com", // there is still the other one
		} {
			if _, err := store.Update(t.Context(), id, func(u *legacyUser) error { u.Email = email; return nil }); !errors.Is(err, authn.ErrUserExists) {
				t.Errorf("changing to %s: %v", email, err)
			}
		}
		if _, err := store.Update(t.Context(), old.AuthID(), func(u *legacyUser) error { u.IsVerified = true; return nil }); err != nil {
			t.Errorf("what else an old row has can be changed: %v", err)
		}

		// The index excuses the address, not the row: who has another one by then
		// is like everybody else, whoever writes.
		if _, err := store.Update(t.Context(), old.AuthID(), func(u *legacyUser) error { u.Email = "four@example.com"; return nil }); err != nil {
			t.Fatal(err)
		}
		for _, email := range []string{"Four@example.com", "Three@example.com"} {
			if err := db.Exec(`INSERT INTO "user" (id, email, hashed_password, is_active, is_superuser, is_verified) VALUES (?, ?, '', true, false, false)`,
				uuid.New(), email).Error; err == nil {
				t.Errorf("the Python side made a second %s", email)
			}
		}
		if err := db.Exec(`UPDATE "user" SET email = 'THREE@example.com' WHERE id = ?`, old.ID).Error; err == nil {
			t.Error("the Python side gave an old row another one's address")
		}
	})
}

func TestRegistrationsAtOnceBesideOldDuplicates(t *testing.T) {
	eachWithDuplicates(t, func(t *testing.T, db *gorm.DB, store *userdb.Store[legacyUser, *legacyUser]) {
		store = allowed(t, store)
		var group sync.WaitGroup
		made := make(chan string, 32)
		for n := range 16 {
			group.Go(func() {
				for _, name := range []string{"one", "fresh"} {
					spelling := strings.ToUpper(name[:n%3]) + name[n%3:] + "@example.com"
					if _, err := store.Create(t.Context(), spelt(spelling)); err == nil {
						made <- name
					} else if !errors.Is(err, authn.ErrUserExists) {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		close(made)
		count := map[string]int{}
		for name := range made {
			count[name]++
		}
		if count["fresh"] != 1 || count["one"] != 0 {
			t.Errorf("%v", count)
		}
	})
}

func TestMergedDuplicatesNeedNoExcuse(t *testing.T) {
	eachWithDuplicates(t, func(t *testing.T, db *gorm.DB, store *userdb.Store[legacyUser, *legacyUser]) {
		allowed(t, store)
		mustExec(t, db, `DELETE FROM "user" WHERE email IN ('ONE@example.com', 'TWO@EXAMPLE.COM', 'two@Example.com')`)
		for _, s := range []*userdb.Store[legacyUser, *legacyUser]{store.AllowLegacyDuplicates(), store} {
			if err := s.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			if u, err := s.ByEmail(t.Context(), "One@example.com"); err != nil || u.Email != "one@example.com" {
				t.Errorf("%v, %v", u, err)
			}
		}
		if err := db.Exec(`INSERT INTO "user" (id, email, hashed_password, is_active, is_superuser, is_verified) VALUES (?, 'ONE@example.com', '', true, false, false)`,
			uuid.New()).Error; err == nil {
			t.Error("an address was excused after its duplicates had gone")
		}
	})
}

func TestTheLookUpBesideOldDuplicatesUsesAnIndex(t *testing.T) {
	eachWithDuplicates(t, func(t *testing.T, db *gorm.DB, store *userdb.Store[legacyUser, *legacyUser]) {
		allowed(t, store)
		explain := `EXPLAIN QUERY PLAN SELECT * FROM "user" WHERE lower(email) = lower('x')`
		if db.Name() == "postgres" {
			explain = `EXPLAIN SELECT * FROM "user" WHERE lower(email) = lower('x')`
			mustExec(t, db, "INSERT INTO \"user\" (id, email, hashed_password, is_active, is_superuser, is_verified) SELECT gen_random_uuid(), n || '@example.com', '', true, false, false FROM generate_series(1, 5000) AS n")
			mustExec(t, db, `ANALYZE "user"`)
		}
		// Postgres plans with an index that was made after an update of its rows
		// once no transaction is left that began before it, anybody's.
		late, tick := time.After(time.Minute), time.NewTicker(50*time.Millisecond)
		defer tick.Stop()
		for {
			var plan []map[string]any
			if err := db.Raw(explain).Scan(&plan).Error; err != nil {
				t.Fatal(err)
			}
			if strings.Contains(fmt.Sprint(plan), "_lookup") {
				return
			}
			select {
			case <-tick.C:
			case <-late:
				t.Fatalf("%v", plan)
			}
		}
	})
}

func TestASpellingIsFoundThroughTheManager(t *testing.T) {
	eachWithDuplicates(t, func(t *testing.T, db *gorm.DB, store *userdb.Store[legacyUser, *legacyUser]) {
		users, err := authn.New(allowed(t, store), authn.Config{}, stubBackend{})
		if err != nil {
			t.Fatal(err)
		}
		for _, email := range []string{"TWO@EXAMPLE.COM", "two@example.com", "two@Example.com", " ONE@example.com "} {
			if u, err := users.GetByEmail(t.Context(), email); err != nil || u.Email != strings.TrimSpace(email) {
				t.Errorf("%s: %v, %v", email, u, err)
			}
		}
	})
}

func spelt(email string) func(*legacyUser) error {
	return func(u *legacyUser) error { u.Account = account(email); return nil }
}

// stubBackend recognises nobody.
type stubBackend struct{}

func (stubBackend) Name() string { return "stub" }

func (stubBackend) Authenticate(*http.Request) (authn.Identity, error) {
	return authn.Identity{}, authn.ErrNoCredential
}
