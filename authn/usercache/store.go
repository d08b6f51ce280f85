package usercache

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/internal/deepcopy"
)

// Config has the options of [New]. Its zero value works.
type Config struct {
	// MaxAge is how long ago a user was read at most whom a guard lets in: the
	// bound on everything that this package may hide. Defaults to five seconds;
	// at most a minute.
	MaxAge time.Duration
	// Size is how many users are kept. Defaults to 10,000.
	Size int
	// Channel tells other nodes what is changed here, and this one what is
	// changed there. While it is down, every guard reads the store. Without one,
	// nodes don't know of each other, and MaxAge is all there is.
	Channel Channel

	// Now is the clock. Defaults to [time.Now].
	Now func() time.Time
	// Logger hears of a channel that fails. Defaults to [slog.Default].
	Logger *slog.Logger
}

const (
	defaultMaxAge = 5 * time.Second
	maxMaxAge     = time.Minute
	defaultSize   = 10_000
	// maxAbsence is how long it is kept that a user isn't there.
	maxAbsence = time.Second
	// holdFor is how long a user isn't kept who was changed in a transaction:
	// it may end later. Longer than transactions of package userdb take, unless
	// their context says otherwise.
	holdFor = 10 * time.Second
	maxHold = 5 * time.Minute
)

// Store is a store whose users are kept for guards. Close it when it is no
// longer used. Safe for concurrent use.
type Store[U authn.User] struct {
	authn.Store[U]
	transactor authn.Transactor // or nil
	copy       func(U) U
	cfg        Config

	entries *otter.Cache[string, entry[U]]
	parts   [64]part
	seed    maphash.Seed
	link    *link // or nil

	hits, misses, bypassed counter
}

// entry is a user, or that there is none, as the store said it.
type entry[U authn.User] struct {
	user   U
	absent bool
	read   time.Time // before the store was asked
}

// part is a share of the users, for what happens to them while they are loaded.
type part struct {
	mu sync.Mutex
	// changes counts what made loads that had begun worthless.
	changes uint64
	// held are users who aren't kept, and until when; allHeld is for everybody.
	held    map[string]time.Time
	allHeld time.Time
}

// New returns a store over another one. An error says what is wrong with the
// options, or that users can't be copied: each request gets a user of its own.
// Fields that hold memory which reflection can't reach, interfaces, and types
// that contain themselves need a method Clone() of the user type, which returns
// a copy that shares nothing.
func New[T any, U interface {
	*T
	authn.User
}](store authn.Store[U], cfg Config) (*Store[U], error) {
	if store == nil {
		return nil, errors.New("usercache: the store is nil")
	}
	if cfg.MaxAge < 0 || cfg.MaxAge > maxMaxAge || cfg.Size < 0 {
		return nil, fmt.Errorf("usercache: MaxAge must be at most %v, and neither it nor Size negative", maxMaxAge)
	}
	if cfg.MaxAge == 0 {
		cfg.MaxAge = defaultMaxAge
	}
	if cfg.Size == 0 {
		cfg.Size = defaultSize
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	s := &Store[U]{Store: store, cfg: cfg, seed: maphash.MakeSeed()}
	if _, ok := any(U(nil)).(interface{ Clone() U }); ok {
		s.copy = func(u U) U { return any(u).(interface{ Clone() U }).Clone() }
	} else {
		copier, err := deepcopy.NewCopier[T]()
		if err != nil {
			return nil, fmt.Errorf("usercache: %w: give %T a method Clone() %T that copies it", err, U(nil), U(nil))
		}
		s.copy = func(u U) U { return copier.Copy(u) }
	}
	s.transactor = transactorOf(store)
	var err error
	if s.entries, err = otter.New(&otter.Options[string, entry[U]]{MaximumSize: cfg.Size}); err != nil {
		return nil, fmt.Errorf("usercache: %w", err)
	}
	if cfg.Channel != nil {
		s.link = newLink(cfg.Channel, cfg.MaxAge, cfg.Logger, s.forget, s.forgetAll)
	}
	return s, nil
}

func transactorOf[U authn.User](store authn.Store[U]) authn.Transactor {
	for {
		if t, ok := store.(authn.Transactor); ok {
			return t
		}
		wrapper, ok := store.(interface{ Unwrap() authn.Store[U] })
		if !ok {
			return nil
		}
		store = wrapper.Unwrap()
	}
}

// Unwrap returns the store beneath.
func (s *Store[U]) Unwrap() authn.Store[U] { return s.Store }

// Close ends the listening to the channel, after which guards read the store.
// Without a channel there is nothing to end.
func (s *Store[U]) Close() error {
	if s.link != nil {
		s.link.close()
	}
	return nil
}

// inTransaction reports whether ctx carries a transaction, which sees what
// others don't, and the other way round.
func (s *Store[U]) inTransaction(ctx context.Context) bool {
	if s.transactor == nil {
		return false
	}
	_, inside := s.transactor.Outside(ctx)
	return inside
}

// Recall returns the user with this id ([authn.Recaller]): as they were read
// less than age ago, and less than [Config.MaxAge], or as load returns them now.
func (s *Store[U]) Recall(ctx context.Context, id string, age time.Duration, load func(ctx context.Context, id string) (U, error)) (U, bool, error) {
	if s.link != nil && !s.link.isUp() || s.inTransaction(ctx) {
		s.bypassed.add()
		u, err := load(ctx, id)
		return u, false, err
	}
	began := s.cfg.Now()
	if kept, ok := s.entries.GetIfPresent(id); ok {
		if since := began.Sub(kept.read); since >= 0 && since < min(age, s.maxAge(kept)) {
			s.hits.add()
			if kept.absent {
				return kept.user, true, authn.ErrUserNotFound
			}
			return s.copy(kept.user), true, nil
		}
	}
	s.misses.add()
	p := s.part(id)
	changes := p.now()
	u, err := load(ctx, id)
	switch {
	case err == nil && u.AuthID() == id: // else it is another spelling, which no change names
		s.keep(p, changes, id, entry[U]{user: s.copy(u), read: began})
	case errors.Is(err, authn.ErrUserNotFound):
		s.keep(p, changes, id, entry[U]{absent: true, read: began})
	}
	return u, false, err
}

func (s *Store[U]) maxAge(e entry[U]) time.Duration {
	if e.absent {
		return min(s.cfg.MaxAge, maxAbsence)
	}
	return s.cfg.MaxAge
}

// keep keeps what was loaded, unless something was changed meanwhile.
func (s *Store[U]) keep(p *part, changes uint64, id string, e entry[U]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changes != changes || p.isHeld(id, e.read) {
		return
	}
	s.entries.Set(id, e)
}

func (s *Store[U]) part(id string) *part {
	return &s.parts[maphash.String(s.seed, id)%uint64(len(s.parts))]
}

func (p *part) now() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changes
}

