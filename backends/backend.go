package backends

import (
	"context"
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
	sessions  *sessions // or nil
}

// New binds a transport to a strategy. It panics where one of them is nil;
// the name is checked by [authn.New].
//
// A strategy with a method ForBackend(name string) [authn.Strategy] gives the
// one for this backend: strategies whose tokens share a store keep each
// backend's apart, so that none opens another's. A transport with a method
// ForBackend(name string) [authn.Transport] gives the one for this backend, too.
func New(name string, transport authn.Transport, strategy authn.Strategy) *Backend {
	if transport == nil || strategy == nil {
		panic(fmt.Sprintf("backends: backend %q needs a transport and a strategy", name))
	}
	if many, ok := strategy.(interface {
		ForBackend(name string) authn.Strategy
	}); ok {
		strategy = many.ForBackend(name)
	}
	if many, ok := transport.(interface {
		ForBackend(name string) authn.Transport
	}); ok {
		transport = many.ForBackend(name)
	}
	return &Backend{name: name, transport: transport, strategy: strategy}
}

// Name returns the backend's name.
func (b *Backend) Name() string { return b.name }

// Authenticate has the transport find a token and the strategy read it.
func (b *Backend) Authenticate(r *http.Request) (id authn.Identity, err error) {
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
	if id, err = b.strategy.Read(r.Context(), token); err != nil {
		return authn.Identity{}, err
	}
	id.Backend = b.name
	if b.sessions != nil {
		if err := b.sessions.check(r.Context(), &id); err != nil {
			return authn.Identity{}, err
		}
	}
	return id, nil
}

// As sets target, a pointer to an interface, to what transport and strategy
// can do together, or to one of the two: [authn.LoginBackend] unless the
// strategy only verifies, [authn.LogoutBackend] where the strategy can revoke
// or the transport can clear, [authn.Revoker] where the strategy can, and
// [authn.RefreshBackend] where it renews; with sessions, all of these and
// [authn.SessionBackend]; [authn.Challenger], [authn.OriginChecker],
// [authn.SchemeDescriber], [authn.Transport], [authn.Strategy].
func (b *Backend) As(target any) bool {
	switch target := target.(type) {
	case *authn.LoginBackend:
		if v, ok := b.strategy.(interface{ CanIssue() bool }); ok && !v.CanIssue() {
			return false
		}
		*target = loginBackend{b}
		if b.sessions != nil {
			*target = sessionBackend{b}
		}
	case *authn.LogoutBackend:
		out := logoutBackend{Backend: b}
		out.revoker, _ = b.strategy.(authn.Revoker)
		out.clearer, _ = b.transport.(authn.Clearer)
		if b.sessions != nil {
			*target = sessionLogout{out}
			break
		}
		if out.revoker == nil && out.clearer == nil {
			return false
		}
		*target = out
	case *authn.Revoker:
		revoker, ok := b.strategy.(authn.Revoker)
		if b.sessions != nil {
			revoker, ok = sessionRevoker{b}, true
		}
		if !ok {
			return false
		}
		*target = revoker
	case *authn.RefreshBackend:
		renewer, ok := b.strategy.(authn.Renewer)
		switch {
		case b.sessions != nil && !b.sessions.cfg.SkipRefresh:
			*target = refreshBackend{b}
		case b.sessions == nil && ok && renewer.CanRenew():
			*target = renewBackend{b, renewer}
		default:
			return false
		}
	case *authn.SessionBackend:
		if b.sessions == nil {
			return false
		}
		*target = b.sessions
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
	return b.carryNew(ctx, id)
}

// carryNew builds the answer with a new token.
func (b *Backend) carryNew(ctx context.Context, id authn.Identity) (*authn.Response, error) {
	token, err := b.issue(ctx, id)
	if err != nil {
		return nil, err
	}
	res, err := b.transport.Carry(token)
	if err != nil {
		return nil, b.withdraw(ctx, token, err)
	}
	if _, ok := b.strategy.(authn.Revoker); ok {
		res.Undo = func(ctx context.Context) error { return b.revokeToken(ctx, token) }
	}
	return res, nil
}

// issue is where every token comes from.
func (b *Backend) issue(ctx context.Context, id authn.Identity) (authn.Token, error) {
	return b.strategy.Issue(ctx, id)
}

// revokeToken ends a token where the strategy can.
func (b *Backend) revokeToken(ctx context.Context, token authn.Token) error {
	if revoker, ok := b.strategy.(authn.Revoker); ok {
		return revoker.Revoke(ctx, token.Value)
	}
	return nil
}

// withdraw ends a token that can't be handed over for a reason, and returns
// that; that the token lives on comes before it.
func (b *Backend) withdraw(ctx context.Context, token authn.Token, reason error) error {
	if err := b.revokeToken(context.WithoutCancel(ctx), token); err != nil {
		return fmt.Errorf("%w: %w; %w", authn.ErrUnavailable, err, reason)
	}
	return reason
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
