package userdb_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/linked"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/userdb"
)

func linkKeys(t *testing.T, first string, older ...string) *linked.Keys {
	t.Helper()
	key := func(text string) []byte { sum := sha256.Sum256([]byte(text)); return sum[:] }
	var others [][]byte
	for _, text := range older {
		others = append(others, key(text))
	}
	keys, err := linked.NewKeys(key(first), others...)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func newLinks[T any, U interface {
	*T
	authn.User
}](t *testing.T, store *userdb.Store[T, U], keys *linked.Keys) *userdb.LinkedAccounts[T, U] {
	t.Helper()
	links, err := userdb.NewLinkedAccounts(store, userdb.LinkedAccountsConfig{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := links.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return links
}

func TestLinkedAccounts(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		t.Run("uuid", func(t *testing.T) { testLinks(t, newStore[userdb.User](t, db)) })
	})
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		t.Run("int64", func(t *testing.T) { testLinks(t, newStore[page](t, db)) })
	})
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		t.Run("text", func(t *testing.T) { testLinks(t, newStore[scribe](t, db)) })
	})
}

func testLinks[T any, U interface {
	*T
	authn.User
}](t *testing.T, store *userdb.Store[T, U]) {
	ctx := t.Context()
	unmigrated, err := userdb.NewLinkedAccounts(store, userdb.LinkedAccountsConfig{Keys: linkKeys(t, "a"), Table: "not_there"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unmigrated.ByUser(ctx, "1"); err != nil && !errors.Is(err, userdb.ErrNotMigrated) {
		t.Error(err)
	}
	links := newLinks(t, store, linkKeys(t, "a"))
	create := func(email string) string {
		u, err := store.Create(ctx, func(u U) error { u.AuthAccount().Email = email; u.AuthAccount().IsActive = true; return nil })
		if err != nil {
			t.Fatal(err)
		}
		return u.AuthID()
	}
	ann, bob := create("ann@example.com"), create("bob@example.com")
	expires := time.Unix(1_900_000_000, 0)
	account := func(user, provider, subject string) linked.Account {
		return linked.Account{UserID: user, Provider: provider, Issuer: "https://" + provider, Subject: subject, Email: "at@" + provider, Verification: linked.Verified,
			Tokens: linked.Tokens{Access: strings.Repeat("access ", 1000), Refresh: "refresh", ExpiresAt: expires}}
	}
	insert := func(a linked.Account) linked.Account {
		t.Helper()
		inserted, err := links.Insert(ctx, a, 0)
		if err != nil || inserted.ID == "" {
			t.Fatal(inserted, err)
		}
		return inserted
	}

	first := insert(account(ann, "one", "s"))
	got, err := links.ByIdentity(ctx, "one", "https://one", "s")
	if err != nil || got != first {
		t.Errorf("%+v, %v, want %+v", got, err, first)
	}
	for what, identity := range map[string][3]string{
		"provider": {"two", "https://one", "s"}, "issuer": {"one", "https://two", "s"}, "subject": {"one", "https://one", "S"}, "NUL": {"one", "https://one", "s\x00"},
	} {
		if a, err := links.ByIdentity(ctx, identity[0], identity[1], identity[2]); !errors.Is(err, linked.ErrNotFound) {
			t.Errorf("another %s: %+v, %v", what, a, err)
		}
	}
	for _, user := range []string{ann, bob} {
		if _, err := links.Insert(ctx, account(user, "one", "s"), 0); !errors.Is(err, linked.ErrTaken) {
			t.Errorf("once more: %v", err)
		}
	}
	for _, nobody := range []string{"", "x", "00000000-0000-4000-8000-000000000000", "987654321"} {
		if _, err := links.Insert(ctx, account(nobody, "one", "of nobody"), 0); !errors.Is(err, authn.ErrUserNotFound) {
			t.Errorf("of nobody %q: %v", nobody, err)
		}
	}

	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_, err := links.Insert(ctx, account([]string{ann, bob}[i%2], "two", "raced"), 0)
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, linked.ErrTaken):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d inserted one identity", won.Load())
	}

	changed := first
	changed.Email, changed.Tokens = "new@one", linked.Tokens{Access: "new"}
	if err := links.Update(ctx, changed); err != nil {
		t.Fatal(err)
	}
	if got, err := links.ByIdentity(ctx, "one", "https://one", "s"); err != nil || got != changed {
		t.Errorf("%+v, %v, want %+v", got, err, changed)
	}
	foreign := changed
	foreign.UserID, foreign.Email = bob, "bob's"
	if err := links.Update(ctx, foreign); !errors.Is(err, linked.ErrNotFound) {
		t.Errorf("another's: %v", err)
	}
	for _, id := range []string{first.ID, "x", "", "00000000-0000-4000-8000-000000000000"} {
		if err := links.Delete(ctx, bob, id, nil); !errors.Is(err, linked.ErrNotFound) {
			t.Errorf("Delete of another's or none %q: %v", id, err)
		}
	}

	if err := links.DeleteAll(ctx, bob); err != nil {
		t.Fatal(err)
	}
	if err := links.DeleteAll(ctx, ann); err != nil {
		t.Fatal(err)
	}
	a, b := insert(account(ann, "one", "s")), insert(account(ann, "two", "s"))
	insert(account(bob, "two", "bob's"))
	if err := links.Delete(ctx, ann, a.ID, []string{"one"}); !errors.Is(err, linked.ErrLastWayIn) {
		t.Errorf("the last one of provider one: %v", err)
	}
	if all, err := links.ByUser(ctx, ann); err != nil || len(all) != 2 {
		t.Errorf("a refusal removed something: %v, %v", all, err)
	}
	errs := make(chan error, 2)
	for _, id := range []string{a.ID, b.ID} {
		go func() { errs <- links.Delete(ctx, ann, id, []string{"one", "two"}) }()
	}
	x, y := <-errs, <-errs
	if (x == nil) == (y == nil) || !errors.Is(errors.Join(x, y), linked.ErrLastWayIn) {
		t.Errorf("both at once: %v, %v", x, y)
	}
	if all, err := links.ByUser(ctx, bob); err != nil || len(all) != 1 {
		t.Errorf("another's were removed: %v, %v", all, err)
	}

	if err := store.InTransaction(ctx, func(ctx context.Context) error {
		if err := links.DeleteAll(ctx, bob); err != nil {
			t.Error(err)
		}
		if _, err := links.Insert(ctx, account(ann, "one", "rolled back"), 0); err != nil {
			t.Error(err)
		}
		return context.Canceled
	}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if all, err := links.ByUser(ctx, bob); err != nil || len(all) != 1 {
		t.Errorf("a transaction that was rolled back: %v, %v", all, err)
	}
	if _, err := links.ByIdentity(ctx, "one", "https://one", "rolled back"); !errors.Is(err, linked.ErrNotFound) {
		t.Errorf("a transaction that was rolled back: %v", err)
	}
	if err := store.Delete(ctx, bob); err != nil {
		t.Fatal(err)
	}
	if all, err := links.ByUser(ctx, bob); err != nil || len(all) != 0 {
		t.Errorf("of a deleted user: %v, %v", all, err)
	}

	now := time.Unix(1_700_000_000, 0)
	won.Store(0)
	for range 8 {
		wg.Go(func() {
			first, err := links.UseOnce(ctx, [32]byte{1}, now.Add(time.Hour), now)
			if err != nil {
				t.Error(err)
			}
			if first {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if again, err := links.UseOnce(ctx, [32]byte{1}, now.Add(time.Hour), now); err != nil || again || won.Load() != 1 {
		t.Errorf("%d uses, and then %t, %v", won.Load(), again, err)
	}
}

func TestSealedTokens(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[userdb.User](t, db)
		links := newLinks(t, store, linkKeys(t, "old"))
		var ids []string
		for _, name := range []string{"ann", "bob"} {
			u, err := store.Create(t.Context(), func(u *userdb.User) error { u.Email = name + "@example.com"; return nil })
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, u.AuthID())
			if _, err := links.Insert(t.Context(), linked.Account{UserID: u.AuthID(), Provider: "op", Subject: name, Tokens: linked.Tokens{Access: name + "'s", Refresh: "refresh"}}, 0); err != nil {
				t.Fatal(err)
			}
		}
		tokens := func(keys *linked.Keys) linked.Tokens {
			t.Helper()
			all, err := newLinks(t, store, keys).ByUser(t.Context(), ids[0])
			if err != nil || len(all) != 1 {
				t.Fatal(all, err)
			}
			return all[0].Tokens
		}
		if got := tokens(linkKeys(t, "new", "old")); got.Access != "ann's" {
			t.Errorf("after a rotation: %q", got.Access)
		}
		if got := tokens(linkKeys(t, "new")); got.Access != "" || got.Refresh != "" {
			t.Errorf("without the key: %q", got.Access)
		}
		if text := fmt.Sprintf("%v %+v %#v %s", tokens(linkKeys(t, "old")), tokens(linkKeys(t, "old")), tokens(linkKeys(t, "old")), linkKeys(t, "old")); strings.Contains(text, "ann's") {
			t.Error(text)
		}
		// A sealed token is good in its own place alone.
		if err := db.Exec("UPDATE oauth_account SET sealed_access_token = (SELECT sealed_access_token FROM oauth_account WHERE account_id = 'bob') WHERE account_id = 'ann'").Error; err != nil {
			t.Fatal(err)
		}
		if got := tokens(linkKeys(t, "old")); got.Access != "" {
			t.Errorf("another's token: %q", got.Access)
		}
		if err := db.Exec("UPDATE oauth_account SET sealed_access_token = sealed_refresh_token WHERE account_id = 'ann'").Error; err != nil {
			t.Fatal(err)
		}
		if got := tokens(linkKeys(t, "old")); got.Access != "" {
			t.Errorf("a refresh token for an access token: %q", got.Access)
		}
	})
}

// TestLinkedAccountsOfFastAPIUsers: they log in whom they logged in, and their
// tokens are read, and sealed when their owner comes.
func TestLinkedAccountsOfFastAPIUsers(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine+"/uuid", func(t *testing.T) {
			db, fixture := testdb.FastAPIUsers(t, engine, "uuid")
			testOldLinks(t, newStore[userdb.User](t, db), db, fixture)
		})
		t.Run(engine+"/int", func(t *testing.T) {
			db, fixture := testdb.FastAPIUsers(t, engine, "int")
			testOldLinks(t, newStore[enumerated](t, db), db, fixture)
		})
	}
}

