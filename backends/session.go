package backends

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/echo-users/echo-users/authn"
)

// SessionConfig has the options of [WithSessions]. Its zero value keeps people
// signed in for two weeks after they were last seen, and for thirty days at
// most (NIST SP 800-63B-4 §2.1.3).
type SessionConfig struct {
	// Idle is how long a session lives without being used. Defaults to 14 days.
	Idle time.Duration
	// Absolute is how long a session lives at all, from the log-in. Defaults to
	// 30 days.
	Absolute time.Duration
	// Grace is how long a refresh token that was exchanged is good for the same
	// successor once more, for the client that never heard the answer. Defaults
	// to 30 seconds. It is no use to who has a copy: once the successor was used,
	// or after the grace, the session ends.
	Grace time.Duration
	// LastUse is how old the note of when a session was last seen may get.
	// Defaults to one minute, and a tenth of Idle at most.
	LastUse time.Duration
	// Limit is how many sessions a user may have. Max defaults to 100, so that a
	// program that logs in all the time fills no store.
	Limit authn.SessionLimit

	// SkipRefresh issues no refresh tokens: a session lives as long as its
	// access token.
	SkipRefresh bool
	// SkipCheck has guards not look sessions up. Then access tokens go on until
	// they expire when their session has ended, and use is noted at refresh alone.
	SkipCheck bool

	// Now is the clock. Defaults to [time.Now].
	Now func() time.Time
	// Logger hears of last uses that could not be noted. Defaults to
	// [slog.Default].
	Logger *slog.Logger
}

const (
	defaultIdle     = 14 * 24 * time.Hour
	defaultAbsolute = 30 * 24 * time.Hour
	defaultGrace    = 30 * time.Second
	defaultLastUse  = time.Minute
	defaultMax      = 100

	// seenRest is how long no last use is noted after that failed.
	seenRest = 10 * time.Second
)

// WithSessions returns the backend with sessions, kept in the store: what a
// person sees in a list and can end, and refresh tokens to go on with
// ([authn.RefreshBackend]). Its access tokens name their session, and are good
// as long as that lasts; those that were issued without one go on as they are.
// Give the strategy a short lifetime, as a refresh token takes over from there.
//
// It returns an error that names the backend and says what is wrong with the
// options.
func WithSessions(b *Backend, store authn.SessionStore, cfg SessionConfig) (*Backend, error) {
	with, err := withSessions(b, store, cfg)
	if err != nil {
		return nil, fmt.Errorf("backends: backend %q: %w", b.name, err)
	}
	return with, nil
}

func withSessions(b *Backend, store authn.SessionStore, cfg SessionConfig) (*Backend, error) {
	if store == nil {
		return nil, errors.New("the store of sessions is nil")
	}
	if cfg.Idle < 0 || cfg.Absolute < 0 || cfg.Grace < 0 || cfg.LastUse < 0 || cfg.Limit.Max < 0 {
		return nil, errors.New("the options Idle, Absolute, Grace, LastUse and Limit must not be negative")
	}
	if cfg.Idle == 0 {
		cfg.Idle = defaultIdle
	}
	if cfg.Absolute == 0 {
		cfg.Absolute = defaultAbsolute
	}
	if cfg.Grace == 0 {
		cfg.Grace = defaultGrace
	}
	if cfg.LastUse == 0 {
		cfg.LastUse = min(defaultLastUse, cfg.Idle/10)
	}
	if cfg.Limit.Max == 0 {
		cfg.Limit.Max = defaultMax
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.LastUse > cfg.Idle/2 {
		return nil, errors.New("the option LastUse must be at most half of Idle: else sessions in use could end")
	}
	carrier, ok := b.transport.(authn.RefreshTransport)
	if !ok && !cfg.SkipRefresh {
		return nil, fmt.Errorf("the transport %T carries no refresh tokens (authn.RefreshTransport): set SkipRefresh", b.transport)
	}
	with := *b
	with.sessions = &sessions{store: store, carrier: carrier, cfg: cfg}
	return &with, nil
}

// sessions is what a backend has more that keeps them.
type sessions struct {
	store   authn.SessionStore
	carrier authn.RefreshTransport
	cfg     SessionConfig

	mu     sync.Mutex
	noting map[string]struct{} // the ids of sessions whose use is being noted
	rested time.Time           // when noting may go on
}

// SessionStore returns where the sessions are ([authn.SessionBackend]).
func (s *sessions) SessionStore() authn.SessionStore { return s.store }

// SessionLimit returns how many a user may have ([authn.SessionBackend]).
func (s *sessions) SessionLimit() authn.SessionLimit { return s.cfg.Limit }

// idSize is the bytes of a session's id.
const idSize = 16

// begin makes the session of a log-in, and its first refresh token.
func (s *sessions) begin(ctx context.Context, id authn.Identity) (authn.Session, string) {
	var random [idSize]byte
	rand.Read(random[:]) // never fails
	now := s.cfg.Now()
	session := authn.Session{
		ID:         base64.RawURLEncoding.EncodeToString(random[:]),
		Subject:    id.Subject,
		Backend:    id.Backend,
		Generation: id.Generation,
		CreatedAt:  now,
		AuthTime:   id.AuthTime,
		Methods:    id.Methods,
		Scopes:     id.Scopes,
	}
	s.see(ctx, &session, now)
	if s.cfg.SkipRefresh {
		return session, ""
	}
	token := newRefreshToken(session)
	session.Refresh = token.first().encode()
	return session, token.String()
}

// readable is text of at most n characters that every store can keep.
func readable(text string, n int) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, text)
	if utf8.RuneCountInString(text) > n {
		text = string([]rune(text)[:n])
	}
	return text
}

