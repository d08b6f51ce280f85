package authn

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Errand is a mail to be sent: of which kind, about whom, and where to. It has
// no token: that is made when the errand is run.
type Errand struct {
	ID   string
	Kind string
	// UserID is whom a notice or a welcome is for. It is empty where a token was
	// asked for: whether anybody has the address is looked up when the errand is
	// run.
	UserID string
	// Email is the address that a notice goes to, or whose owner a token is for;
	// of a welcome, the address at registration.
	Email     string
	CreatedAt time.Time
	// Attempts is how often the errand was claimed.
	Attempts int
}

// The kinds of errands that are no [NoticeKind].
const (
	errandVerify  = "verify"
	errandReset   = "reset"
	errandWelcome = "welcome"
)

// errandKinds are those of this module, with its notices.
var errandKinds = []string{
	errandVerify, errandReset, errandWelcome,
	string(PasswordChanged), string(EmailChanged), string(NewDevice), string(AccountLinked), string(AccountUnlinked),
}

// Outbox keeps errands until they are done, so that a crash loses none
// ([Config.Outbox]). Package userdb has one. Every method is atomic and safe
// for concurrent use; any error means that the outbox is away.
type Outbox interface {
	// Put keeps an errand that is due at a time, as part of ctx' transaction
	// where the store has begun one ([Transactor]).
	Put(ctx context.Context, e Errand, due time.Time) error
	// Claim returns at most n errands that are due now, each to one caller
	// alone, and makes them due again at a later time.
	Claim(ctx context.Context, now, again time.Time, n int) ([]Errand, error)
	// Defer makes an errand due at another time. One that isn't there is no error.
	Defer(ctx context.Context, id string, due time.Time) error
	// Done removes an errand. One that isn't there is no error.
	Done(ctx context.Context, id string) error
}

const (
	// errandLifetime is how long an errand is tried.
	errandLifetime = 24 * time.Hour
	// noteTimeout bounds what it takes to note how an errand went.
	noteTimeout = 10 * time.Second
	// maxErrandEmail is the longest address that is kept, in bytes.
	maxErrandEmail = 320
	// longestDefer is the longest time between two attempts.
	longestDefer = time.Hour
)

// requestToken has a token of this kind mailed to whoever has the address, if it
// is due to anybody. It does the same for every address: who that is shows in
// the background alone.
func (m *Users[U]) requestToken(ctx context.Context, kind, email string) error {
	e := Errand{Kind: kind, Email: strings.TrimSpace(email)}
	if n := len(e.Email); maxErrandEmail < n && n <= 3*maxErrandEmail { // its letters in parts (NFD)
		e.Email = norm.NFC.String(e.Email)
	}
	if len(e.Email) > maxErrandEmail || !utf8.ValidString(e.Email) || strings.ContainsRune(e.Email, 0) {
		e.Email = "" // nobody's
	}
	if m.cfg.Outbox == nil {
		// Nothing is kept, so that the store must be there: ask it for nobody.
		if _, err := m.GetByEmail(ctx, ""); err != nil && !errors.Is(err, ErrUserNotFound) {
			return err
		}
	}
	_, within := m.outside(ctx)
	e, err := m.keep(ctx, e, within)
	if err != nil {
		return err
	}
	return m.dispatch(ctx, e)
}

// isDue reports whether a token of this kind is for this account.
func isDue(kind string, account *Account) bool {
	return account.IsActive && (kind == errandReset || !account.IsVerified)
}

// keep puts an errand into the outbox, where there is one. It is due after
// this process has had its time to run it, or at once within a transaction of
// the caller's, after which nobody dispatches it.
func (m *Users[U]) keep(ctx context.Context, e Errand, within bool) (Errand, error) {
	e.ID, e.CreatedAt = rand.Text(), m.cfg.Now()
	if m.cfg.Outbox == nil {
		return e, nil
	}
	due := e.CreatedAt.Add(m.lease())
	if within {
		due = e.CreatedAt
	}
	return e, unavailable(m.cfg.Outbox.Put(ctx, e, due))
}

// lease is for how long an errand is the claimant's.
func (m *Users[U]) lease() time.Duration { return 2 * m.runner.bounds.Timeout }