type enumerated struct{ userdb.Model[int64] }

func testOldLinks[T any, U interface {
	*T
	authn.User
}](t *testing.T, store *userdb.Store[T, U], db *gorm.DB, fixture testdb.Fixture) {
	links := newLinks(t, store, linkKeys(t, "a"))
	found := 0
	for _, user := range fixture.Users {
		for _, known := range user.OAuth {
			found++
			a, err := links.ByIdentity(t.Context(), known.Name, "https://issuer.example", known.AccountID)
			if err != nil || a.UserID != user.ID || a.Issuer != "" || a.Tokens.Access != "provider-access-"+known.Name || a.Tokens.ExpiresAt.Unix() != 1_900_000_000 {
				t.Fatalf("%+v, %q, %v", a, a.Tokens.Access, err)
			}
			a.Issuer, a.Tokens.Access = "https://issuer.example", "new"
			if err := links.Update(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			if again, err := links.ByIdentity(t.Context(), known.Name, "https://issuer.example", known.AccountID); err != nil || again != a {
				t.Errorf("%+v, %v, want %+v", again, err, a)
			}
			if _, err := links.ByIdentity(t.Context(), known.Name, "https://other.example", known.AccountID); !errors.Is(err, linked.ErrNotFound) {
				t.Errorf("of another issuer: %v", err)
			}
			// Python goes on writing beside us; twice the same account, too.
			if err := db.Exec(`INSERT INTO oauth_account (`+pythonID(store)+`oauth_name, access_token, expires_at, refresh_token, account_id, account_email, user_id)
				SELECT `+pythonKey(store)+`oauth_name, 'python''s', NULL, NULL, account_id, account_email, user_id FROM oauth_account WHERE account_id = ?`, known.AccountID).Error; err != nil {
				t.Fatal(err)
			}
			if again, err := links.ByIdentity(t.Context(), known.Name, "https://issuer.example", known.AccountID); err != nil || again != a {
				t.Errorf("beside Python's: %+v, %v", again, err)
			}
		}
	}
	if found == 0 {
		t.Fatal("the fixture has no linked accounts")
	}
	var left int64
	if err := db.Raw("SELECT count(*) FROM oauth_account WHERE access_token LIKE 'provider-%'").Scan(&left).Error; err != nil || left != 0 {
		t.Errorf("%d tokens in the clear, %v", left, err)
	}
}

func pythonID[T any, U interface {
	*T
	authn.User
}](*userdb.Store[T, U]) string {
	if _, number := any(new(T)).(*enumerated); number {
		return ""
	}
	return "id, "
}

func pythonKey[T any, U interface {
	*T
	authn.User
}](store *userdb.Store[T, U]) string {
	if pythonID(store) == "" {
		return ""
	}
	return "'" + uuid.NewString() + "', "
}

// TestNoLinkOfABygoneGeneration: who raises an account's generation and removes
// what is linked to it, leaves nothing behind of somebody who links at the same
// time.
func TestNoLinkOfABygoneGeneration(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) { testBygone(t, db) })
	for _, level := range []string{"repeatable read", "serializable"} {
		t.Run(level, func(t *testing.T) { testBygone(t, isolated(t, level)) })
	}
}

