package backends

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// DefaultCookieName is the name of fastapi-users' cookie.
const DefaultCookieName = "fastapiusersauth"

// CookieConfig has the options of [NewCookie]. Its zero value is fastapi-users'
// cookie: HttpOnly, Secure, SameSite=Lax, for all paths of this host.
type CookieConfig struct {
	// Name defaults to [DefaultCookieName]. With the prefix "__Host-" browsers
	// take the cookie from this host alone, so that no sibling host can set it.
	Name string
	// Path defaults to "/".
	Path string
	// Domain has the cookie sent to all hosts below it, too. Defaults to this
	// host alone.
	Domain string
	// SameSite defaults to [http.SameSiteLaxMode].
	SameSite http.SameSite
	// Partitioned keeps a cookie for each site that embeds this one (CHIPS).
	// It needs SameSite=None to be of use.
	Partitioned bool
	// MaxAge is how long browsers keep the cookie. Defaults to as long as the
	// token is valid.
	MaxAge time.Duration
	// Session has browsers forget the cookie when they close, in place of MaxAge.
	Session bool
	// TrustedOrigins are other sites, as "https://app.example.com", whose
	// requests with the cookie count: a single-page application on a sibling
	// host. Everything that runs there can act for the user.
	TrustedOrigins []string

	// RefreshName is the name of the cookie with the refresh token, where the
	// backend keeps sessions ([WithSessions]). Defaults to Name with "_refresh"
	// after it, and "__Secure-" in place of "__Host-", which has no Path.
	RefreshName string
	// RefreshPath is where browsers send that cookie: the path of the route that
	// renews, as browsers see it. Defaults to "/auth/<name of the backend>/refresh".
	RefreshPath string

	// InsecureHTTP lets the cookie travel without TLS, for development. Some
	// browsers take http://localhost for secure, and do without it.
	InsecureHTTP bool

	// Now is the clock. Defaults to [time.Now].
	Now func() time.Time
}

const hostPrefix = "__Host-"

// Cookie is the transport of browsers: the answer to a log-in sets a cookie
// (RFC 6265), and the answer to a log-out removes it. It counts as no
// credential where another site had the request sent ([authn.OriginChecker]).
// Make it with [NewCookie].
type Cookie struct {
	cfg    CookieConfig
	origin *http.CrossOriginProtection
}

// NewCookie returns a cookie transport, or an error that says which options
// browsers would refuse.
func NewCookie(cfg CookieConfig) (*Cookie, error) {
	if cfg.Name == "" {
		cfg.Name = DefaultCookieName
	}
	if cfg.Path == "" {
		cfg.Path = "/"
	}
	if cfg.SameSite == 0 || cfg.SameSite == http.SameSiteDefaultMode {
		cfg.SameSite = http.SameSiteLaxMode
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.RefreshName == "" {
		cfg.RefreshName = cfg.Name + "_refresh"
		if len(cfg.Name) > len(hostPrefix) && strings.EqualFold(cfg.Name[:len(hostPrefix)], hostPrefix) {
			cfg.RefreshName = "__Secure-" + cfg.RefreshName[len(hostPrefix):]
		}
	}
	prefix := strings.ToLower(cfg.Name) // browsers compare it so
	refreshPrefix := strings.ToLower(cfg.RefreshName)
	switch {
	case cfg.RefreshName == cfg.Name:
		return nil, fmt.Errorf("backends: the cookie %q can't be both: give RefreshName another name", cfg.Name)
	case strings.HasPrefix(refreshPrefix, "__host-"):
		return nil, fmt.Errorf("backends: browsers refuse the cookie %q with another Path than /: let its name begin with __Secure-", cfg.RefreshName)
	case cfg.InsecureHTTP && strings.HasPrefix(refreshPrefix, "__secure-"):
		return nil, fmt.Errorf("backends: browsers refuse the cookie %q without Secure", cfg.RefreshName)
	case cfg.MaxAge < 0 || 0 < cfg.MaxAge && cfg.MaxAge < time.Second:
		return nil, errors.New("backends: the cookie's MaxAge must be at least a second")
	case cfg.MaxAge > 0 && cfg.Session:
		return nil, errors.New("backends: a Session cookie has no MaxAge")
	case cfg.InsecureHTTP && (strings.HasPrefix(prefix, "__host-") || strings.HasPrefix(prefix, "__secure-")):
		return nil, fmt.Errorf("backends: browsers refuse the cookie %q without Secure", cfg.Name)
	case cfg.InsecureHTTP && cfg.SameSite == http.SameSiteNoneMode:
		return nil, errors.New("backends: browsers refuse a cookie of SameSite=None without Secure")
	case cfg.InsecureHTTP && cfg.Partitioned:
		return nil, errors.New("backends: browsers refuse a Partitioned cookie without Secure")
	case strings.HasPrefix(prefix, "__host-") && (cfg.Path != "/" || cfg.Domain != ""):
		return nil, fmt.Errorf("backends: browsers refuse the cookie %q with a Domain or another Path than /", cfg.Name)
	}
	c := &Cookie{cfg: cfg, origin: http.NewCrossOriginProtection()}
	for _, origin := range cfg.TrustedOrigins {
		if err := c.origin.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("backends: trusted origins: %w", err)
		}
	}
	for _, cookie := range []*http.Cookie{c.cookie("value", time.Hour), c.refreshCookie("value", time.Hour)} {
		if err := cookie.Valid(); err != nil {
			return nil, fmt.Errorf("backends: %w", err)
		}
	}
	return c, nil
}