// isHeld reports whether a user isn't kept for now, and forgets of whom that is
// over. p.mu is held.
func (p *part) isHeld(id string, now time.Time) bool {
	for other, until := range p.held {
		if !now.Before(until) {
			delete(p.held, other)
		}
	}
	_, held := p.held[id]
	return held || now.Before(p.allHeld)
}

// forget drops a user, also one who is being loaded, and keeps them again after
// hold at the earliest.
func (s *Store[U]) forget(id string, hold time.Duration) {
	p := s.part(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changes++
	if hold > 0 {
		now := s.cfg.Now()
		p.isHeld(id, now)
		if p.held == nil {
			p.held = map[string]time.Time{}
		}
		if until := now.Add(hold); until.After(p.held[id]) {
			p.held[id] = until
		}
	}
	s.entries.Invalidate(id)
}

// forgetAll drops everybody, also those who are being loaded, and keeps them
// again after hold at the earliest.
func (s *Store[U]) forgetAll(hold time.Duration) {
	until := s.cfg.Now().Add(hold)
	for i := range s.parts {
		p := &s.parts[i]
		p.mu.Lock()
		p.changes++
		if hold > 0 && until.After(p.allHeld) {
			p.allHeld = until
		}
		p.mu.Unlock()
	}
	s.entries.InvalidateAll()
}

// Forget has guards read a user anew, here at once and elsewhere as soon as the
// channel has told it: for programs that write users past [authn.Users]. Call it
// when the change is committed, with the id as AuthID spells it.
func (s *Store[U]) Forget(ctx context.Context, id string) { s.changed(ctx, id) }

// changed is for a user who was written: now, or when a transaction ends.
func (s *Store[U]) changed(ctx context.Context, id string) {
	var hold time.Duration
	if s.inTransaction(ctx) {
		hold = holdFor
		if deadline, ok := ctx.Deadline(); ok { // the transaction's, or later
			hold = min(max(hold, time.Until(deadline)+time.Second), maxHold)
		}
	}
	s.forget(id, hold)
	if s.link != nil {
		s.link.publish(ctx, id, hold)
	}
}

// Create is the store's.
func (s *Store[U]) Create(ctx context.Context, fill func(U) error) (U, error) {
	u, err := s.Store.Create(ctx, fill)
	if err == nil { // one of this id may have been missed
		s.forget(u.AuthID(), 0)
	}
	return u, err
}

// Update is the store's. Guards here read the user anew before it returns,
// whether or not it failed.
func (s *Store[U]) Update(ctx context.Context, id string, change func(U) error) (U, error) {
	defer func() { s.changed(ctx, id) }()
	return s.Store.Update(ctx, id, func(u U) error {
		id = u.AuthID() // its one spelling
		return change(u)
	})
}

// Delete is the store's, and like Update.
func (s *Store[U]) Delete(ctx context.Context, id string) error {
	defer func() { s.changed(ctx, id) }()
	given := id
	if u, err := s.Store.ByID(ctx, id); err == nil {
		id = u.AuthID()
	}
	return s.Store.Delete(ctx, given)
}
