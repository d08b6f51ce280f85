package oauth_test

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/authn/linked"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/oauth"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

// site is an application over TLS, with a bearer backend and one of cookies.
type site struct {
	*httptest.Server
	t     *testing.T
	db    *gorm.DB
	users *authn.Users[*userdb.User]
	links *userdb.LinkedAccounts[userdb.User, *userdb.User]
	clock *authntest.Clock
	mails *authntest.Outbox[*userdb.User]

	accounts *linked.Accounts[*userdb.User]
}

func newKeys(t *testing.T) *linked.Keys {
	t.Helper()
	keys, err := linked.NewKeys([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func newSite(t *testing.T, change func(cfg *oauth.Config), providers ...oauth.Provider) *site {
	t.Helper()
	s := &site{t: t, db: testdb.SQLite(t), clock: authntest.NewClock(time.Now())}
	store, err := userdb.New[userdb.User](s.db)
	if err == nil {
		err = store.Migrate(t.Context())
	}
	if err == nil {
		s.links, err = userdb.NewLinkedAccounts(store, userdb.LinkedAccountsConfig{Keys: newKeys(t)})
	}
	if err == nil {
		err = s.links.Migrate(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	bearer, err := backends.JWT(jwt.Secret([]byte(strings.Repeat("k", 32))), backends.JWTConfig{})
	if err != nil {
		t.Fatal(err)
	}
	cookie, err := backends.CookieJWT(jwt.Secret([]byte(strings.Repeat("c", 32))), backends.CookieJWTConfig{Name: "web"})
	if err != nil {
		t.Fatal(err)
	}
	reset, err := jwt.NewResetTokens(jwt.Secret([]byte(strings.Repeat("r", 32))), jwt.MailedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if s.users, err = authn.New(store, authn.Config{ResetTokens: reset}, bearer, cookie); err != nil {
		t.Fatal(err)
	}
	s.mails = new(authntest.Outbox[*userdb.User])
	s.users.Use(s.mails.Hooks())
	factory, err := routes.New(s.users, routes.Config[*userdb.User]{Limits: routes.Limits{
		ClientAddress: func(r *http.Request) string { return cmp.Or(r.Header.Get("X-Test-Address"), r.RemoteAddr) },
		Devices:       routes.Devices{Notify: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	e.HTTPErrorHandler = echo4.ErrorHandler
	echo4.Mount(e, factory.All())
	e.GET("/app", func(c echo.Context) error { return c.String(http.StatusOK, "the application") })
	s.Server = httptest.NewTLSServer(e)
	t.Cleanup(s.Close)
	cfg := oauth.Config{PublicURL: s.URL, Keys: newKeys(t), RedirectTo: []string{"/app", "/app/", "https://front.example.com/done"}, Now: s.clock.Now}
	if change != nil {
		change(&cfg)
	}
	signIn, err := oauth.New(factory, s.links, cfg, providers...)
	if err != nil {
		t.Fatal(err)
	}
	echo4.Mount(e, signIn.Routes())
	s.accounts = signIn.Accounts()
	return s
}

// browser is one with cookies of its own, which follows redirects when told to.
type browser struct {
	*http.Client
	s *site
}

func (s *site) browser() *browser {
	client := s.Client()
	own := *client
	own.Jar, _ = cookiejar.New(nil)
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{&own, s}
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (b *browser) do(method, address string, header ...string) answer {
	b.s.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = b.s.URL + address
	}
	r, err := http.NewRequestWithContext(b.s.t.Context(), method, address, nil)
	if err != nil {
		b.s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	res, err := b.Do(r)
	if err != nil {
		b.s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.s.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

// authorize begins a flow and returns where it leads.
func (b *browser) authorize(path string, header ...string) string {
	b.s.t.Helper()
	got := b.do("GET", path, header...)
	var body struct {
		URL string `json:"authorization_url"`
	}
	if err := json.Unmarshal([]byte(got.body), &body); err != nil || got.status != http.StatusOK || body.URL == "" {
		b.s.t.Fatalf("%s: %d %s", path, got.status, got.body)
	}
	return body.URL
}

// consent goes to the provider, and returns where it sends one back to.
func (b *browser) consent(address string) string {
	b.s.t.Helper()
	got := b.do("GET", address)
	if got.status != http.StatusFound {
		b.s.t.Fatalf("the provider answers %d %s", got.status, got.body)
	}
	return got.header.Get("Location")
}

// signIn goes through a whole flow.
func (b *browser) signIn(path string) answer {
	b.s.t.Helper()
	return b.do("GET", b.consent(b.authorize(path)))
}

func (s *site) wants(what string, got answer, status int, text string) {
	s.t.Helper()
	if got.status != status || !strings.Contains(got.body, text) {
		s.t.Errorf("%s: %d %s, want %d %s", what, got.status, got.body, status, text)
	}
}

func (s *site) user(email string) *userdb.User {
	s.t.Helper()
	u, err := s.users.GetByEmail(s.t.Context(), email)
	if err != nil {
		s.t.Fatalf("%s: %v", email, err)
	}
	return u
}

func (s *site) count(table string) (n int64) {
	s.t.Helper()
	if err := s.db.Table(table).Count(&n).Error; err != nil {
		s.t.Fatal(err)
	}
	return n
}

func token(t *testing.T, a answer) string {
	t.Helper()
	var body struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || body.Token == "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	return body.Token
}

func with(t *testing.T, address string, change func(url.Values)) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	values := u.Query()
	change(values)
	u.RawQuery = values.Encode()
	return u.String()
}

func (p *provider) openID() oauth.Provider {
	return oauth.OpenID("op", p.URL, oauth.Client{ID: clientID, Secret: clientSecret})
}
