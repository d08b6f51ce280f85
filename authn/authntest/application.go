package authntest

import (
	"context"
	"net/http"
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
