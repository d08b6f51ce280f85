package usercache_test

import (
	"context"
	"errors"
	"math/big"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/authn/usercache"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// counting is a store that counts look-ups by id, and can hold them up or fail.
type counting struct {
	authntest.Memory
	mu     sync.Mutex
	loads  int
	err    error
	during func(u *authntest.User) // when the user is read, and not yet returned
}

func (c *counting) ByID(ctx context.Context, id string) (*authntest.User, error) {
	c.mu.Lock()
	c.loads++
	err, during := c.err, c.during
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	u, err := c.Memory.ByID(ctx, id)
	if during != nil {
		during(u)
	}
	return u, err
}

func (c *counting) set(err error, during func(*authntest.User)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err, c.during = err, during
}

// since returns how many look-ups f makes.
func (c *counting) since(f func()) int {
	c.mu.Lock()
	before := c.loads
	c.mu.Unlock()
	f()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.loads - before
}

// site is a node of an application.
type site struct {
	*authn.Users[*authntest.User]
	cached *usercache.Store[*authntest.User]
	active *authn.Guard[*authntest.User]
}

func newSite(t testing.TB, store authn.Store[*authntest.User], cfg usercache.Config) *site {
	t.Helper()
	cached, err := usercache.New(store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	users, err := authn.New(cached, authn.Config{Passwords: plain{}}, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	return &site{users, cached, users.CurrentUser(authn.Active)}
}

// plain hashes nothing.
type plain struct{}

func (plain) Hash(_ context.Context, password string) (string, error) {
	return "plain:" + password, nil
}
func (plain) Verify(_ context.Context, password, hash string) (bool, bool, error) {
	return hash == "plain:"+password, false, nil
}

func (s *site) register(t testing.TB, email string) *authntest.User {
	t.Helper()
	u, err := s.Register(t.Context(), email, "correct horse", nil)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func check(g *authn.Guard[*authntest.User], u *authntest.User) (*authntest.User, error) {
	found, _, err := g.Check(authntest.As(httptest.NewRequest("GET", "/", nil), u))
	return found, err
}

func (s *site) update(t testing.TB, u *authntest.User, change authn.Update[*authntest.User]) {
	t.Helper()
	if _, err := s.Update(t.Context(), u.ID, change); err != nil {
		t.Fatal(err)
	}
}

func ptr[T any](v T) *T { return &v }

func TestStorePassesTheSuite(t *testing.T) {
	authntest.TestStore(t, func(t *testing.T) authn.Store[*authntest.User] {
		cached, err := usercache.New(new(authntest.Memory), usercache.Config{})
		if err != nil {
			t.Fatal(err)
		}
		return cached
	})
}

func TestGuardsLoadAUserOnceInMaxAge(t *testing.T) {
	store, clock := new(counting), authntest.NewClock(noon)
	s := newSite(t, store, usercache.Config{MaxAge: 2 * time.Second, Now: clock.Now})
	ann := s.register(t, "ann@example.com")
	look := func() {
		t.Helper()
		u, err := check(s.active, ann)
		if err != nil || u.Email != "ann@example.com" {
			t.Fatal(u, err)
		}
		u.Email, u.IsSuperuser = "changed@example.com", true // the caller's own copy
	}
	if n := store.since(func() {
		for range 10 {
			look()
			clock.Advance(199 * time.Millisecond)
		}
	}); n != 1 {
		t.Errorf("%d loads within MaxAge", n)
	}
	clock.Advance(10 * time.Millisecond)
	if n := store.since(look); n != 1 {
		t.Errorf("%d loads after MaxAge", n)
	}
	clock.Advance(-time.Hour) // a clock that was set back says nothing of an age
	if n := store.since(look); n != 1 {
		t.Errorf("%d loads before", n)
	}
}

func TestWritesAreSeenAtOnce(t *testing.T) {
	for name, write := range map[string]func(s *site, u *authntest.User) error{
		"deactivated": func(s *site, u *authntest.User) error {
			_, err := s.Update(context.Background(), u.ID, authn.Update[*authntest.User]{IsActive: ptr(false)})
			return err
		},
		"new password": func(s *site, u *authntest.User) error {
			_, err := s.Update(context.Background(), u.ID, authn.Update[*authntest.User]{Password: ptr("battery staple")})
			return err
		},
		"signed out everywhere": func(s *site, u *authntest.User) error { return s.SignOutEverywhere(context.Background(), u.ID) },
		"deleted":               func(s *site, u *authntest.User) error { return s.Delete(context.Background(), u.ID) },
		"told": func(s *site, u *authntest.User) error {
			_, err := s.cached.Unwrap().Update(context.Background(), u.ID, func(u *authntest.User) error { u.IsActive = false; return nil })
			s.cached.Forget(context.Background(), u.ID)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, new(counting), usercache.Config{MaxAge: time.Minute})
			ann, bob := s.register(t, "ann@example.com"), s.register(t, "bob@example.com")
			for _, u := range []*authntest.User{ann, bob} {
				if _, err := check(s.active, u); err != nil {
					t.Fatal(err)
				}
			}
			if err := write(s, ann); err != nil {
				t.Fatal(err)
			}
			if _, err := check(s.active, ann); !errors.Is(err, authn.ErrUnauthorized) {
				t.Error(err)
			}
			if _, err := check(s.active, bob); err != nil {
				t.Error(err)
			}
		})
	}
}

// A user who was changed while they were loaded must not be kept as they were.
func TestAUserWhoIsChangedWhileLoadedIsNotServedStale(t *testing.T) {
	store := new(counting)
	s := newSite(t, store, usercache.Config{MaxAge: time.Minute})
	ann := s.register(t, "ann@example.com")
	var once sync.Once
	store.set(nil, func(*authntest.User) {
		once.Do(func() { s.update(t, ann, authn.Update[*authntest.User]{IsActive: ptr(false)}) })
	})
	if _, err := check(s.active, ann); err != nil {
		t.Fatal("the load that was under way: ", err)
	}
	if _, err := check(s.active, ann); !errors.Is(err, authn.ErrUnauthorized) {
		t.Error(err)
	}
}

// Nobody waits longer than a second to be let in: what is kept lets in, and
// refuses only while it is fresh.
func TestRefusalsRestOnAFreshUser(t *testing.T) {
	store, clock := new(counting), authntest.NewClock(noon)
	here := newSite(t, store, usercache.Config{MaxAge: time.Minute, Now: clock.Now})
	there := newSite(t, store, usercache.Config{})
	ann := here.register(t, "ann@example.com")
	verified := here.CurrentUser(authn.Active, authn.Verified)
	optional := here.CurrentUser(authn.Active, authn.Verified, authn.Optional)
	if _, err := check(verified, ann); !errors.Is(err, authn.ErrForbidden) {
		t.Fatal(err)
	}
	there.update(t, ann, authn.Update[*authntest.User]{IsVerified: ptr(true)})
	clock.Advance(time.Second)
	if u, err := check(optional, ann); err != nil || u == nil {
		t.Errorf("optional: %v, %v", u, err)
	}
	if _, err := check(verified, ann); err != nil {
		t.Error(err)
	}
	// A stranger to a route costs a look-up a second, and no more.
	superuser := here.CurrentUser(authn.Active, authn.Superuser)
	clock.Advance(2 * time.Second)
	if n := store.since(func() {
		for range 10 {
			if _, err := check(superuser, ann); !errors.Is(err, authn.ErrForbidden) {
				t.Error(err)
			}
		}
	}); n != 1 {
		t.Errorf("%d loads", n)
	}
}

// After a new password elsewhere, the new credential counts here at once.
func TestACredentialNewerThanTheKeptUserIsTaken(t *testing.T) {
	store := new(counting)
	here, there := newSite(t, store, usercache.Config{MaxAge: time.Minute}), newSite(t, store, usercache.Config{})
	ann := here.register(t, "ann@example.com")
	if _, err := check(here.active, ann); err != nil {
		t.Fatal(err)
	}
	there.update(t, ann, authn.Update[*authntest.User]{Password: ptr("battery staple")})
	changed, err := there.Get(t.Context(), ann.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := check(here.active, changed); err != nil {
		t.Error(err)
	}
	if _, err := check(here.active, ann); !errors.Is(err, authn.ErrUnauthorized) {
		t.Error("the old credential: ", err)
	}
}

func TestAbsenceIsKeptForASecond(t *testing.T) {
	store, clock := new(counting), authntest.NewClock(noon)
	s := newSite(t, store, usercache.Config{MaxAge: time.Minute, Now: clock.Now})
	ghost := &authntest.User{ID: "user-1"}
	look := func() {
		t.Helper()
		if _, err := check(s.active, ghost); !errors.Is(err, authn.ErrUnauthorized) {
			t.Error(err)
		}
	}
	if n := store.since(func() { look(); look() }); n != 1 {
		t.Errorf("%d loads", n)
	}
	clock.Advance(time.Second)
	if n := store.since(look); n != 1 {
		t.Errorf("%d loads after a second", n)
	}
	ann := s.register(t, "ann@example.com")
	if ann.ID != ghost.ID {
		t.Fatalf("the test wants the id %s, not %s", ghost.ID, ann.ID)
	}
	if _, err := check(s.active, ann); err != nil {
		t.Error(err)
	}
}

func TestAStoreThatIsAwayIsNotKept(t *testing.T) {
	store := new(counting)
	s := newSite(t, store, usercache.Config{})
	ann := s.register(t, "ann@example.com")
	store.set(errors.New("away"), nil)
	if _, err := check(s.active, ann); !errors.Is(err, authn.ErrUnavailable) {
		t.Error(err)
	}
	store.set(nil, nil)
	if _, err := check(s.active, ann); err != nil {
		t.Error(err)
	}
}

// What isn't a guard reads the store, whatever is kept.
func TestTheRestReadsTheStore(t *testing.T) {
	store := new(counting)
	s := newSite(t, store, usercache.Config{MaxAge: time.Minute})
	ann := s.register(t, "ann@example.com")
	if _, err := check(s.active, ann); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Update(t.Context(), ann.ID, func(u *authntest.User) error {
		u.HashedPassword, u.Generation = "plain:battery staple", 9
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if u, err := s.Get(t.Context(), ann.ID); err != nil || u.Generation != 9 {
		t.Error(u, err)
	}
	if err := s.VerifyPassword(t.Context(), ann.ID, "correct horse"); !errors.Is(err, authn.ErrBadCredentials) {
		t.Error("the old password: ", err)
	}
	if err := s.VerifyPassword(t.Context(), ann.ID, "battery staple"); err != nil {
		t.Error(err)
	}
}

// Ids have several spellings in some stores; a change names one of them.
func TestOnlyTheCanonicalSpellingIsKept(t *testing.T) {
	s := newSite(t, lenient{new(counting)}, usercache.Config{MaxAge: time.Minute})
	ann := s.register(t, "ann@example.com")
	other := &authntest.User{ID: " " + ann.ID}
	if _, err := check(s.active, other); err != nil {
		t.Fatal(err)
	}
	s.update(t, ann, authn.Update[*authntest.User]{IsActive: ptr(false)})
	if _, err := check(s.active, other); !errors.Is(err, authn.ErrUnauthorized) {
		t.Error(err)
	}
}

type lenient struct{ *counting }

func (l lenient) ByID(ctx context.Context, id string) (*authntest.User, error) {
	return l.counting.ByID(ctx, strings.TrimSpace(id))
}

// A write may name a user in any spelling, and may have happened though it failed.
func TestAWriteIsSeenInWhateverSpellingAndHoweverItEnds(t *testing.T) {
	broken := errors.New("broken")
	for name, write := range map[string]func(s *site, u *authntest.User) error{
		"deleted": func(s *site, u *authntest.User) error { return s.cached.Delete(t.Context(), " "+u.ID) },
		"failed": func(s *site, u *authntest.User) error {
			_, err := s.cached.Update(t.Context(), " "+u.ID, func(u *authntest.User) error { u.IsActive = false; return nil })
			if errors.Is(err, broken) {
				err = nil
			}
			return err
		},
		"panicked": func(s *site, u *authntest.User) error {
			defer func() { _ = recover() }()
			_, err := s.cached.Update(t.Context(), u.ID, func(u *authntest.User) error { u.IsActive = false; return nil })
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := breaking{lenient: lenient{new(counting)}}
			if name != "deleted" {
				store.after = func() error { return broken }
			}
			if name == "panicked" {
				store.after = func() error { panic(broken) }
			}
			s := newSite(t, store, usercache.Config{MaxAge: time.Minute})
			ann := s.register(t, "ann@example.com")
			if _, err := check(s.active, ann); err != nil {
				t.Fatal(err)
			}
			if err := write(s, ann); err != nil {
				t.Fatal(err)
			}
			if _, err := check(s.active, ann); !errors.Is(err, authn.ErrUnauthorized) {
				t.Error(err)
			}
		})
	}
}

// breaking is a store whose answer to a write that it has done is lost.
type breaking struct {
	lenient
	after func() error // or nil
}

func (b breaking) Update(ctx context.Context, id string, change func(*authntest.User) error) (*authntest.User, error) {
	u, err := b.lenient.Update(ctx, strings.TrimSpace(id), change)
	if err == nil && b.after != nil {
		return nil, b.after()
	}
	return u, err
}

func (b breaking) Delete(ctx context.Context, id string) error {
	return b.lenient.Delete(ctx, strings.TrimSpace(id))
}

// transacting is a store whose transactions end when the test says so.
type transacting struct{ *counting }

type inside struct{}

func (transacting) InTransaction(ctx context.Context, f func(ctx context.Context) error) error {
	return f(context.WithValue(ctx, inside{}, true))
}

func (transacting) Outside(ctx context.Context) (context.Context, bool) {
	_, ok := ctx.Value(inside{}).(bool)
	return context.WithValue(ctx, inside{}, nil), ok
}

// What is written in a transaction is seen by others when it ends, and until
// then they would only keep what it replaces.
func TestAUserOfAnOpenTransactionIsNotKept(t *testing.T) {
	store, clock := new(counting), authntest.NewClock(noon)
	s := newSite(t, transacting{store}, usercache.Config{MaxAge: time.Minute, Now: clock.Now})
	ann := s.register(t, "ann@example.com")
	look := func() {
		t.Helper()
		if _, err := check(s.active, ann); err != nil {
			t.Error(err)
		}
	}
	clock.Advance(time.Hour) // that was a transaction, too
	if n := store.since(func() { look(); look() }); n != 1 {
		t.Fatalf("%d loads", n)
	}
	err := transacting{store}.InTransaction(t.Context(), func(ctx context.Context) error {
		_, err := s.cached.Update(ctx, ann.ID, func(*authntest.User) error { return nil })
		if err != nil {
			return err
		}
		if n := store.since(func() { look(); look() }); n != 2 {
			t.Errorf("%d loads while the transaction is open", n)
		}
		r := authntest.As(httptest.NewRequest("GET", "/", nil).WithContext(ctx), ann)
		if n := store.since(func() {
			for range 2 {
				if _, _, err := s.active.Check(r); err != nil {
					t.Error(err)
				}
			}
		}); n != 2 {
			t.Errorf("%d loads within the transaction", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := store.since(func() { look(); look() }); n != 2 {
		t.Errorf("%d loads, and the transaction may have ended just now", n)
	}
	clock.Advance(10 * time.Second)
	if n := store.since(func() { look(); look() }); n != 1 {
		t.Errorf("%d loads later", n)
	}
}

func TestSizeIsBounded(t *testing.T) {
	store := new(counting)
	s := newSite(t, store, usercache.Config{MaxAge: time.Minute, Size: 16})
	var all []*authntest.User
	for i := range 500 {
		all = append(all, s.register(t, strings.Repeat("a", i%30+1)+string(rune('a'+i/30))+"@example.com"))
	}
	if n := store.since(func() {
		for range 2 {
			for _, u := range all {
				if _, err := check(s.active, u); err != nil {
					t.Fatal(err)
				}
			}
		}
	}); n < 800 {
		t.Errorf("1000 guards of 500 users made %d loads with room for 16", n)
	}
}

// one is a store of one user.
type one[U authn.User] struct{ authn.Store[U] }

type (
	flat struct {
		authntest.User
		Born  time.Time
		Tiers [3]int
	}
	deep struct {
		authntest.User
		Tags   []string
		Notes  map[string]*string
		Parent *struct{ Name []byte }
	}
	hidden struct {
		authntest.User
		Balance big.Int
	}
	private struct {
		authntest.User
		tags []string
	}
	open struct {
		authntest.User
		Any any
	}
	cyclic struct {
		authntest.User
		Friends []*cyclic
	}
	cloned struct {
		authntest.User
		Balance *big.Int
	}
)

func (c *cloned) Clone() *cloned {
	twin := *c
	twin.Balance = new(big.Int).Set(c.Balance)
	return &twin
}

func TestCopiesShareNoMemory(t *testing.T) {
	recall := func(t *testing.T, cached authn.Recaller[*deep], u *deep) *deep {
		t.Helper()
		u, _, err := cached.Recall(t.Context(), "1", time.Hour, func(context.Context, string) (*deep, error) { return u, nil })
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	name := "x"
	u := &deep{User: authntest.User{ID: "1"}, Tags: []string{"a"}, Notes: map[string]*string{"n": &name}, Parent: &struct{ Name []byte }{[]byte("p")}}
	cached, err := usercache.New[deep](one[*deep]{}, usercache.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		got := recall(t, cached, u)
		if got.Tags[0] != "a" || *got.Notes["n"] != "x" || string(got.Parent.Name) != "p" {
			t.Fatalf("%+v", got)
		}
		got.Tags[0], *got.Notes["n"], got.Parent.Name[0] = "changed", "changed", '!'
	}
}

func TestTypesThatCannotBeCopiedAreRefused(t *testing.T) {
	if _, err := usercache.New[flat](one[*flat]{}, usercache.Config{}); err != nil {
		t.Error(err)
	}
	if _, err := usercache.New[cloned](one[*cloned]{}, usercache.Config{}); err != nil {
		t.Error(err)
	}
	for field, err := range map[string]error{
		"hidden.Balance": second(usercache.New[hidden](one[*hidden]{}, usercache.Config{})),
		"private.tags":   second(usercache.New[private](one[*private]{}, usercache.Config{})),
		"open.Any":       second(usercache.New[open](one[*open]{}, usercache.Config{})),
		"cyclic.Friends": second(usercache.New[cyclic](one[*cyclic]{}, usercache.Config{})),
	} {
		if err == nil || !strings.Contains(err.Error(), field) || !strings.Contains(err.Error(), "Clone()") {
			t.Errorf("%s: %v", field, err)
		}
	}
	_ = private{}.tags
	for _, cfg := range []usercache.Config{{MaxAge: -1}, {MaxAge: time.Hour}, {Size: -1}} {
		if _, err := usercache.New(new(authntest.Memory), cfg); err == nil {
			t.Errorf("%+v", cfg)
		}
	}
	if _, err := usercache.New[authntest.User](nil, usercache.Config{}); err == nil {
		t.Error("no store")
	}
}

func second[T any](_ T, err error) error { return err }
