package docs_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"golang.org/x/oauth2"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/linked"
	"github.com/echo-users/echo-users/oauth"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/routes/openapi"
	"github.com/echo-users/echo-users/userdb"
)

func signInWith(ctx context.Context, e *echo.Echo, store *userdb.Store[AppUser, *AppUser], users *authn.Users[*AppUser], id, secret, keysText string) error {
	keys, err := linked.ParseKeys(keysText)
	if err != nil {
		return err
	}
	accounts, err := userdb.NewLinkedAccounts(store, userdb.LinkedAccountsConfig{Keys: keys})
	if err != nil {
		return err
	}
	if err := accounts.Migrate(ctx); err != nil {
		return err
	}
	factory, err := routes.New(users, routes.Config[*AppUser]{})
	if err != nil {
		return err
	}
	google := oauth.Google(oauth.Client{ID: id, Secret: secret})
	signIn, err := oauth.New(factory, accounts, oauth.Config{
		PublicURL:  "https://app.example.com",
		Keys:       keys,
		RedirectTo: []string{"/"},
	}, google)
	if err != nil {
		return err
	}
	echo4.Mount(e, factory.All())
	echo4.Mount(e, signIn.Routes())
	return nil
}

func linksOf(ctx context.Context, signIn *oauth.OAuth[*AppUser], u *AppUser) ([]linked.Account, error) {
	links, err := signIn.Accounts().Of(ctx, u.AuthID())
	return links, err
}

func onThisMachine(keys *linked.Keys) oauth.Config {
	return oauth.Config{
		PublicURL:    "http://localhost:8000",
		Keys:         keys,
		RedirectTo:   []string{"/"},
		InsecureHTTP: true, // never where others can reach it
	}
}

func withGoogle(id, secret string) oauth.Provider {
	google := oauth.Google(oauth.Client{ID: id, Secret: secret})
	google.AssociateByEmail = true // Google says whether it has verified the address
	return google
}

// hostedByGoogle takes an address for verified where its mailbox is at Google.
func hostedByGoogle(google oauth.Provider) oauth.Provider {
	google.Claims = func(decode func(into any) error, p *linked.Profile) error {
		var c struct {
			Workspace string `json:"hd"`
		}
		if err := decode(&c); err != nil {
			return err
		}
		if c.Workspace == "" && !strings.HasSuffix(strings.ToLower(p.Email), "@gmail.com") {
			p.Verification = linked.Unverified
		}
		return nil
	}
	return google
}

func withGitHub(id, secret string) oauth.Provider {
	gitHub := oauth.GitHub(oauth.Client{ID: id, Secret: secret})
	gitHub.AssociateByEmail = true // GitHub says whether it has verified the address
	return gitHub
}

func withGitHubEnterprise(id, secret string) oauth.Provider {
	work := oauth.GitHubEnterprise("https://github.example.com", oauth.Client{ID: id, Secret: secret})
	work.Name = "work" // beside github.com, which is "github"
	return work
}

func withMicrosoft(id, secret string) oauth.Provider {
	microsoft := oauth.Microsoft("6babcaad-604b-40ac-a9d7-9fd97c0b779f", oauth.Client{ID: id, Secret: secret})
	microsoft.AssociateByEmail = true // where xms_edov says that the address is theirs
	return microsoft
}

func withPersonalMicrosoft(id, secret string) oauth.Provider {
	personal := oauth.Microsoft(oauth.MicrosoftConsumers, oauth.Client{ID: id, Secret: secret})
	personal.Name = "personal" // beside your organisation, which is "microsoft"
	return personal
}

func withApple(p8 []byte) oauth.Provider {
	apple := oauth.Apple("com.example.web", oauth.AppleKey{TeamID: "A1B2C3D4E5", KeyID: "F6G7H8J9K0", PEM: p8})
	apple.AssociateByEmail = true // Apple has verified every address that it tells
	return apple
}

func withFacebook(appID, appSecret string) oauth.Provider {
	return oauth.Facebook(oauth.Client{ID: appID, Secret: appSecret})
}

