package authn

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/echo-users/echo-users/authn/password"
)

// Users is the manager: it registers, authenticates, logs in, updates and
// deletes users, and makes guards. U is the pointer to the application's user
// type, and inferred from the store. Safe for concurrent use once its hooks
// are set.
type Users[U User] struct {
	store    Store[U]
	backends []Backend
	sessions []SessionStore // of the backends
	hooks    growing[Hooks[U]]
	sinks    growing[*eventSink]
	recaller Recaller[U] // nil where the store keeps no users for guards
	loader   func(context.Context, string) (U, error)
	joined   *joiner[U] // nil where loads are not joined
	runner   *runner
	queue    queuer       // of the hasher, or nil
	shedder  LoadShedder  // the hasher, or nil
	cache    cacheCounter // of the recaller, or nil
	cfg      Config
}

// Config has the options of [New]. Its zero value is safe and works.
type Config struct {
	// Passwords hashes and verifies. Defaults to a [password.Hasher]:
	// argon2id, and bcrypt for hashes that are there already.
	Passwords PasswordHasher
	// PasswordPolicy decides about new passwords. Defaults to MinLength(8);
	// package authn/passwordpolicy refuses common ones, too.
	PasswordPolicy PasswordPolicy
	// Realm is named in WWW-Authenticate (RFC 9110 §11.5). Defaults to "users".
	Realm string
	// VerifyTokens makes the tokens that prove an address, such as
	// strategies/jwt's. Without them, nobody can be verified but by
	// [Users.Update].
	VerifyTokens MailedTokens
	// ResetTokens makes the tokens with which a forgotten password is replaced,
	// with a key of their own. Without them, none can be.
	ResetTokens MailedTokens
	// Background bounds the work that goes on after the answer.
	Background Background
	// Outbox keeps mails until they are sent, through a crash. Without one,
	// mails that wait or fail are lost with the process; an orderly
	// [Users.Shutdown] loses none. See [Users.DeliverOutbox].
	Outbox Outbox
	// SkipJoinedLoads has each guard load its user in a query of its own,
	// also where the store is a [BatchStore].
	SkipJoinedLoads bool
	// Observer hears of guards, log-ins, hashes and the like, for metrics and
	// traces. Defaults to nobody, which costs nothing.
	Observer Observer
	// Now is the clock. Defaults to [time.Now].
	Now func() time.Time
	// Logger hears of what must not fail a request, never of a secret.
	// Defaults to [slog.Default].
	Logger *slog.Logger
}

// New returns a manager of the store's users, who log in at the backends.
// Guards try the backends in the order given here. It refuses no backend, a
// nameless one, a name that is no URL path segment, and two of one name.
func New[U User](store Store[U], cfg Config, backends ...Backend) (*Users[U], error) {
	if store == nil {
		return nil, errors.New("authn: the store is nil")
	}
	if err := checkBackends(backends); err != nil {
		return nil, err
	}
	if cfg.Passwords == nil {
		cfg.Passwords = new(password.Hasher)
	}
	if cfg.PasswordPolicy == nil {
		cfg.PasswordPolicy = MinLength(8)
	}
	if cfg.Realm == "" {
		cfg.Realm = "users"
	}
	if !isQuotable(cfg.Realm) {
		return nil, errors.New("authn: the realm must be printable ASCII without quotes and backslashes")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	m := &Users[U]{store: store, backends: slices.Clone(backends), sessions: sessionStores(backends), cfg: cfg}
	m.loader = m.loadNow // once: a method value is an allocation
	m.recaller, _ = storeCan[Recaller[U]](store)
	m.cache, _ = m.recaller.(cacheCounter)
	m.queue, _ = cfg.Passwords.(queuer)
	m.runner = newRunner(cfg.Background, cfg.Logger)
	if !cfg.SkipJoinedLoads {
		m.joined = newJoiner(store)
	}
	if cfg.Observer != nil {
		m.cfg.Passwords = observedHasher{cfg.Passwords, cfg.Observer}
		if watcher, ok := cfg.Observer.(Watcher); ok {
			watcher.Watch(m.Stats)
		}
	}
	m.shedder, _ = m.cfg.Passwords.(LoadShedder)
	return m, nil
}

// Backends returns the backends in the order in which guards try them.
func (m *Users[U]) Backends() []Backend { return slices.Clone(m.backends) }

// Backend returns the backend of that name.
func (m *Users[U]) Backend(name string) (Backend, bool) {
	for _, b := range m.backends {
		if b.Name() == name {
			return b, true
		}
	}
	return nil, false
}

// Logger returns what the manager logs to.
func (m *Users[U]) Logger() *slog.Logger { return m.cfg.Logger }

// Get returns the user with this id: [ErrUserNotFound], [ErrUnavailable].
func (m *Users[U]) Get(ctx context.Context, id string) (U, error) {
	u, err := m.store.ByID(ctx, id)
	return found(u, err)
}

// GetByEmail returns the user with this address without regard to letter
// case: [ErrUserNotFound], [ErrUnavailable]. Whose address is spelt as typed
// comes first, where a store has several of them.
func (m *Users[U]) GetByEmail(ctx context.Context, email string) (U, error) {
	canonical, typed := canonicalEmail(email), strings.TrimSpace(email)
	u, err := m.store.ByEmail(ctx, canonical)
	if (err == nil || errors.Is(err, ErrUserNotFound)) && canonical != typed {
		// Asked whether or not there is one already, so that both cost the same.
		other, otherErr := m.store.ByEmail(ctx, typed)
		if errors.Is(err, ErrUserNotFound) || otherErr == nil && other.AuthAccount().Email == typed {
			u, err = other, otherErr
		}
	}
	return found(u, err)
}

var errNeither = errors.New("authn: a look-up returned neither a user nor an error")

// found makes sure that there is a user or an error, never both, and that an
// error without a kind is [ErrUnavailable].
func found[U User](u U, err error) (U, error) {
	var none U
	if err == nil && any(u) == any(none) {
		err = errNeither
	}
	if err == nil {
		return u, nil
	}
	if errors.Is(err, ErrUserNotFound) {
		return none, err
	}
	return none, unavailable(err)
}
