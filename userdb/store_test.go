package userdb_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/userdb"
)

var (
	_ authn.Store[*knight]      = (*userdb.Store[knight, *knight])(nil)
	_ authn.BatchStore[*knight] = (*userdb.Store[knight, *knight])(nil)
)

// knight has a field of each kind that an application may add.
type knight struct {
	userdb.User
	Nick   string  `gorm:"uniqueIndex;size:20"`
	Age    int     `gorm:"check:age >= 0"`
	Motto  *string `gorm:"size:50"`
	Shield shield  `gorm:"serializer:json"`
}

type shield struct {
	Color    string
	Emblems  []string
	Quarters map[string]string
}

// page and scribe have the two other kinds of key, and tables of their own.
type page struct {
	userdb.Model[int64]
}

func (page) TableName() string { return "pages" }

type scribe struct {
	userdb.Model[string]
}

func (scribe) TableName() string { return "scribes" }

// newStore returns a migrated store.
func newStore[T any, U interface {
	*T
	authn.User
}](t *testing.T, db *gorm.DB) *userdb.Store[T, U] {
	t.Helper()
	store, err := userdb.New[T, U](db)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store
}

func account(email string) authn.Account {
	return authn.Account{Email: email, HashedPassword: "hash of " + email, IsActive: true}
}

func newKnight(nick string) func(*knight) error {
	return func(k *knight) error {
		k.Account = account(nick + "@camelot.example.com")
		k.Nick = nick
		return nil
	}
}

func create[T any, U interface {
	*T
	authn.User
}](t *testing.T, store *userdb.Store[T, U], fill func(U) error) U {
	t.Helper()
	u, err := store.Create(t.Context(), fill)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestEveryKindOfKeyMakesTheRoundTrip(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		t.Run("uuid", func(t *testing.T) {
			u := roundTrip(t, newStore[knight](t, db), account("uuid@example.com"))
			if u.ID.Version() != 7 {
				t.Errorf("a new key is a UUID of version %d, not 7", u.ID.Version())
			}
		})
		t.Run("int64", func(t *testing.T) {
			if u := roundTrip(t, newStore[page](t, db), account("int@example.com")); u.ID == 0 {
				t.Error("the database gave no key")
			}
		})
		t.Run("text", func(t *testing.T) {
			if u := roundTrip(t, newStore[scribe](t, db), account("text@example.com")); len(u.ID) != 36 {
				t.Errorf("a new text key is %q", u.ID)
			}
		})
	})
}

func roundTrip[T any, U interface {
	*T
	authn.User
}](t *testing.T, store *userdb.Store[T, U], a authn.Account) U {
	t.Helper()
	ctx := t.Context()
	created := create(t, store, func(u U) error { *u.AuthAccount() = a; return nil })
	if created.AuthID() == "" {
		t.Fatal("the new user has no id")
	}
	byID, err := store.ByID(ctx, created.AuthID())
	if err != nil || *byID.AuthAccount() != a || byID.AuthID() != created.AuthID() {
		t.Fatalf("ByID: %v, %+v", err, byID)
	}
	byEmail, err := store.ByEmail(ctx, strings.ToUpper(a.Email))
	if err != nil || byEmail.AuthID() != created.AuthID() {
		t.Fatalf("ByEmail in capitals: %v", err)
	}
	if err := store.Delete(ctx, created.AuthID()); err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(ctx, created.AuthID()); !errors.Is(err, authn.ErrUserNotFound) {
		t.Errorf("deleting a second time: %v", err)
	}
	if _, err := store.ByID(ctx, created.AuthID()); !errors.Is(err, authn.ErrUserNotFound) {
		t.Errorf("a deleted user: %v", err)
	}
	if again := create(t, store, func(u U) error { *u.AuthAccount() = a; return nil }); again.AuthID() == created.AuthID() {
		t.Error("a new user got the id of a deleted one")
	}
	return byID
}

