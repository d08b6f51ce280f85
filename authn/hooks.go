package authn

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
)

// Hooks are the application's own steps, on its own user type and with the
// request's context. Every field may be nil. [Users.Use] adds a set; the sets
// run in the order in which they were added.
//
// What an error does is said by a hook's kind:
//
//   - Before…, During…, CheckPassword and AfterLogin can refuse: their error is the
//     flow's, and nothing of it happens.
//   - The other After… hooks hear of what has happened, before the answer, and
//     have no error.
//   - Those that send mail (Welcome, AfterRequestVerify, AfterForgotPassword,
//     Notify) run in the background, so that no answer waits for them or tells
//     of them.
//     Their error is logged; with [Config.Outbox] they are called again, all
//     sets of them, until there is none, for a day.
//
// A hook that hears and has slow work to do hands it to [Users.Background].
type Hooks[U User] struct {
	// DuringRegister runs in the transaction that inserts the user, with a
	// context that carries it (userdb.Tx), so that the application's own rows
	// come with the user or not at all. It needs a store with transactions
	// ([Transactor]).
	DuringRegister func(ctx context.Context, u U) error
	// AfterRegister hears of a new user.
	AfterRegister func(ctx context.Context, u U)
	// Welcome sends the first mail to a new user, unless they are inactive or
	// gone by then. verify is a token that proves u's address; zero without
	// [Config.VerifyTokens], and for a user who is verified already. Within a
	// transaction of the caller's own it needs [Config.Outbox]: else it may run
	// before the commit, and find nobody.
	Welcome func(ctx context.Context, u U, verify Token) error

	// CheckPassword may refuse a new password with a [*PasswordError], as
	// [Config.PasswordPolicy] does, and sees u as it will be, own fields too.
	// Any other error but an [*HTTPError] is [ErrUnavailable].
	// It runs on every way that sets a password, within the write, and so more
	// than once where that begins anew; it only looks.
	CheckPassword func(ctx context.Context, u U, password string) error

	// BeforeLogin is a gate of the application's: an error refuses the log-in
	// before anything is issued. id says how the person authenticated. It is
	// asked again whenever a credential is renewed; then id.AuthTime is before
	// id.IssuedAt.
	BeforeLogin func(ctx context.Context, u U, id Identity) error
	// AfterLogin may add to the answer. An error refuses the log-in, and what
	// was issued is revoked where the backend can.
	AfterLogin func(ctx context.Context, u U, res *Response) error

	// AfterReuse hears that a refresh token of u's was used again after it had
	// been exchanged, and that its session has ended for it: somebody had a copy
	// ([ReuseError]).
	AfterReuse func(ctx context.Context, u U, s Session)

	// AfterUpdate hears what was changed.
	AfterUpdate func(ctx context.Context, u U, changed Changed)

	// AfterRequestVerify sends the token to u's address, which it proves.
	AfterRequestVerify func(ctx context.Context, u U, token Token) error
	// AfterVerify hears that u's address is verified.
	AfterVerify func(ctx context.Context, u U)
	// AfterForgotPassword sends the token to u's address.
	AfterForgotPassword func(ctx context.Context, u U, token Token) error
	// DuringResetPassword runs in the transaction that writes the new password,
	// once it is written, to take away what somebody else may have left in the
	// account: u isn't verified unless they were before. It needs a store with
	// transactions ([Transactor]).
	DuringResetPassword func(ctx context.Context, u U) error
	// AfterResetPassword hears that u has a new password.
	AfterResetPassword func(ctx context.Context, u U)
	// Notify tells the person, at the notice's address, what was changed, or who
	// has come (OWASP ASVS 5.0, 6.3.5 and 6.3.7). u is the user as it is now. Kinds
	// may be added: ignore one that you don't know.
	Notify func(ctx context.Context, u U, notice Notice) error

	// BeforeDelete may refuse. It runs in the transaction that deletes, where
	// the store has them.
	BeforeDelete func(ctx context.Context, u U) error
	// AfterDelete hears of a user who is gone.
	AfterDelete func(ctx context.Context, u U)

	// OnEvent hears of every [Event], after it has happened: one after the other,
	// in a goroutine of this hook's own, which nothing waits for and nothing else
	// waits in. Its error, or panic, is logged. [LogEvents] is one.
	OnEvent func(ctx context.Context, e Event) error
}

