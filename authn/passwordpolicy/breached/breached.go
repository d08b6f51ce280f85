// Package breached refuses passwords that are known from breaches, by asking a
// service of the range protocol of Have I Been Pwned. The service learns the
// first 20 bits of the password's SHA-1, which a millionth of all passwords
// share, and the size of its padded answer tells nobody on the way which.
//
// Start with [New], whose result is one of a passwordpolicy.Config's More, the
// last of them.
package breached

import (
	"cmp"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"github.com/echo-users/echo-users/authn"
)

const (
	// prefixLength is how much of the digest is told, in hexadecimal digits.
	prefixLength = 5
	suffixLength = 2*sha1.Size - prefixLength

	// maxAnswer is the size of the longest answer that is read, in bytes. Those
	// of Have I Been Pwned have some 80 KiB.
	maxAnswer = 1 << 20
	// maxConnections is how many requests there are at once; others wait, and
	// their time limit runs.
	maxConnections = 16
)

// Config has the options of [New]. Its zero value works.
type Config struct {
	// URL is below which /range/<prefix> is asked for. Defaults to
	// https://api.pwnedpasswords.com.
	URL string
	// InsecureHTTP allows a URL of http, for a mirror on the same machine or
	// network: whoever is on the way reads what is asked, and can answer.
	InsecureHTTP bool
	// MinCount is from how many breaches' occurrences on a password is refused.
	// Defaults to 1.
	MinCount int
	// Timeout is how long an answer may take, to its end. Defaults to a second.
	Timeout time.Duration
	// FailClosed refuses every new password while the service is away, as
	// [authn.ErrUnavailable] (503). By default it is let pass.
	FailClosed bool
	// OnUnavailable hears that a password wasn't judged, and why, whatever
	// FailClosed says. It is called within the request, and by several at once.
	// Defaults to nobody.
	OnUnavailable func(ctx context.Context, err error)
	// Logger gets the same as a warning. Defaults to [slog.Default].
	Logger *slog.Logger
	// UserAgent is what the service sees, which it asks to be the application's
	// name. Defaults to "echo-users".
	UserAgent string
}

// Policy is an [authn.PasswordPolicy] that asks the service. It is safe for
// concurrent use.
type Policy struct {
	cfg    Config
	client *http.Client
}

// New returns a policy. It is an error if the URL isn't one of https (or of
// http, with InsecureHTTP), has a query, or if MinCount or Timeout is negative.
// The request passes the proxy of the environment (HTTPS_PROXY); no redirect is
// followed.
func New(cfg Config) (*Policy, error) {
	cfg.URL = strings.TrimSuffix(cmp.Or(cfg.URL, "https://api.pwnedpasswords.com"), "/")
	cfg.MinCount = cmp.Or(cfg.MinCount, 1)
	cfg.Timeout = cmp.Or(cfg.Timeout, time.Second)
	cfg.UserAgent = cmp.Or(cfg.UserAgent, "echo-users")
	base, err := url.Parse(cfg.URL)
	switch {
	case err != nil || base.Host == "" || base.RawQuery != "" || base.Fragment != "":
		return nil, errors.New("breached: the URL isn't one of a service")
	case base.Scheme != "https" && !(base.Scheme == "http" && cfg.InsecureHTTP):
		return nil, fmt.Errorf("breached: the URL has the scheme %q, not https", base.Scheme)
	case cfg.MinCount < 0 || cfg.Timeout < 0:
		return nil, errors.New("breached: MinCount or Timeout is negative")
	}
	return &Policy{cfg: cfg, client: &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			ForceAttemptHTTP2:      true,
			MaxConnsPerHost:        maxConnections,
			MaxIdleConnsPerHost:    maxConnections,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

var errBreached = &authn.PasswordError{Reason: "Password is known from a data breach: choose another, here and wherever you use it"}

// CheckPassword refuses a breached password with an [*authn.PasswordError].
// While the service is away or answers nonsense it lets pass, or is
// [authn.ErrUnavailable] with [Config.FailClosed]; a context that ends is that
// too, and nothing that anybody hears of.
func (p *Policy) CheckPassword(ctx context.Context, password string, _ authn.Account) error {
	count, err := p.count(ctx, password)
	switch {
	case err == nil && count >= p.cfg.MinCount:
		return errBreached
	case err == nil:
		return nil
	case ctx.Err() != nil: // the caller hung up
		return fmt.Errorf("%w: breached passwords: %w", authn.ErrUnavailable, context.Cause(ctx))
	}
	logger := cmp.Or(p.cfg.Logger, slog.Default())
	logger.WarnContext(ctx, "breached: a password was not looked up", slog.Bool("refused", p.cfg.FailClosed), slog.Any("error", err))
	if p.cfg.OnUnavailable != nil {
		p.cfg.OnUnavailable(ctx, err)
	}
	if p.cfg.FailClosed {
		return fmt.Errorf("%w: breached passwords: %w", authn.ErrUnavailable, err)
	}
	return nil
}

// count asks how often the password was found. Its errors hold no part of the
// digest, and so not the URL either.
func (p *Policy) count(ctx context.Context, password string) (int, error) {
	digest := sha1.Sum([]byte(norm.NFC.String(password))) // the protocol's, of what is public anyway
	text := strings.ToUpper(hex.EncodeToString(digest[:]))
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.cfg.URL+"/range/"+text[:prefixLength], nil)
	if err != nil {
		return 0, errors.New("the URL can't be asked")
	}
	req.Header.Set("Add-Padding", "true")
	req.Header.Set("User-Agent", p.cfg.UserAgent)
	res, err := p.client.Do(req)
	if err != nil {
		if in := (*url.Error)(nil); errors.As(err, &in) {
			err = in.Err
		}
		return 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("the service answered %d", res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return 0, err
	}
	if len(body) > maxAnswer {
		return 0, errors.New("the service's answer has no end")
	}
	return find(string(body), text[prefixLength:])
}

var errAnswer = errors.New("the service's answer is not one of a range")

// find returns the count of a suffix, and 0 where it isn't there or is
// padding. An answer that has any other line than a suffix and its count, or
// none at all, is an error: it comes from something else.
func find(answer, suffix string) (int, error) {
	if answer == "" {
		return 0, errAnswer
	}
	found := 0
	for line := range strings.Lines(answer) {
		other, digits, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		if !ok || len(other) != suffixLength || strings.Trim(other, "0123456789ABCDEFabcdef") != "" {
			return 0, errAnswer
		}
		count, err := strconv.ParseUint(digits, 10, 31)
		if err != nil {
			return 0, errAnswer
		}
		if strings.EqualFold(other, suffix) {
			found = max(found, int(count))
		}
	}
	return found, nil
}
