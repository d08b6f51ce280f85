package authn_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/authn/password"
)

// witness writes down what it hears, and checks that what ends had begun.
type witness struct {
	t     *testing.T
	mu    sync.Mutex
	heard []string
	last  authn.Observation
	stats func() authn.Stats
}

type deedKey struct{}

func (w *witness) Begin(ctx context.Context, deed authn.Deed) context.Context {
	return context.WithValue(ctx, deedKey{}, deed)
}

func (w *witness) End(ctx context.Context, o authn.Observation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if begun, _ := ctx.Value(deedKey{}).(authn.Deed); begun != o.Deed && o.Deed != authn.DeedGuard {
		w.t.Errorf("%s ended in a context of %q", o.Deed, begun)
	}
	if o.Took < 0 || o.Waited > o.Took {
		w.t.Errorf("%+v", o)
	}
	w.heard = append(w.heard, strings.TrimSuffix(string(o.Deed)+" "+string(o.Outcome)+" "+o.Name, " "))
	w.last = o
}

func (w *witness) Watch(stats func() authn.Stats) { w.stats = stats }

// hears compares what was heard since it was asked last.
func (w *witness) hears(what string, want ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.heard, want) {
		w.t.Errorf("%s: heard %q, want %q", what, w.heard, want)
	}
	w.heard = nil
}

func TestAnObserverHearsOfGuards(t *testing.T) {
	w := &witness{t: t}
	users, err := authn.New(newSouls(), authn.Config{Observer: w}, headed("first"), headed("second"))
	if err != nil {
		t.Fatal(err)
	}
	if users.Observer() != authn.Observer(w) {
		t.Error("the observer is another one")
	}
	active := users.CurrentUser(authn.Active)
	optional := users.CurrentUser(authn.Active, authn.Optional)
	rule := active.Require(func(*soul) error { return &authn.HTTPError{Status: http.StatusPaymentRequired} })
	for what, c := range map[string]struct {
		guard *authn.Guard[*soul]
		r     *http.Request
		want  string
	}{
		"passed":                {active, request("second", "plain"), "guard ok second"},
		"no credential":         {active, request(), "guard unauthorized"},
		"a bad one":             {active, request("first", "bad"), "guard unauthorized"},
		"inactive":              {active, request("first", "inactive"), "guard unauthorized"},
		"to the log-in page":    {users.CurrentUser(authn.Active, authn.RedirectTo("/login")), request("Accept", "text/html"), "guard unauthorized"},
		"no superuser":          {users.CurrentUser(authn.Active, authn.Superuser), request("first", "plain"), "guard forbidden"},
		"a rule of its own":     {rule, request("first", "plain"), "guard refused"},
		"away":                  {active, request("first", "away"), "guard unavailable"},
		"nobody":                {optional, request(), "guard nobody"},
		"somebody, if optional": {optional, request("first", "plain"), "guard ok first"},
		"away, if optional":     {optional, request("first", "away"), "guard unavailable"},
	} {
		_, _, _ = c.guard.Check(c.r)
		w.hears(what, c.want)
	}

	_, found, err := active.Check(request("first", "plain"))
	if err != nil {
		t.Fatal(err)
	}
	_, _, _ = users.CurrentUser(authn.Active, authn.Optional, authn.Superuser).Check(found)
	w.hears("nobody, after somebody", "guard ok first", "guard nobody")

	gone, leave := context.WithCancel(t.Context())
	leave()
	slow := &memory{err: context.Canceled}
	users, err = authn.New(slow, authn.Config{Observer: w}, headed("first"))
	if err != nil {
		t.Fatal(err)
	}
	_, _, _ = users.CurrentUser(authn.Active).Check(request("first", "plain").WithContext(gone))
	w.hears("a client that hung up", "guard canceled")
}

