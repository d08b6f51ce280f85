package authn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"
)

// Session is a log-in that goes on: what a person sees in a list and can end,
// and the family that refresh tokens are of (RFC 9700 §4.14.2).
type Session struct {
	// ID names the session, in its access tokens too. It is no secret.
	ID string
	// Subject is the user's id, and Backend the name of where they logged in.
	Subject, Backend string
	// Generation is the account's that the session's credentials count as of.
	Generation int64
	// CreatedAt is when the person logged in; SeenAt is when they last used the
	// session, within what the backend tells apart; ExpiresAt is when it ends
	// unless it is used before.
	CreatedAt, SeenAt, ExpiresAt time.Time
	// AuthTime and Methods are those of [Identity], for renewed credentials.
	AuthTime time.Time
	Methods  []string
	Scopes   []string
	// Client is who logged in.
	Client Client
	// Refresh is what the backend keeps of refresh tokens: no token, and nothing
	// to make one of.
	Refresh []byte `json:"-"`
	// Version counts writes, for [SessionStore.UpdateSession].
	Version int64
}

// SessionLimit says how many sessions a user may have in a store at a time.
type SessionLimit struct {
	// Max is how many. Zero is any number.
	Max int
	// Refuse has a log-in beyond Max refused. Otherwise the oldest session ends.
	Refuse bool
}

// SessionStore keeps sessions. Package userdb implements it over GORM, and
// package strategies/redis over Redis; suite [authntest.TestSessions] proves
// others. Every method is atomic and safe for concurrent use, and touches that
// user's sessions alone whose id it is given. An error that isn't named here
// means that the store is away. Implementations are pointers.
//
// [authntest.TestSessions]: https://pkg.go.dev/github.com/echo-users/echo-users/authn/authntest#TestSessions
type SessionStore interface {
	// InsertSession keeps a new session, and holds the user to the limit, of
	// which sessions that have expired by now, or are of an earlier generation
	// than s, are no part:
	// [ErrTooManySessions]. [ErrUserNotFound] where the store knows users and
	// not this one.
	InsertSession(ctx context.Context, s Session, now time.Time, limit SessionLimit) error
	// Session returns one: [ErrSessionNotFound]. Whether it has expired is for
	// the caller to see.
	Session(ctx context.Context, subject, id string) (Session, error)
	// Sessions returns all that a user has, in any order.
	Sessions(ctx context.Context, subject string) ([]Session, error)
	// UpdateSession writes Generation, SeenAt, ExpiresAt, Client and Refresh,
	// and raises the version, if the version is s.Version still. It reports
	// false, and writes nothing, if it isn't, or if there is no such session.
	UpdateSession(ctx context.Context, s Session, now time.Time) (bool, error)
	// DeleteSession ends a session: [ErrSessionNotFound].
	DeleteSession(ctx context.Context, subject, id string) error
	// DeleteSessions ends all that a user has, but the one of this id.
	DeleteSessions(ctx context.Context, subject, but string) error
}

// SessionBackend is a [Backend] that keeps sessions.
type SessionBackend interface {
	// SessionStore returns where they are.
	SessionStore() SessionStore
	// SessionLimit returns how many a user may have.
	SessionLimit() SessionLimit
}

// sessionStores returns the stores of the backends' sessions, each once.
func sessionStores(backends []Backend) []SessionStore {
	var stores []SessionStore
	for _, b := range backends {
		if keeper, ok := Can[SessionBackend](b); ok && !slices.Contains(stores, keeper.SessionStore()) {
			stores = append(stores, keeper.SessionStore())
		}
	}
	return stores
}

// KeepsSessions reports whether any backend keeps sessions ([SessionBackend]).
func (m *Users[U]) KeepsSessions() bool { return len(m.sessions) > 0 }

// Sessions returns the sessions of the user with this id that have not ended,
// at all backends that keep any, the last seen first: [ErrUserNotFound],
// [ErrUnavailable].
func (m *Users[U]) Sessions(ctx context.Context, userID string) ([]Session, error) {
	u, err := m.Get(ctx, userID)
	if err != nil {
		return nil, err
	}
	now := m.cfg.Now()
	var live []Session
	for _, store := range m.sessions {
		all, err := store.Sessions(ctx, u.AuthID())
		if err != nil {
			return nil, unavailable(err)
		}
		for _, s := range all {
			if s.Generation == u.AuthAccount().Generation && now.Before(s.ExpiresAt) {
				live = append(live, s)
			}
		}
	}
	slices.SortStableFunc(live, func(a, b Session) int { return b.SeenAt.Compare(a.SeenAt) })
	return live, nil
}

// EndSession ends a session of the user with this id: [ErrUserNotFound],
// [ErrSessionNotFound], [ErrUnavailable].
func (m *Users[U]) EndSession(ctx context.Context, userID, sessionID string) error {
	u, err := m.Get(ctx, userID)
	if err != nil {
		return err
	}
	for _, store := range m.sessions {
		err := store.DeleteSession(ctx, u.AuthID(), sessionID)
		if err == nil {
			m.Record(ctx, Event{Kind: EventSessionEnded, UserID: u.AuthID(), SessionID: sessionID})
			return nil
		}
		if !errors.Is(err, ErrSessionNotFound) {
			return unavailable(err)
		}
	}
	return ErrSessionNotFound
}