func withDiscord(id, secret string) oauth.Provider {
	discord := oauth.Discord(oauth.Client{ID: id, Secret: secret})
	discord.AssociateByEmail = true // Discord says whether it has verified the address
	return discord
}

func withKeycloak(id, secret string) oauth.Provider {
	return oauth.Keycloak("https://id.example.com", "main", oauth.Client{ID: id, Secret: secret})
}

func withOpenID(id, secret string) oauth.Provider {
	return oauth.OpenID("auth0", "https://example.eu.auth0.com/", oauth.Client{ID: id, Secret: secret})
}

// vouchedFor takes every address of a provider for verified.
func vouchedFor(provider oauth.Provider) oauth.Provider {
	provider.Claims = func(_ func(into any) error, p *linked.Profile) error {
		p.Verification = linked.Verified
		return nil
	}
	return provider
}

func documented(doc *openapi.Document, signIn *oauth.OAuth[*AppUser]) error {
	for _, route := range signIn.Routes() {
		if err := doc.Add(route); err != nil {
			return err
		}
	}
	return nil
}

func gitea(client oauth.Client) oauth.Provider {
	return oauth.Provider{
		Name:   "gitea",
		Client: client,
		Endpoint: oauth2.Endpoint{
			AuthURL:  "https://gitea.example.com/login/oauth/authorize",
			TokenURL: "https://gitea.example.com/login/oauth/access_token",
		},
		Scopes: []string{"read:user"},
		Profile: func(ctx context.Context, api *http.Client) (linked.Profile, error) {
			var me struct {
				ID    int64
				Email string
			}
			err := oauth.GetJSON(ctx, api, "https://gitea.example.com/api/v1/user", &me)
			return linked.Profile{Subject: linked.NumericSubject(me.ID), Email: me.Email}, err
		},
	}
}

func TestSignInWithMounts(t *testing.T) {
	store := newAppStore(t)
	users := newAppUsers(t)
	e := echo.New()
	if err := signInWith(t.Context(), e, store, users, "id", "secret", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="); err != nil {
		t.Fatal(err)
	}
	_ = linksOf
	var paths []string
	for _, route := range e.Routes() {
		paths = append(paths, route.Method+" "+route.Path)
	}
	for _, want := range []string{"GET /auth/google/authorize", "GET /auth/google/jwt/authorize", "GET /auth/google/callback",
		"GET /auth/associate/google/authorize", "GET /users/me/oauth-accounts", "DELETE /users/me/oauth-accounts/:account"} {
		if !strings.Contains(strings.Join(paths, "\n")+"\n", want+"\n") {
			t.Errorf("no route %s", want)
		}
	}
	if got := gitea(oauth.Client{}).Name; got != "gitea" {
		t.Error(got)
	}
}

