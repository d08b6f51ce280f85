package database_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/strategies/database"
	"github.com/echo-users/echo-users/userdb"
)

// person has a text key, so that a subject can be anything.
type person struct {
	userdb.Model[string]
}

type (
	people = userdb.Store[person, *person]
	tokens = userdb.Tokens[person, *person]
)

var (
	_ authn.Revoker       = (*database.Strategy)(nil)
	_ database.Store      = (*tokens)(nil)
	_ database.PlainStore = (*tokens)(nil)
)

func newTokens(t *testing.T, db *gorm.DB, cfg userdb.TokensConfig) (*people, *tokens) {
	t.Helper()
	store, err := userdb.New[person](db)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept, err := userdb.NewTokens(store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := kept.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return store, kept
}

func newStrategy(t *testing.T, store database.Store, cfg database.Config) *database.Strategy {
	t.Helper()
	s, err := database.New(store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func add(t *testing.T, store *people, id string) *person {
	t.Helper()
	u, err := store.Create(t.Context(), func(u *person) error {
		u.ID, u.Account = id, authn.Account{Email: fmt.Sprintf("%x@example.com", id), HashedPassword: "x", IsActive: true}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func issue(t *testing.T, s authn.Strategy, id authn.Identity) string {
	t.Helper()
	token, err := s.Issue(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return token.Value
}

func refused(t *testing.T, s authn.Strategy, token, why string) {
	t.Helper()
	if id, err := s.Read(t.Context(), token); !errors.Is(err, authn.ErrInvalidToken) {
		t.Errorf("%s: %+v, %v", why, id, err)
	}
}

// enrolling makes a user of whomever a token is issued to.
type enrolling struct {
	*database.Strategy
	people *people
}

func (s enrolling) Issue(ctx context.Context, id authn.Identity) (authn.Token, error) {
	_, err := s.people.Create(ctx, func(u *person) error {
		u.ID, u.Account = id.Subject, authn.Account{Email: fmt.Sprintf("%x@example.com", sha256.Sum256([]byte(id.Subject)))}
		return nil
	})
	if err != nil && !errors.Is(err, authn.ErrUserExists) && !errors.Is(err, authn.ErrConflict) {
		return authn.Token{}, err
	}
	return s.Strategy.Issue(ctx, id)
}

func TestSuite(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store, kept := newTokens(t, db, userdb.TokensConfig{})
		authntest.TestStrategy(t, func(t *testing.T) authn.Strategy {
			return enrolling{newStrategy(t, kept, database.Config{}), store}
		})
	})
}

func TestATokenSaysWhatWasIssuedAndComesWithItsUser(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store, kept := newTokens(t, db, userdb.TokensConfig{})
		ann := add(t, store, "ann")
		clock := authntest.NewClock(time.Unix(1_700_000_000, 5))
		s := newStrategy(t, kept, database.Config{Now: clock.Now})
		want := authn.Identity{
			Subject: "ann", Generation: 3, SessionID: "s", IssuedAt: clock.Now(), AuthTime: clock.Now().Add(-time.Minute),
			Methods: []string{"pwd", "otp"}, Scopes: []string{"read"}, User: ann,
		}
		token := issue(t, s, want)
		got, err := s.Read(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		if got.Subject != "ann" || got.Generation != 3 || got.SessionID != "s" || !got.IssuedAt.Equal(want.IssuedAt) || !got.AuthTime.Equal(want.AuthTime) ||
			!slices.Equal(got.Methods, want.Methods) || !slices.Equal(got.Scopes, want.Scopes) || !got.ExpiresAt.Equal(clock.Now().Add(time.Hour)) || got.User != nil {
			t.Errorf("%+v", got)
		}
		if u, ok := got.Loaded.(*person); !ok || u == ann || u.Account != ann.Account {
			t.Errorf("loaded: %+v", got.Loaded)
		}
		again, err := s.Read(t.Context(), token)
		if err != nil || again.Loaded == got.Loaded {
			t.Error("two requests share a user:", err)
		}
	})
}

func TestUsersWhoMustComeThroughGORMDo(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		newTokens(t, db, userdb.TokensConfig{})
		store, err := userdb.New[person](db.Where("is_active = ?", true))
		if err != nil {
			t.Fatal(err)
		}
		kept, err := userdb.NewTokens(store, userdb.TokensConfig{})
		if err != nil {
			t.Fatal(err)
		}
		ann := add(t, store, "ann")
		s := newStrategy(t, kept, database.Config{})
		id, err := s.Read(t.Context(), issue(t, s, authn.Identity{Subject: ann.ID}))
		if err != nil || id.Subject != "ann" || id.Loaded != nil {
			t.Errorf("%+v, %v: a user past the condition", id, err)
		}
	})
}

func TestTokensEnd(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store, kept := newTokens(t, db, userdb.TokensConfig{})
		add(t, store, "ann")
		clock := authntest.NewClock(time.Now())
		s := newStrategy(t, kept, database.Config{Lifetime: time.Minute, Now: clock.Now})
		token := issue(t, s, authn.Identity{Subject: "ann"})
		clock.Advance(time.Minute - 1)
		if _, err := s.Read(t.Context(), token); err != nil {
			t.Error(err)
		}
		clock.Advance(1)
		refused(t, s, token, "expired")

		token = issue(t, s, authn.Identity{Subject: "ann"})
		if err := store.Delete(t.Context(), "ann"); err != nil {
			t.Fatal(err)
		}
		refused(t, s, token, "of a user who was deleted")
		if n := count(t, db); n != 0 {
			t.Errorf("%d tokens of nobody", n)
		}
		if _, err := s.Issue(t.Context(), authn.Identity{Subject: "ann"}); !errors.Is(err, authn.ErrUserNotFound) {
			t.Error("issued to nobody:", err)
		}
		if _, err := s.Issue(t.Context(), authn.Identity{}); err == nil {
			t.Error("issued without a subject")
		}
	})
}

