package routes

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// limiter takes from limits. A nil one limits nothing.
type limiter struct {
	cfg     Limits
	counts  counts
	devices *devices // or nil
	flights flights

	observer authn.Observer // or nil
}

func newLimiter(cfg Limits, logger *slog.Logger) (*limiter, error) {
	if cfg.Skip {
		return nil, nil
	}
	cfg = cfg.withDefaults()
	l := &limiter{cfg: cfg, counts: counts{all: cfg.Store, now: cfg.Now, logger: logger}}
	if cfg.Devices.Skip {
		return l, nil
	}
	if cfg.Store != nil && cfg.Devices.Keys == nil {
		return nil, errors.New("routes: Limits.Store needs Limits.Devices.Keys: else each process knows devices of its own alone")
	}
	var err error
	l.devices, err = newDevices(cfg.Devices, cfg.Now)
	return l, err
}

// addressMemory is how long it is known that an account has logged in from an
// address.
const addressMemory = 30 * 24 * time.Hour

// counted is one of a limit, for somebody.
type counted struct {
	key   authn.LimitKey
	limit Limit
	most  int // how many are under way at once in this process, and then no limit
}

// keyOf names what a limit counts. No part but the last may hold a NUL.
func keyOf(name string, of ...string) authn.LimitKey {
	return authn.LimitKey{Name: name, Of: sha256.Sum256([]byte(strings.Join(of, "\x00")))}
}

// addresses are what a request counts for: its address, and an IPv6 one's site,
// which has wide times as many at once, and twice or wide times as many then.
func (l *limiter) addresses(r *http.Request, name string, limit Limit, wide int) []counted {
	home, site := networks(l.cfg.clientAddress(r))
	list := []counted{{key: keyOf(name+".address", home), limit: limit}}
	if site != "" {
		limit.Burst *= wide
		limit.Every /= time.Duration(max(wide, 2))
		list = append(list, counted{key: keyOf(name+".site", site), limit: limit})
	}
	return list
}

// Attempt is a guess that has been taken from its limits. It counts unless
// Succeed or TakeBack is called; End follows in any case. A nil one does
// nothing.
type Attempt struct {
	limiter *limiter
	ctx     context.Context
	taken   []counted
	lock    authn.LimitKey // of those taken, or zero
	known   authn.LimitKey // of the account and the address, or zero
}