// newSignIn sets providers up beside a bearer backend.
func newSignIn(t *testing.T, cfg oauth.Config, providers ...oauth.Provider) (*oauth.OAuth[*AppUser], *routes.Factory[*AppUser]) {
	t.Helper()
	keys, err := linked.NewKeys([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := userdb.NewLinkedAccounts(newAppStore(t), userdb.LinkedAccountsConfig{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	factory, err := routes.New(newAppUsers(t), routes.Config[*AppUser]{})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Keys = keys
	signIn, err := oauth.New(factory, accounts, cfg, providers...)
	if err != nil {
		t.Fatal(err)
	}
	return signIn, factory
}

// TestProviderPages sets up what the pages of providers show, and holds the
// redirect URIs that they tell to be entered against the routes.
func TestProviderPages(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p8 := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	pages := map[string][]oauth.Provider{
		"google":    {hostedByGoogle(withGoogle("id", "secret"))},
		"microsoft": {withMicrosoft("id", "secret"), withPersonalMicrosoft("id", "secret")},
		"apple":     {withApple(p8)},
		"github":    {withGitHub("id", "secret"), withGitHubEnterprise("id", "secret")},
		"openid":    {withKeycloak("id", "secret"), vouchedFor(withOpenID("id", "secret"))},
		"facebook":  {withFacebook("id", "secret")},
		"discord":   {withDiscord("id", "secret")},
	}
	var all []oauth.Provider
	for _, providers := range pages {
		all = append(all, providers...)
	}
	signIn, _ := newSignIn(t, oauth.Config{PublicURL: "https://app.example.com"}, all...)
	mounted := map[string]bool{}
	for _, route := range signIn.Routes() {
		mounted[route.Method+" "+route.Path] = true
	}
	for page, providers := range pages {
		text := read(t, "sign-in-"+page+".md")
		for _, path := range []string{"/auth/" + providers[0].Name + "/callback", "/auth/associate/" + providers[0].Name + "/callback"} {
			if !strings.Contains(text, "https://app.example.com"+path+"\n") {
				t.Errorf("sign-in-%s.md doesn't name %s", page, path)
			}
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				if want := method == http.MethodGet || providers[0].FormPost; mounted[method+" "+path] != want {
					t.Errorf("%s %s is mounted: %t", method, path, !want)
				}
			}
		}
	}
}

// claimed is what a provider's Claims makes of an ID token.
func claimed(t *testing.T, provider oauth.Provider, p linked.Profile, token string) linked.Profile {
	t.Helper()
	if err := provider.Claims(func(into any) error { return json.Unmarshal([]byte(token), into) }, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestClaimsOfPages(t *testing.T) {
	for what, c := range map[string]struct {
		email, token string
		want         linked.Verification
	}{
		"Gmail":         {"Ann@Gmail.com", `{}`, linked.Verified},
		"a workspace":   {"ann@example.com", `{"hd":"example.com"}`, linked.Verified},
		"neither":       {"ann@example.com", `{}`, linked.Unverified},
		"looks like it": {"ann@notgmail.com", `{}`, linked.Unverified},
	} {
		if got := claimed(t, hostedByGoogle(withGoogle("id", "secret")), linked.Profile{Email: c.email, Verification: linked.Verified}, c.token); got.Verification != c.want {
			t.Errorf("%s: %v", what, got.Verification)
		}
	}
	if got := claimed(t, vouchedFor(withOpenID("id", "secret")), linked.Profile{}, `{}`); got.Verification != linked.Verified {
		t.Error(got.Verification)
	}
}

func TestSignInOnThisMachine(t *testing.T) {
	signIn, factory := newSignIn(t, onThisMachine(nil), withGitHub("id", "secret"))
	doc, err := openapi.New(factory, openapi.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := documented(doc, signIn); err != nil {
		t.Fatal(err)
	}
	written, err := doc.JSON()
	if err != nil || !strings.Contains(string(written), `"/auth/github/callback"`) {
		t.Error(err)
	}
	e := echo.New()
	echo4.Mount(e, signIn.Routes())
	w := serve(e, request(http.MethodGet, "/auth/github/authorize", ""))
	if !strings.Contains(w.Body.String(), "localhost%3A8000%2Fauth%2Fgithub%2Fcallback") || strings.Contains(w.Header().Get("Set-Cookie"), "Secure") {
		t.Error(w.Body, w.Header())
	}
}

// TestCallbackOfAFrontEnd has the provider send people to a page that hands its
// query on.
func TestCallbackOfAFrontEnd(t *testing.T) {
	gitHub := withGitHub("id", "secret")
	gitHub.CallbackURL, gitHub.AssociateURL = "https://app.example.com/signed-in", "https://app.example.com/linked"
	signIn, _ := newSignIn(t, oauth.Config{PublicURL: "https://api.example.com"}, gitHub)
	e := echo.New()
	echo4.Mount(e, signIn.Routes())
	w := serve(e, request(http.MethodGet, "/auth/github/authorize", ""))
	if !strings.Contains(w.Body.String(), "redirect_uri=https%3A%2F%2Fapp.example.com%2Fsigned-in") {
		t.Error(w.Body)
	}
}