// Extract finds the token in the request's cookies. Two different values of
// one name count as [authn.ErrInvalidToken]: another host or path has set one
// of them.
func (c *Cookie) Extract(r *http.Request) (string, error) { return extract(r, c.cfg.Name) }

// ExtractRefresh finds the refresh token, as Extract finds the access token.
func (c *Cookie) ExtractRefresh(r *http.Request) (string, error) {
	return extract(r, c.cfg.RefreshName)
}

func extract(r *http.Request, name string) (string, error) {
	var token string
	for _, cookie := range r.CookiesNamed(name) {
		switch {
		case token == "":
			token = cookie.Value
		case cookie.Value != "" && cookie.Value != token:
			return "", authn.ErrInvalidToken
		}
	}
	if token == "" {
		return "", authn.ErrNoCredential
	}
	if len(token) > authn.MaxCredentialSize {
		return "", authn.ErrInvalidToken
	}
	return token, nil
}

// Carry answers 204 and sets the cookie.
func (c *Cookie) Carry(t authn.Token) (*authn.Response, error) {
	maxAge := c.cfg.MaxAge
	if maxAge == 0 {
		maxAge = c.lifetime(t, c.cfg.Now())
	}
	if c.cfg.Session {
		maxAge = 0
	}
	return set(c.cookie(t.Value, maxAge))
}

// CarryRefresh answers 204 and sets both cookies. Each lasts as long as its
// token; MaxAge is for the refresh token's, and the access token's ends no later.
func (c *Cookie) CarryRefresh(access, refresh authn.Token, now time.Time) (*authn.Response, error) {
	short, long := c.lifetime(access, now), c.lifetime(refresh, now)
	if c.cfg.MaxAge > 0 {
		short, long = min(short, c.cfg.MaxAge), c.cfg.MaxAge
	}
	if c.cfg.Session {
		short, long = 0, 0
	}
	return set(c.cookie(access.Value, short), c.refreshCookie(refresh.Value, long))
}

// lifetime is how long a token lasts, rounded up to seconds; zero for ever.
func (c *Cookie) lifetime(t authn.Token, now time.Time) time.Duration {
	if t.ExpiresAt.IsZero() {
		return 0
	}
	return t.ExpiresAt.Sub(now) + time.Second - 1
}

// RefreshParameter returns false: the refresh token is in a cookie of its own.
func (*Cookie) RefreshParameter() bool { return false }

// ForBackend returns the transport for a backend of this name, where
// [CookieConfig.RefreshPath] says nothing else.
func (c *Cookie) ForBackend(name string) authn.Transport {
	if c.cfg.RefreshPath != "" {
		return c
	}
	named := *c
	named.cfg.RefreshPath = "/auth/" + name + "/refresh"
	return &named
}

// Clear answers 204 and removes the cookie.
func (c *Cookie) Clear() *authn.Response {
	return &authn.Response{Status: http.StatusNoContent, Header: http.Header{"Set-Cookie": {gone(c.cookie("", 0))}}}
}

