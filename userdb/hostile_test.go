package userdb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/password"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/userdb"
)

// Another program on the same table has a store that wasn't told of duplicates.
func TestAPlainStoreTellsDuplicatesApart(t *testing.T) {
	eachWithDuplicates(t, func(t *testing.T, db *gorm.DB, store *userdb.Store[legacyUser, *legacyUser]) {
		allowed(t, store)
		for _, email := range []string{"one@example.com", "ONE@example.com", "TWO@EXAMPLE.COM", "two@example.com", "two@Example.com", "OnE@example.com"} {
			u, err := store.ByEmail(t.Context(), email)
			if err == nil && u.Email != email {
				t.Errorf("asked for %s, got %s", email, u.Email)
			}
		}
		if u, err := store.AllowLegacyDuplicates().Create(t.Context(), spelt("One@example.com")); err == nil {
			t.Errorf("a third account %s", u.Email)
		}
	})
}

// An excused row moves away, and back while somebody registers.
func TestARowThatComesBackIsNotExcused(t *testing.T) {
	eachWithDuplicates(t, func(t *testing.T, db *gorm.DB, store *userdb.Store[legacyUser, *legacyUser]) {
		store = allowed(t, store)
		move := func(ctx context.Context, id, to string) error {
			_, err := store.Update(ctx, id, func(u *legacyUser) error { u.Email = to; return nil })
			return err
		}
		a, _ := store.ByEmail(t.Context(), "one@example.com")
		b, _ := store.ByEmail(t.Context(), "ONE@example.com")
		if err := errors.Join(move(t.Context(), a.AuthID(), "a@example.com"), move(t.Context(), b.AuthID(), "b@example.com")); err != nil {
			t.Fatal(err)
		}
		twice := 0
		for round := 0; round < 60; round++ {
			var group sync.WaitGroup
			var errA, errN error
			var n *legacyUser
			group.Go(func() { errA = move(context.Background(), a.AuthID(), "one@example.com") })
			group.Go(func() { n, errN = store.Create(context.Background(), spelt("One@example.com")) })
			group.Wait()
			if errA == nil && errN == nil {
				twice++
				break
			}
			if errN == nil {
				store.Delete(t.Context(), n.AuthID())
			}
			move(t.Context(), a.AuthID(), "a@example.com")
		}
		if twice > 0 {
			var rows []string
			db.Raw(`SELECT email FROM "user" WHERE lower(email)='one@example.com'`).Scan(&rows)
			t.Errorf("both hold it: %q", rows)
		}
	})
}

// The same without chance, on Postgres: a registration in a transaction.
func TestARowThatComesBackDuringARegistration(t *testing.T) {
	db, _ := testdb.FastAPIUsers(t, "postgres", "uuid")
	for _, email := range []string{"one@example.com", "ONE@example.com"} {
		pythonInserts(t, db, uuid.New(), email)
	}
	store, err := userdb.New[legacyUser](db)
	if err != nil {
		t.Fatal(err)
	}
	store = allowed(t, store)
	a, _ := store.ByEmail(t.Context(), "one@example.com")
	b, _ := store.ByEmail(t.Context(), "ONE@example.com")
	move := func(id, to string) error {
		_, err := store.Update(t.Context(), id, func(u *legacyUser) error { u.Email = to; return nil })
		return err
	}
	if err := errors.Join(move(a.AuthID(), "a@example.com"), move(b.AuthID(), "b@example.com")); err != nil {
		t.Fatal(err)
	}
	var n *legacyUser
	err = store.InTransaction(t.Context(), func(ctx context.Context) error {
		var err error
		n, err = store.Create(ctx, spelt("One@example.com"))
		if err != nil {
			return err
		}
		if err := move(a.AuthID(), "one@example.com"); err == nil { // another connection
			t.Error("the old row came back beside a new one")
		}
		return nil
	})
	t.Log(n, err)
	var rows []string
	db.Raw(`SELECT email FROM "user" WHERE lower(email)='one@example.com'`).Scan(&rows)
	if len(rows) > 1 {
		t.Errorf("%q", rows)
	}
}

type tenantUser struct {
	userdb.User
	Tenant   int    `gorm:"not null"`
	Username string `gorm:"size:50"`
	Deleted  gorm.DeletedAt
}

func (tenantUser) TableName() string { return "tenant_users" }

