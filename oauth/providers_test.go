package oauth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"
	"golang.org/x/oauth2"

	"github.com/echo-users/echo-users/authn/linked"
	"github.com/echo-users/echo-users/oauth"
)

// newService is a provider of OAuth alone: it answers the token request, and
// these paths to who has the token.
func newService(t *testing.T, answers map[string]string) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodPost {
			if r.FormValue("client_secret") != clientSecret || r.FormValue("code") == "" || r.FormValue("code_verifier") == "" {
				t.Errorf("the token request is %v", r.Form)
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "the-access-token", "token_type": "bearer"})
			return
		}
		answer, ok := answers[r.URL.RequestURI()]
		if !ok || r.Header.Get("Authorization") != "Bearer the-access-token" {
			t.Errorf("%s with %v", r.URL, r.Header)
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if answer == "" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = w.Write([]byte(answer))
	}))
}

func TestProvidersOfOAuth(t *testing.T) {
	client := oauth.Client{ID: clientID, Secret: clientSecret}
	gitHub := func(url string) oauth.Provider { return oauth.GitHubAt(client, url, url) }
	facebook := func(url string) oauth.Provider { return oauth.FacebookAt(client, url, url) }
	discord := func(url string) oauth.Provider { return oauth.DiscordAt(client, url) }
	own := func(url string) oauth.Provider {
		return oauth.Provider{Name: "own", Client: client, Endpoint: oauth2.Endpoint{AuthURL: url + "/a", TokenURL: url + "/t"},
			Profile: func(ctx context.Context, api *http.Client) (linked.Profile, error) {
				var me struct{ ID, Email string }
				err := oauth.GetJSON(ctx, api, url+"/me", &me)
				return linked.Profile{Subject: me.ID, Email: me.Email}, err
			}}
	}
	for what, c := range map[string]struct {
		make     func(url string) oauth.Provider
		answers  map[string]string
		status   int
		subject  string // or the answer's code
		verified bool
	}{
		"github": {gitHub, map[string]string{"/user": `{"id":583231,"login":"octocat","email":"public@example.com"}`,
			"/user/emails": `[{"email":"other@example.com","verified":true},{"email":"ann@example.com","primary":true,"verified":true}]`}, 200, "583231", true},
		"github, unverified":  {gitHub, map[string]string{"/user": `{"id":1}`, "/user/emails": `[{"email":"ann@example.com","primary":true}]`}, 200, "1", false},
		"github, no address":  {gitHub, map[string]string{"/user": `{"id":1}`, "/user/emails": `[]`}, 400, "OAUTH_NOT_AVAILABLE_EMAIL", false},
		"github, no id":       {gitHub, map[string]string{"/user": `{}`, "/user/emails": `[{"email":"ann@example.com","primary":true,"verified":true}]`}, 400, "OAUTH_INVALID_SUBJECT", false},
		"github, an error":    {gitHub, map[string]string{"/user": ``}, 503, "Service Unavailable", false},
		"github, garbage":     {gitHub, map[string]string{"/user": `<html>`}, 503, "Service Unavailable", false},
		"facebook":            {facebook, map[string]string{"/v23.0/me?fields=id,email": `{"id":"42","email":"ann@example.com"}`}, 200, "42", true},
		"facebook, by phone":  {facebook, map[string]string{"/v23.0/me?fields=id,email": `{"id":"42"}`}, 400, "OAUTH_NOT_AVAILABLE_EMAIL", false},
		"discord":             {discord, map[string]string{"/api/v10/users/@me": `{"id":"80351110224678912","email":"ann@example.com","verified":true}`}, 200, "80351110224678912", true},
		"discord, unverified": {discord, map[string]string{"/api/v10/users/@me": `{"id":"8","email":"ann@example.com","verified":false}`}, 200, "8", false},
		"of one's own":        {own, map[string]string{"/me": `{"id":"x","email":"ann@example.com"}`}, 200, "x", true},
	} {
		t.Run(what, func(t *testing.T) {
			service := newService(t, c.answers)
			defer service.Close()
			p := c.make(service.URL)
			p.IsVerifiedByDefault = true
			s := newSite(t, nil, p)
			b := s.browser()
			u, _ := url.Parse(b.authorize("/auth/" + p.Name + "/authorize"))
			if q := u.Query(); q.Get("code_challenge_method") != "S256" || q.Has("nonce") || q.Get("client_id") != clientID {
				t.Error(u)
			}
			got := b.do("GET", "/auth/"+p.Name+"/callback?"+url.Values{"code": {"c"}, "state": {u.Query().Get("state")}}.Encode())
			if c.status != 200 {
				s.wants(what, got, c.status, c.subject)
				return
			}
			s.wants(what, got, 200, "access_token")
			ann := s.user("ann@example.com")
			links, err := s.links.ByUser(t.Context(), ann.AuthID())
			if err != nil || len(links) != 1 || links[0].Subject != c.subject || links[0].Provider != p.Name || ann.IsVerified != c.verified {
				t.Errorf("%+v, %v, %+v", links, err, ann)
			}
		})
	}
}