// dispatch has an errand run in the background. One that an outbox keeps is
// run later where there is no room.
func (m *Users[U]) dispatch(ctx context.Context, e Errand) error {
	if m.cfg.Outbox == nil {
		return m.Background(ctx, e.Kind, func(ctx context.Context) error { return m.run(ctx, e) })
	}
	if _, within := m.outside(ctx); within {
		return nil // what the transaction keeps may not come to be
	}
	_ = m.Background(ctx, e.Kind, func(ctx context.Context) error {
		if m.cfg.Now().Sub(e.CreatedAt) > m.lease()-m.runner.bounds.Timeout {
			return nil // it has waited so long that somebody else may run it
		}
		return m.run(ctx, e)
	})
	return nil
}

// tell is dispatch for what has happened, and stays so where nobody is told.
func (m *Users[U]) tell(ctx context.Context, e Errand) {
	if err := m.dispatch(ctx, e); err != nil {
		m.untold(ctx, e, err)
	}
}

// Notify has u told of something, at their address ([Hooks.Notify]), if that is
// verified: else it may be somebody's who has nothing to do with it. It doesn't
// wait, and what can't be kept for sending is logged. [Users.Update] and
// [Users.ResetPassword] have their notices sent themselves.
func (m *Users[U]) Notify(ctx context.Context, u U, kind NoticeKind) {
	account := u.AuthAccount()
	if !account.IsVerified || !m.notifies() {
		return
	}
	_, within := m.outside(ctx)
	e, err := m.keep(ctx, Errand{Kind: string(kind), UserID: u.AuthID(), Email: account.Email}, within)
	if err != nil {
		m.untold(ctx, e, err)
		return
	}
	m.tell(ctx, e)
}

func (m *Users[U]) untold(ctx context.Context, e Errand, err error) {
	m.cfg.Logger.ErrorContext(ctx, "authn: a user was not told", slog.String("kind", e.Kind), slog.String("user", e.UserID), slog.Any("error", err))
}

// run runs an errand and takes it out of the outbox, or defers it.
func (m *Users[U]) run(ctx context.Context, e Errand) error {
	err := m.observedMail(ctx, e)
	if m.cfg.Outbox == nil {
		return err
	}
	// The context may have ended, for which the mail failed.
	noting, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	now := m.cfg.Now()
	if err == nil || now.Sub(e.CreatedAt) >= errandLifetime {
		return errors.Join(err, m.cfg.Outbox.Done(noting, e.ID))
	}
	due := now.Add(min(time.Minute<<min(e.Attempts, 10), longestDefer))
	return errors.Join(err, m.cfg.Outbox.Defer(noting, e.ID, due))
}

// observedMail is mail for an observer, where there is one.
func (m *Users[U]) observedMail(ctx context.Context, e Errand) error {
	ctx, began := m.begin(ctx, DeedMail)
	err := caught(func() error { return m.mail(ctx, e) })
	if m.cfg.Observer != nil {
		o := Observation{Deed: DeedMail, Outcome: OutcomeOK, Name: e.Kind, Took: time.Since(began)}
		if err != nil {
			o.Outcome = OutcomeFailed
		}
		if !slices.Contains(errandKinds, e.Kind) {
			o.Name = "other" // it is what a row says
		}
		m.cfg.Observer.End(ctx, o)
	}
	return err
}

// mail has the hooks send what the errand is about.
func (m *Users[U]) mail(ctx context.Context, e Errand) error {
	switch e.Kind {
	case errandVerify:
		return m.mailToken(ctx, e, m.cfg.VerifyTokens, m.afterRequestVerify)
	case errandReset:
		return m.mailToken(ctx, e, m.cfg.ResetTokens, m.afterForgotPassword)
	}
	u, err := m.Get(ctx, e.UserID)
	if errors.Is(err, ErrUserNotFound) {
		return nil // who is gone is told nothing
	}
	if err != nil {
		return err
	}
	if e.Kind == errandWelcome {
		return m.mailWelcome(ctx, u)
	}
	return m.notify(ctx, u, Notice{Kind: NoticeKind(e.Kind), Email: e.Email})
}