const table = "user_access_token"

func count(t *testing.T, db *gorm.DB) (n int) {
	t.Helper()
	if err := db.Raw("SELECT count(*) FROM " + table).Scan(&n).Error; err != nil {
		t.Fatal(err)
	}
	return n
}

// Whatever is read in the table, as text or bytes, opens nothing.
func TestStoredValuesAreNoTokens(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		plainTable(t, db)
		store, kept := newTokens(t, db, userdb.TokensConfig{PlainTable: "accesstoken"})
		add(t, store, "ann")
		s := newStrategy(t, kept, database.Config{})
		token := issue(t, s, authn.Identity{Subject: "ann", Scopes: []string{"read"}})
		rows, err := db.Raw("SELECT * FROM " + table).Rows()
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil || !rows.Next() {
			t.Fatal(err, rows.Err())
		}
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		rows.Close()
		for i, value := range row {
			column := columns[i]
			forms := []string{fmt.Sprint(value), fmt.Sprintf("%s", value), fmt.Sprintf("%x", value)}
			if hash, ok := value.([]byte); ok {
				forms = append(forms, base64.RawURLEncoding.EncodeToString(hash))
			}
			for _, form := range forms {
				if strings.Contains(form, token) {
					t.Errorf("%s holds the token", column)
				}
				refused(t, s, form, column)
			}
		}
	})
}

// plainTable is fastapi-users', as SQLAlchemy makes it.
func plainTable(t *testing.T, db *gorm.DB) {
	t.Helper()
	sql := "CREATE TABLE accesstoken (token varchar(43) PRIMARY KEY, created_at timestamp NOT NULL, user_id varchar(255) NOT NULL)"
	if db.Name() == "postgres" {
		sql = strings.Replace(sql, "timestamp", "timestamptz", 1)
	}
	if err := db.Exec(sql).Error; err != nil {
		t.Fatal(err)
	}
}

