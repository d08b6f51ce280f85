package authn

import (
	"context"
	"errors"
	"net/http"
	"time"

	pwhash "github.com/echo-users/echo-users/authn/password"
)

// Observer hears what the manager does, for metrics and traces: package
// authn/telemetry has one, for OpenTelemetry ([Config.Observer]). It hears of
// nobody: no user, address, token or text of an error. Its methods are called
// where the work is done, at the same time from many goroutines, so that they
// must be fast, and must not panic. One that is a [Watcher], too, is told where
// it finds the manager's counts.
type Observer interface {
	// Begin hears that something begins, and returns the context that it goes on
	// with: ctx itself, or one derived from it that carries a span. It isn't asked
	// about a [DeedGuard], whose context is the handler's, nor a [DeedLimit].
	Begin(ctx context.Context, deed Deed) context.Context
	// End hears how it ended, with the context that Begin returned.
	End(ctx context.Context, o Observation)
}

// Deed is what an [Observer] hears of.
type Deed string

// The deeds.
const (
	// DeedGuard: a guard was asked ([Guard.Check]), by way of the named backend
	// where it found a user.
	DeedGuard Deed = "guard"
	// DeedAuthenticate: a password was checked ([Users.AuthenticateWith]), for a
	// log-in or before a change.
	DeedAuthenticate Deed = "authenticate"
	// DeedLogin: somebody who was authenticated asked for a credential of the
	// named backend ([Users.Login]).
	DeedLogin Deed = "login"
	// DeedRefresh: a credential of the named backend was to be renewed
	// ([Users.Refresh]).
	DeedRefresh Deed = "refresh"
	// DeedHash: a password was hashed, or held against a hash.
	DeedHash Deed = "hash"
	// DeedLimit: somebody was beyond the named limit ([LimitKey]). It takes no
	// time.
	DeedLimit Deed = "limit"
	// DeedMail: the hooks were to send a mail of the named kind.
	DeedMail Deed = "mail"
	// DeedOutbox: what is due in the outbox was looked for and run
	// ([Users.DeliverOutbox]).
	DeedOutbox Deed = "outbox"
)

// Outcome is how a deed ended.
type Outcome string

// The outcomes. There are no others.
const (
	// OutcomeOK: as wished. Of a limit there is none.
	OutcomeOK Outcome = "ok"
	// OutcomeNobody: an optional guard let pass whom it doesn't know.
	OutcomeNobody Outcome = "nobody"
	// OutcomeUnauthorized: a guard found nobody whom it may let in.
	OutcomeUnauthorized Outcome = "unauthorized"
	// OutcomeForbidden: a guard found somebody, who isn't allowed.
	OutcomeForbidden Outcome = "forbidden"
	// OutcomeCrossSite: another site had the request sent.
	OutcomeCrossSite Outcome = "cross_site"
	// OutcomeBadCredentials: an unknown user, a wrong password, or somebody who
	// is inactive.
	OutcomeBadCredentials Outcome = "bad_credentials"
	// OutcomeNotVerified: the backend takes verified users alone.
	OutcomeNotVerified Outcome = "not_verified"
	// OutcomeTooManySessions: the user has as many as may be.
	OutcomeTooManySessions Outcome = "too_many_sessions"
	// OutcomeNoCredential: there was nothing to renew.
	OutcomeNoCredential Outcome = "no_credential"
	// OutcomeInvalidToken: what there was isn't valid.
	OutcomeInvalidToken Outcome = "invalid_token"
	// OutcomeReused: it had been exchanged already ([ReuseError]).
	OutcomeReused Outcome = "reused"
	// OutcomeRefused: a hook or a rule of the application's refused, or a limit.
	OutcomeRefused Outcome = "refused"
	// OutcomeOverloaded: too many passwords were to be hashed at once.
	OutcomeOverloaded Outcome = "overloaded"
	// OutcomeUnavailable: a store, a key or a service is away.
	OutcomeUnavailable Outcome = "unavailable"
	// OutcomeCanceled: the client was gone before it ended.
	OutcomeCanceled Outcome = "canceled"
	// OutcomeFailed: a mail was not sent, or something panicked.
	OutcomeFailed Outcome = "failed"
)

// Observation is a deed that has ended.
type Observation struct {
	Deed    Deed
	Outcome Outcome
	// Name is that of the backend, the limit, or the kind of mail; empty where
	// there is none. There are few of them.
	Name string
	// Took is how long it took, by the clock on the wall.
	Took time.Duration
	// Waited is how long of it a [DeedHash] waited in line.
	Waited time.Duration
}