// Changed says which parts of a user an update altered.
type Changed struct {
	Email, Password, Active, Superuser, Verified bool
	// OldEmail is the address before the update, where it changed.
	OldEmail string
	// Fields are the application's own fields that the update named, as it
	// named them.
	Fields []string
}

// notices are what the person is told of.
func (c Changed) notices() []NoticeKind {
	var kinds []NoticeKind
	if c.Password {
		kinds = append(kinds, PasswordChanged)
	}
	if c.Email {
		kinds = append(kinds, EmailChanged)
	}
	return kinds
}

// NoticeKind says what a person is told.
type NoticeKind string

const (
	// PasswordChanged: by the user, by a superuser, or by a reset.
	PasswordChanged NoticeKind = "password-changed"
	// EmailChanged: the notice goes to the address that was replaced.
	EmailChanged NoticeKind = "email-changed"
	// NewDevice: somebody logged in from where the user hasn't before.
	NewDevice NoticeKind = "new-device"
	// AccountLinked: an account at a provider logs in to the user's from now on.
	AccountLinked NoticeKind = "account-linked"
	// AccountUnlinked: an account at a provider doesn't any more.
	AccountUnlinked NoticeKind = "account-unlinked"
)

// Notice is what a person is told, and where.
type Notice struct {
	Kind NoticeKind
	// Email is the address before the change, the same where it didn't change.
	Email string
}

// Use adds hooks. Call it before the first request is served. It panics for
// DuringRegister and DuringResetPassword where the store has no transactions
// ([Users.HasTransactions]).
func (m *Users[U]) Use(h Hooks[U]) {
	if (h.DuringRegister != nil || h.DuringResetPassword != nil) && !m.HasTransactions() {
		panic("authn: a During… hook needs a store with transactions, an authn.Transactor")
	}
	m.hooks.add(h)
	if h.OnEvent != nil {
		m.sinks.add(newEventSink(h.OnEvent, m.cfg.Logger))
	}
}

// growing is a list, of sets of hooks say, which the background may ask while one
// is added: of a user who was made before the routes.
type growing[T any] struct {
	mu  sync.Mutex
	now atomic.Pointer[[]T]
}

func (l *growing[T]) all() []T {
	if list := l.now.Load(); list != nil {
		return *list
	}
	return nil
}

func (l *growing[T]) add(one T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := append(slices.Clone(l.all()), one)
	l.now.Store(&list)
}

// eachHook asks the sets of hooks in order, until one has an error.
func (m *Users[U]) eachHook(ask func(h Hooks[U]) error) error {
	for _, h := range m.hooks.all() {
		if err := ask(h); err != nil {
			return err
		}
	}
	return nil
}

// sharesRegistration reports whether any hook needs registration's transaction.
func (m *Users[U]) sharesRegistration() bool {
	return slices.ContainsFunc(m.hooks.all(), func(h Hooks[U]) bool { return h.DuringRegister != nil })
}

func (m *Users[U]) duringRegister(ctx context.Context, u U) error {
	return m.eachHook(func(h Hooks[U]) error {
		if h.DuringRegister == nil {
			return nil
		}
		return h.DuringRegister(ctx, u)
	})
}

func (m *Users[U]) afterRegister(ctx context.Context, u U) {
	for _, h := range m.hooks.all() {
		if h.AfterRegister != nil {
			h.AfterRegister(ctx, u)
		}
	}
}

// checkPassword asks hooks about a new password. One that can't decide refuses
// for now.
func (m *Users[U]) checkPassword(ctx context.Context, u U, password string) error {
	err := m.eachHook(func(h Hooks[U]) error {
		if h.CheckPassword == nil {
			return nil
		}
		return h.CheckPassword(ctx, u, password)
	})
	var refused *PasswordError
	var answer *HTTPError
	if errors.As(err, &refused) || errors.As(err, &answer) {
		return err
	}
	return unavailable(err)
}

// welcomes reports whether anybody is greeted.
func (m *Users[U]) welcomes() bool {
	return slices.ContainsFunc(m.hooks.all(), func(h Hooks[U]) bool { return h.Welcome != nil })
}

