package authn

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Status says which users a guard recognises. It is a guard's first word, so
// that none lets a disabled account in because somebody forgot one.
type Status uint8

const (
	// Active recognises active users alone.
	Active Status = iota + 1
	// AnyStatus recognises inactive users as well.
	AnyStatus
)

// Rule is a further demand of a guard: [Verified], [Superuser], [Optional],
// [Only], [Fresh], [RedirectTo]. A rule of the application's own is [Guard.Require].
type Rule interface {
	apply(*demands)
}

// demands is what a guard asks.
type demands struct {
	status    Status
	verified  bool
	superuser bool
	optional  bool
	only      []string
	fresh     time.Duration // zero for any
	loginPage string
}

// Demand is a [Rule] without a parameter.
type Demand uint8

const (
	// Verified demands a verified user: else 403.
	Verified Demand = iota + 1
	// Superuser demands a superuser: else 403.
	Superuser
	// Optional lets everybody through; whoever the guard would refuse is
	// nobody. A store that is away is an error all the same, and so is a
	// cross-site request.
	Optional
)

func (d Demand) apply(to *demands) {
	switch d {
	case Verified:
		to.verified = true
	case Superuser:
		to.superuser = true
	case Optional:
		to.optional = true
	default:
		panic(fmt.Sprintf("authn: Demand(%d) is none", d))
	}
}

type only []string

func (names only) apply(to *demands) { to.only = append(to.only, names...) }

// Only limits a guard to the named backends; a credential of another one
// counts as none. It panics without a name.
func Only(backends ...string) Rule {
	if len(backends) == 0 {
		panic("authn: Only names no backend")
	}
	return only(backends)
}

// Guard decides whether a request comes from a user who may pass. Make it
// once with [Users.CurrentUser] and use it for many routes; it is immutable
// and safe for concurrent use.
//
// [Guard.Check] is all of it. Packages in adapters make it a middleware, and a
// wrapper of handlers that get the user as a parameter.
type Guard[U User] struct {
	users    *Users[U]
	backends []Backend
	origins  []OriginChecker // of each backend, or nil
	demands  demands
	require  []func(U) error

	// The refusals, made once.
	nobody, invalid, forbidden, stale, crossSite *HTTPError
}

// CurrentUser makes a guard that recognises users of this status and demands
// what the rules say. It panics for a status that is none, and where Only
// names a backend that isn't there, as such a guard could let nobody in.
func (m *Users[U]) CurrentUser(status Status, rules ...Rule) *Guard[U] {
	if status != Active && status != AnyStatus {
		panic("authn: CurrentUser needs authn.Active or authn.AnyStatus")
	}
	g := &Guard[U]{users: m, demands: demands{status: status}}
	for _, rule := range rules {
		rule.apply(&g.demands)
	}
	for _, name := range g.demands.only {
		if _, ok := m.Backend(name); !ok {
			panic(fmt.Sprintf("authn: Only names %q, and there is no such backend", name))
		}
	}
	for _, b := range m.backends {
		if g.demands.only == nil || slices.Contains(g.demands.only, b.Name()) {
			origin, _ := Can[OriginChecker](b)
			g.backends, g.origins = append(g.backends, b), append(g.origins, origin)
		}
	}
	g.nobody = g.refusal(http.StatusUnauthorized, ErrUnauthorized, "")
	g.invalid = g.refusal(http.StatusUnauthorized, ErrUnauthorized, "invalid_token")
	g.forbidden = g.refusal(http.StatusForbidden, ErrForbidden, "insufficient_scope")
	g.stale = g.newStale()
	g.crossSite = &HTTPError{Status: http.StatusForbidden, Detail: http.StatusText(http.StatusForbidden), Err: ErrCrossSite}
	return g
}

// Require returns a guard that also asks the application's own rule, after
// all others; it may ask twice for one request, where users are kept
// ([Recaller]). An error of the rule is 403, unless it wraps an [*HTTPError] or
// [ErrUnavailable].
func (g *Guard[U]) Require(rule func(U) error) *Guard[U] {
	stricter := *g
	stricter.require = append(slices.Clone(g.require), rule)
	return &stricter
}

