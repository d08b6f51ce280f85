package authn

import (
	"context"
	"fmt"
	"net/http"
)

// Subject is a user of whom nothing is known but what a credential says: see
// [NewVerifier].
type Subject struct {
	// Identity is what the credential says.
	Identity Identity
	account  Account
}

// AuthID returns the id of the user at the service that issued the credential.
func (s *Subject) AuthID() string { return s.Identity.Subject }

// AuthAccount returns an active account without an address, which is neither
// verified nor a superuser's.
func (s *Subject) AuthAccount() *Account { return &s.account }

// NewVerifier returns a manager for a service that has no users, and takes the
// credentials of another one: its guards let in whom the backends recognise,
// and give handlers a [*Subject]. No account is looked up, so that a credential
// is good until it expires, whatever became of the user; Verified and Superuser
// let nobody in. It logs nobody in; don't mount routes of its own.
//
//	services, err := authn.NewVerifier(authn.Config{}, partner)
//	e.GET("/orders", echo4.Handle(services.CurrentUser(authn.Active), orders))
func NewVerifier(cfg Config, backends ...Backend) (*Users[*Subject], error) {
	verifying := make([]Backend, len(backends))
	for i, b := range backends {
		if b == nil {
			return nil, fmt.Errorf("authn: backend %d is nil", i+1)
		}
		verifying[i] = subjectBackend{b}
	}
	return New[*Subject](noUsers{}, cfg, verifying...)
}

// subjectBackend makes the user of the credential, and looks nobody up.
type subjectBackend struct{ Backend }

func (b subjectBackend) Unwrap() Backend { return b.Backend }

func (b subjectBackend) Authenticate(r *http.Request) (Identity, error) {
	id, err := b.Backend.Authenticate(r)
	if err != nil {
		return Identity{}, err
	}
	id.Backend = b.Name()
	id.Loaded = &Subject{Identity: id, account: Account{IsActive: true, Generation: id.Generation}}
	return id, nil
}

// noUsers is the store of who has none.
type noUsers struct{}

var errNoUsers = fmt.Errorf("%w: a verifier has no users", ErrNotSupported)

func (noUsers) ByID(context.Context, string) (*Subject, error)    { return nil, ErrUserNotFound }
func (noUsers) ByEmail(context.Context, string) (*Subject, error) { return nil, ErrUserNotFound }
func (noUsers) Create(context.Context, func(*Subject) error) (*Subject, error) {
	return nil, errNoUsers
}
func (noUsers) Update(context.Context, string, func(*Subject) error) (*Subject, error) {
	return nil, ErrUserNotFound
}
func (noUsers) Delete(context.Context, string) error { return ErrUserNotFound }