// SignOutEverywhere voids every credential of the user with this id, at every
// backend, and ends their sessions: [ErrUserNotFound], [ErrUnavailable]. Where the
// sessions alone could not be deleted, what knows the user refuses them already.
func (m *Users[U]) SignOutEverywhere(ctx context.Context, userID string) error {
	u, err := m.Get(ctx, userID)
	if err != nil {
		return err
	}
	_, undeleted, err := m.signOut(ctx, u.AuthID(), Identity{}, func(U) error { return nil })
	if err == nil {
		err = unavailable(undeleted)
	}
	if err == nil {
		m.Record(ctx, Event{Kind: EventSignedOutEverywhere, UserID: u.AuthID()})
	}
	return err
}

// SignOutElsewhere voids every credential of the user at every backend but the
// one that the request came with, and ends their other sessions. u and r are
// what a guard returned. The credential goes on where its session is looked
// up; else the answer has a new one in its place, as a log-in's: of the same
// authentication, and none fresher ([Fresh]). Don't call it within a transaction. [ErrUnauthorized] where the
// credential has become void since the guard looked, [ErrUnavailable]. That
// sessions could not be deleted, which their generation has ended, is logged.
func (m *Users[U]) SignOutElsewhere(r *http.Request, u U) (*Response, error) {
	ctx := r.Context()
	id, ok := IdentityFrom(ctx)
	if !ok || id.Subject != u.AuthID() {
		return nil, fmt.Errorf("%w: no guard has found this user for the request", ErrUnauthorized)
	}
	was := *u.AuthAccount()
	now, undeleted, err := m.signOut(ctx, u.AuthID(), id, func(u U) error {
		if !stillMay(was, *u.AuthAccount()) || !u.AuthAccount().IsActive {
			return m.voided()
		}
		return nil
	})
	if errors.Is(err, ErrUserNotFound) {
		err = m.voided()
	}
	if err != nil {
		return nil, err
	}
	if undeleted != nil { // the caller must not lose their own credential for it
		m.cfg.Logger.WarnContext(ctx, "authn: sessions were ended by their generation, and not deleted", slog.Any("error", undeleted))
	}
	m.Record(ctx, Event{Kind: EventSignedOutElsewhere, UserID: u.AuthID()})
	return m.reissue(r, now, id)
}

// signOut raises the user's generation, unless refuse has an error, and ends
// their sessions but that of keep, which becomes one of the new generation.
// Sessions may be kept elsewhere: they follow when the generation is written,
// whether or not somebody waits for it. A session that was of a generation
// which isn't yet would come to life with the next one. Sessions that could not
// be deleted are of the generation before, which guards that know the user refuse.
func (m *Users[U]) signOut(ctx context.Context, userID string, keep Identity, refuse func(U) error) (u U, undeleted, err error) {
	var refused error
	u, err = m.store.Update(ctx, userID, func(u U) error {
		if refused = refuse(u); refused == nil {
			u.AuthAccount().Generation++
		}
		return refused
	})
	if err != nil {
		var none U
		return none, nil, written(err, refused)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	err = m.carryOver(ctx, keep, u.AuthAccount().Generation)
	for _, store := range m.sessions {
		undeleted = errors.Join(undeleted, store.DeleteSessions(ctx, userID, keep.SessionID))
	}
	return u, undeleted, err
}

// carryOver makes a session one of this generation.
func (m *Users[U]) carryOver(ctx context.Context, id Identity, generation int64) error {
	b, _ := m.Backend(id.Backend)
	keeper, ok := Can[SessionBackend](b)
	if !ok || id.SessionID == "" {
		return nil
	}
	for {
		s, err := keeper.SessionStore().Session(ctx, id.Subject, id.SessionID)
		if errors.Is(err, ErrSessionNotFound) {
			return m.voided() // ended meanwhile
		}
		if err != nil {
			return unavailable(err)
		}
		s.Generation = generation
		updated, err := keeper.SessionStore().UpdateSession(ctx, s, m.cfg.Now())
		if err != nil || updated {
			return unavailable(err)
		}
		if err := ctx.Err(); err != nil {
			return unavailable(err)
		}
	}
}

// reissue answers with a credential in place of the request's, if that has
// become void with the generation, and with nothing else.
func (m *Users[U]) reissue(r *http.Request, u U, id Identity) (*Response, error) {
	done := &Response{Status: http.StatusNoContent}
	b, _ := m.Backend(id.Backend)
	switch now, err := b.Authenticate(r); {
	case isAway(err):
		return nil, unavailable(err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", m.voided(), err)
	case now.Generation == u.AuthAccount().Generation:
		return done, nil
	}
	door, ok := Can[LoginBackend](b)
	if !ok {
		return done, nil
	}
	id.Generation = u.AuthAccount().Generation
	id.IssuedAt, id.User = m.cfg.Now(), u
	return m.issue(r.Context(), door, id)
}