func TestAnObserverHearsOfLogIns(t *testing.T) {
	w := &witness{t: t}
	door := &noting{headed: "door", diary: new(diary)}
	strict := authn.RequireVerified(&noting{headed: "strict", diary: new(diary)})
	users, err := authn.New(new(authntest.Memory), authn.Config{
		Observer: w, Passwords: &password.Hasher{Params: password.Params{Memory: 64, Time: 1}},
	}, door, strict)
	if err != nil {
		t.Fatal(err)
	}
	var refusal error
	users.Use(authn.Hooks[*authntest.User]{BeforeLogin: func(ctx context.Context, _ *authntest.User, _ authn.Identity) error {
		if ctx.Value(deedKey{}) != authn.DeedLogin {
			t.Error("the hook isn't within the log-in")
		}
		if refusal == nil {
			return nil
		}
		return refusal
	}})
	u, err := users.Register(t.Context(), "ann@example.com", "correct horse", nil)
	if err != nil {
		t.Fatal(err)
	}
	w.hears("a registration", "hash ok")

	authenticate := func(email, password string) { _, _ = users.Authenticate(t.Context(), email, password) }
	authenticate("ann@example.com", "correct horse")
	w.hears("a right password", "hash ok", "authenticate ok")
	authenticate("ann@example.com", "wrong")
	w.hears("a wrong one", "hash ok", "authenticate bad_credentials")
	authenticate("nobody@example.com", "wrong")
	w.hears("an unknown user", "hash ok", "authenticate bad_credentials")
	gone, leave := context.WithCancel(t.Context())
	leave()
	_, _ = users.AuthenticateWith(gone, func(context.Context) (*authntest.User, error) { return u, nil }, "correct horse")
	w.hears("a client that hung up", "hash canceled", "authenticate canceled")

	login := func(backend string) { _, _ = users.Login(t.Context(), backend, u, authn.MethodPassword) }
	login("door")
	w.hears("a log-in", "login ok door")
	login("strict")
	w.hears("without a verified address", "login not_verified strict")
	login("a name of the client's")
	w.hears("at no backend")
	refusal = &authn.HTTPError{Status: http.StatusForbidden, Detail: "OTP_REQUIRED"}
	login("door")
	w.hears("a hook that refuses", "login refused door")
	refusal, door.fails = nil, errors.New("connection refused")
	login("door")
	w.hears("a store that is away", "login unavailable door")
	door.fails = authn.ErrTooManySessions
	login("door")
	w.hears("too many sessions", "login too_many_sessions door")
	u.IsActive = false
	login("door")
	w.hears("inactive", "login bad_credentials door")

	users.Use(authn.Hooks[*authntest.User]{BeforeLogin: func(context.Context, *authntest.User, authn.Identity) error { panic("a bug") }})
	u.IsActive = true
	func() {
		defer func() { _ = recover() }()
		login("door")
	}()
	w.hears("a panic", "login failed door")
}

// renewing is a backend that renews what its grant says.
type renewing struct {
	headed
	err error
}

func (renewing) RefreshParameter() bool { return true }

func (b renewing) Grant(_ *http.Request, token string) (authn.Identity, error) {
	if b.err != nil {
		return authn.Identity{}, b.err
	}
	return authn.Identity{Subject: token}, nil
}

func (b renewing) Refresh(*http.Request, string, authn.Identity) (*authn.Response, error) {
	return &authn.Response{Status: 200}, nil
}

func TestAnObserverHearsOfRefreshes(t *testing.T) {
	for want, err := range map[string]error{
		"refresh ok lasting":            nil,
		"refresh invalid_token lasting": authn.ErrInvalidToken,
		"refresh no_credential lasting": authn.ErrNoCredential,
		"refresh reused lasting":        &authn.ReuseError{},
		"refresh unavailable lasting":   errors.New("connection refused"),
	} {
		w := &witness{t: t}
		users, newErr := authn.New(newSouls(), authn.Config{Observer: w}, renewing{"lasting", err})
		if newErr != nil {
			t.Fatal(newErr)
		}
		_, _ = users.Refresh(request(), "lasting", "plain")
		w.hears(want, want)
	}
}

func TestAnObserverHearsOfShedHashes(t *testing.T) { synctest.Test(t, hearsOfShedHashes) }

func hearsOfShedHashes(t *testing.T) {
	w := &witness{t: t}
	h := &password.Hasher{Params: password.Params{Memory: 64, Time: 1}, Concurrent: 1, MaxWait: time.Nanosecond}
	store := new(lookups)
	users, err := authn.New(store, authn.Config{Observer: w, Passwords: h}, headed("h"))
	if err != nil {
		t.Fatal(err)
	}
	// A hash that holds the only place until another was shed: what tells how
	// long it waited is called at the gate.
	inside, shed := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	holding := password.WithWaited(t.Context(), func(time.Duration) { close(inside); <-shed })
	group.Go(func() { _, _ = h.Hash(holding, "password") })
	<-inside
	if s := w.stats(); s.HashesRunning != 1 || s.HashesWaiting != 0 {
		t.Errorf("%+v", s)
	}
	_, err = users.Authenticate(t.Context(), "ann@example.com", "password")
	close(shed)
	group.Wait()
	if !errors.Is(err, password.ErrOverloaded) {
		t.Error(err)
	}
	if store.byEmail != 0 {
		t.Error("a user was looked for who could not be verified")
	}
	w.hears("a hash that is shed", "hash overloaded", "authenticate overloaded")
	if s := w.stats(); s.HashesRunning != 0 {
		t.Errorf("%+v", s)
	}
}

// lookups counts how often it was asked for an address.
type lookups struct {
	authntest.Memory
	byEmail int
}

func (s *lookups) ByEmail(ctx context.Context, email string) (*authntest.User, error) {
	s.byEmail++
	return s.Memory.ByEmail(ctx, email)
}