func TestFindStaysWithinTheConditionsOfTheDB(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[tenantUser](t, db)
		mine := create(t, store, func(u *tenantUser) error {
			u.Account = account("mine@example.com")
			u.Tenant = 1
			u.Username = "mine"
			return nil
		})
		create(t, store, func(u *tenantUser) error {
			u.Account = account("theirs@example.com")
			u.Tenant = 2
			u.Username = "theirs"
			return nil
		})
		gone := create(t, store, func(u *tenantUser) error {
			u.Account = account("gone@example.com")
			u.Tenant = 1
			u.Username = "gone"
			return nil
		})
		if err := store.Delete(t.Context(), gone.AuthID()); err != nil {
			t.Fatal(err)
		}
		_ = mine
		tenant, err := userdb.New[tenantUser](db.Where("tenant = ?", 1))
		if err != nil {
			t.Fatal(err)
		}
		for _, condition := range []string{
			"lower(username) = lower(?) OR lower(email) = lower(?)",
			"lower(username) = lower(?)\nOR lower(email) = lower(?)",
			"lower(username) = lower(?) OR(lower(email) = lower(?))",
			"lower(email) = lower(?)\n\tOR\n\tlower(username) = lower(?)",
		} {
			for _, name := range []string{"theirs", "theirs@example.com", "gone", "gone@example.com"} {
				if u, err := tenant.Find(t.Context(), condition, name, name); err == nil {
					t.Errorf("%q with %q: tenant 1's store found %s of tenant %d (deleted %v)", condition, name, u.Email, u.Tenant, u.Deleted.Valid)
				} else if !errors.Is(err, authn.ErrUserNotFound) {
					t.Errorf("%q %q: %v", condition, name, err)
				}
				if u, err := store.Find(t.Context(), condition, name, name); err == nil && u.Deleted.Valid {
					t.Errorf("%q with %q: a deleted user is found", condition, name)
				}
			}
		}
	})
}

type nick string

func TestHostileValuesAreNobody(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[tenantUser](t, db)
		bad := "a\x00b"
		for _, c := range []struct {
			condition string
			value     any
		}{
			{"username = ?", bad}, {"username = ?", nick(bad)}, {"username = ?", &bad}, {"username IN ?", []string{bad}},
			{"username = @name", sql.Named("name", bad)}, {"username = @name", map[string]any{"name": bad}},
			{"username = ?", []byte(bad)}, {"username = ?", sql.NullString{String: bad, Valid: true}},
			{"username = ?", "\xff"}, {"username = ?", nick("\xff")},
		} {
			if _, err := store.Find(t.Context(), c.condition, c.value); !errors.Is(err, authn.ErrUserNotFound) {
				t.Errorf("%s with %T: %v", c.condition, c.value, err)
			}
		}
	})
}