func TestWhatIsNoIDIsNotFound(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		knights, pages, scribes := newStore[knight](t, db), newStore[page](t, db), newStore[scribe](t, db)
		u := create(t, knights, newKnight("bors"))
		for _, spelling := range []string{
			u.ID.String(), strings.ToUpper(u.ID.String()), "{" + u.ID.String() + "}",
			u.ID.URN(), strings.ReplaceAll(u.ID.String(), "-", ""),
		} {
			if same, err := knights.ByID(t.Context(), spelling); err != nil || same.AuthID() != u.ID.String() {
				t.Errorf("%q: %v", spelling, err)
			}
		}
		for _, id := range []string{"", "0", "x", "1 OR 1=1", "\x00", "\xff", "99999999999999999999", uuid.NewString(), "-1", "1.5"} {
			for name, find := range map[string]func(context.Context, string) error{
				"uuid": func(ctx context.Context, id string) error { _, err := knights.ByID(ctx, id); return err },
				"int":  func(ctx context.Context, id string) error { _, err := pages.ByID(ctx, id); return err },
				"text": func(ctx context.Context, id string) error { _, err := scribes.ByID(ctx, id); return err },
			} {
				if err := find(t.Context(), id); !errors.Is(err, authn.ErrUserNotFound) {
					t.Errorf("%s %q: %v", name, id, err)
				}
			}
		}
		for _, email := range []string{"", "\x00@example.com", "\xff@example.com", "nobody@example.com", "%", "' OR ''='"} {
			if _, err := knights.ByEmail(t.Context(), email); !errors.Is(err, authn.ErrUserNotFound) {
				t.Errorf("e-mail %q: %v", email, err)
			}
		}
	})
}

func TestCreateTellsWhatIsTaken(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[knight](t, db)
		first := create(t, store, newKnight("bors"))
		refused := errors.New("refused")
		for name, tc := range map[string]struct {
			fill func(*knight) error
			want error
		}{
			"address":               {func(k *knight) error { k.Account = account("bors@camelot.example.com"); k.Nick = "b"; return nil }, authn.ErrUserExists},
			"address in other case": {func(k *knight) error { k.Account = account("BORS@camelot.EXAMPLE.com"); k.Nick = "b"; return nil }, authn.ErrUserExists},
			"other unique field":    {func(k *knight) error { k.Account = account("b@camelot.example.com"); k.Nick = "bors"; return nil }, authn.ErrConflict},
			"address and the other": {newKnight("bors"), authn.ErrUserExists},
			"against a check": {func(k *knight) error {
				k.Account = account("c@camelot.example.com")
				k.Nick = "c"
				k.Age = -1
				return nil
			}, authn.ErrRejected},
			"refused by the caller": {func(*knight) error { return refused }, refused},
			"a key that is taken": {func(k *knight) error {
				k.Account = account("d@camelot.example.com")
				k.Nick = "d"
				k.ID = first.ID
				return nil
			}, authn.ErrConflict},
		} {
			if u, err := store.Create(t.Context(), tc.fill); !errors.Is(err, tc.want) || u != nil {
				t.Errorf("%s: %v, %v", name, u, err)
			}
		}
		var rows int64
		if err := db.Model(&knight{}).Count(&rows).Error; err != nil || rows != 1 {
			t.Errorf("%d rows, %v", rows, err)
		}
	})
}

func TestAValueThatCannotBeStoredIsRejected(t *testing.T) {
	db := testdb.Postgres(t)
	store := newStore[knight](t, db)
	long := strings.Repeat("x", 51)
	for name, fill := range map[string]func(*knight){
		"too long": func(k *knight) { k.Motto = &long },
		"NUL":      func(k *knight) { k.Nick = "a\x00b" },
	} {
		_, err := store.Create(t.Context(), func(k *knight) error {
			k.Account = account("a@example.com")
			fill(k)
			return nil
		})
		if !errors.Is(err, authn.ErrRejected) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNewUsersAreWhatTheCallerSays(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[knight](t, db)
		u := create(t, store, func(k *knight) error {
			k.Account = authn.Account{Email: "mordred@camelot.example.com"}
			k.Shield = shield{Color: "black", Emblems: []string{"eagle"}, Quarters: map[string]string{"a": "b"}}
			return nil
		})
		stored, err := store.ByID(t.Context(), u.AuthID())
		if err != nil || stored.IsActive || stored.Motto != nil || stored.Shield.Emblems[0] != "eagle" || stored.Shield.Quarters["a"] != "b" {
			t.Errorf("%v: %+v", err, stored)
		}
	})
}