func TestMicrosoft(t *testing.T) {
	const tenant = "6babcaad-604b-40ac-a9d7-9fd97c0b779f"
	for _, tenant := range []string{"common", "organizations", "consumers", "", "contoso.com", strings.ToUpper(tenant)} {
		if _, err := tryNew(t, oauth.Microsoft(tenant, oauth.Client{ID: "x"})); err == nil {
			t.Errorf("tenant %q: no error", tenant)
		}
	}
	if _, err := tryNew(t, oauth.Microsoft(tenant, oauth.Client{ID: "x"})); err != nil {
		t.Error(err)
	}
	for what, c := range map[string]struct {
		claims   map[string]any
		code     string
		verified bool
	}{
		"says nothing":      {map[string]any{"email_verified": nil}, "", false},
		"email_verified":    {map[string]any{"email_verified": true}, "", false},
		"xms_edov":          {map[string]any{"xms_edov": true}, "", true},
		"xms_edov 1":        {map[string]any{"xms_edov": 1}, "", true},
		"xms_edov false":    {map[string]any{"xms_edov": "0"}, "", false},
		"of its tenant":     {map[string]any{"tid": tenant}, "", false},
		"of another tenant": {map[string]any{"tid": oauth.MicrosoftConsumers}, "OAUTH_INVALID_ID_TOKEN", false},
	} {
		p := newProvider(t)
		microsoft := oauth.Microsoft(tenant, oauth.Client{ID: clientID, Secret: clientSecret})
		microsoft.Issuer, microsoft.AssociateByEmail = p.URL, true
		s := newSite(t, nil, microsoft)
		s.register("ann@example.com", true)
		p.claims = c.claims
		got := s.browser().signIn("/auth/microsoft/authorize")
		switch {
		case c.code != "":
			s.wants(what, got, 400, c.code)
		case c.verified:
			s.wants(what, got, 200, "access_token")
		default:
			s.wants(what, got, 400, "OAUTH_USER_ALREADY_EXISTS")
		}
	}
}

// TestAccountsOfFastAPIUsersClients are known, which kept other ids than the sub,
// and Python goes on finding them.
func TestAccountsOfFastAPIUsersClients(t *testing.T) {
	const tenant = "6babcaad-604b-40ac-a9d7-9fd97c0b779f"
	for name, c := range map[string]struct {
		provider oauth.Provider
		kept     string
		claims   map[string]any
	}{
		"google":    {oauth.Google(oauth.Client{ID: clientID, Secret: clientSecret}), "people/117", map[string]any{"sub": "117"}},
		"microsoft": {oauth.Microsoft(tenant, oauth.Client{ID: clientID, Secret: clientSecret}), "object", map[string]any{"sub": "pairwise", "oid": "object", "tid": tenant}},
	} {
		p := newProvider(t)
		c.provider.Issuer = p.URL
		s := newSite(t, nil, c.provider)
		s.register("ann@example.com", true)
		u := s.user("ann@example.com")
		if err := s.db.Exec("INSERT INTO oauth_account (id, user_id, oauth_name, access_token, account_id, account_email) VALUES (?, ?, ?, 'x', ?, ?)",
			"0199d3b5-6ad5-7b8e-8f5b-0d8e0f2ff4a1", u.AuthID(), name, c.kept, "ann@example.com").Error; err != nil {
			t.Fatal(err)
		}
		for claim, value := range c.claims {
			p.claims[claim] = value
		}
		for range 2 {
			s.wants(name, s.browser().signIn("/auth/"+name+"/authorize"), 200, "access_token")
		}
		links, err := s.links.ByUser(t.Context(), u.AuthID())
		if err != nil || len(links) != 1 || links[0].Subject != c.kept || links[0].Issuer != p.URL {
			t.Errorf("%s: %+v, %v", name, links, err)
		}
		p.claims["sub"], p.claims["oid"], p.claims["email"] = "another", "another", "bob@example.com"
		s.wants("somebody else", s.browser().signIn("/auth/"+name+"/authorize"), 200, "access_token")
		if n := s.count("user"); n != 2 {
			t.Errorf("%s: %d users", name, n)
		}
	}
}