func TestAnObserverHearsOfMails(t *testing.T) {
	w := &witness{t: t}
	kept := newChest()
	users := newMailing(t, authn.Config{Observer: w, Outbox: kept})
	var fails error
	users.Use(authn.Hooks[*authntest.User]{
		AfterForgotPassword: func(context.Context, *authntest.User, authn.Token) error { return fails },
	})
	w.hears("a registration", "hash ok")
	forget := func(email string) {
		if err := users.ForgotPassword(t.Context(), email); err != nil {
			t.Fatal(err)
		}
		if err := users.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	forget("ann@example.com")
	w.hears("a mail", "mail ok reset")
	forget("nobody@example.com")
	w.hears("a mail to nobody", "mail ok reset")
	fails = errors.New("the mail server is away")
	forget("ann@example.com")
	w.hears("a mail that fails", "mail failed reset")
	if s := w.stats(); s.BackgroundFailed != 1 || s.BackgroundRunning != 0 || s.BackgroundWaiting != 0 {
		t.Errorf("%+v", s)
	}
	if err := kept.Put(t.Context(), authn.Errand{ID: "1", Kind: "ann@example.com"}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	fails = nil
	_ = users.DeliverOutbox(t.Context(), 0)
	w.hears("what is due", "mail ok other", "outbox ok")
	for _, kind := range []authn.NoticeKind{authn.PasswordChanged, authn.EmailChanged, authn.NewDevice, authn.AccountLinked, authn.AccountUnlinked} {
		if err := kept.Put(t.Context(), authn.Errand{ID: string(kind), Kind: string(kind)}, time.Time{}); err != nil {
			t.Fatal(err)
		}
		_ = users.DeliverOutbox(t.Context(), 0)
		w.hears("a notice", "mail ok "+string(kind), "outbox ok")
	}
}

func TestStatsCountTheBackground(t *testing.T) {
	users := newMailing(t, authn.Config{Background: authn.Background{Workers: 1, Backlog: 1}})
	began, release := make(chan struct{}), make(chan struct{})
	work := func(context.Context) error { close(began); <-release; return nil }
	if err := users.Background(t.Context(), "one", work); err != nil {
		t.Fatal(err)
	}
	<-began
	for i, refused := range []bool{false, true} {
		err := users.Background(t.Context(), "more", func(context.Context) error { return nil })
		if errors.Is(err, authn.ErrUnavailable) != refused {
			t.Error(i, err)
		}
	}
	s := users.Stats()
	close(release)
	if s.BackgroundRunning != 1 || s.BackgroundWaiting != 1 || s.BackgroundRefused != 1 || s.Cache != nil {
		t.Errorf("%+v", s)
	}
	if err := users.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkGuard is a guard over a store in memory: an observer may not cost
// anything where there is none.
func BenchmarkGuard(b *testing.B) {
	for name, observer := range map[string]authn.Observer{"no-observer": nil, "an-observer": deaf{}} {
		b.Run(name, func(b *testing.B) {
			users, err := authn.New(newSouls(), authn.Config{Observer: observer}, headed("first"))
			if err != nil {
				b.Fatal(err)
			}
			active, r := users.CurrentUser(authn.Active), request("first", "plain")
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := active.Check(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type deaf struct{}

func (deaf) Begin(ctx context.Context, _ authn.Deed) context.Context { return ctx }
func (deaf) End(context.Context, authn.Observation)                  {}

// TestAnObserverCostsAGuardNoAllocation holds what the benchmark says.
func TestAnObserverCostsAGuardNoAllocation(t *testing.T) {
	allocations := func(observer authn.Observer) float64 {
		users, err := authn.New(newSouls(), authn.Config{Observer: observer}, headed("first"))
		if err != nil {
			t.Fatal(err)
		}
		active, r := users.CurrentUser(authn.Active), request("first", "plain")
		return testing.AllocsPerRun(100, func() { _, _, _ = active.Check(r) })
	}
	if without, with := allocations(nil), allocations(deaf{}); with != without {
		t.Errorf("%v allocations with an observer, %v without", with, without)
	}
}

func TestStatsCountJoinedLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &blocking{answer: make(chan error)}
		users, err := authn.New(store, authn.Config{}, bySubject{})
		if err != nil {
			t.Fatal(err)
		}
		g := users.CurrentUser(authn.Active)
		busy := max(2, runtime.GOMAXPROCS(0))
		for range busy {
			startLoad(t.Context(), g, "ann")
		}
		for range 3 {
			startLoad(t.Context(), g, "bob")
		}
		if s := users.Stats(); s.LoadQueries != uint64(busy) || s.LoadUsers != uint64(busy) {
			t.Errorf("before the others take off: %+v", s)
		}
		for range busy + 1 {
			store.let(nil)
		}
		if s := users.Stats(); s.LoadQueries != uint64(busy)+1 || s.LoadUsers != uint64(busy)+3 {
			t.Errorf("%+v", s)
		}
	})
}
