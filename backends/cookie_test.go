package backends_test

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/backends"
)

func newCookie(t testing.TB, cfg backends.CookieConfig) *backends.Cookie {
	t.Helper()
	cookie, err := backends.NewCookie(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return cookie
}

func TestCookieTransport(t *testing.T) {
	authntest.TestTransport(t, newCookie(t, backends.CookieConfig{}), nil)
}

func TestCookieAttributes(t *testing.T) {
	now := time.Unix(1e9, 1)
	clock := func() time.Time { return now }
	token := authn.Token{Value: "x", ExpiresAt: now.Add(time.Hour).Truncate(time.Second)}
	for want, cfg := range map[string]backends.CookieConfig{
		"fastapiusersauth=x; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax":               {},
		"fastapiusersauth=x; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax":                       {InsecureHTTP: true},
		"__Host-users=x; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Strict":                {Name: "__Host-users", SameSite: http.SameSiteStrictMode},
		"a=x; Path=/app; Domain=example.com; Max-Age=60; HttpOnly; Secure; SameSite=Lax":         {Name: "a", Path: "/app", Domain: "example.com", MaxAge: time.Minute},
		"fastapiusersauth=x; Path=/; HttpOnly; Secure; SameSite=Lax":                             {Session: true},
		"fastapiusersauth=x; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=None; Partitioned": {SameSite: http.SameSiteNoneMode, Partitioned: true},
	} {
		cfg.Now = clock
		cookie := newCookie(t, cfg)
		res, err := cookie.Carry(token)
		if err != nil || res.Status != http.StatusNoContent || res.Header.Get("Set-Cookie") != want {
			t.Errorf("%q, %v, want %q", res.Header.Get("Set-Cookie"), err, want)
		}
		cleared := cookie.Clear().Header.Get("Set-Cookie")
		name, _, _ := strings.Cut(want, "=")
		if !strings.HasPrefix(cleared, name+"=; ") || !strings.Contains(cleared, "Max-Age=0") || strings.Contains(cleared, "Secure") != strings.Contains(want, "Secure") {
			t.Errorf("cleared with %q", cleared)
		}
	}
	if res, err := newCookie(t, backends.CookieConfig{}).Carry(authn.Token{Value: "x"}); err != nil || strings.Contains(res.Header.Get("Set-Cookie"), "Max-Age") {
		t.Error("a token without an end", err)
	}
	for _, value := range []string{"", "a;b", "a b\n", "ä", `a"b`} {
		if _, err := newCookie(t, backends.CookieConfig{}).Carry(authn.Token{Value: value}); err == nil || value != "" && strings.Contains(err.Error(), value) {
			t.Errorf("%q is carried, or named: %v", value, err)
		}
	}
}

func TestCookiesThatBrowsersRefuse(t *testing.T) {
	for what, cfg := range map[string]backends.CookieConfig{
		"__Host- with a domain":  {Name: "__Host-a", Domain: "example.com"},
		"__Host- with a path":    {Name: "__Host-a", Path: "/a"},
		"__host- without Secure": {Name: "__host-a", InsecureHTTP: true},
		"__Secure- without it":   {Name: "__Secure-a", InsecureHTTP: true},
		"None without Secure":    {SameSite: http.SameSiteNoneMode, InsecureHTTP: true},
		"Partitioned without it": {Partitioned: true, InsecureHTTP: true},
		"name":                   {Name: "a b"},
		"path":                   {Path: "/;"},
		"domain":                 {Domain: "a b"},
		"MaxAge":                 {MaxAge: -1},
		"Session with MaxAge":    {Session: true, MaxAge: time.Hour},
		"origin without scheme":  {TrustedOrigins: []string{"app.example.com"}},
		"origin with a path":     {TrustedOrigins: []string{"https://app.example.com/"}},
	} {
		if _, err := backends.NewCookie(cfg); err == nil {
			t.Error(what)
		}
	}
}

// A cookie that a browser would drop without a word is an error.
func TestCookiesThatAreTooLong(t *testing.T) {
	cookie := newCookie(t, backends.CookieConfig{})
	room := 4096 - len("fastapiusersauth")
	for length, good := range map[int]bool{room: true, room + 1: false} {
		if _, err := cookie.Carry(authn.Token{Value: strings.Repeat("a", length)}); (err == nil) != good {
			t.Errorf("%d bytes: %v", length, err)
		}
		refresh := authn.Token{Value: strings.Repeat("a", length-len("_refresh"))}
		if _, err := cookie.CarryRefresh(authn.Token{Value: "a"}, refresh, time.Now()); (err == nil) != good {
			t.Errorf("refresh, %d bytes: %v", length, err)
		}
	}
}

func TestTwoCookiesOfOneName(t *testing.T) {
	cookie := newCookie(t, backends.CookieConfig{})
	for header, want := range map[string]error{
		"fastapiusersauth=a":                               nil,
		"fastapiusersauth=a; fastapiusersauth=a":           nil,
		"fastapiusersauth=a; fastapiusersauth=b":           authn.ErrInvalidToken,
		"fastapiusersauth=; fastapiusersauth=a":            nil,
		"fastapiusersauth=":                                authn.ErrNoCredential,
		"other=a":                                          authn.ErrNoCredential,
		"fastapiusersauth=" + strings.Repeat("a", 8<<10+1): authn.ErrInvalidToken,
		"Fastapiusersauth=a":                               authn.ErrNoCredential,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Cookie", header)
		if _, err := cookie.Extract(r); !errors.Is(err, want) {
			t.Errorf("%.40s: %v, want %v", header, err, want)
		}
	}
}

// FuzzCookie holds that no Cookie header makes Extract panic, and that what it
// finds is a value of the cookie's name.
func FuzzCookie(f *testing.F) {
	for _, header := range []string{
		"fastapiusersauth=a.b.c", "a=b; fastapiusersauth=x", `fastapiusersauth="x"`, "fastapiusersauth", "=;=", "fastapiusersauth=a,b; fastapiusersauth=\x00",
	} {
		f.Add(header)
	}
	cookie := newCookie(f, backends.CookieConfig{})
	f.Fuzz(func(t *testing.T, header string) {
		r := &http.Request{Header: http.Header{"Cookie": {header}}}
		token, err := cookie.Extract(r)
		if err != nil {
			if token != "" || !errors.Is(err, authn.ErrNoCredential) && !errors.Is(err, authn.ErrInvalidToken) {
				t.Fatalf("%q beside %v", token, err)
			}
			return
		}
		if token == "" || len(token) > authn.MaxCredentialSize || !strings.Contains(header, token) || !strings.Contains(header, "fastapiusersauth") {
			t.Fatalf("%q of %q", token, header)
		}
	})
}

// An Origin is scheme, host and port (RFC 6454 §4): of the host alone it is
// another one's, where the scheme can be told.
func TestOriginsOfAnotherScheme(t *testing.T) {
	cookie := newCookie(t, backends.CookieConfig{TrustedOrigins: []string{"app://example.com"}})
	for _, c := range []struct {
		origin          string
		overTLS, passes bool
		fetchSite       string
	}{
		{origin: "https://example.com", passes: true},
		{origin: "http://example.com", passes: true}, // TLS may end at a proxy
		{origin: "https://example.com", overTLS: true, passes: true},
		{origin: "http://example.com", overTLS: true},
		{origin: "ftp://example.com"},
		{origin: "chrome-extension://example.com"},
		{origin: "//example.com"},
		{origin: "https://example.com:8443"},
		{origin: "app://example.com", passes: true},
		{origin: "http://example.com", overTLS: true, passes: true, fetchSite: "same-origin"},
	} {
		r := httptest.NewRequest("POST", "/", nil)
		r.Host = "example.com"
		r.Header.Set("Origin", c.origin)
		if c.overTLS {
			r.TLS = new(tls.ConnectionState)
		}
		if c.fetchSite != "" {
			r.Header.Set("Sec-Fetch-Site", c.fetchSite)
		}
		if err := cookie.CheckOrigin(r); (err == nil) != c.passes || err != nil && !errors.Is(err, authn.ErrCrossSite) {
			t.Errorf("%+v: %v", c, err)
		}
		r.Method = "GET"
		if err := cookie.CheckOrigin(r); err != nil {
			t.Errorf("GET with %+v: %v", c, err)
		}
	}
}

// What comes from two places at once comes from another site.
func TestRepeatedOrigins(t *testing.T) {
	cookie := newCookie(t, backends.CookieConfig{})
	const here, there = "https://example.com", "https://evil.example"
	for _, c := range []http.Header{
		{"Origin": {here, there}}, {"Origin": {there, here}}, {"Origin": {here, here}}, {"Origin": {"", there}},
		{"Sec-Fetch-Site": {"same-origin", "cross-site"}}, {"Sec-Fetch-Site": {"none", "cross-site"}}, {"Sec-Fetch-Site": {"", "cross-site"}},
		{"Sec-Fetch-Site": {"same-origin"}, "Origin": {here, there}},
	} {
		r := httptest.NewRequest("POST", "/", nil)
		r.Host, r.Header = "example.com", c
		if err := cookie.CheckOrigin(r); !errors.Is(err, authn.ErrCrossSite) {
			t.Errorf("%v: %v", c, err)
		}
		r.Method = "GET"
		if err := cookie.CheckOrigin(r); err != nil {
			t.Errorf("GET with %v: %v", c, err)
		}
		r.Header.Set("Upgrade", "websocket")
		if err := cookie.CheckOrigin(r); !errors.Is(err, authn.ErrCrossSite) {
			t.Errorf("a WebSocket with %v: %v", c, err)
		}
	}
}
