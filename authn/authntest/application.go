package authntest

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// Impersonator is a backend for an application's own tests, which recognises
// whomever [As] says. Never give one to a manager that serves
// anybody else; nothing outside of the process can use it.
type Impersonator struct{}

type impersonated struct{}

// Name returns "impersonator".
func (Impersonator) Name() string { return "impersonator" }

// Authenticate returns the user whom As named.
func (Impersonator) Authenticate(r *http.Request) (authn.Identity, error) {
	u, ok := r.Context().Value(impersonated{}).(authn.User)
	if !ok {
		return authn.Identity{}, authn.ErrNoCredential
	}
	return authn.Identity{Subject: u.AuthID(), Generation: u.AuthAccount().Generation}, nil
}

// As makes the request come from u:
//
//	e.ServeHTTP(w, authntest.As(httptest.NewRequest("GET", "/hello", nil), u))
func As(r *http.Request, u authn.User) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), impersonated{}, u))
}

// Clock is a clock that stands until it is set. Its method Now goes into a
// Config. Safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that stands at this moment.
func NewClock(now time.Time) *Clock { return &Clock{now: now} }

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Outbox notes what the hooks of a manager hear of, in place of the mails that
// an application would send. Its zero value works; safe for concurrent use.
//
//	var outbox authntest.Outbox[*AppUser]
//	users.Use(outbox.Hooks())
//
// What is mailed is noted in the background: [authn.Users.Flush] waits for it.
type Outbox[U authn.User] struct {
	mu     sync.Mutex
	events []Event
}

// Event is one thing that happened.
type Event struct {
	// Kind is "register", "welcome", "login", "reuse", "update", "request-verify", "verify",
	// "forgot-password", "reset-password", "delete", or that of an
	// [authn.Notice].
	Kind string
	// Email is the user's address afterwards; of a notice, where it goes.
	Email string
	// Changed says what an update altered.
	Changed authn.Changed
	// Token is what was mailed. It doesn't print.
	Token authn.Token
}

// Hooks returns the hooks that note what happens.
func (o *Outbox[U]) Hooks() authn.Hooks[U] {
	note := func(e Event) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.events = append(o.events, e)
	}
	of := func(kind string, u U) Event { return Event{Kind: kind, Email: u.AuthAccount().Email} }
	hears := func(kind string) func(context.Context, U) {
		return func(_ context.Context, u U) { note(of(kind, u)) }
	}
	mails := func(kind string) func(context.Context, U, authn.Token) error {
		return func(_ context.Context, u U, token authn.Token) error {
			e := of(kind, u)
			e.Token = token
			note(e)
			return nil
		}
	}
	return authn.Hooks[U]{
		AfterRegister: hears("register"),
		Welcome:       mails("welcome"),
		AfterLogin:    func(_ context.Context, u U, _ *authn.Response) error { note(of("login", u)); return nil },
		AfterReuse:    func(_ context.Context, u U, _ authn.Session) { note(of("reuse", u)) },
		AfterUpdate: func(_ context.Context, u U, changed authn.Changed) {
			e := of("update", u)
			e.Changed = changed
			note(e)
		},
		AfterRequestVerify:  mails("request-verify"),
		AfterVerify:         hears("verify"),
		AfterForgotPassword: mails("forgot-password"),
		AfterResetPassword:  hears("reset-password"),
		Notify: func(_ context.Context, _ U, notice authn.Notice) error {
			note(Event{Kind: string(notice.Kind), Email: notice.Email})
			return nil
		},
		AfterDelete: hears("delete"),
	}
}

// Events returns what has happened, oldest first.
func (o *Outbox[U]) Events() []Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.events)
}