func TestTokensOfFastAPIUsers(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			db, fixture := testdb.FastAPIUsers(t, engine, "uuid")
			store, err := userdb.New[userdb.User](db)
			if err != nil {
				t.Fatal(err)
			}
			if err := store.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			without, err := userdb.NewTokens(store, userdb.TokensConfig{})
			if err != nil {
				t.Fatal(err)
			}
			kept, err := userdb.NewTokens(store, userdb.TokensConfig{PlainTable: userdb.PlainTokenTable})
			if err != nil {
				t.Fatal(err)
			}
			if err := kept.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			s := newStrategy(t, kept, database.Config{Lifetime: 10 * 365 * 24 * time.Hour})
			for email, user := range fixture.Users {
				refused(t, newStrategy(t, without, database.Config{}), user.DatabaseToken, "read though nobody asked for it")
				id, err := s.ForBackend("database").Read(t.Context(), user.DatabaseToken)
				if err != nil || id.Subject != user.ID || id.Generation != 0 {
					t.Errorf("%s: %+v, %v", email, id, err)
					continue
				}
				if u, ok := id.Loaded.(*userdb.User); !ok || u.Email != email {
					t.Errorf("%s: loaded %+v", email, id.Loaded)
				}
				late := newStrategy(t, kept, database.Config{Lifetime: time.Hour, Now: func() time.Time { return id.IssuedAt.Add(time.Hour) }})
				refused(t, late, user.DatabaseToken, "older than the lifetime")
				if err := s.Revoke(t.Context(), user.DatabaseToken); err != nil {
					t.Error(err)
				}
				refused(t, s, user.DatabaseToken, "after the log-out")
			}
		})
	}
}

func TestBackendsKeepTheirTokensApart(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store, kept := newTokens(t, db, userdb.TokensConfig{})
		add(t, store, "ann")
		one := newStrategy(t, kept, database.Config{})
		web, partner := one.ForBackend("web"), one.ForBackend("partner")
		token := issue(t, web, authn.Identity{Subject: "ann"})
		for _, other := range []authn.Strategy{partner, one} {
			refused(t, other, token, "another backend's")
			if err := other.(authn.Revoker).Revoke(t.Context(), token); err != nil {
				t.Error(err)
			}
		}
		if _, err := web.Read(t.Context(), token); err != nil {
			t.Error("another backend has ended it:", err)
		}
		shared := newStrategy(t, kept, database.Config{Audience: "app"})
		if _, err := shared.ForBackend("web").Read(t.Context(), issue(t, shared.ForBackend("partner"), authn.Identity{Subject: "ann"})); err != nil {
			t.Error("an audience of their own:", err)
		}
	})
}

// counting counts what is written of uses, and may fail at it.
type counting struct {
	*tokens
	touched int
	err     error
}

func (c *counting) TouchToken(ctx context.Context, hash database.Hash, at, since time.Time) error {
	c.touched++
	if c.err != nil {
		return c.err
	}
	return c.tokens.TouchToken(ctx, hash, at, since)
}

func TestLastUseIsNotedAtABoundedRate(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store, kept := newTokens(t, db, userdb.TokensConfig{})
		add(t, store, "ann")
		clock := authntest.NewClock(time.Unix(1_700_000_000, 0))
		c := &counting{tokens: kept}
		s := newStrategy(t, c, database.Config{Now: clock.Now, LastUse: time.Minute, Logger: slog.New(slog.DiscardHandler)})
		token := issue(t, s, authn.Identity{Subject: "ann", IssuedAt: clock.Now()})
		use := func(times, want int) {
			t.Helper()
			c.touched = 0
			for range times {
				if _, err := s.Read(t.Context(), token); err != nil {
					t.Fatal(err)
				}
			}
			if c.touched != want {
				t.Errorf("%d uses wrote %d times, want %d", times, c.touched, want)
			}
		}
		use(3, 0)
		clock.Advance(time.Minute)
		use(3, 1)
		var used int64
		if err := db.Raw("SELECT used_at FROM " + table).Scan(&used).Error; err != nil || used != clock.Now().UnixNano() {
			t.Errorf("used_at %d, %v", used, err)
		}
		clock.Advance(time.Minute)
		c.err = errors.New("read-only")
		use(3, 1)
		clock.Advance(10 * time.Second)
		c.err = nil
		use(3, 1)

		clock.Advance(time.Minute)
		s = newStrategy(t, c, database.Config{Now: clock.Now, SkipLastUse: true})
		use(3, 0)
	})
}