// ClearRefresh answers 204 and removes both cookies.
func (c *Cookie) ClearRefresh() *authn.Response {
	return &authn.Response{
		Status: http.StatusNoContent,
		Header: http.Header{"Set-Cookie": {gone(c.cookie("", 0)), gone(c.refreshCookie("", 0))}},
	}
}

// gone is what removes a cookie.
func gone(cookie *http.Cookie) string {
	cookie.MaxAge = -1 // Max-Age=0
	return cookie.String()
}

func (c *Cookie) cookie(value string, maxAge time.Duration) *http.Cookie {
	return &http.Cookie{
		Name:        c.cfg.Name,
		Value:       value,
		Path:        c.cfg.Path,
		Domain:      c.cfg.Domain,
		MaxAge:      int(maxAge / time.Second),
		Secure:      !c.cfg.InsecureHTTP,
		HttpOnly:    true,
		SameSite:    c.cfg.SameSite,
		Partitioned: c.cfg.Partitioned,
	}
}

// refreshCookie is a cookie for the route that renews alone.
func (c *Cookie) refreshCookie(value string, maxAge time.Duration) *http.Cookie {
	cookie := c.cookie(value, maxAge)
	cookie.Name, cookie.Path = c.cfg.RefreshName, c.cfg.RefreshPath
	return cookie
}

// maxCookie is how many bytes of a cookie's name and value browsers keep
// (RFC 6265bis §5.6): one that is longer they drop, without a word.
const maxCookie = 4096

// set answers 204 and sets cookies.
func set(cookies ...*http.Cookie) (*authn.Response, error) {
	header := http.Header{}
	for _, cookie := range cookies {
		if err := cookie.Valid(); err != nil || cookie.Value == "" {
			return nil, errors.New("backends: the token has characters that no cookie can hold")
		}
		if size := len(cookie.Name) + len(cookie.Value); size > maxCookie {
			return nil, fmt.Errorf("backends: with its token the cookie %q has %d bytes, and browsers keep %d: put less into the token, or use stored tokens", cookie.Name, size, maxCookie)
		}
		header.Add("Set-Cookie", cookie.String())
	}
	return &authn.Response{Status: http.StatusNoContent, Header: header}, nil
}

// CheckOrigin returns [authn.ErrCrossSite] as [http.CrossOriginProtection]
// judges a request: by Sec-Fetch-Site, or by comparing Origin with Host; and where
// the request came over TLS, or an Origin isn't of HTTP, by its scheme. One that
// says either twice is another site's. GET, HEAD and OPTIONS pass, and a request
// with neither header, which is no browser's; but not an upgrade to a WebSocket,
// which is a GET that can change anything afterwards.
func (c *Cookie) CheckOrigin(r *http.Request) error {
	if r.Header.Get("Upgrade") != "" {
		changing := *r
		changing.Method = http.MethodPost
		r = &changing
	}
	if err := c.origin.Check(r); err != nil {
		return fmt.Errorf("%w: %w", authn.ErrCrossSite, err)
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return nil
	}
	if len(r.Header["Origin"]) > 1 || len(r.Header["Sec-Fetch-Site"]) > 1 {
		return fmt.Errorf("%w: it comes from several places", authn.ErrCrossSite)
	}
	if c.isOfOtherScheme(r) {
		return fmt.Errorf("%w: the Origin is of another scheme", authn.ErrCrossSite)
	}
	return nil
}

// isOfOtherScheme reports whether nothing but the host makes an Origin this
// site's. Without TLS here, a proxy may have ended it.
func (c *Cookie) isOfOtherScheme(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || r.Header.Get("Sec-Fetch-Site") != "" || slices.Contains(c.cfg.TrustedOrigins, origin) {
		return false
	}
	scheme, _, _ := strings.Cut(origin, "://")
	return scheme != "https" && (scheme != "http" || r.TLS != nil)
}

// SecurityScheme describes the cookie.
func (c *Cookie) SecurityScheme() authn.SecurityScheme {
	return authn.SecurityScheme{Type: "apiKey", In: "cookie", Name: c.cfg.Name}
}

// Challenge returns "Cookie": no registered scheme, but a 401 must name one
// (RFC 9110 §15.5.2), and browsers ask nobody for a password for it.
func (*Cookie) Challenge() string { return "Cookie" }
