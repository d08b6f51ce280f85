package database

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/strategies/internal/opaque"
)

// Config has the options of [New].
type Config struct {
	// Audience keeps tokens apart: a strategy finds those alone that were
	// issued under its own. Defaults to the name of the backend that it is
	// bound to; set it to have several backends share tokens, or to rename one.
	Audience string
	// Lifetime of the tokens, and of fastapi-users' from when they were
	// created. Defaults to one hour.
	Lifetime time.Duration
	// LastUse is how old the note of a token's last use may get: while it is
	// used, it is written once in this time. Defaults to five minutes.
	LastUse time.Duration
	// SkipLastUse writes no last use at all, so that a guard only reads.
	SkipLastUse bool

	// Now is the clock. Defaults to [time.Now].
	Now func() time.Time
	// Logger hears of last uses that could not be noted, and of expired tokens
	// that could not be removed. Defaults to [slog.Default].
	Logger *slog.Logger
}

const (
	defaultLifetime = time.Hour
	defaultLastUse  = 5 * time.Minute

	// Every sweepEvery-th log-in removes up to sweepSize expired tokens: more
	// than were issued meanwhile, and little enough to be no burden.
	sweepEvery = 16
	sweepSize  = 64

	// touchRest is how long no last use is noted after that failed.
	touchRest = 10 * time.Second
)

// Strategy issues opaque tokens, reads and revokes them. It implements
// [authn.Strategy] and [authn.Revoker], and is safe for concurrent use.
type Strategy struct {
	store Store
	plain PlainStore // or nil
	cfg   Config

	issued   atomic.Uint64
	touching sync.Map     // the hashes whose last use is being noted
	rested   atomic.Int64 // when touching may go on, in Unix nanoseconds
}

// New returns a strategy over the store, or an error that says what is wrong
// with the options.
func New(store Store, cfg Config) (*Strategy, error) {
	if store == nil {
		return nil, errors.New("database: the store is nil")
	}
	if err := opaque.CheckAudience(cfg.Audience); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	if cfg.Lifetime < 0 || cfg.LastUse < 0 {
		return nil, errors.New("database: Lifetime and LastUse must not be negative")
	}
	if cfg.Lifetime == 0 {
		cfg.Lifetime = defaultLifetime
	}
	if cfg.LastUse == 0 {
		cfg.LastUse = defaultLastUse
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	s := &Strategy{store: store, cfg: cfg}
	s.plain, _ = store.(PlainStore)
	return s, nil
}

// ForBackend returns the strategy for a backend of this name; see
// [Config.Audience].
func (s *Strategy) ForBackend(name string) authn.Strategy {
	if s.cfg.Audience != "" {
		return s
	}
	cfg := s.cfg
	cfg.Audience = name
	return &Strategy{store: s.store, plain: s.plain, cfg: cfg}
}

// Issue makes a token for the strategy's lifetime. One log-in in sixteen also
// removes some expired tokens.
func (s *Strategy) Issue(ctx context.Context, id authn.Identity) (authn.Token, error) {
	if id.Subject == "" {
		return authn.Token{}, errors.New("database: the identity has no subject")
	}
	token := opaque.New()
	id.User, id.Loaded = nil, nil
	if end := s.cfg.Now().Add(s.cfg.Lifetime); id.ExpiresAt.IsZero() || end.Before(id.ExpiresAt) {
		id.ExpiresAt = end
	}
	if err := s.store.InsertToken(ctx, opaque.Hash(s.cfg.Audience, token), id); err != nil {
		return authn.Token{}, err
	}
	if s.issued.Add(1)%sweepEvery == 0 {
		if _, err := s.DeleteExpired(ctx, sweepSize); err != nil {
			s.cfg.Logger.WarnContext(ctx, "database: expired tokens were not removed", slog.Any("error", err))
		}
	}
	return authn.Token{Value: token, ExpiresAt: id.ExpiresAt}, nil
}

// Read looks a token up: [authn.ErrInvalidToken] also for one that has expired.
func (s *Strategy) Read(ctx context.Context, token string) (authn.Identity, error) {
	if !opaque.IsToken(token) {
		return authn.Identity{}, authn.ErrInvalidToken
	}
	hash := opaque.Hash(s.cfg.Audience, token)
	id, used, err := s.store.Token(ctx, hash)
	if s.plain != nil && errors.Is(err, authn.ErrInvalidToken) {
		return s.readPlain(ctx, token)
	}
	if err != nil {
		return authn.Identity{}, err
	}
	now := s.cfg.Now()
	if !now.Before(id.ExpiresAt) {
		return authn.Identity{}, authn.ErrInvalidToken
	}
	if !s.cfg.SkipLastUse && now.Sub(used) >= s.cfg.LastUse {
		s.touch(ctx, hash, now)
	}
	return id, nil
}

func (s *Strategy) readPlain(ctx context.Context, token string) (authn.Identity, error) {
	id, err := s.plain.PlainToken(ctx, token)
	if err != nil {
		return authn.Identity{}, err
	}
	id.ExpiresAt = id.IssuedAt.Add(s.cfg.Lifetime)
	if !s.cfg.Now().Before(id.ExpiresAt) {
		return authn.Identity{}, authn.ErrInvalidToken
	}
	return id, nil
}

// touch notes the use of a token, by one request of all that are under way. A
// request whose credential is good doesn't fail with it.
func (s *Strategy) touch(ctx context.Context, hash Hash, now time.Time) {
	if now.UnixNano() < s.rested.Load() {
		return
	}
	if _, busy := s.touching.LoadOrStore(hash, nil); busy {
		return
	}
	defer s.touching.Delete(hash)
	if err := s.store.TouchToken(ctx, hash, now, now.Add(-s.cfg.LastUse)); err != nil {
		if ctx.Err() != nil { // it is the client who is gone
			return
		}
		s.rested.Store(now.Add(touchRest).UnixNano())
		s.cfg.Logger.WarnContext(ctx, "database: the last use of a token was not noted", slog.Any("error", err))
	}
}

// Revoke ends a token, wherever it is stored.
func (s *Strategy) Revoke(ctx context.Context, token string) error {
	if !opaque.IsToken(token) {
		return nil
	}
	if err := s.store.DeleteToken(ctx, opaque.Hash(s.cfg.Audience, token)); err != nil {
		return err
	}
	if s.plain == nil {
		return nil
	}
	return s.plain.DeletePlainToken(ctx, token)
}

// DeleteExpired removes at most n expired tokens of the store, whatever their
// audience, and returns how many it removed. Log-ins do that on the way; a
// program with few of them may want to do it by a timer.
func (s *Strategy) DeleteExpired(ctx context.Context, n int) (int, error) {
	return s.store.DeleteExpired(ctx, s.cfg.Now(), n)
}