func (m *Users[U]) welcome(ctx context.Context, u U, verify Token) error {
	return m.eachHook(func(h Hooks[U]) error {
		if h.Welcome == nil {
			return nil
		}
		return h.Welcome(ctx, u, verify)
	})
}

func (m *Users[U]) beforeLogin(ctx context.Context, u U, id Identity) error {
	return m.eachHook(func(h Hooks[U]) error {
		if h.BeforeLogin == nil {
			return nil
		}
		return h.BeforeLogin(ctx, u, id)
	})
}

func (m *Users[U]) afterLogin(ctx context.Context, u U, res *Response) error {
	return m.eachHook(func(h Hooks[U]) error {
		if h.AfterLogin == nil {
			return nil
		}
		return h.AfterLogin(ctx, u, res)
	})
}

// afterReuse is for a user who is there still.
func (m *Users[U]) afterReuse(ctx context.Context, s Session) {
	m.Record(ctx, Event{Kind: EventTokenReused, UserID: s.Subject, Backend: s.Backend, SessionID: s.ID})
	u, err := m.Get(ctx, s.Subject)
	if err != nil {
		m.cfg.Logger.WarnContext(ctx, "authn: a refresh token was used again", slog.String("user", s.Subject), slog.Any("error", err))
		return
	}
	for _, h := range m.hooks.all() {
		if h.AfterReuse != nil {
			h.AfterReuse(ctx, u, s)
		}
	}
}

func (m *Users[U]) afterUpdate(ctx context.Context, u U, changed Changed) {
	for _, h := range m.hooks.all() {
		if h.AfterUpdate != nil {
			h.AfterUpdate(ctx, u, changed)
		}
	}
}

func (m *Users[U]) afterRequestVerify(ctx context.Context, u U, token Token) error {
	return m.eachHook(func(h Hooks[U]) error {
		if h.AfterRequestVerify == nil {
			return nil
		}
		return h.AfterRequestVerify(ctx, u, token)
	})
}

func (m *Users[U]) afterVerify(ctx context.Context, u U) {
	for _, h := range m.hooks.all() {
		if h.AfterVerify != nil {
			h.AfterVerify(ctx, u)
		}
	}
}

func (m *Users[U]) afterForgotPassword(ctx context.Context, u U, token Token) error {
	return m.eachHook(func(h Hooks[U]) error {
		if h.AfterForgotPassword == nil {
			return nil
		}
		return h.AfterForgotPassword(ctx, u, token)
	})
}

// sharesReset reports whether any hook needs the transaction of a reset.
func (m *Users[U]) sharesReset() bool {
	return slices.ContainsFunc(m.hooks.all(), func(h Hooks[U]) bool { return h.DuringResetPassword != nil })
}

func (m *Users[U]) duringResetPassword(ctx context.Context, u U) error {
	return m.eachHook(func(h Hooks[U]) error {
		if h.DuringResetPassword == nil {
			return nil
		}
		return h.DuringResetPassword(ctx, u)
	})
}

func (m *Users[U]) afterResetPassword(ctx context.Context, u U) {
	for _, h := range m.hooks.all() {
		if h.AfterResetPassword != nil {
			h.AfterResetPassword(ctx, u)
		}
	}
}

// notifies reports whether anybody is told anything.
func (m *Users[U]) notifies() bool {
	return slices.ContainsFunc(m.hooks.all(), func(h Hooks[U]) bool { return h.Notify != nil })
}

func (m *Users[U]) notify(ctx context.Context, u U, notice Notice) error {
	return m.eachHook(func(h Hooks[U]) error {
		if h.Notify == nil {
			return nil
		}
		return h.Notify(ctx, u, notice)
	})
}

func (m *Users[U]) beforeDelete(ctx context.Context, u U) error {
	return m.eachHook(func(h Hooks[U]) error {
		if h.BeforeDelete == nil {
			return nil
		}
		return h.BeforeDelete(ctx, u)
	})
}

func (m *Users[U]) afterDelete(ctx context.Context, u U) {
	for _, h := range m.hooks.all() {
		if h.AfterDelete != nil {
			h.AfterDelete(ctx, u)
		}
	}
}
