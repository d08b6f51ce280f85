package backends_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/strategies/jwt"
)

// counted is a wrapper as an application writes one: it embeds the interface,
// does something of its own, and unwraps.
type counted struct {
	authn.Backend
	asked int
}

func (b *counted) Unwrap() authn.Backend { return b.Backend }

func (b *counted) Authenticate(r *http.Request) (authn.Identity, error) {
	b.asked++
	return b.Backend.Authenticate(r)
}

func TestCapabilitiesSurviveWrapping(t *testing.T) {
	signing := newJWT(t, jwt.Secret([]byte(strings.Repeat("s", 32))))
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	wrappers := map[string]func(authn.Backend) authn.Backend{
		"bare":               func(b authn.Backend) authn.Backend { return b },
		"wrapped":            func(b authn.Backend) authn.Backend { return &counted{Backend: b} },
		"twice":              func(b authn.Backend) authn.Backend { return &counted{Backend: &counted{Backend: b}} },
		"verified, wrapped":  func(b authn.Backend) authn.Backend { return &counted{Backend: authn.RequireVerified(b)} },
		"wrapped, verified":  func(b authn.Backend) authn.Backend { return authn.RequireVerified(&counted{Backend: b}) },
		"verified once more": func(b authn.Backend) authn.Backend { return authn.RequireVerified(authn.RequireVerified(b)) },
	}
	for what, c := range map[string]struct {
		backend authn.Backend
		want    string
	}{
		"plain JWT": {backends.New("b", backends.Bearer{}, signing), "log in, challenge Bearer, *jwt.Strategy, backends.Bearer"},
		"verifier":  {backends.New("b", backends.Bearer{}, newJWT(t, jwt.PublicKey(public))), "challenge Bearer, *jwt.Strategy, backends.Bearer"},
		"revocable": {backends.New("b", backends.Bearer{}, new(scripted)), "log in, log out, challenge Bearer, *backends_test.scripted, backends.Bearer"},
		"clearing":  {backends.New("b", finding{}, signing), "log in, log out, *jwt.Strategy, backends_test.finding"},
	} {
		for how, wrap := range wrappers {
			b := wrap(c.backend)
			if got := abilities(b); got != c.want {
				t.Errorf("%s, %s: %s\nwant %s", what, how, got, c.want)
			}
			if b.Name() != "b" {
				t.Errorf("%s, %s: %q", what, how, b.Name())
			}
			if found, ok := authn.Can[*backends.Backend](b); !ok || authn.Backend(found) != c.backend {
				t.Errorf("%s, %s: the backend itself isn't found", what, how)
			}
		}
	}
}

// abilities lists what a backend can do.
func abilities(b authn.Backend) string {
	var list []string
	if _, ok := authn.Can[authn.LoginBackend](b); ok {
		list = append(list, "log in")
	}
	if _, ok := authn.Can[authn.LogoutBackend](b); ok {
		list = append(list, "log out")
	}
	if c, ok := authn.Can[authn.Challenger](b); ok {
		list = append(list, "challenge "+c.Challenge())
	}
	if s, ok := authn.Can[authn.Strategy](b); ok {
		list = append(list, fmt.Sprintf("%T", s))
	}
	if tr, ok := authn.Can[authn.Transport](b); ok {
		list = append(list, fmt.Sprintf("%T", tr))
	}
	return strings.Join(list, ", ")
}

func TestAWrapperIsAskedByGuards(t *testing.T) {
	b := &counted{Backend: backends.New("b", finding{token: "t"}, &scripted{identity: authn.Identity{Subject: "ann"}})}
	if id, err := b.Authenticate(withHeader()); err != nil || id.Backend != "b" || b.asked != 1 {
		t.Errorf("%+v, %v, asked %d times", id, err, b.asked)
	}
}

func TestPresetsNameTheirTokenURL(t *testing.T) {
	key := jwt.Secret([]byte(strings.Repeat("k", 32)))
	for _, c := range []struct {
		cfg       backends.JWTConfig
		name, url string
	}{
		{backends.JWTConfig{}, "jwt", "auth/jwt/login"},
		{backends.JWTConfig{Name: "partner"}, "partner", "auth/partner/login"},
		{backends.JWTConfig{Name: "partner", TokenURL: "/v2/login"}, "partner", "/v2/login"},
	} {
		b, err := backends.JWT(key, c.cfg)
		if err != nil {
			t.Fatal(err)
		}
		transport, _ := authn.Can[authn.Transport](b)
		if bearer := transport.(backends.Bearer); b.Name() != c.name || bearer.TokenURL != c.url {
			t.Errorf("%q, %q, want %q, %q", b.Name(), bearer.TokenURL, c.name, c.url)
		}
	}
}

func TestAPresetThatFailsIsNoBackend(t *testing.T) {
	for _, cfg := range []backends.JWTConfig{
		{Name: "web", Config: jwt.Config{Algorithm: jwt.RS256}},
		{Name: "web", Config: jwt.Config{Lifetime: -1}},
		{Name: "web", Config: jwt.Config{Audience: []string{"fastapi-users:verify"}}},
		{Name: "web", Config: jwt.Config{Algorithm: jwt.HS512}},
	} {
		b, err := backends.JWT(jwt.Secret([]byte("do-not-print-me-do-not-print-me-")), cfg)
		if b != nil || err == nil || !strings.Contains(err.Error(), `"web"`) || strings.Contains(err.Error(), "print-me") {
			t.Errorf("%+v: %v, %v", cfg, b, err)
		}
	}
}

// A wrapper doesn't hide that a credential is one that browsers send.
func TestWrappedCookiesAreStillCookies(t *testing.T) {
	cookie, err := backends.CookieJWT(jwt.Secret([]byte(strings.Repeat("k", 32))), backends.CookieJWTConfig{})
	if err != nil {
		t.Fatal(err)
	}
	users, err := authn.New(new(authntest.Memory), authn.Config{}, authn.RequireVerified(cookie))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/auth/cookie/login", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if err := users.CheckOrigin(r, "cookie"); !errors.Is(err, authn.ErrCrossSite) {
		t.Error(err)
	}
	if err := users.CheckOrigin(r, "another"); !errors.Is(err, authn.ErrNotSupported) {
		t.Error(err)
	}
}
