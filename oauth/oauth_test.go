package oauth_test

import (
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/linked"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/oauth"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

func tryNew(t *testing.T, p ...oauth.Provider) (*oauth.OAuth[*userdb.User], error) {
	return tryNewWith(t, oauth.Config{PublicURL: "https://app.example.com", Keys: newKeys(t)}, p...)
}

func tryNewWith(t *testing.T, cfg oauth.Config, p ...oauth.Provider) (*oauth.OAuth[*userdb.User], error) {
	t.Helper()
	store, err := userdb.New[userdb.User](testdb.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	b, err := backends.JWT(jwt.Secret([]byte(strings.Repeat("k", 32))), backends.JWTConfig{})
	if err != nil {
		t.Fatal(err)
	}
	users, err := authn.New(store, authn.Config{}, b)
	if err != nil {
		t.Fatal(err)
	}
	factory, err := routes.New(users, routes.Config[*userdb.User]{})
	if err != nil {
		t.Fatal(err)
	}
	links, err := userdb.NewLinkedAccounts(store, userdb.LinkedAccountsConfig{Keys: newKeys(t)})
	if err != nil {
		t.Fatal(err)
	}
	return oauth.New(factory, linked.Store(links), cfg, p...)
}

func TestWhatNewRefuses(t *testing.T) {
	google := oauth.Google(oauth.Client{ID: "x"})
	keys := newKeys(t)
	for what, cfg := range map[string]oauth.Config{
		"no URL":            {Keys: keys},
		"no host":           {Keys: keys, PublicURL: "/app"},
		"no TLS":            {Keys: keys, PublicURL: "http://app.example.com"},
		"no keys":           {PublicURL: "https://app.example.com"},
		"a wild redirect":   {Keys: keys, PublicURL: "https://app.example.com", RedirectTo: []string{"//evil.example"}},
		"a redirect's TLS":  {Keys: keys, PublicURL: "https://app.example.com", RedirectTo: []string{"http://front.example.com/"}},
		"a redirect, query": {Keys: keys, PublicURL: "https://app.example.com", RedirectTo: []string{"/app?x=y"}},
		"too long a life":   {Keys: keys, PublicURL: "https://app.example.com", StateLifetime: 1 << 62},
	} {
		if _, err := tryNewWith(t, cfg, google); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	change := func(f func(p *oauth.Provider)) oauth.Provider { p := google; f(&p); return p }
	for what, p := range map[string][]oauth.Provider{
		"two of a name":      {google, google},
		"a backend's name":   {change(func(p *oauth.Provider) { p.Name = "jwt" })},
		"a route's name":     {change(func(p *oauth.Provider) { p.Name = "associate" })},
		"no name":            {change(func(p *oauth.Provider) { p.Name = "" })},
		"a path for a name":  {change(func(p *oauth.Provider) { p.Name = "a/b" })},
		"no client":          {oauth.Google(oauth.Client{})},
		"an unknown backend": {change(func(p *oauth.Provider) { p.Backends = []string{"web"} })},
		"no issuer":          {{Name: "x", Client: oauth.Client{ID: "x"}}},
		"an issuer's TLS":    {oauth.OpenID("x", "http://id.example.com", oauth.Client{ID: "x"})},
	} {
		if _, err := tryNew(t, p...); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if _, err := tryNew(t, google, oauth.GitHub(oauth.Client{ID: "x"}), oauth.Keycloak("https://id.example.com/", "main", oauth.Client{ID: "x"}),
		oauth.Discord(oauth.Client{ID: "x"}), oauth.Facebook(oauth.Client{ID: "x"})); err != nil {
		t.Error(err)
	}
}
