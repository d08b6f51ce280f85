package routes

import (
	"crypto/sha256"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/unicode/norm"
	"golang.org/x/time/rate"

	"github.com/echo-users/echo-users/authn"
)

// Limits bounds, in this process, how often passwords are tried and mails are
// asked for. Beyond a limit the answer is 429 with Retry-After, for accounts
// that don't exist as for those that do. A log-in that succeeds counts for
// nothing, so that many people behind one address log in freely.
type Limits struct {
	// Skip turns the limits off, where something else has them.
	Skip bool

	// LoginAccount bounds the failed log-ins at one account. Defaults to 10,
	// and one more each 30 seconds.
	LoginAccount Limit
	// LoginAddress bounds the failed log-ins from one address. Defaults to 20,
	// and one more each 10 seconds.
	LoginAddress Limit
	// MailAccount bounds the mails to one account. Defaults to 3, and one more
	// each 5 minutes.
	MailAccount Limit
	// MailAddress bounds the requests for mails from one address. Defaults to
	// 10, and one more each minute.
	MailAddress Limit

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

func (l Limits) clientAddress(r *http.Request) string {
	if l.ClientAddress == nil {
		return r.RemoteAddr
	}
	return l.ClientAddress(r)
}

// Limit is so many at once, and one more each interval.
type Limit struct {
	Burst int
	Every time.Duration
}

func (l Limit) or(fallback Limit) Limit {
	if l.Burst <= 0 {
		l.Burst = fallback.Burst
	}
	if l.Every <= 0 {
		l.Every = fallback.Every
	}
	return l
}

// limiter counts. A nil one limits nothing.
type limiter struct {
	loginAccount, loginAddress, mailAccount, mailAddress *buckets

	clientAddress func(*http.Request) string
	now           func() time.Time
}

func newLimiter(cfg Limits) *limiter {
	if cfg.Skip {
		return nil
	}
	l := &limiter{
		loginAccount:  newBuckets(cfg.LoginAccount.or(Limit{10, 30 * time.Second})),
		loginAddress:  newBuckets(cfg.LoginAddress.or(Limit{20, 10 * time.Second})),
		mailAccount:   newBuckets(cfg.MailAccount.or(Limit{3, 5 * time.Minute})),
		mailAddress:   newBuckets(cfg.MailAddress.or(Limit{10, time.Minute})),
		clientAddress: cfg.clientAddress,
		now:           cfg.Now,
	}
	if l.now == nil {
		l.now = time.Now
	}
	return l
}

// attempt is what a log-in has taken from its limits.
type attempt struct {
	limiter *limiter
	taken   []*rate.Limiter
}

// takeBack is for an attempt that shall not count.
func (a attempt) takeBack() {
	for _, bucket := range a.taken {
		bucket.AllowN(a.limiter.now(), -1) // never beyond the burst
	}
}

// login takes a log-in from its limits, or returns a 429.
func (l *limiter) login(r *http.Request, account string) (attempt, error) {
	if l == nil {
		return attempt{}, nil
	}
	a := attempt{limiter: l}
	err := a.take(l.loginAddress, l.address(r))
	if err == nil {
		err = a.take(l.loginAccount, accountKey(account))
	}
	return a, err
}

// mail takes a request for a mail from its limits, or returns a 429.
func (l *limiter) mail(r *http.Request, account string) error {
	if l == nil {
		return nil
	}
	a := attempt{limiter: l}
	err := a.take(l.mailAddress, l.address(r))
	if err == nil {
		err = a.take(l.mailAccount, accountKey(account))
	}
	return err
}

// take takes one from a key's bucket, or gives back what was taken before. An
// address comes first: whoever is beyond its limit makes no new buckets, and
// so has none forgotten.
func (a *attempt) take(from *buckets, key string) error {
	bucket, now := from.of(key), a.limiter.now()
	if !bucket.AllowN(now, 1) {
		a.takeBack()
		return tooMany(bucket, now)
	}
	a.taken = append(a.taken, bucket)
	return nil
}

// tooMany is the 429 (RFC 6585 §4).
func tooMany(bucket *rate.Limiter, now time.Time) error {
	wait := (1 - bucket.TokensAt(now)) / float64(bucket.Limit())
	return &authn.HTTPError{
		Status: http.StatusTooManyRequests,
		Detail: http.StatusText(http.StatusTooManyRequests),
		Header: http.Header{"Retry-After": {fmt.Sprint(max(1, int(math.Ceil(wait))))}},
	}
}

// accountKey is one for all spellings that a look-up takes for one address.
func accountKey(typed string) string {
	typed = strings.TrimSpace(typed)
	// Cut first: of long text, normalisation is dear and its result longer.
	return strings.ToLower(norm.NFKC.String(typed[:min(len(typed), maxAccount)]))
}

// maxAccount is the longest address that is told from others, in bytes.
const maxAccount = 320

// address is one for all addresses that one client has at its disposal: an
// IPv6 network of 64 bits (RFC 4291 §2.5.4) is somebody's home.
func (l *limiter) address(r *http.Request) string {
	text := l.clientAddress(r)
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	address, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return text
	}
	address = address.Unmap().WithZone("")
	if address.Is6() {
		network, _ := address.Prefix(64)
		return network.String()
	}
	return address.String()
}

// maxBuckets is how many keys of a kind are remembered at least, and half of
// how many at most.
const maxBuckets = 1 << 16

// buckets has a bucket for each key that was used lately: when the newer half
// is full, the older half is forgotten.
type buckets struct {
	limit Limit

	mu           sync.Mutex
	newer, older map[[sha256.Size]byte]*rate.Limiter
}

func newBuckets(limit Limit) *buckets {
	return &buckets{limit: limit, newer: map[[sha256.Size]byte]*rate.Limiter{}}
}

// of returns the bucket of a text, of which the hash alone is remembered: it
// may be long, and a part of something longer.
func (b *buckets) of(text string) *rate.Limiter {
	key := sha256.Sum256([]byte(text))
	b.mu.Lock()
	defer b.mu.Unlock()
	if bucket, ok := b.newer[key]; ok {
		return bucket
	}
	bucket, ok := b.older[key]
	if !ok {
		bucket = rate.NewLimiter(rate.Every(b.limit.Every), b.limit.Burst)
	}
	if len(b.newer) >= maxBuckets {
		b.older, b.newer = b.newer, map[[sha256.Size]byte]*rate.Limiter{}
	}
	b.newer[key] = bucket
	return bucket
}
