package routes

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/linked"
)

// Limits bounds how often passwords and tokens are tried, and mails and
// accounts asked for. Beyond a limit the answer is 429 with Retry-After, for
// accounts that don't exist as for those that do, before any password is looked
// at. What is tried counts where it fails, and no success takes a failure back
// from an address.
//
// Limits are counted by the name of a route, never by its path; by the account,
// in any spelling of its name; and by the client's address, of which an IPv6
// one counts with its /64, and once more with its /48.
type Limits struct {
	// Skip turns the limits off, where something else has them.
	Skip bool

	// LoginAccount bounds the failed log-ins at one account: those from each
	// address from which it has logged in during the last 30 days by themselves,
	// and those from everywhere else together. Defaults to 5, and one more after
	// 30 seconds, a minute, and so on up to 15 minutes. A log-in from there ends
	// it, and a reset of the password ends that of everywhere else.
	LoginAccount Limit
	// LoginDevice bounds the failed log-ins from one device that the account is
	// known on ([Devices]); and attempts at the current password, or at a second
	// factor ([Factory.Guess]), by who has a credential. Defaults to 10, and one
	// more after 30 seconds, a minute, and so on up to 15 minutes. As many may
	// fail from all addresses together from which the account has logged in, and
	// one more each 15 minutes (Most), until the password is reset.
	LoginDevice Limit
	// LoginAddress bounds the failed log-ins from one address, but for those of
	// known devices. Defaults to 20, and one more each 30 seconds.
	LoginAddress Limit
	// MailAccount bounds the mails to one account, those that verify and those
	// that reset by themselves, and how often a user changes their own address, and
	// their own password: that after delays that double up to twelve times Every.
	// Defaults to 3, and one more each 5 minutes.
	MailAccount Limit
	// MailAddress bounds the requests for mails from one address. Defaults to
	// 10, and one more each minute.
	MailAddress Limit
	// RegisterAddress bounds the registrations from one address. Defaults to 30,
	// and one more each 20 seconds.
	RegisterAddress Limit
	// TokenAddress bounds what fails from one address at each of the routes that
	// take a mailed or a refresh token; a refresh token that is right passes beyond
	// it, too. Defaults to 30, and one more each 10 seconds.
	TokenAddress Limit
	// RequestAddress bounds the requests from one address at each of the routes
	// that only cost something: revocation, new passwords, by a reset and by who
	// is logged in, and those of [Factory.Limited]. Defaults to 100, and one more
	// each second.
	RequestAddress Limit

	// Store counts, for all processes together. Defaults to this process alone.
	// While it is away, this process counts for itself, beginning with what it
	// has seen. It needs Devices.Keys, or Devices.Skip.
	Store authn.LimitStore

	// Devices says how the devices are known on which people log in.
	Devices Devices

	// ClientAddress returns the address that a request comes from, for limits
	// and for lists of sessions. Defaults to that of the connection: behind a proxy, all requests come from there. Then
	// set Echo's extractor for the proxy that you run, which believes no header
	// that a client can forge:
	//
	//	ClientAddress: echo.ExtractIPFromXFFHeader()
	ClientAddress func(*http.Request) string

	// Now is the clock. Defaults to [time.Now].
	Now func() time.Time
}

// Limit is so many at once, and one more each interval, or after a delay that
// grows.
type Limit = authn.Limit

// Devices says how a device is known: by a cookie that the answer to a log-in
// sets, and to a reset, so that a person logs in while others have their account
// locked elsewhere. It is sealed, bound to the user and the generation of their
// credentials, and opens nothing by itself. The last four people who logged in
// with a browser are known in it; a log-in that another site began sets none.
type Devices struct {
	// Skip sets no cookie, and reads none.
	Skip bool
	// SkipAddresses has no address known either. Who shares one with somebody
	// can tell that they log in there.
	SkipAddresses bool
	// Notify has the person told who logs in where neither the device nor the
	// address is known ([authn.NewDevice]): if their address is verified, at most
	// three times at once and then once an hour, and not at the first log-in that
	// the limits remember, which is for Lifetime. Off by default, since clients
	// without cookies are known by their address alone.
	Notify bool
	// Keys seal the cookie. Defaults to a random key of this process: then a
	// device is unknown to other processes, and after a restart.
	Keys *linked.Keys
	// CookieName defaults to "__Host-device".
	CookieName string
	// Lifetime is how long a device is known after a log-in there. Defaults to
	// 180 days.
	Lifetime time.Duration
	// InsecureHTTP lets the cookie travel without TLS, for development, and
	// CookieName default to "device".
	InsecureHTTP bool
}

func (l Limits) clientAddress(r *http.Request) string {
	if l.ClientAddress == nil {
		return r.RemoteAddr
	}
	return l.ClientAddress(r)
}

// withDefaults fills in what is not set.
func (l Limits) withDefaults() Limits {
	const most = 15 * time.Minute
	for limit, fallback := range map[*Limit]Limit{
		&l.LoginAccount:    {Burst: 5, Every: 30 * time.Second, Most: most},
		&l.LoginDevice:     {Burst: 10, Every: 30 * time.Second, Most: most},
		&l.LoginAddress:    {Burst: 20, Every: 30 * time.Second},
		&l.MailAccount:     {Burst: 3, Every: 5 * time.Minute},
		&l.MailAddress:     {Burst: 10, Every: time.Minute},
		&l.RegisterAddress: {Burst: 30, Every: 20 * time.Second},
		&l.TokenAddress:    {Burst: 30, Every: 10 * time.Second},
		&l.RequestAddress:  {Burst: 100, Every: time.Second},
	} {
		if limit.Burst <= 0 {
			limit.Burst = fallback.Burst
		}
		if limit.Every <= 0 {
			limit.Every = fallback.Every
		}
		if limit.Most <= 0 {
			limit.Most = fallback.Most
		}
	}
	if l.Now == nil {
		l.Now = time.Now
	}
	return l
}

// accountKey is one for all spellings that a look-up takes for one address. It
// may be one for several accounts, too: a database that folds ASCII alone tells
// é from É.
func accountKey(typed string) string {
	// First upper case, which is one for more: σ and ς, i and ı, that some
	// databases take for one letter's.
	return strings.ToLower(strings.ToUpper(norm.NFKC.String(shortened(typed))))
}

// spelling is one for no two accounts, and for the spellings that differ in the
// case of ASCII letters.
func spelling(typed string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, norm.NFC.String(shortened(typed)))
}

// shortened is cut before it is normalised: of long text that is dear, and its
// result longer.
func shortened(typed string) string {
	typed = strings.TrimSpace(typed)
	return typed[:min(len(typed), maxAccount)]
}

// isASCII reports whether a name is in ASCII: then its accountKey is that of no
// other account with such a name.
func isASCII(typed string) bool {
	return strings.IndexFunc(strings.TrimSpace(typed), func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

// maxAccount is how much of an account's name counts, in bytes: all of the
// longest address, 254 of them, where its letters are typed in parts (NFD), and
// so thrice as long.
const maxAccount = 3 * 254

// networks are one for all addresses that one client has at its disposal, and
// the IPv6 one around it or nothing: 64 bits are somebody's home (RFC 4291
// §2.5.4), but a whole site has 48 (RFC 6177 §2), and can be had for little.
func networks(address string) (home, site string) {
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	ip, err := netip.ParseAddr(strings.Trim(address, "[]"))
	if err != nil {
		return address, ""
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String(), ""
	}
	of := func(bits int) string {
		prefix, _ := ip.Prefix(bits)
		return prefix.String()
	}
	return of(64), of(48)
}
