package routes

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/linked"
)

// devices seals and opens the cookie of a known device: OWASP's "Slow Down
// Online Guessing Attacks with Device Cookies".
type devices struct {
	cfg Devices
	now func() time.Time
}

// device is what the cookie says.
type device struct {
	// ID is random, and what its failures are counted by.
	ID string `json:"id"`
	// User and Generation are who logged in, and the generation of their
	// credentials then.
	User       string `json:"user"`
	Generation int64  `json:"gen"`
	// Since is when, in Unix seconds: the server holds to the end, not the
	// browser.
	Since int64 `json:"since"`
}

func (d device) known() bool { return d.ID != "" }

// devicePurpose keeps the cookie apart from whatever else the keys seal.
const devicePurpose = "echo-users device"

func newDevices(cfg Devices, now func() time.Time) (*devices, error) {
	if cfg.CookieName == "" {
		cfg.CookieName = "__Host-device"
		if cfg.InsecureHTTP {
			cfg.CookieName = "device"
		}
	}
	if cfg.Lifetime == 0 {
		cfg.Lifetime = 180 * 24 * time.Hour
	}
	if cfg.Lifetime < time.Second {
		return nil, errors.New("routes: Limits.Devices.Lifetime must be at least a second")
	}
	if prefix := strings.ToLower(cfg.CookieName); cfg.InsecureHTTP && (strings.HasPrefix(prefix, "__host-") || strings.HasPrefix(prefix, "__secure-")) {
		return nil, fmt.Errorf("routes: browsers refuse the cookie %q without Secure", cfg.CookieName)
	}
	if cfg.Keys == nil {
		key := make([]byte, linked.KeySize)
		rand.Read(key) // never fails
		var err error
		if cfg.Keys, err = linked.NewKeys(key); err != nil {
			return nil, err
		}
	}
	d := &devices{cfg: cfg, now: now}
	if err := d.cookie("value").Valid(); err != nil {
		return nil, fmt.Errorf("routes: Limits.Devices: %w", err)
	}
	return d, nil
}

