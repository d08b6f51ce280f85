package authn_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
)

// letters are mailed tokens that say in the clear what they say.
type letters struct{ err error }

func (l letters) Make(_ context.Context, m authn.Mailed) (authn.Token, error) {
	return authn.Token{Value: "to:" + m.Email}, l.err
}

func (l letters) Open(context.Context, string) (authn.Mailed, error) {
	return authn.Mailed{}, authn.ErrInvalidToken
}

func newMailing(t *testing.T, cfg authn.Config) *authn.Users[*authntest.User] {
	t.Helper()
	cfg.Passwords, cfg.VerifyTokens, cfg.ResetTokens = &plainText{}, letters{}, letters{}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	users, err := authn.New(new(authntest.Memory), cfg, headed("h"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := users.Register(t.Context(), "ann@example.com", "password", nil); err != nil {
		t.Fatal(err)
	}
	return users
}

func TestShutdownLosesNothing(t *testing.T) {
	users := newMailing(t, authn.Config{Background: authn.Background{Workers: 2}})
	var mu sync.Mutex
	var sent []string
	release := make(chan struct{})
	users.Use(authn.Hooks[*authntest.User]{
		AfterForgotPassword: func(ctx context.Context, u *authntest.User, token authn.Token) error {
			<-release
			if ctx.Err() != nil {
				t.Error("the request's end ended the mail")
			}
			mu.Lock()
			defer mu.Unlock()
			sent = append(sent, token.Value)
			return nil
		},
	})
	const mails = 20
	for range mails {
		request, end := context.WithCancel(t.Context())
		if err := users.ForgotPassword(request, "ann@example.com"); err != nil {
			t.Fatal(err)
		}
		end()
	}
	stopped := make(chan error)
	go func() { stopped <- users.Shutdown(t.Context()) }()
	close(release)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if len(sent) != mails || sent[0] != "to:ann@example.com" {
		t.Errorf("%d of %d mails were sent: %v", len(sent), mails, sent)
	}
	if err := users.ForgotPassword(t.Context(), "ann@example.com"); !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("after the shut-down: %v", err)
	}
}

func TestShutdownWithoutPatience(t *testing.T) {
	users := newMailing(t, authn.Config{})
	ended := make(chan error)
	if err := users.Background(t.Context(), "stuck", func(ctx context.Context) error {
		<-ctx.Done()
		ended <- ctx.Err()
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	impatient, end := context.WithCancel(t.Context())
	end()
	if err := users.Shutdown(impatient); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "1 pieces of work") {
		t.Error(err)
	}
	<-ended
}

func TestBackgroundIsBounded(t *testing.T) {
	var logged strings.Builder
	users := newMailing(t, authn.Config{
		Background: authn.Background{Workers: 1, Backlog: 2},
		Logger:     slog.New(slog.NewTextHandler(&logged, nil)),
	})
	started, release := make(chan struct{}), make(chan struct{})
	block := func(context.Context) error { started <- struct{}{}; <-release; return nil }
	if err := users.Background(t.Context(), "first", block); err != nil {
		t.Fatal(err)
	}
	<-started
	for range 2 {
		if err := users.Background(t.Context(), "waits", func(context.Context) error { panic("broken") }); err != nil {
			t.Fatal(err)
		}
	}
	if err := users.Background(t.Context(), "too much", block); !errors.Is(err, authn.ErrUnavailable) {
		t.Error(err)
	}
	for _, email := range []string{"ann@example.com", "nobody@example.com"} { // alike
		if err := users.ForgotPassword(t.Context(), email); !errors.Is(err, authn.ErrUnavailable) {
			t.Errorf("%s: %v", email, err)
		}
	}
	close(release)
	if err := users.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if n := strings.Count(logged.String(), "broken"); n < 2 {
		t.Errorf("panics are not logged: %s", logged.String())
	}
}

// chest is an outbox in memory.
type chest struct {
	mu      sync.Mutex
	errands map[string]authn.Errand
	due     map[string]time.Time
	err     error
}

func newChest() *chest {
	return &chest{errands: map[string]authn.Errand{}, due: map[string]time.Time{}}
}

func (c *chest) Put(_ context.Context, e authn.Errand, due time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.errands[e.ID], c.due[e.ID] = e, due
	}
	return c.err
}

func (c *chest) Claim(_ context.Context, now, again time.Time, n int) ([]authn.Errand, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var claimed []authn.Errand
	for id, e := range c.errands {
		if len(claimed) < n && !c.due[id].After(now) {
			e.Attempts++
			c.errands[id], c.due[id] = e, again
			claimed = append(claimed, e)
		}
	}
	slices.SortFunc(claimed, func(a, b authn.Errand) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return claimed, c.err
}

func (c *chest) Defer(_ context.Context, id string, due time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.errands[id]; ok {
		c.due[id] = due
	}
	return c.err
}

func (c *chest) Done(_ context.Context, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.errands, id)
	delete(c.due, id)
	return c.err
}

func (c *chest) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.errands)
}

