package backends

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/echo-users/echo-users/authn"
)

// Backend is a transport bound to a strategy under a name. What it can do
// beyond recognising users follows from the two; [authn.Can] asks.
type Backend struct {
	name      string
	transport authn.Transport
	strategy  authn.Strategy
}

// New binds a transport to a strategy. It panics where one of them is nil;
// the name is checked by [authn.New].
//
// A strategy with a method ForBackend(name string) [authn.Strategy] gives the
// one for this backend: strategies whose tokens share a store keep each
// backend's apart, so that none opens another's.
func New(name string, transport authn.Transport, strategy authn.Strategy) *Backend {
	if transport == nil || strategy == nil {
		panic(fmt.Sprintf("backends: backend %q needs a transport and a strategy", name))
	}
	if many, ok := strategy.(interface {
		ForBackend(name string) authn.Strategy
	}); ok {
		strategy = many.ForBackend(name)
	}
	return &Backend{name: name, transport: transport, strategy: strategy}
}

// Name returns the backend's name.
func (b *Backend) Name() string { return b.name }

// Authenticate has the transport find a token and the strategy read it.
func (b *Backend) Authenticate(r *http.Request) (authn.Identity, error) {
	token, err := b.transport.Extract(r)
	if err != nil {
		return authn.Identity{}, err
	}
	if token == "" {
		return authn.Identity{}, authn.ErrNoCredential
	}
	if len(token) > authn.MaxCredentialSize {
		return authn.Identity{}, authn.ErrInvalidToken
	}
	id, err := b.strategy.Read(r.Context(), token)
	if err != nil {
		return authn.Identity{}, err
	}
	id.Backend = b.name
	return id, nil
}

// As sets target, a pointer to an interface, to what transport and strategy
// can do together, or to one of the two: [authn.LoginBackend] unless the
// strategy only verifies, [authn.LogoutBackend] where the strategy can revoke
// or the transport can clear, [authn.Challenger], [authn.OriginChecker],
// [authn.SchemeDescriber], [authn.Transport], [authn.Strategy].
func (b *Backend) As(target any) bool {
	switch target := target.(type) {
	case *authn.LoginBackend:
		if v, ok := b.strategy.(interface{ CanIssue() bool }); ok && !v.CanIssue() {
			return false
		}
		*target = loginBackend{b}
	case *authn.LogoutBackend:
		out := logoutBackend{Backend: b}
		out.revoker, _ = b.strategy.(authn.Revoker)
		out.clearer, _ = b.transport.(authn.Clearer)
		if out.revoker == nil && out.clearer == nil {
			return false
		}
		*target = out
	case *authn.Challenger:
		c, ok := b.transport.(authn.Challenger)
		if !ok {
			return false
		}
		*target = c
	case *authn.SchemeDescriber:
		d, ok := b.transport.(authn.SchemeDescriber)
		if !ok {
			return false
		}
		*target = d
	case *authn.OriginChecker:
		c, ok := b.transport.(authn.OriginChecker)
		if !ok {
			return false
		}
		*target = c
	case *authn.Transport:
		*target = b.transport
	case *authn.Strategy:
		*target = b.strategy
	default:
		return false
	}
	return true
}

type loginBackend struct{ *Backend }

func (b loginBackend) Login(ctx context.Context, id authn.Identity) (*authn.Response, error) {
	token, err := b.strategy.Issue(ctx, id)
	if err != nil {
		return nil, err
	}
	revoker, revocable := b.strategy.(authn.Revoker)
	res, err := b.transport.Carry(token)
	if err != nil {
		if revocable {
			err = errors.Join(err, revoker.Revoke(context.WithoutCancel(ctx), token.Value))
		}
		return nil, err
	}
	if revocable {
		res.Undo = func(ctx context.Context) error { return revoker.Revoke(ctx, token.Value) }
	}
	return res, nil
}

type logoutBackend struct {
	*Backend
	revoker authn.Revoker
	clearer authn.Clearer
}

func (b logoutBackend) Logout(r *http.Request) (*authn.Response, error) {
	if b.revoker != nil {
		token, err := b.transport.Extract(r)
		if err != nil {
			return nil, err
		}
		if err := b.revoker.Revoke(r.Context(), token); err != nil {
			return nil, err
		}
	}
	if b.clearer != nil {
		return b.clearer.Clear(), nil
	}
	return &authn.Response{Status: http.StatusNoContent}, nil
}