// Check asks the backends in order until one yields a user, and then the
// rules. A credential that another site had the browser send counts as none
// ([OriginChecker]); if no other backend yields a user, the answer is 403, behind
// an optional guard too. It returns the user and the request with the user in its context
// ([UserFrom]), or an error that [WriteError] turns into 401, 403 or 503. Where
// another guard has found somebody else for the request, it is 401.
// Behind an optional guard the user may be nil without an error.
func (g *Guard[U]) Check(r *http.Request) (U, *http.Request, error) {
	if g.users.cfg.Observer != nil {
		return g.observed(r)
	}
	return g.check(r)
}

func (g *Guard[U]) check(r *http.Request) (U, *http.Request, error) {
	var none U
	how := reading{age: anyAge}
	u, err := g.recognise(r, &how)
	if err != nil && how.kept && !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrCrossSite) {
		how = reading{age: refusalAge}
		u, err = g.recognise(r, &how)
	}
	switch {
	case err == nil:
		return u, withPrincipal(r, u, &how.id), nil
	case !g.demands.optional || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrCrossSite):
		return none, r, g.redirect(r, err)
	case r.Context().Value(principalKey{}) != nil: // whom a laxer guard found
		return none, withPrincipal(r, nil, new(Identity)), nil
	}
	return none, r, nil
}

// recognise returns the user of a request, if they may pass.
func (g *Guard[U]) recognise(r *http.Request, how *reading) (U, error) {
	u, err := g.find(r, how)
	if err == nil && g.contradicts(r, u) {
		err = g.invalid
	}
	if err == nil {
		err = g.admit(u, &how.id)
	}
	return u, err
}

// contradicts reports whether another guard has found somebody else for the
// request, which carries two credentials: what the one has let pass isn't what
// the other hands on.
func (g *Guard[U]) contradicts(r *http.Request, u U) bool {
	other, ok := UserFrom[U](r.Context())
	return ok && other.AuthID() != u.AuthID()
}

// CheckFresh is [Fresh] for a request that a guard has let pass: nil where the
// credential by which it found the user is as fresh, and the 401 of this guard
// where it isn't. It panics for a guard without that rule.
func (g *Guard[U]) CheckFresh(r *http.Request) error {
	if g.demands.fresh == 0 {
		panic("authn: CheckFresh of a guard that doesn't demand Fresh")
	}
	if id, ok := IdentityFrom(r.Context()); !ok || !id.IsFresh(g.users.cfg.Now(), g.demands.fresh) {
		return g.stale
	}
	return nil
}

// withPrincipal returns a copy of a request in whose context the user is. Both
// are one allocation: whoever keeps the context keeps the request.
func withPrincipal(r *http.Request, user any, id *Identity) *http.Request {
	both := &struct {
		principal principal
		request   http.Request
	}{principal: principal{Context: r.Context(), user: user, identity: *id}}
	both.principal.identity.User, both.principal.identity.Loaded = nil, nil
	both.request = *r.WithContext(&both.principal)
	return &both.request
}

// patience is how long a request waits at most for what stands behind a store
// that turned out to be away: other backends, which may be on the same one, and
// joined loads. Stores have deadlines of their own for each call.
const patience = 3 * time.Second

// find returns the user whom the first backend with a valid credential names.
func (g *Guard[U]) find(r *http.Request, how *reading) (U, error) {
	var none U
	var away error
	refusal := g.nobody
	for i, b := range g.backends {
		asked := r // which goes on being another one
		u, err := g.users.recognise(r.Context(), how, func() (Identity, error) { return b.Authenticate(asked) })
		if err == nil && g.origins[i] != nil {
			err = g.origins[i].CheckOrigin(r)
		}
		if err == nil {
			how.id.Backend = b.Name()
			return u, nil
		}
		switch {
		case isAway(err):
			if away == nil {
				ctx, cancel := context.WithTimeout(r.Context(), patience)
				defer cancel()
				r = r.WithContext(ctx)
			}
			away = unavailable(err)
		case errors.Is(err, ErrCrossSite):
			refusal = g.crossSite
		case errors.Is(err, ErrInvalidToken) && refusal != g.crossSite:
			refusal = g.invalid
		}
	}
	if away != nil {
		return none, away
	}
	return none, refusal
}