func TestOutboxKeepsWhatFails(t *testing.T) {
	clock, outbox := authntest.NewClock(time.Unix(1e9, 0)), newChest()
	users := newMailing(t, authn.Config{Outbox: outbox, Now: clock.Now})
	var away error
	var sent []string
	var mu sync.Mutex // errands that are due run at once
	send := func(mail string) error {
		mu.Lock()
		defer mu.Unlock()
		if away == nil {
			sent = append(sent, mail)
		}
		return away
	}
	users.Use(authn.Hooks[*authntest.User]{
		AfterForgotPassword: func(_ context.Context, u *authntest.User, token authn.Token) error {
			return send(token.Value)
		},
		Notify: func(_ context.Context, u *authntest.User, notice authn.Notice) error {
			return send(string(notice.Kind) + ":" + notice.Email)
		},
	})
	flush := func() {
		t.Helper()
		if err := users.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	deliver := func() {
		t.Helper()
		if err := users.DeliverOutbox(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(email string) {
		t.Helper()
		if err := users.ForgotPassword(t.Context(), email); err != nil {
			t.Fatal(err)
		}
		flush()
	}

	ask("ann@example.com")
	ask("nobody@example.com")
	if len(sent) != 1 || outbox.size() != 0 {
		t.Fatalf("%v was sent, %d are left", sent, outbox.size())
	}

	away = errors.New("the mail server is away")
	ask("ann@example.com")
	ann, err := users.GetByEmail(t.Context(), "ann@example.com")
	if err != nil {
		t.Fatal(err)
	}
	email, password := "anna@example.com", "another password"
	if _, err := users.Update(t.Context(), ann.ID, authn.Update[*authntest.User]{Email: &email, Password: &password}); err != nil {
		t.Fatal(err)
	}
	flush()
	if outbox.size() != 3 {
		t.Fatalf("%d errands are kept", outbox.size())
	}
	deliver() // not due yet
	away = nil
	deliver()
	if len(sent) != 1 {
		t.Errorf("sent before it was due: %v", sent)
	}
	clock.Advance(time.Minute)
	deliver()
	slices.Sort(sent)
	// The reset is for an address that isn't hers any more, and is no mail.
	want := []string{"email-changed:ann@example.com", "password-changed:ann@example.com", "to:ann@example.com"}
	if !slices.Equal(sent, want) || outbox.size() != 0 {
		t.Errorf("sent %v, want %v; %d are left", sent, want, outbox.size())
	}

	// What never succeeds is given up after a day.
	away = errors.New("the mail server is away")
	ask("anna@example.com")
	for range 30 {
		clock.Advance(time.Hour)
		deliver()
	}
	if outbox.size() != 0 {
		t.Error("an errand is tried for ever")
	}

	// Without its outbox, nothing is promised.
	outbox.err = errors.New("away")
	if err := users.ForgotPassword(t.Context(), "anna@example.com"); !errors.Is(err, authn.ErrUnavailable) {
		t.Error(err)
	}
	if err := users.DeliverOutbox(t.Context(), 0); !errors.Is(err, authn.ErrUnavailable) {
		t.Error(err)
	}
}

func TestNoOutboxNoDelivery(t *testing.T) {
	if err := newMailing(t, authn.Config{}).DeliverOutbox(t.Context(), 0); !errors.Is(err, authn.ErrNotSupported) {
		t.Error(err)
	}
}

func TestHooksWithoutTransactionsAreRefused(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("DuringRegister on a store without transactions")
		}
	}()
	newMailing(t, authn.Config{}).Use(authn.Hooks[*authntest.User]{
		DuringRegister: func(context.Context, *authntest.User) error { return nil },
	})
}

// A store that is away is told, whoever is asked for.
func TestMailsAskForTheStore(t *testing.T) {
	users := newMailing(t, authn.Config{})
	ended, end := context.WithCancel(t.Context())
	end() // as near to a store that is away as Memory comes
	for _, email := range []string{"ann@example.com", "nobody@example.com", "\x00"} {
		if err := users.ForgotPassword(ended, email); !errors.Is(err, authn.ErrUnavailable) {
			t.Errorf("ForgotPassword for %q: %v", email, err)
		}
		if err := users.RequestVerify(ended, email); !errors.Is(err, authn.ErrUnavailable) {
			t.Errorf("RequestVerify for %q: %v", email, err)
		}
	}
}

// An errand whose hook panics is given up like others, and one that was sent is
// noted even where its time has run out meanwhile.
func TestErrandsThatPanicOrTakeTooLong(t *testing.T) {
	clock, outbox := authntest.NewClock(time.Unix(1e9, 0)), newChest()
	users := newMailing(t, authn.Config{Outbox: outbox, Now: clock.Now})
	calls, panics := 0, true
	var mu sync.Mutex
	users.Use(authn.Hooks[*authntest.User]{
		AfterForgotPassword: func(context.Context, *authntest.User, authn.Token) error {
			mu.Lock()
			defer mu.Unlock()
			calls++
			if panics {
				panic("broken template")
			}
			return nil
		},
	})
	if err := users.ForgotPassword(t.Context(), "ann@example.com"); err != nil {
		t.Fatal(err)
	}
	for range 30 {
		if err := users.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Hour)
		if err := users.DeliverOutbox(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	if outbox.size() != 0 || calls < 10 || calls > 30 {
		t.Errorf("%d calls, %d errands are left", calls, outbox.size())
	}
}

// Work that ends its goroutine doesn't end the background.
func TestGoexitInTheBackground(t *testing.T) {
	users := newMailing(t, authn.Config{Background: authn.Background{Workers: 1}})
	done := false
	for _, work := range []func(context.Context) error{
		func(context.Context) error { runtime.Goexit(); return nil },
		func(context.Context) error { done = true; return nil },
	} {
		if err := users.Background(t.Context(), "work", work); err != nil {
			t.Fatal(err)
		}
	}
	if err := users.Shutdown(t.Context()); err != nil || !done {
		t.Error(done, err)
	}
}

// greeting is a welcome as a hook saw it.
func greeting(u *authntest.User, verify authn.Token) string { return u.Email + " " + verify.Value }

func TestWelcome(t *testing.T) {
	for _, c := range []struct {
		name   string
		tokens authn.MailedTokens
		fill   func(*authntest.User) error
		then   func(context.Context, *authn.Users[*authntest.User], string) error
		want   []string
	}{
		{name: "a new user", tokens: letters{}, want: []string{"bob@example.com to:bob@example.com"}},
		{name: "no tokens", want: []string{"bob@example.com "}},
		{
			name: "verified already", tokens: letters{},
			fill: func(u *authntest.User) error { u.IsVerified = true; return nil },
			want: []string{"bob@example.com "},
		},
		{
			name: "inactive", tokens: letters{},
			fill: func(u *authntest.User) error { u.IsActive = false; return nil },
		},
		{
			name: "gone meanwhile", tokens: letters{},
			then: func(ctx context.Context, users *authn.Users[*authntest.User], id string) error {
				return users.Delete(ctx, id)
			},
		},
		{
			name: "another address meanwhile", tokens: letters{},
			then: func(ctx context.Context, users *authn.Users[*authntest.User], id string) error {
				email := "rob@example.com"
				_, err := users.Update(ctx, id, authn.Update[*authntest.User]{Email: &email})
				return err
			},
			want: []string{"rob@example.com to:rob@example.com"},
		},
		{name: "no token can be made", tokens: letters{errors.New("no key")}},
	} {
		for _, kept := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				cfg := authn.Config{
					Passwords: &plainText{}, VerifyTokens: c.tokens,
					Background: authn.Background{Workers: 1}, Logger: slog.New(slog.DiscardHandler),
				}
				if kept {
					cfg.Outbox = newChest()
				}
				users, err := authn.New(new(authntest.Memory), cfg, headed("h"))
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				users.Use(authn.Hooks[*authntest.User]{Welcome: func(_ context.Context, u *authntest.User, verify authn.Token) error {
					got = append(got, greeting(u, verify))
					return nil
				}})
				release := make(chan struct{})
				if err := users.Background(t.Context(), "first", func(context.Context) error { <-release; return nil }); err != nil {
					t.Fatal(err)
				}
				bob, err := users.Register(t.Context(), "bob@example.com", "password", c.fill)
				if err == nil && c.then != nil {
					err = c.then(t.Context(), users, bob.ID)
				}
				close(release)
				if err := errors.Join(err, users.Flush(t.Context())); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("welcomes: %q, want %q", got, c.want)
				}
			})
		}
	}
}