// begin takes all from their limits, or returns a 429 and has given back what
// was taken. An address comes first: whoever is beyond its limit makes no new
// keys, and so has none forgotten.
func (l *limiter) begin(r *http.Request, all ...counted) (*Attempt, error) {
	a := &Attempt{limiter: l, ctx: r.Context()}
	for _, c := range all {
		if err := a.take(c); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *Attempt) take(c counted) error {
	if wait := a.limiter.flights.take(a.ctx, &a.limiter.counts, c); wait > 0 {
		a.TakeBack()
		if observer := a.limiter.observer; observer != nil {
			observer.End(a.ctx, authn.Observation{Deed: authn.DeedLimit, Outcome: authn.OutcomeRefused, Name: c.key.Name})
		}
		return tooMany(wait)
	}
	a.taken = append(a.taken, c)
	return nil
}

// Succeed is for a right guess: it counts for nothing, and ends what had locked
// its subject here, but nothing of an address.
func (a *Attempt) Succeed() {
	if a == nil {
		return
	}
	none := authn.LimitKey{}
	for _, c := range a.taken {
		if c.key == a.lock {
			a.limiter.counts.clear(a.ctx, c.key)
		} else {
			a.giveBack(c)
		}
	}
	if a.known != none {
		a.limiter.counts.remember(a.ctx, a.known, addressMemory)
	}
	a.End()
}

// TakeBack is for a guess that taught nothing: what would tell was away.
func (a *Attempt) TakeBack() {
	if a == nil {
		return
	}
	for _, c := range a.taken {
		a.giveBack(c)
	}
	a.End()
}

func (a *Attempt) giveBack(c counted) {
	if c.most == 0 {
		a.limiter.counts.giveBack(a.ctx, c)
	}
}

// End lets those go on that wait for the outcome. Call it by defer.
func (a *Attempt) End() {
	if a == nil {
		return
	}
	for _, c := range a.taken {
		a.limiter.flights.end(c.key)
	}
	a.taken = nil
}

// tooMany is the 429 (RFC 6585 §4).
func tooMany(wait time.Duration) error {
	return &authn.HTTPError{
		Status: http.StatusTooManyRequests,
		Detail: http.StatusText(http.StatusTooManyRequests),
		Header: http.Header{"Retry-After": {fmt.Sprint(max(1, int64((wait+time.Second-1)/time.Second)))}},
	}
}

// maxUnderWay is how many log-ins of a user are under way at once on known devices.
const maxUnderWay = 2

// login takes a log-in. From a device that the account is known on, it counts
// for that device alone; from an address, for the account there; from anywhere
// else, for the account, and for whoever else has a name that is counted with it.
func (l *limiter) login(r *http.Request, name string, from device) (*Attempt, error) {
	if l == nil {
		return nil, nil
	}
	known, atHome := l.home(r, name)
	var a *Attempt
	var err error
	if from.known() {
		// Else one account with many devices would fill the line in which everybody
		// waits for a hash ([authn.LoadShedder]).
		own := counted{key: keyOf("login.user", from.User), most: maxUnderWay}
		a, err = l.guess(r, "login", "device", from.ID, own)
	} else if a, err = l.begin(r, l.addresses(r, "login", l.cfg.LoginAddress, 1)...); err == nil {
		lock := counted{key: keyOf("login.account", accountKey(name)), limit: l.cfg.LoginAccount}
		if !l.cfg.Devices.SkipAddresses && l.counts.remembered(r.Context(), known) {
			lock.key = atHome // no more than elsewhere, which would tell
			err = a.take(l.homes(name))
		}
		if err != nil {
			return nil, err
		}
		if err = a.take(lock); err == nil && (lock.key == atHome || isASCII(name)) {
			a.lock = lock.key
		}
	}
	if err != nil {
		return nil, err
	}
	if !l.cfg.Devices.SkipAddresses {
		a.known = known
	}
	return a, nil
}

// unlock ends what had locked an account, and what others have done with it.
func (l *limiter) unlock(ctx context.Context, name, userID string) {
	l.counts.clear(ctx, keyOf("password.user", userID))
	l.counts.clear(ctx, keyOf("login.account", accountKey(name)))
	l.counts.clear(ctx, l.homes(name).key)
}

// homes counts an account at all addresses together where it is at home: whoever
// had its old password may have made many of them its home. A reset ends that, and
// no log-in: the owner's would help who guesses at another home.
func (l *limiter) homes(name string) counted {
	limit := l.cfg.LoginDevice
	return counted{key: keyOf("login.homes", spelling(name)), limit: Limit{Burst: limit.Burst, Every: max(limit.Every, limit.Most)}}
}

// knows remembers that an account is at home at the request's address, and ends
// what had locked it there.
func (l *limiter) knows(r *http.Request, name string) {
	if l.cfg.Devices.SkipAddresses {
		return
	}
	known, atHome := l.home(r, name)
	l.counts.remember(r.Context(), known, addressMemory)
	l.counts.clear(r.Context(), atHome)
}

// home names an account at the request's address: that it has logged in there,
// and its failures there.
func (l *limiter) home(r *http.Request, name string) (known, failures authn.LimitKey) {
	address, _ := networks(l.cfg.clientAddress(r))
	name = spelling(name)
	return keyOf("login.known", address, name), keyOf("login.device", "address", address, name)
}

// guess takes a guess of who is known already, by something of that kind, and more.
func (l *limiter) guess(r *http.Request, name, kind, id string, more ...counted) (*Attempt, error) {
	if l == nil {
		return nil, nil
	}
	c := counted{key: keyOf(name+".device", kind, id), limit: l.cfg.LoginDevice}
	a, err := l.begin(r, append([]counted{c}, more...)...)
	if err == nil {
		a.lock = c.key
	}
	return a, err
}

// mail takes a request for a mail of a kind, or returns a 429; to be taken back
// where the mail isn't on its way. Each kind counts by itself: those that send
// nothing, to who is verified, leave no reset out. So does each spelling that not
// every look-up takes for one: what finds nobody uses up nothing of an owner's.
func (l *limiter) mail(r *http.Request, kind, account string) (*Attempt, error) {
	if l == nil {
		return nil, nil
	}
	account = spelling(account)
	if at := strings.LastIndexByte(account, '@'); at >= 0 {
		account = account[:at] + strings.ToLower(account[at:])
	}
	return l.begin(r, append(l.addresses(r, "mail", l.cfg.MailAddress, 4), counted{key: keyOf("mail.account", kind, account), limit: l.cfg.MailAccount})...)
}

// change takes a change of a user's own address, which has mails sent or tells
// that an address is taken; to be taken back where it does neither.
func (l *limiter) change(r *http.Request, userID string) (*Attempt, error) {
	if l == nil {
		return nil, nil
	}
	return l.begin(r, counted{key: keyOf("mail.user", userID), limit: l.cfg.MailAccount})
}

// newPassword takes a change of a user's own password, to be taken back where there
// is none. It voids mailed resets: whoever has the old one, or waits under an
// address that is somebody else's, mustn't keep them from one by ever newer ones.
func (l *limiter) newPassword(r *http.Request, userID string) (*Attempt, error) {
	if l == nil {
		return nil, nil
	}
	limit := l.cfg.MailAccount
	limit.Most = max(limit.Most, 12*limit.Every)
	return l.begin(r, counted{key: keyOf("password.user", userID), limit: limit})
}

// password takes a user's new password, which costs what its policy asks of
// others even where it is refused.
func (l *limiter) password(r *http.Request) error {
	if l == nil {
		return nil
	}
	return l.request(r, l.addresses(r, "users:patch_current_user", l.cfg.RequestAddress, 4)...)
}

// register takes a registration.
func (l *limiter) register(r *http.Request) error {
	if l == nil {
		return nil
	}
	return l.request(r, l.addresses(r, "register", l.cfg.RegisterAddress, 4)...)
}

// request takes what counts however it ends.
func (l *limiter) request(r *http.Request, all ...counted) error {
	a, err := l.begin(r, all...)
	a.End()
	return err
}

// Guess takes an attempt at a secret of a user's, such as a code of a second
// factor, from [Limits.LoginDevice]: a 429, or an attempt that counts unless it
// succeeds. name is short, that of what is guessed; the user is who has shown
// another factor, or a credential, already.
//
//	attempt, err := factory.Guess(r, "totp", userID)
//	if err != nil {
//		return err
//	}
//	defer attempt.End()
//	if right {
//		attempt.Succeed()
//	}
func (f *Factory[U]) Guess(r *http.Request, name, userID string) (*Attempt, error) {
	return f.limits.guess(r, name, "user", userID)
}

// Limits reports whether there are any.
func (f *Factory[U]) Limits() bool { return f.limits != nil }

// Limited returns a handler whose requests are bounded by
// [Limits.RequestAddress], and those that fail with [authn.ErrInvalidToken] by
// [Limits.TokenAddress]: for routes of a capability beside the factory's, or
// package routes/pages. Its requests say who sends them ([authn.ClientFrom]). A
// reset of a password in it makes the device known. name is the route's.
func (f *Factory[U]) Limited(name string, h Handler) Handler {
	if f.limits == nil {
		return func(w http.ResponseWriter, r *http.Request) error { return h(w, f.withClient(r)) }
	}
	h = f.knowing(f.failing(name, h))
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := f.limits.request(r, f.limits.addresses(r, name, f.limits.cfg.RequestAddress, 4)...); err != nil {
			return err
		}
		return h(w, f.withClient(r))
	}
}

// failing bounds how often tokens are invalid, by the address.
func (f *Factory[U]) failing(name string, h Handler) Handler {
	if f.limits == nil {
		return h
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		attempt, err := f.limits.begin(r, f.limits.tokens(r, name)...)
		if err != nil {
			return err
		}
		defer attempt.End()
		if err = h(w, r); !errors.Is(err, authn.ErrInvalidToken) {
			attempt.TakeBack()
		}
		return err
	}
}

// failingLate bounds them where a right one passes whatever others do at its
// address, say a program that goes on with a token of yesterday: it can't be
// guessed, and a wrong one leaves no event behind.
func (f *Factory[U]) failingLate(name string, h Handler) Handler {
	if f.limits == nil {
		return h
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		if errors.Is(err, authn.ErrInvalidToken) {
			if limited := f.limits.request(r, f.limits.tokens(r, name)...); limited != nil {
				return limited
			}
		}
		return err
	}
}

func (l *limiter) tokens(r *http.Request, name string) []counted {
	return l.addresses(r, name+".token", l.cfg.TokenAddress, 4)
}