// mailWelcome has a new user greeted, and sent what proves the address where
// that is still to be proved.
func (m *Users[U]) mailWelcome(ctx context.Context, u U) error {
	account := u.AuthAccount()
	if !account.IsActive {
		return nil
	}
	var token Token
	if m.cfg.VerifyTokens != nil && isDue(errandVerify, account) {
		var err error
		token, err = m.cfg.VerifyTokens.Make(ctx, Mailed{Subject: u.AuthID(), Email: account.Email})
		if err != nil {
			return err
		}
	}
	return m.welcome(ctx, u, token)
}

// mailToken makes a token and has it sent. For nobody, too, it looks for the
// user and makes a token, so that one request leaves the server as busy as
// another.
func (m *Users[U]) mailToken(ctx context.Context, e Errand, tokens MailedTokens, send func(context.Context, U, Token) error) error {
	if tokens == nil {
		return fmt.Errorf("%w: no tokens for %q any more", ErrNotSupported, e.Kind)
	}
	u, err := m.GetByEmail(ctx, e.Email)
	if err != nil && !errors.Is(err, ErrUserNotFound) {
		return err
	}
	asked := Event{Kind: map[string]EventKind{errandVerify: EventVerifyRequested, errandReset: EventResetRequested}[e.Kind]}
	if err == nil {
		asked.UserID = u.AuthID()
	}
	subject, account, due := "nobody", Account{Email: "nobody@example.com"}, false
	if err == nil && isDue(e.Kind, u.AuthAccount()) {
		subject, account, due = u.AuthID(), *u.AuthAccount(), true
	}
	mailed := Mailed{Subject: subject, Email: account.Email}
	if e.Kind == errandReset {
		mailed.Generation, mailed.PasswordDigest = account.Generation, passwordDigest(account.HashedPassword)
	}
	token, err := tokens.Make(ctx, mailed)
	if err != nil {
		return err
	}
	if due {
		if err := send(ctx, u, token); err != nil {
			return err
		}
	} else {
		asked.Outcome, asked.Reason = Refused, ReasonUnknownUser
		if asked.UserID != "" {
			asked.Reason = ReasonInactive
			if u.AuthAccount().IsActive {
				asked.Reason = ReasonAlreadyVerified
			}
		}
	}
	m.Record(ctx, asked)
	return nil
}

// DeliverOutbox runs the errands that are due in the outbox: those that a
// crash left behind, and those that failed. It looks at once, and then at
// every interval until ctx ends; with no interval, once. Several processes may
// do so at the same time. An error of the outbox is logged, and tried again at
// the next interval; with none, it is returned. [ErrNotSupported] without
// [Config.Outbox].
//
//	go users.DeliverOutbox(ctx, 30*time.Second)
func (m *Users[U]) DeliverOutbox(ctx context.Context, interval time.Duration) error {
	if m.cfg.Outbox == nil {
		return fmt.Errorf("%w: Config.Outbox is not set", ErrNotSupported)
	}
	if interval <= 0 {
		return m.deliverDue(ctx)
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if err := m.deliverDue(ctx); err != nil && ctx.Err() == nil {
			m.cfg.Logger.ErrorContext(ctx, "authn: the outbox is away", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// deliverDue runs all errands that are due, as many at once as the background
// has workers.
func (m *Users[U]) deliverDue(ctx context.Context) (err error) {
	ctx, began := m.begin(ctx, DeedOutbox)
	defer func() { m.end(ctx, DeedOutbox, "", began, true, err) }()
	for {
		if m.runner.ended.Err() != nil {
			return fmt.Errorf("%w: the manager was shut down", ErrUnavailable)
		}
		now := m.cfg.Now()
		due, err := m.cfg.Outbox.Claim(ctx, now, now.Add(m.lease()), m.runner.bounds.Workers)
		if err != nil {
			return unavailable(err)
		}
		if len(due) == 0 {
			return nil
		}
		var group sync.WaitGroup
		for _, e := range due {
			group.Go(func() {
				err := m.runner.do(ctx, func(ctx context.Context) error { return m.run(ctx, e) })
				if err != nil {
					m.cfg.Logger.ErrorContext(ctx, "authn: an errand of the outbox failed", slog.String("kind", e.Kind), slog.Int("attempts", e.Attempts), slog.Any("error", err))
				}
			})
		}
		group.Wait()
	}
}