func TestALongSearchIsNoOutage(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[tenantUser](t, db)
		create(t, store, func(u *tenantUser) error { u.Account = account("x-y@example.com"); return nil })
		users, err := authn.New(store, authn.Config{}, stubBackend{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{strings.Repeat("a", 60000), "\x00", "\xff", "%", "_", `\`, `'`, `%'--`, strings.Repeat(`%`, 30000), "?", "@z"} {
			if p, err := users.List(t.Context(), authn.Query{Search: s}); err != nil || len(p.Users) > 0 {
				t.Errorf("%d %.5q: %v %.200v", len(s), s, p.Users, err)
			}
		}
	})
}

func TestAListKeepsItsOwnOrder(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[page](t, db)
		for i := range 9 {
			create(t, store, func(u *page) error { u.Account = account(fmt.Sprintf("%d@example.com", (i*5)%9)); return nil })
		}
		for what, given := range map[string]*gorm.DB{"order": db.Order("email"), "offset": db.Offset(1), "limit": db.Limit(1)} {
			ordered, err := userdb.New[page](given)
			if err != nil {
				t.Fatal(err)
			}
			users, _ := authn.New(ordered, authn.Config{}, stubBackend{})
			seen := map[string]int{}
			q := authn.Query{Limit: 2}
			for range 20 {
				p, err := users.List(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				for _, u := range p.Users {
					seen[u.Email]++
				}
				if p.Next == "" {
					break
				}
				q.After = p.Next
			}
			if len(seen) != 9 {
				t.Errorf("%s: %v", what, seen)
			}
		}
	})
}

type softLegacy struct {
	userdb.User
	Deleted gorm.DeletedAt
}

func (softLegacy) TableName() string { return "user" }

func TestAHiddenDuplicateCounts(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			db, _ := testdb.FastAPIUsers(t, engine, "uuid")
			for _, email := range []string{"one@example.com", "ONE@example.com"} {
				pythonInserts(t, db, uuid.New(), email)
			}
			s, err := userdb.New[softLegacy](db)
			if err != nil {
				t.Fatal(err)
			}
			store := s.AllowLegacyDuplicates()
			if err := store.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			u, err := store.ByEmail(t.Context(), "ONE@example.com")
			if err != nil {
				t.Fatal(err)
			}
			if err := store.Delete(t.Context(), u.AuthID()); err != nil {
				t.Fatal(err)
			}
			for _, typed := range []string{"ONE@example.com", "One@example.com"} {
				if u, err := store.ByEmail(t.Context(), typed); err == nil {
					t.Errorf("%s is taken for %s, while another row has that exact spelling", typed, u.Email)
				}
			}
			// and over a condition, say "tenant"/"active"
			active, _ := userdb.New[softLegacy](db.Where("is_active"))
			_ = active
		})
	}
}

func colsOf(t *testing.T, db *gorm.DB) []string {
	rows, err := db.Raw(`SELECT * FROM "user" LIMIT 1`).Rows()
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	names, _ := rows.Columns()
	return names
}

func TestAMigrationThatFailsLeavesNothing(t *testing.T) {
	eachWithDuplicates(t, func(t *testing.T, db *gorm.DB, store *userdb.Store[legacyUser, *legacyUser]) {
		before := colsOf(t, db)
		indexes := indexesOf(t, db, "user")
		mustExec(t, db, `CREATE TABLE ux_user__lower_email_lookup (x integer)`) // the last step fails
		if err := store.AllowLegacyDuplicates().Migrate(t.Context()); err == nil {
			t.Fatal("no error")
		} else {
			t.Log(err)
		}
		if after := colsOf(t, db); !slices.Equal(before, after) {
			t.Errorf("%v, %v", before, after)
		}
		if after := indexesOf(t, db, "user"); !slices.Equal(indexes, after) {
			t.Errorf("%v, %v", indexes, after)
		}
		var n int64
		if err := db.Raw("SELECT count(*) FROM echo_users_migration").Scan(&n).Error; err == nil {
			t.Error("versions are noted", n)
		}
	})
}

func TestMigrationsBesideRegistrations(t *testing.T) {
	eachWithDuplicates(t, func(t *testing.T, db *gorm.DB, store *userdb.Store[legacyUser, *legacyUser]) {
		var total int64
		db.Raw(`SELECT count(*) FROM "user"`).Scan(&total)
		var group sync.WaitGroup
		for range 6 {
			group.Go(func() {
				s, _ := userdb.New[legacyUser](db)
				if err := s.AllowLegacyDuplicates().Migrate(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		var mu sync.Mutex
		inserted := 0
		for i := range 4 {
			group.Go(func() { // Python
				for n := range 20 {
					if db.Exec(`INSERT INTO "user" (id, email, hashed_password, is_active, is_superuser, is_verified) VALUES (?, ?, '', true, false, false)`, uuid.New(), fmt.Sprintf("%d-%d@example.com", i, n)).Error == nil {
						mu.Lock()
						inserted++
						mu.Unlock()
					}
				}
			})
		}
		group.Wait()
		var now int64
		db.Raw(`SELECT count(*) FROM "user"`).Scan(&now)
		if now != total+int64(inserted) || inserted != 80 {
			t.Errorf("%d + %d = %d", total, inserted, now)
		}
		s := allowed(t, store)
		if _, err := s.Create(t.Context(), spelt("0-0@EXAMPLE.com")); !errors.Is(err, authn.ErrUserExists) {
			t.Error(err)
		}
	})
}

func TestDuplicatesOfEqualAndOfLongAddresses(t *testing.T) {
	eachWithDuplicates(t, func(t *testing.T, db *gorm.DB, store *userdb.Store[legacyUser, *legacyUser]) {
		for _, name := range indexesOf(t, db, "user") {
			mustExec(t, db, `DROP INDEX "`+name+`"`)
		}
		if db.Name() == "postgres" {
			mustExec(t, db, `ALTER TABLE "user" ALTER email TYPE text`)
		}
		long := strings.Repeat("a", 330)
		for _, email := range []string{"same@example.com", "same@example.com", "Same@example.com", long + "@example.com", strings.ToUpper(long) + "@example.com"} {
			pythonInserts(t, db, uuid.New(), email)
		}
		s := store.AllowLegacyDuplicates()
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		for typed, want := range map[string]bool{"same@example.com": false, "Same@example.com": true, "sAme@example.com": false, long + "@example.com": true} {
			u, err := s.ByEmail(t.Context(), typed)
			if (err == nil) != want || err == nil && u.Email != typed {
				t.Errorf("%.30s: %v %v", typed, u, err)
			}
		}
	})
}

// Through the manager, too, each has their own spelling, password and mails.
func TestDuplicatesDoNotTakeEachOtherOver(t *testing.T) {
	eachWithDuplicates(t, func(t *testing.T, db *gorm.DB, store *userdb.Store[legacyUser, *legacyUser]) {
		s := allowed(t, store)
		users, err := authn.New(s, authn.Config{Passwords: &password.Hasher{LegacyBcryptCost: 4}}, stubBackend{})
		if err != nil {
			t.Fatal(err)
		}
		spellings := []string{"one@example.com", "ONE@example.com", "TWO@EXAMPLE.COM", "two@example.com", "two@Example.com"}
		for _, e := range spellings {
			u, err := users.GetByEmail(t.Context(), e)
			if err != nil {
				t.Fatal(err)
			}
			pw := "password of " + e
			if _, err := users.Update(t.Context(), u.AuthID(), authn.Update[*legacyUser]{Password: &pw}); err != nil {
				t.Fatal(err)
			}
		}
		for _, typed := range append(spellings, "One@example.com", "two@EXAMPLE.COM", " one@example.com\t", "one@EXAMPLE.com", "ONE@EXAMPLE.com", "two@eXample.com") {
			for _, of := range spellings {
				u, err := users.Authenticate(t.Context(), typed, "password of "+of)
				if err == nil && (u.Email != of || strings.TrimSpace(typed) != of) {
					t.Logf("%q with the password of %s: %s", typed, of, u.Email)
				}
				if err == nil && u.Email != of {
					t.Error("another one")
				}
			}
		}
		// Unicode
		for _, e := range []string{"one@example.com\u200b", "\uff4fne@example.com", "one@example.com\x00", "o\u0301ne@example.com", "one\u0130@example.com", "\u2126@example.com", "%@example.com", "_ne@example.com"} {
			if u, err := users.GetByEmail(t.Context(), e); !errors.Is(err, authn.ErrUserNotFound) {
				t.Errorf("%q: %v %v", e, u, err)
			}
		}
	})
}

func TestAStoreOfDuplicatesThatIsAway(t *testing.T) {
	db, _ := testdb.FastAPIUsers(t, "sqlite", "uuid")
	pythonInserts(t, db, uuid.New(), "ONE@example.com")
	pythonInserts(t, db, uuid.New(), "one@example.com")
	st, _ := userdb.New[legacyUser](db)
	s := st.AllowLegacyDuplicates()
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	users, _ := authn.New(s, authn.Config{Passwords: &password.Hasher{LegacyBcryptCost: 4}}, stubBackend{})
	u, _ := users.GetByEmail(t.Context(), "one@example.com")
	pool, _ := db.DB()
	pool.Close()
	e, yes := "x@example.com", true
	_, err1 := users.GetByEmail(t.Context(), "one@example.com")
	_, err2 := users.Authenticate(t.Context(), "one@example.com", "correct horse")
	_, err3 := users.Register(t.Context(), "three@example.com", "correct horse", nil)
	_, err4 := users.Update(t.Context(), u.AuthID(), authn.Update[*legacyUser]{Email: &e})
	_, err5 := users.List(t.Context(), authn.Query{Superuser: &yes})
	_, err6 := users.AuthenticateWith(t.Context(), func(ctx context.Context) (*legacyUser, error) { return s.Find(ctx, "email = ?", "one@example.com") }, "x")
	_, err7 := users.AuthenticateWith(t.Context(), func(ctx context.Context) (*legacyUser, error) { return nil, nil }, "x")
	for i, err := range []error{err1, err2, err3, err4, err5, err6, err7} {
		if !errors.Is(err, authn.ErrUnavailable) {
			t.Error(i+1, err)
		}
	}
}

// player is a user as docs/user-names.md has it.
type player struct {
	userdb.User
	Username string `gorm:"size:30;default:NULL;index:ux_user_lower_username,unique,expression:lower(username)"`
}

func (player) TableName() string { return "user" }

// Alembic made an index of that name before, which tells letters apart.
func TestAnIndexOfTheSameNameAndOtherKeysStopsTheMigration(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			db, _ := testdb.FastAPIUsers(t, engine, "uuid")
			mustExec(t, db, `ALTER TABLE "user" ADD COLUMN username varchar(30)`)
			mustExec(t, db, `CREATE UNIQUE INDEX ux_user_lower_username ON "user" (username)`)
			store, err := userdb.New[player](db)
			if err != nil {
				t.Fatal(err)
			}
			if err := store.Migrate(t.Context()); err != nil {
				t.Log("refused, as it should be:", err)
				return
			}
			for i, name := range []string{"lancelot", "Lancelot"} {
				_, err = store.Create(t.Context(), func(u *player) error {
					u.Account = account(fmt.Sprintf("%d@example.com", i))
					u.Username = name
					return nil
				})
			}
			if err == nil {
				t.Error("Migrate was content; two players of one name")
			}
			_, err = store.Find(t.Context(), "lower(username) = lower(?)", "lancelot")
			t.Logf("log-in of both: %v", err)
		})
	}
}

type legacyNick struct {
	userdb.User
	Nick *string `gorm:"unique;size:20"`
}

func (legacyNick) TableName() string { return "user" }

// An excused row that takes the nick of another is told of that, and not of its
// address.
func TestAConflictOfAnExcusedRow(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			db, _ := testdb.FastAPIUsers(t, engine, "uuid")
			for _, email := range []string{"one@example.com", "ONE@example.com"} {
				pythonInserts(t, db, uuid.New(), email)
			}
			s, err := userdb.New[legacyNick](db)
			if err != nil {
				t.Fatal(err)
			}
			store := s.AllowLegacyDuplicates()
			if err := store.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			nick := "n"
			a, _ := store.ByEmail(t.Context(), "one@example.com")
			create(t, store, func(u *legacyNick) error { u.Account = account("x@example.com"); u.Nick = &nick; return nil })
			_, err = store.Update(t.Context(), a.AuthID(), func(u *legacyNick) error { u.Nick = &nick; return nil })
			if !errors.Is(err, authn.ErrConflict) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestPagesOfAllKindsOfKeys(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		// text keys of all kinds, and UUIDs of version 4
		texts := newStore[scribe](t, db)
		for i, id := range []string{"a", "A", "b", "B", "é", "É", "e", "E", "z", "Z", "_", "-", " ", "  ", "a b", "ab", "a-b", "10", "9", "1", "ä", "ß", "ss", "\u200b", "'", `"`, "%", "\\", "日本", "a\u0301", "\u00e1"} {
			create(t, texts, func(u *scribe) error { u.Account = account(fmt.Sprintf("%d@example.com", i)); u.ID = id; return nil })
		}
		walk(t, texts, 31)
		uuids := newStore[tenantUser](t, db)
		for i := range 40 {
			create(t, uuids, func(u *tenantUser) error {
				u.ID = uuid.New()
				u.Account = account(fmt.Sprintf("%d@example.com", i))
				return nil
			})
		}
		walk(t, uuids, 40)
		numbers := newStore[page](t, db)
		for i, id := range []int64{-5, -1, 1, 2, 9, 10, 11, 100, 1 << 40, 1<<63 - 1, -1 << 63} {
			create(t, numbers, func(u *page) error { u.ID = id; u.Account = account(fmt.Sprintf("%d@example.com", i)); return nil })
		}
		walk(t, numbers, 11)
	})
}

func walk[T any, U interface {
	*T
	authn.User
}](t *testing.T, store *userdb.Store[T, U], want int) {
	t.Helper()
	users, err := authn.New(store, authn.Config{}, stubBackend{})
	if err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{1, 2, 3, 7} {
		seen := map[string]int{}
		q := authn.Query{Limit: limit}
		deleted := ""
		for n := range 100 {
			p, err := users.List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range p.Users {
				seen[u.AuthID()]++
			}
			if n == 1 && limit == 7 { // whoever ended the page goes
				deleted = p.Users[len(p.Users)-1].AuthID()
				if err := store.Delete(t.Context(), deleted); err != nil {
					t.Fatal(err)
				}
			}
			if p.Next == "" {
				break
			}
			q.After = p.Next
		}
		for id, n := range seen {
			if n != 1 {
				t.Errorf("%q %d times", id, n)
			}
		}
		if len(seen) != want {
			t.Errorf("limit %d: %d of %d", limit, len(seen), want)
		}
	}
}