func TestFiftyRegistrationsOfOneAddress(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[knight](t, db)
		const n = 50
		results := make(chan error, n)
		var start sync.WaitGroup
		start.Add(1)
		for i := range n {
			go func() {
				start.Wait()
				email := []byte("galahad@camelot.example.com")
				for bit := range 6 {
					if i>>bit&1 == 1 {
						email[bit] -= 'a' - 'A'
					}
				}
				_, err := store.Create(t.Context(), func(k *knight) error {
					k.Account = account(string(email))
					k.Nick = uuid.NewString()[:20]
					return nil
				})
				results <- err
			}()
		}
		start.Done()
		var made int
		for range n {
			switch err := <-results; {
			case err == nil:
				made++
			case !errors.Is(err, authn.ErrUserExists):
				t.Error(err)
			}
		}
		if made != 1 {
			t.Errorf("%d users of one address", made)
		}
	})
}

func TestAStoreThatIsAwayFindsNobody(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[knight](t, db)
		u := create(t, store, newKnight("bors"))

		gone, cancel := context.WithCancel(t.Context())
		cancel()
		pool, err := db.DB()
		if err != nil {
			t.Fatal(err)
		}
		check := func(name string, got *knight, err error) {
			t.Helper()
			if err == nil || got != nil || errors.Is(err, authn.ErrUserNotFound) || errors.Is(err, authn.ErrUserExists) {
				t.Errorf("%s: %v, %v", name, got, err)
			}
		}
		all := func(name string, ctx context.Context) {
			got, err := store.ByID(ctx, u.AuthID())
			check(name+": ByID", got, err)
			got, err = store.ByEmail(ctx, u.Email)
			check(name+": ByEmail", got, err)
			got, err = store.Create(ctx, newKnight("lionel"))
			check(name+": Create", got, err)
			got, err = store.Update(ctx, u.AuthID(), func(k *knight) error { k.Age++; return nil })
			check(name+": Update", got, err)
			check(name+": Delete", nil, store.Delete(ctx, u.AuthID()))
		}
		all("cancelled", gone)
		pool.Close()
		all("closed", t.Context())
	})
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	db := testdb.SQLite(t)
	if _, err := userdb.New[knight](nil); err == nil {
		t.Error("no database")
	}
	wants(t, newError[defaulted](db), "default tag")
	wants(t, newError[detached](db), "AuthAccount must return a pointer into the user")
	wants(t, newError[twoKeys](db), "needs one primary key")
	wants(t, newError[oddKey](db), "primary key is not supported")
}

func newError[T any, U interface {
	*T
	authn.User
}](db *gorm.DB) error {
	_, err := userdb.New[T, U](db)
	return err
}

func wants(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want it to say %q", err, text)
	}
}

// defaulted has GORM's trap: its inactive users would be stored as active.
type defaulted struct {
	ID      int64
	Account defaultedAccount `gorm:"embedded"`
}

type defaultedAccount struct {
	Email          string
	HashedPassword string
	IsActive       bool `gorm:"default:true"`
	IsSuperuser    bool
	IsVerified     bool
	Generation     int64
}

func (*defaulted) AuthID() string                { return "1" }
func (d *defaulted) AuthAccount() *authn.Account { return (*authn.Account)(&d.Account) }

// detached returns a copy of its account.
type detached struct {
	userdb.User
}

func (d *detached) AuthAccount() *authn.Account { a := d.Account; return &a }

type twoKeys struct {
	userdb.User
	Realm string `gorm:"primaryKey"`
}

type oddKey struct {
	ID float64 `gorm:"primaryKey"`
	authn.Account
}

func (*oddKey) AuthID() string                { return "1" }
func (o *oddKey) AuthAccount() *authn.Account { return &o.Account }

func TestFindByAnOwnColumn(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[knight](t, db)
		for _, nick := range []string{"bors", "kay"} {
			create(t, store, newKnight(nick))
		}
		if u, err := store.Find(t.Context(), "lower(nick) = lower(?)", "KAY"); err != nil || u.Nick != "kay" {
			t.Errorf("%+v, %v", u, err)
		}
		for _, nobody := range []string{"", "galahad", "' OR 1=1 --", "a\x00b", "\xff"} {
			if u, err := store.Find(t.Context(), "nick = ?", nobody); !errors.Is(err, authn.ErrUserNotFound) || u != nil {
				t.Errorf("%q: %+v, %v", nobody, u, err)
			}
		}
		if u, err := store.Find(t.Context(), "age = ?", 0); err == nil || errors.Is(err, authn.ErrUserNotFound) || u != nil {
			t.Errorf("of several: %+v, %v", u, err)
		}
		if _, err := store.Find(t.Context(), "no_such_column = ?", 0); err == nil || errors.Is(err, authn.ErrUserNotFound) {
			t.Errorf("%v", err)
		}
	})
}
