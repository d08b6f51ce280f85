package backends

import (
	"errors"
	"fmt"
	"net/http"
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

	// InsecureHTTP lets the cookie travel without TLS, for development. Some
	// browsers take http://localhost for secure, and do without it.
	InsecureHTTP bool

	// Now is the clock. Defaults to [time.Now].
	Now func() time.Time
}

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
	prefix := strings.ToLower(cfg.Name) // browsers compare it so
	switch {
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
	if err := c.cookie("value", time.Hour).Valid(); err != nil {
		return nil, fmt.Errorf("backends: %w", err)
	}
	return c, nil
}

// Extract finds the token in the request's cookies. Two different values of
// one name count as [authn.ErrInvalidToken]: another host or path has set one
// of them.
func (c *Cookie) Extract(r *http.Request) (string, error) {
	var token string
	for _, cookie := range r.CookiesNamed(c.cfg.Name) {
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
	if maxAge == 0 && !t.ExpiresAt.IsZero() {
		maxAge = t.ExpiresAt.Sub(c.cfg.Now()) + time.Second - 1 // rounded up
	}
	if c.cfg.Session {
		maxAge = 0
	}
	cookie := c.cookie(t.Value, maxAge)
	if err := cookie.Valid(); err != nil || t.Value == "" {
		return nil, errors.New("backends: the token has characters that no cookie can hold")
	}
	return set(cookie), nil
}

// Clear answers 204 and removes the cookie.
func (c *Cookie) Clear() *authn.Response {
	cookie := c.cookie("", 0)
	cookie.MaxAge = -1 // Max-Age=0
	return set(cookie)
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

func set(cookie *http.Cookie) *authn.Response {
	return &authn.Response{
		Status: http.StatusNoContent,
		Header: http.Header{"Set-Cookie": {cookie.String()}},
	}
}

// CheckOrigin returns [authn.ErrCrossSite] as [http.CrossOriginProtection]
// judges a request: by Sec-Fetch-Site, or by comparing Origin with Host. GET,
// HEAD and OPTIONS pass, and a request with neither header, which is no
// browser's; but not an upgrade to a WebSocket, which is a GET that can change
// anything afterwards.
func (c *Cookie) CheckOrigin(r *http.Request) error {
	if r.Header.Get("Upgrade") != "" {
		changing := *r
		changing.Method = http.MethodPost
		r = &changing
	}
	if err := c.origin.Check(r); err != nil {
		return fmt.Errorf("%w: %w", authn.ErrCrossSite, err)
	}
	return nil
}

// SecurityScheme describes the cookie.
func (c *Cookie) SecurityScheme() authn.SecurityScheme {
	return authn.SecurityScheme{Type: "apiKey", In: "cookie", Name: c.cfg.Name}
}

// Challenge returns "Cookie": no registered scheme, but a 401 must name one
// (RFC 9110 §15.5.2), and browsers ask nobody for a password for it.
func (*Cookie) Challenge() string { return "Cookie" }
