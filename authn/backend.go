package authn

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
)

// Backend is a named way to be recognised. What else it can do is asked with
// [Can]. Implementations are safe for concurrent use.
type Backend interface {
	// Name is unique among the backends of a [Users], and a segment of URLs.
	Name() string
	// Authenticate returns what the request's credential says.
	// [ErrNoCredential] and [ErrInvalidToken] ask the next backend; any other
	// error means that a store is away, and lets nobody in.
	Authenticate(r *http.Request) (Identity, error)
}

// LoginBackend is a [Backend] that can log people in.
type LoginBackend interface {
	// Login issues a credential for id and builds the answer that carries it.
	// Where id.SessionID is empty, a backend that keeps sessions begins one;
	// else the credential is one more of that session. Only the manager calls it,
	// after every gate.
	Login(ctx context.Context, id Identity) (*Response, error)
}

// LogoutBackend is a [Backend] that can end a request's credential or take it
// from the client.
type LogoutBackend interface {
	// Logout ends the credential of r, which the backend has recognised. An
	// error of revocation is returned, never swallowed.
	Logout(r *http.Request) (*Response, error)
}

// Can looks up what a backend can do beyond recognising users, as [errors.As]
// looks up errors: T is b itself, or what b's method As(any) bool sets, or is
// found in the backend that b's method Unwrap() Backend returns.
//
//	if out, ok := authn.Can[authn.LogoutBackend](b); ok { … }
func Can[T any](b Backend) (T, bool) {
	for b != nil {
		if t, ok := b.(T); ok {
			return t, true
		}
		if as, ok := b.(interface{ As(target any) bool }); ok {
			var t T
			if as.As(&t) {
				return t, true
			}
		}
		wrapper, ok := b.(interface{ Unwrap() Backend })
		if !ok {
			break
		}
		b = wrapper.Unwrap()
	}
	var none T
	return none, false
}

// RequireVerified returns b for verified users alone: a log-in of anyone else
// is [ErrNotVerified], and a credential of theirs is recognised by no guard
// as more than a forbidden one.
func RequireVerified(b Backend) Backend { return verifiedBackend{b} }

type verifiedBackend struct{ Backend }

func (b verifiedBackend) Unwrap() Backend        { return b.Backend }
func (b verifiedBackend) requiresVerified() bool { return true }

// Authenticate notes the demand in the identity, so that no wrapper loses it.
func (b verifiedBackend) Authenticate(r *http.Request) (Identity, error) {
	id, err := b.Backend.Authenticate(r)
	id.verifiedOnly = true
	return id, err
}

// RequiresVerified reports whether a backend is for verified users alone
// ([RequireVerified]).
func RequiresVerified(b Backend) bool {
	_, ok := Can[interface{ requiresVerified() bool }](b)
	return ok
}

// backendName is what can stand in a URL path and in an OpenAPI component name.
var backendName = regexp.MustCompile(`^[A-Za-z0-9_-]([A-Za-z0-9._-]*[A-Za-z0-9_-])?$`)

func checkBackends(backends []Backend) error {
	if len(backends) == 0 {
		return fmt.Errorf("authn: no backend: nobody could log in")
	}
	seen := make(map[string]int, len(backends))
	for i, b := range backends {
		if b == nil {
			return fmt.Errorf("authn: backend %d is nil", i+1)
		}
		name := b.Name()
		if name == "" {
			return fmt.Errorf("authn: backend %d (%T) has no name", i+1, b)
		}
		if !backendName.MatchString(name) {
			return fmt.Errorf("authn: backend name %q can't be a URL path segment: use letters, digits, '-', '_' and inner '.'", name)
		}
		if first, ok := seen[name]; ok {
			return fmt.Errorf("authn: backends %d and %d are both named %q", first, i+1, name)
		}
		seen[name] = i + 1
	}
	return nil
}