func testBygone(t *testing.T, db *gorm.DB) {
	store := newStore[userdb.User](t, db)
	links := newLinks(t, store, linkKeys(t, "a"))
	u, err := store.Create(t.Context(), func(u *userdb.User) error { u.Email = "ann@example.com"; return nil })
	if err != nil {
		t.Fatal(err)
	}
	id := u.AuthID()
	account := func(subject string) linked.Account {
		return linked.Account{UserID: id, Provider: "op", Subject: subject}
	}
	for generation := range int64(16) {
		var wg sync.WaitGroup
		for i := range 2 {
			wg.Go(func() {
				_, _ = links.Insert(t.Context(), account(fmt.Sprint(generation, i)), generation)
			})
		}
		wg.Go(func() {
			claim := func(ctx context.Context) error {
				if _, err := store.Update(ctx, id, func(u *userdb.User) error { u.Generation++; return nil }); err != nil {
					return err
				}
				return links.DeleteAll(ctx, id)
			}
			for store.InTransaction(t.Context(), claim) != nil && t.Context().Err() == nil { // the database gave it up for an Insert
			}
		})
		wg.Wait()
		if left, err := links.ByUser(t.Context(), id); err != nil || len(left) != 0 {
			t.Fatalf("generation %d left %v behind, %v", generation, left, err)
		}
		if _, err := links.Insert(t.Context(), account("late"), generation); !errors.Is(err, authn.ErrUserNotFound) {
			t.Fatalf("an account was linked with generation %d: %v", generation, err)
		}
	}
}