// lastMoment is when a session ends, however it is used.
func (s *sessions) lastMoment(session authn.Session) time.Time {
	last := session.CreatedAt.Add(s.cfg.Absolute)
	if end, ok := decodeEnd(session.Refresh); ok && end.Before(last) {
		return end
	}
	return last
}

// endWith has a session end with its one token.
func (s *sessions) endWith(session *authn.Session, only authn.Token) {
	if only.ExpiresAt.IsZero() {
		return
	}
	session.Refresh = encodeEnd(only.ExpiresAt)
	if only.ExpiresAt.Before(session.ExpiresAt) {
		session.ExpiresAt = only.ExpiresAt
	}
}

// see notes that a session is used now, and by whom, and how long it lives
// therefore.
func (s *sessions) see(ctx context.Context, session *authn.Session, now time.Time) {
	if client := authn.ClientFrom(ctx); client != (authn.Client{}) {
		session.Client = authn.Client{Address: readable(client.Address, 64), UserAgent: readable(client.UserAgent, 255)}
	}
	session.SeenAt = now
	session.ExpiresAt = s.lastMoment(*session)
	if idle := now.Add(s.cfg.Idle); idle.Before(session.ExpiresAt) {
		session.ExpiresAt = idle
	}
}

// live returns a session that has not ended: [authn.ErrInvalidToken].
func (s *sessions) live(ctx context.Context, backend, subject, id string) (authn.Session, error) {
	session, err := s.store.Session(ctx, subject, id)
	if errors.Is(err, authn.ErrSessionNotFound) {
		return session, authn.ErrInvalidToken
	}
	if err != nil {
		return session, err
	}
	if session.Backend != backend || session.Subject != subject || !s.cfg.Now().Before(session.ExpiresAt) {
		return session, authn.ErrInvalidToken
	}
	return session, nil
}

// check looks up the session that a token names, and has its word on the
// generation: the session may have been carried over to a later one.
func (s *sessions) check(ctx context.Context, id *authn.Identity) error {
	if s.cfg.SkipCheck || id.SessionID == "" {
		return nil
	}
	session, err := s.live(ctx, id.Backend, id.Subject, id.SessionID)
	if err != nil {
		return err
	}
	id.Generation = session.Generation
	s.note(ctx, session)
	return nil
}

// note has the store know that a session was seen, unless it was lately. One
// request of all that are under way does, and doesn't fail with it.
func (s *sessions) note(ctx context.Context, session authn.Session) {
	now := s.cfg.Now()
	if now.Sub(session.SeenAt) < s.cfg.LastUse || !s.beginNoting(session.ID, now) {
		return
	}
	s.see(ctx, &session, now)
	_, err := s.store.UpdateSession(ctx, session, now)
	if ctx.Err() != nil {
		err = nil // it is the client who is gone
	}
	s.endNoting(session.ID, now, err)
	if err != nil {
		s.cfg.Logger.WarnContext(ctx, "backends: the last use of a session was not noted", slog.Any("error", err))
	}
}

func (s *sessions) beginNoting(id string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, busy := s.noting[id]; busy || now.Before(s.rested) {
		return false
	}
	if s.noting == nil {
		s.noting = map[string]struct{}{}
	}
	s.noting[id] = struct{}{}
	return true
}

func (s *sessions) endNoting(id string, now time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.noting, id)
	if err != nil {
		s.rested = now.Add(seenRest)
	}
}

// end ends a session. One that has ended already is no error.
func (s *sessions) end(ctx context.Context, subject, id string) error {
	err := s.store.DeleteSession(ctx, subject, id)
	if errors.Is(err, authn.ErrSessionNotFound) {
		return nil
	}
	return err
}

// sessionBackend logs in with a session.
type sessionBackend struct{ *Backend }

// Login begins a session, unless id is of one, or takes the place of a
// credential without one, which has its end.
func (b sessionBackend) Login(ctx context.Context, id authn.Identity) (*authn.Response, error) {
	if id.SessionID != "" || !id.ExpiresAt.IsZero() {
		return b.carryNew(ctx, id)
	}
	s := b.sessions
	session, refresh := s.begin(ctx, id)
	id.SessionID, id.ExpiresAt = session.ID, s.lastMoment(session)
	access, err := b.issue(ctx, id)
	if err != nil {
		return nil, err
	}
	if s.cfg.SkipRefresh {
		s.endWith(&session, access)
	}
	undo := func(ctx context.Context) error {
		return errors.Join(s.end(ctx, session.Subject, session.ID), b.revokeToken(ctx, access))
	}
	if err := s.store.InsertSession(ctx, session, s.cfg.Now(), s.cfg.Limit); err != nil {
		if !errors.Is(err, authn.ErrTooManySessions) && !errors.Is(err, authn.ErrUserNotFound) {
			// It may be there, and the answer was lost.
			err = errors.Join(err, s.end(context.WithoutCancel(ctx), session.Subject, session.ID))
		}
		return nil, b.withdraw(ctx, access, err)
	}
	res, err := b.carry(access, refresh, session)
	if err != nil {
		return nil, errors.Join(err, undo(context.WithoutCancel(ctx)))
	}
	res.SessionID = session.ID
	res.Undo = undo
	return res, nil
}

// carry builds the answer with an access token, and with a refresh token if
// there is one.
func (b *Backend) carry(access authn.Token, refresh string, session authn.Session) (*authn.Response, error) {
	if refresh == "" {
		return b.transport.Carry(access)
	}
	return b.sessions.carrier.CarryRefresh(access, authn.Token{Value: refresh, ExpiresAt: session.ExpiresAt}, b.sessions.cfg.Now())
}