// isAway reports whether an error of a backend says nothing about the
// credential, but that it could not be looked at.
func isAway(err error) bool {
	if err == nil {
		return false
	}
	return errors.Is(err, ErrUnavailable) ||
		!errors.Is(err, ErrNoCredential) && !errors.Is(err, ErrInvalidToken) && !errors.Is(err, ErrCrossSite)
}

// errNextGeneration: the account is one generation ahead of the credential's
// session, which may be about to follow ([Users.SignOutElsewhere]).
var errNextGeneration = fmt.Errorf("%w: the generation has just changed", ErrInvalidToken)

// recognise reads a credential, into how, and loads the user whom it names.
func (m *Users[U]) recognise(ctx context.Context, how *reading, read func() (Identity, error)) (u U, err error) {
	for _, pause := range []time.Duration{5 * time.Millisecond, 25 * time.Millisecond, 0} {
		if how.id, err = read(); err != nil {
			var none U
			return none, err
		}
		u, err = m.load(ctx, how)
		if pause == 0 || err == nil || !errors.Is(err, errNextGeneration) {
			return u, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return u, unavailable(ctx.Err())
		}
	}
	panic("unreachable")
}

// load returns the user whom a verified credential names, if the credential
// is of the account's present generation: [ErrInvalidToken] otherwise.
func (m *Users[U]) load(ctx context.Context, how *reading) (U, error) {
	var none U
	id := &how.id
	u, ok := id.Loaded.(U)
	if !ok || any(u) == any(none) {
		var err error
		u, err = m.recall(ctx, id.Subject, how)
		if err == nil && id.Generation > u.AuthAccount().Generation && m.recaller != nil {
			u, err = m.recall(ctx, id.Subject, new(reading)) // the one that is kept is older than the credential
		}
		if errors.Is(err, ErrUserNotFound) {
			return none, ErrInvalidToken
		}
		if err != nil {
			return none, err
		}
	}
	if id.Subject == "" || id.Generation != u.AuthAccount().Generation {
		if id.SessionID != "" && id.Generation == u.AuthAccount().Generation-1 {
			return none, errNextGeneration
		}
		return none, ErrInvalidToken
	}
	return u, nil
}

// admit asks the rules about a user who was found.
func (g *Guard[U]) admit(u U, id *Identity) error {
	account := u.AuthAccount()
	if g.demands.status == Active && !account.IsActive {
		return g.invalid
	}
	if g.demands.superuser && !account.IsSuperuser {
		return g.forbidden
	}
	if !account.IsVerified && (g.demands.verified || id.verifiedOnly) {
		return g.forbidden
	}
	for _, rule := range g.require {
		err := rule(u)
		if err == nil {
			continue
		}
		var answer *HTTPError
		if errors.As(err, &answer) || errors.Is(err, ErrUnavailable) {
			return err
		}
		refused := *g.forbidden
		refused.Err = fmt.Errorf("%w: %w", ErrForbidden, err)
		return &refused
	}
	if g.demands.fresh > 0 && !id.IsFresh(g.users.cfg.Now(), g.demands.fresh) {
		return g.stale
	}
	return nil
}

// refusal builds a guard's answer, with a challenge for each HTTP
// authentication scheme among its backends (RFC 9110 §11.6.1, RFC 6750 §3).
// parameters are added to a code.
func (g *Guard[U]) refusal(status int, kind error, code string, parameters ...string) *HTTPError {
	header := http.Header{}
	var schemes []string
	for _, b := range g.backends {
		c, ok := Can[Challenger](b)
		if !ok || slices.Contains(schemes, c.Challenge()) {
			continue
		}
		schemes = append(schemes, c.Challenge())
		challenge := fmt.Sprintf(`%s realm="%s"`, c.Challenge(), g.users.cfg.Realm)
		if code != "" {
			challenge += fmt.Sprintf(`, error="%s"`, code)
		}
		for _, parameter := range parameters {
			challenge += ", " + parameter
		}
		header.Add("WWW-Authenticate", challenge)
	}
	return &HTTPError{Status: status, Detail: http.StatusText(status), Header: header, Err: kind}
}

// voided refuses a credential that has become void since a guard looked.
func (m *Users[U]) voided() *HTTPError { return m.CurrentUser(AnyStatus).invalid }
