package docs_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"golang.org/x/oauth2"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/linked"
	"github.com/echo-users/echo-users/oauth"
	"github.com/echo-users/echo-users/routes"
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
	factory.All().Mount(e)
	signIn.Routes().Mount(e)
	return nil
}

func linksOf(ctx context.Context, signIn *oauth.OAuth[*AppUser], u *AppUser) ([]linked.Account, error) {
	links, err := signIn.Accounts().Of(ctx, u.AuthID())
	return links, err
}

func allProviders(apple oauth.AppleKey, client oauth.Client) []oauth.Provider {
	return []oauth.Provider{
		oauth.Google(client),
		oauth.GitHub(client),
		oauth.Microsoft("6babcaad-604b-40ac-a9d7-9fd97c0b779f", client),
		oauth.Apple("com.example.web", apple),
		oauth.Keycloak("https://id.example.com", "main", client),
		oauth.Discord(client),
		oauth.Facebook(client),
		oauth.OpenID("zitadel", "https://zitadel.example.com", client),
	}
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
	if n := len(allProviders(oauth.AppleKey{}, oauth.Client{})); n != 8 {
		t.Error(n)
	}
}