func TestApple(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	good := oauth.AppleKey{TeamID: "TEAM", KeyID: "KEY", PEM: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}
	for what, bad := range map[string]oauth.AppleKey{"no team": {KeyID: "K", PEM: good.PEM}, "no key": {TeamID: "T", PEM: good.PEM}, "no PEM": {TeamID: "T", KeyID: "K", PEM: []byte("x")}} {
		if _, err := tryNew(t, oauth.Apple(clientID, bad)); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	p := newProvider(t)
	p.publish = map[string]any{"token_endpoint_auth_methods_supported": []string{"client_secret_post"}}
	p.claims["email_verified"] = "true"
	p.token = func(_ http.ResponseWriter, r *http.Request) bool {
		secret := r.PostForm.Get("client_secret")
		token, err := gojwt.Parse(secret, func(*gojwt.Token) (any, error) { return &key.PublicKey, nil },
			gojwt.WithValidMethods([]string{"ES256"}), gojwt.WithAudience("https://appleid.apple.com"), gojwt.WithIssuer("TEAM"), gojwt.WithSubject(clientID), gojwt.WithExpirationRequired())
		if err != nil || token.Header["kid"] != "KEY" {
			t.Errorf("the client's secret: %v", err)
		}
		r.SetBasicAuth(clientID, url.QueryEscape(clientSecret)) // as the rest of it wants it
		return false
	}
	apple := oauth.Apple(clientID, good)
	apple.Issuer = p.URL
	s := newSite(t, nil, apple)
	b := s.browser()
	address := b.authorize("/auth/apple/web/authorize")
	if !strings.Contains(address, "response_mode=form_post") {
		t.Error(address)
	}
	back, _ := url.Parse(b.consent(address))
	// Apple's page posts the answer, and a browser sends no cookie of SameSite=Lax with that.
	form := back.Query()
	form.Set("user", `{"name":{"firstName":"Ann"}}`)
	res, err := s.Client().Transport.RoundTrip(post(t, s.URL+"/auth/apple/callback", form))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	onward := res.Header.Get("Location")
	if res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(onward, s.URL+"/auth/apple/callback?") || strings.Contains(onward, "Ann") || len(res.Cookies()) != 0 {
		t.Fatal(res.StatusCode, onward)
	}
	if got := b.do("GET", onward); got.status != http.StatusNoContent {
		t.Error(got)
	}
	s.wants("logged in", b.do("GET", "/users/me"), 200, "ann@example.com")
}

func post(t *testing.T, address string, form url.Values) *http.Request {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// TestASilentProvider is 503, and not for long.
func TestASilentProvider(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer silent.Close()
	defer close(release)
	p := newProvider(t)
	hung := oauth.OpenID("hung", silent.URL, oauth.Client{ID: "x"})
	s := newSite(t, nil, hung, p.openID())
	b := s.browser()
	begun := time.Now()
	s.wants("discovery", b.do("GET", "/auth/hung/authorize"), 503, "Service Unavailable")
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("a provider that says nothing held a request for %v", took)
	}
	address := b.consent(b.authorize("/auth/op/authorize"))
	p.token = func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true }
	begun = time.Now()
	s.wants("the token endpoint", b.do("GET", address), 503, "Service Unavailable")
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("a token endpoint that says nothing held a request for %v", took)
	}
}

// TestAProviderThatComesBack was away when the program started.
func TestAProviderThatComesBack(t *testing.T) {
	p := newProvider(t)
	p.publish = map[string]any{"issuer": "https://not-yet.example"}
	s := newSite(t, nil, p.openID())
	s.wants("another issuer than the one that is asked for", s.browser().do("GET", "/auth/op/authorize"), 503, "Service Unavailable")
	p.mu.Lock()
	p.publish = nil
	p.mu.Unlock()
	s.wants("sign in", s.browser().signIn("/auth/op/authorize"), 200, "access_token")
	s.wants("sign in", s.browser().signIn("/auth/op/authorize"), 200, "access_token")
	if n := p.asked["/.well-known/openid-configuration"]; n != 2 {
		t.Errorf("discovered %d times", n)
	}
}

func TestAddressByUserinfo(t *testing.T) {
	p := newProvider(t)
	p.claims["email"], p.claims["email_verified"] = nil, nil
	p.info = map[string]any{"sub": "subject-1", "email": "ann@example.com", "email_verified": true}
	op := p.openID()
	op.AssociateByEmail = true
	s := newSite(t, nil, op)
	s.register("ann@example.com", true)
	s.wants("sign in", s.browser().signIn("/auth/op/authorize"), 200, "access_token")
}