func TestExpiredTokensAreRemovedAFewAtATime(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store, kept := newTokens(t, db, userdb.TokensConfig{})
		add(t, store, "ann")
		clock := authntest.NewClock(time.Unix(1_700_000_000, 0))
		s := newStrategy(t, kept, database.Config{Now: clock.Now, Lifetime: time.Minute})
		for range 5 {
			issue(t, s, authn.Identity{Subject: "ann"})
		}
		clock.Advance(time.Minute)
		for range 10 {
			issue(t, s, authn.Identity{Subject: "ann"})
		}
		for _, want := range []int{3, 2, 0} {
			if n, err := s.DeleteExpired(t.Context(), 3); err != nil || n != want {
				t.Errorf("%d, %v, want %d", n, err, want)
			}
		}
		if n := count(t, db); n != 10 {
			t.Errorf("%d are left", n)
		}
		clock.Advance(time.Minute)
		issue(t, s, authn.Identity{Subject: "ann"}) // the sixteenth
		if n := count(t, db); n != 1 {
			t.Errorf("log-ins left %d", n)
		}
	})
}

func TestAStoreThatIsAwayIsNoInvalidToken(t *testing.T) {
	db := testdb.SQLite(t)
	store, err := userdb.New[person](db)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept, err := userdb.NewTokens(store, userdb.TokensConfig{})
	if err != nil {
		t.Fatal(err)
	}
	s := newStrategy(t, kept, database.Config{})
	token := strings.Repeat("a", 43)
	if _, err := s.Read(t.Context(), token); err == nil || errors.Is(err, authn.ErrInvalidToken) || !strings.Contains(err.Error(), "Migrate") {
		t.Error(err)
	}
	if err := s.Revoke(t.Context(), token); err == nil {
		t.Error("revoked in a table that isn't there")
	}
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	_, kept := newTokens(t, testdb.SQLite(t), userdb.TokensConfig{})
	for _, c := range []struct {
		store database.Store
		cfg   database.Config
		want  string
	}{
		{nil, database.Config{}, "nil"},
		{kept, database.Config{Lifetime: -1}, "Lifetime"},
		{kept, database.Config{LastUse: -1}, "LastUse"},
		{kept, database.Config{Audience: "a\x00b"}, "audience"},
	} {
		if _, err := database.New(c.store, c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.cfg, err, c.want)
		}
	}
}

// A table that isn't fastapi-users' may have another type for what is looked up
// in it, and the database's error then repeats the token.
func TestNoErrorRepeatsAToken(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		if err := db.Exec(`CREATE TABLE wrong (token ` + map[string]string{"sqlite": "text", "postgres": "uuid"}[db.Name()] + `, created_at timestamp, user_id varchar(36))`).Error; err != nil {
			t.Fatal(err)
		}
		store, err := userdb.New[userdb.User](db)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		tokens, err := userdb.NewTokens(store, userdb.TokensConfig{PlainTable: "wrong"})
		if err != nil {
			t.Fatal(err)
		}
		if err := tokens.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		strategy, err := database.New(tokens, database.Config{})
		if err != nil {
			t.Fatal(err)
		}
		token := strings.Repeat("t", 43)
		_, err = strategy.Read(t.Context(), token)
		for _, err := range []error{err, strategy.Revoke(t.Context(), token)} {
			if err != nil && strings.Contains(err.Error(), token) {
				t.Error(err)
			}
		}
	})
}