// Observer returns what hears of the manager, or nil.
func (m *Users[U]) Observer() Observer { return m.cfg.Observer }

// begin tells the observer of something that begins. Without one it costs
// nothing, not even a look at the clock.
func (m *Users[U]) begin(ctx context.Context, deed Deed) (context.Context, time.Time) {
	if m.cfg.Observer == nil {
		return ctx, time.Time{}
	}
	return m.cfg.Observer.Begin(ctx, deed), time.Now()
}

// end tells the observer how it ended: done is false where it neither was done
// nor failed, but panicked.
func (m *Users[U]) end(ctx context.Context, deed Deed, name string, began time.Time, done bool, err error) {
	if m.cfg.Observer == nil {
		return
	}
	o := Observation{Deed: deed, Outcome: outcomeOf(ctx, err), Name: name, Took: time.Since(began)}
	if !done && err == nil {
		o.Outcome = OutcomeFailed
	}
	m.cfg.Observer.End(ctx, o)
}

// observed is Check for an observer.
func (g *Guard[U]) observed(r *http.Request) (U, *http.Request, error) {
	began := time.Now()
	u, passed, err := g.check(r)
	o := Observation{Deed: DeedGuard, Outcome: outcomeOf(r.Context(), err), Took: time.Since(began)}
	if err == nil {
		o.Outcome = OutcomeNobody
		if p, ok := passed.Context().(*principal); ok && p.user != nil {
			o.Outcome, o.Name = OutcomeOK, p.identity.Backend
		}
	}
	g.users.cfg.Observer.End(r.Context(), o)
	return u, passed, err
}

// outcomes are those of the kinds of errors, the first one first.
var outcomes = []struct {
	kind error
	is   Outcome
}{
	{pwhash.ErrOverloaded, OutcomeOverloaded},
	{ErrUnavailable, OutcomeUnavailable},
	{ErrCrossSite, OutcomeCrossSite},
	{ErrUnauthorized, OutcomeUnauthorized},
	{ErrForbidden, OutcomeForbidden},
	{ErrBadCredentials, OutcomeBadCredentials},
	{ErrNotVerified, OutcomeNotVerified},
	{ErrTooManySessions, OutcomeTooManySessions},
	{ErrNoCredential, OutcomeNoCredential},
	{ErrInvalidToken, OutcomeInvalidToken},
	{context.DeadlineExceeded, OutcomeUnavailable},
}

// outcomeOf tells the kinds of errors. A client that hung up says nothing
// about the stores.
func outcomeOf(ctx context.Context, err error) Outcome {
	if err == nil {
		return OutcomeOK
	}
	var reused *ReuseError
	switch {
	case errors.Is(err, context.Canceled) && errors.Is(ctx.Err(), context.Canceled):
		return OutcomeCanceled
	case errors.As(err, &reused):
		return OutcomeReused
	}
	for _, outcome := range outcomes {
		if errors.Is(err, outcome.kind) {
			return outcome.is
		}
	}
	return OutcomeRefused
}

// observedHasher tells an observer of hashes.
type observedHasher struct {
	PasswordHasher
	observer Observer
}

func (h observedHasher) Hash(ctx context.Context, password string) (hash string, err error) {
	ctx, end := h.begin(ctx)
	defer func() { end(err) }()
	return h.PasswordHasher.Hash(ctx, password)
}

func (h observedHasher) Verify(ctx context.Context, password, hash string) (match, outdated bool, err error) {
	ctx, end := h.begin(ctx)
	defer func() { end(err) }()
	return h.PasswordHasher.Verify(ctx, password, hash)
}

// Overloaded is the hasher's, and an observation where it turns somebody away.
func (h observedHasher) Overloaded(ctx context.Context) error {
	shedder, ok := h.PasswordHasher.(LoadShedder)
	if !ok {
		return nil
	}
	began := time.Now()
	err := shedder.Overloaded(ctx)
	if err != nil {
		took := time.Since(began)
		ctx = h.observer.Begin(ctx, DeedHash)
		h.observer.End(ctx, Observation{Deed: DeedHash, Outcome: outcomeOf(ctx, err), Took: took, Waited: took})
	}
	return err
}

func (h observedHasher) begin(ctx context.Context) (context.Context, func(error)) {
	ctx = h.observer.Begin(ctx, DeedHash)
	began := time.Now()
	var waited time.Duration
	return pwhash.WithWaited(ctx, func(d time.Duration) { waited += d }), func(err error) {
		h.observer.End(ctx, Observation{Deed: DeedHash, Outcome: outcomeOf(ctx, err), Took: time.Since(began), Waited: waited})
	}
}