// TestLinksEndWithTheirUser where nobody holds foreign keys up: a SQLite
// connection does so only when it is told to, and a new user can get the key of
// one who was deleted.
func TestLinksEndWithTheirUser(t *testing.T) {
	t.Run("uuid", func(t *testing.T) {
		testEnd(t, func(db *gorm.DB) *userdb.Store[userdb.User, *userdb.User] { return newStore[userdb.User](t, db) }, testdb.SQLite(t))
	})
	t.Run("integers", func(t *testing.T) {
		db, _ := testdb.FastAPIUsers(t, "sqlite", "int")
		testEnd(t, func(db *gorm.DB) *userdb.Store[enumerated, *enumerated] { return newStore[enumerated](t, db) }, db)
	})
}

func testEnd[T any, U interface {
	*T
	authn.User
}](t *testing.T, open func(*gorm.DB) *userdb.Store[T, U], db *gorm.DB) {
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxOpenConns(1)
	mustExec(t, db, `PRAGMA foreign_keys = 0`)
	store := open(db)
	links := newLinks(t, store, linkKeys(t, "a"))
	create := func(email string) string {
		u, err := store.Create(t.Context(), func(u U) error { u.AuthAccount().Email = email; return nil })
		if err != nil {
			t.Fatal(err)
		}
		return u.AuthID()
	}
	for what, remove := range map[string]func(id string) error{
		"by the store": func(id string) error { return store.Delete(t.Context(), id) },
		"by others":    func(string) error { return db.Exec(`DELETE FROM "user" WHERE email = 'thief@example.com'`).Error },
	} {
		thief := create("thief@example.com")
		if _, err := links.Insert(t.Context(), linked.Account{UserID: thief, Provider: "op", Issuer: "i", Subject: "thief"}, generationOf(t, store, thief)); err != nil {
			t.Fatal(err)
		}
		if err := remove(thief); err != nil {
			t.Fatal(err)
		}
		victim := create(strings.ReplaceAll(what, " ", "-") + "@example.com")
		if a, err := links.ByIdentity(t.Context(), "op", "i", "thief"); !errors.Is(err, linked.ErrNotFound) {
			t.Errorf("%s: %+v, %v; the new user is %s", what, a, err, victim)
		}
	}
}

func generationOf[T any, U interface {
	*T
	authn.User
}](t *testing.T, store *userdb.Store[T, U], id string) int64 {
	t.Helper()
	u, err := store.ByID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return u.AuthAccount().Generation
}