func (d *devices) cookie(value string) *http.Cookie {
	return &http.Cookie{
		Name: d.cfg.CookieName, Value: value, Path: "/", MaxAge: int(d.cfg.Lifetime / time.Second),
		Secure: !d.cfg.InsecureHTTP, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

const (
	// maxDevices is how many people are known in one browser.
	maxDevices = 4
	// maxCookie is how many bytes of a cookie's name and value browsers keep
	// (RFC 6265bis §5.6).
	maxCookie = 4096
)

// read returns the devices of a request, one of each user.
func (d *devices) read(r *http.Request) (all []device) {
	if d == nil {
		return nil
	}
	cookies := r.CookiesNamed(d.cfg.CookieName)
	for _, cookie := range cookies[:min(len(cookies), 4)] { // a sibling host may have set others
		if len(cookie.Value) > authn.MaxCredentialSize {
			continue
		}
		for _, sealed := range strings.SplitN(cookie.Value, between, maxDevices+1) {
			if found, ok := d.open(sealed); ok && deviceOf(found.User, all) == (device{}) {
				all = append(all, found)
			}
		}
	}
	return all
}

// between stands between devices in a cookie, and is in no sealed text.
const between = "~"

func (d *devices) open(sealed string) (device, bool) {
	text, err := d.cfg.Keys.Open(devicePurpose, sealed)
	if err != nil {
		return device{}, false
	}
	var found device
	if json.Unmarshal(text, &found) != nil || !found.known() {
		return device{}, false
	}
	return found, d.now().Sub(time.Unix(found.Since, 0)) < d.cfg.Lifetime
}

// deviceOf returns the device of a user, or an unknown one.
func deviceOf(userID string, all []device) device {
	for _, d := range all {
		if d.User == userID {
			return d
		}
	}
	return device{}
}

// issue makes the cookie of a device where this user is known from now on, beside
// the last others who were. Its id is a new one unless it goes on being one that it
// was for them: then it has the failures of that.
func (d *devices) issue(u authn.User, id string, was []device) *http.Cookie {
	made := device{ID: cmp.Or(id, rand.Text()), User: u.AuthID(), Generation: u.AuthAccount().Generation, Since: d.now().Unix()}
	value := d.seal(made)
	for _, other := range was {
		if other.User == made.User || strings.Count(value, between) == maxDevices-1 {
			continue
		}
		if more := value + between + d.seal(other); len(d.cfg.CookieName+more) <= maxCookie {
			value = more
		}
	}
	return d.cookie(value)
}

func (d *devices) seal(of device) string {
	text, err := json.Marshal(of)
	if err != nil {
		panic(err) // texts and numbers
	}
	return d.cfg.Keys.Seal(devicePurpose, text)
}

// knownDevice returns the device that a request comes from, where it is one of
// the user whom find finds, and a find that doesn't search again.
func (f *Factory[U]) knownDevice(r *http.Request, find func(context.Context) (U, error)) (device, func(context.Context) (U, error)) {
	if f.limits == nil {
		return device{}, find
	}
	all := f.limits.devices.read(r)
	if len(all) == 0 {
		return device{}, find
	}
	u, err := find(r.Context())
	found := func(context.Context) (U, error) { return u, err }
	if err != nil {
		return device{}, found
	}
	from := deviceOf(u.AuthID(), all)
	if from.Generation != u.AuthAccount().Generation {
		return device{}, found
	}
	return from, found
}

// isNewDevice reports whether a user who is logging in has been somewhere else
// alone, and remembers that they have been here.
func (l *limiter) isNewDevice(r *http.Request, userID string) bool {
	if l == nil || l.devices == nil || !l.cfg.Devices.Notify {
		return false
	}
	ctx, seen := r.Context(), keyOf("notice.seen", userID)
	first := !l.counts.remembered(ctx, seen)
	l.counts.remember(ctx, seen, l.devices.cfg.Lifetime)
	// The cookie of before a new password shows the device as well.
	known := l.knownOf(r, userID).known()
	if !l.cfg.Devices.SkipAddresses {
		home, _ := networks(l.cfg.clientAddress(r))
		here := keyOf("notice.here", home, userID)
		known = l.counts.remembered(ctx, here) || known
		if !isForeign(r) {
			l.counts.remember(ctx, here, addressMemory)
		}
	}
	return !first && !known
}

// tellOfDevice has a user told that somebody logs in from a new device, as often
// as a mail is worth reading.
func (f *Factory[U]) tellOfDevice(r *http.Request, u U) {
	if !f.limits.isNewDevice(r, u.AuthID()) || !u.AuthAccount().IsVerified {
		return
	}
	if f.limits.request(r, counted{key: keyOf("notice.device", u.AuthID()), limit: Limit{Burst: 3, Every: time.Hour}}) == nil {
		f.users.Notify(r.Context(), u, authn.NewDevice)
	}
}

// isForeign reports whether another site had the browser send a request: one that
// has it log in with accounts of its own must have nobody forgotten who is known
// there, and one that begins a log-in for which nobody is asked make nothing known.
func isForeign(r *http.Request) bool {
	return slices.Contains(r.Header["Sec-Fetch-Site"], "cross-site")
}

// deviceCookie is the cookie of the device where a user has logged in, or nil.
func (f *Factory[U]) deviceCookie(r *http.Request, u U) *http.Cookie {
	if f.limits == nil || f.limits.devices == nil || isForeign(r) {
		return nil
	}
	own, id := f.limits.knownOf(r, u.AuthID()), ""
	if own.Generation == u.AuthAccount().Generation {
		id = own.ID // else it is known no more
	}
	return f.limits.devices.issue(u, id, f.limits.devices.read(r))
}

// sameDevice is the cookie of the device of before, for a user whose generation
// they have just raised on it themselves; nil where it wasn't known.
func (f *Factory[U]) sameDevice(r *http.Request, before device, after U) *http.Cookie {
	if !before.known() || isForeign(r) {
		return nil
	}
	return f.limits.devices.issue(after, before.ID, f.limits.devices.read(r))
}

// knownOf is the device that a request comes from, of a user, or an unknown one.
// Its generation may have gone by.
func (l *limiter) knownOf(r *http.Request, userID string) device {
	if l == nil {
		return device{}
	}
	return deviceOf(userID, l.devices.read(r))
}

// LoggedIn is for a log-in by something else than [Factory.PasswordLogin], such
// as a passkey, a code that was mailed or an account elsewhere, once it has
// succeeded: the user is told of it where they are of a log-in with a password
// ([Devices.Notify]), and their device is known from then on, and so is their
// address where they type their e-mail address to log in. It returns the device's
// cookie, which is for the answer. Where another site began the log-in there is
// none, and nothing is known that wasn't: by the Sec-Fetch-Site of r, which must be
// that of the request that began it.
func (f *Factory[U]) LoggedIn(r *http.Request, u U) *http.Cookie {
	if f.limits == nil {
		return nil
	}
	f.tellOfDevice(r, u)
	if !isForeign(r) {
		f.limits.knows(r, u.AuthAccount().Email)
	}
	return f.deviceCookie(r, u)
}

// deviceBefore is the device of a request, if the user is known on it now: it goes
// on being so after they have a new password or have signed out elsewhere.
func (f *Factory[U]) deviceBefore(r *http.Request, u U) device {
	own := f.limits.knownOf(r, u.AuthID())
	if own.Generation != u.AuthAccount().Generation {
		return device{}
	}
	return own
}

type knowKey struct{}

// knowing has the device known on which a password is reset in the handler:
// whoever reads the account's mails.
func (f *Factory[U]) knowing(h Handler) Handler {
	if f.limits == nil {
		return h
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		know := func(u U) {
			if cookie := f.deviceCookie(r, u); cookie != nil {
				http.SetCookie(w, cookie)
			}
			f.limits.knows(r, u.AuthAccount().Email)
		}
		return h(w, r.WithContext(context.WithValue(r.Context(), knowKey{}, know)))
	}
}

// unlock ends what had locked an account whose password was reset, wherever that
// was done.
func (f *Factory[U]) unlock(ctx context.Context, u U) {
	f.limits.unlock(ctx, u.AuthAccount().Email, u.AuthID())
	if know, ok := ctx.Value(knowKey{}).(func(U)); ok {
		know(u)
	}
}