func TestWelcomeIsKeptUntilItIsSent(t *testing.T) {
	clock, outbox := authntest.NewClock(time.Unix(1e9, 0)), newChest()
	var logged strings.Builder
	users := newMailing(t, authn.Config{Outbox: outbox, Now: clock.Now, Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	register := func(email string) {
		t.Helper()
		_, err := users.Register(t.Context(), email, "password", nil)
		if err := errors.Join(err, users.Flush(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	register("bob@example.com")
	if outbox.size() != 0 {
		t.Error("a welcome is kept where nobody sends any")
	}

	away := errors.New("the mail server is away")
	var got []string
	users.Use(authn.Hooks[*authntest.User]{Welcome: func(_ context.Context, u *authntest.User, verify authn.Token) error {
		if away == nil {
			got = append(got, greeting(u, verify))
		}
		return away
	}})
	register("carol@example.com")
	if outbox.size() != 1 {
		t.Fatalf("%d errands are kept", outbox.size())
	}
	away = nil
	clock.Advance(time.Minute)
	if err := users.DeliverOutbox(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, []string{"carol@example.com to:carol@example.com"}) || outbox.size() != 0 {
		t.Errorf("sent %q, %d are left", got, outbox.size())
	}

	// The store has no transactions: the user is there, and the answer says so.
	outbox.err = errors.New("the outbox is away")
	register("dave@example.com")
	if !strings.Contains(logged.String(), "the outbox is away") {
		t.Errorf("logged: %s", logged.String())
	}
}

func TestRegistrationWaitsForNoWelcome(t *testing.T) {
	var logged strings.Builder
	users := newMailing(t, authn.Config{
		Background: authn.Background{Workers: 1, Backlog: 1},
		Logger:     slog.New(slog.NewTextHandler(&logged, nil)),
	})
	users.Use(authn.Hooks[*authntest.User]{Welcome: func(context.Context, *authntest.User, authn.Token) error { return nil }})
	started, release := make(chan struct{}), make(chan struct{})
	if err := users.Background(t.Context(), "slow", func(context.Context) error { close(started); <-release; return nil }); err != nil {
		t.Fatal(err)
	}
	<-started
	if err := users.Background(t.Context(), "waits", func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := users.Register(t.Context(), "bob@example.com", "password", nil); err != nil {
		t.Errorf("no room for a welcome: %v", err)
	}
	close(release)
	if err := users.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(logged.String(), "kind=welcome") {
		t.Errorf("logged: %s", logged.String())
	}
}
