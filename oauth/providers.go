package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"golang.org/x/oauth2"

	"github.com/echo-users/echo-users/authn/linked"
)

// OpenID is any provider of OpenID Connect, which says at its issuer where it is
// (OpenID Connect Discovery): Keycloak, Auth0, Okta, Zitadel, Authentik, GitLab …
func OpenID(name, issuer string, c Client) Provider {
	return Provider{Name: name, Client: c, Issuer: issuer, Scopes: []string{"openid", "email"}}
}

// Google is accounts.google.com, under the name "google". Accounts that
// fastapi-users has kept by their name in Google's People API are known.
func Google(c Client) Provider {
	p := OpenID("google", "https://accounts.google.com", c)
	p.own = func(_ func(any) error, profile *linked.Profile) error {
		profile.Aliases = []string{"people/" + profile.Subject}
		return nil
	}
	return p
}

// Keycloak is a realm at a Keycloak server, such as https://id.example.com,
// under the name "keycloak".
func Keycloak(server, realm string, c Client) Provider {
	return OpenID("keycloak", strings.TrimSuffix(server, "/")+"/realms/"+realm, c)
}

var tenantForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// MicrosoftConsumers is the tenant of personal Microsoft accounts.
const MicrosoftConsumers = "9188040d-6c67-4c5b-b112-36a304b66dad"

// Microsoft is one tenant of Microsoft Entra ID, by its id (a UUID), under the
// name "microsoft". "common" and "organizations" are no tenants: everybody can
// have one, and say in it that any address is theirs. Entra's addresses count as
// verified only where its optional claim xms_edov says so. Accounts that
// fastapi-users has kept by their id in Microsoft Graph are known.
func Microsoft(tenant string, c Client) Provider {
	p := OpenID("microsoft", "https://login.microsoftonline.com/"+tenant+"/v2.0", c)
	p.Scopes = []string{"openid", "email", "profile"}
	if !tenantForm.MatchString(tenant) {
		p.err = fmt.Errorf("%q is no tenant's id: a UUID in lower case, or MicrosoftConsumers", tenant)
	}
	p.own = func(decode func(any) error, profile *linked.Profile) error {
		var c struct {
			Tenant string `json:"tid"`
			Object string `json:"oid"`
			Owned  any    `json:"xms_edov"`
		}
		if err := decode(&c); err != nil {
			return err
		}
		if c.Tenant != "" && c.Tenant != tenant {
			return errors.New("of another tenant")
		}
		if c.Tenant != "" && c.Object != "" { // an id within the tenant
			profile.Aliases = []string{c.Object}
		}
		profile.Verification = linked.Unverified
		switch c.Owned {
		case true, "true", "1", float64(1):
			profile.Verification = linked.Verified
		}
		return nil
	}
	return p
}

// GitHub is github.com, under the name "github". The address is the primary
// one, and verified if GitHub says so.
func GitHub(c Client) Provider { return gitHub(c, "https://github.com", "https://api.github.com") }

// GitHubEnterprise is a GitHub Enterprise Server, such as
// https://github.example.com, under the name "github".
func GitHubEnterprise(server string, c Client) Provider {
	server = strings.TrimSuffix(server, "/")
	return gitHub(c, server, server+"/api/v3")
}

func gitHub(c Client, web, api string) Provider {
	return Provider{
		Name: "github", Client: c,
		Endpoint: oauth2.Endpoint{AuthURL: web + "/login/oauth/authorize", TokenURL: web + "/login/oauth/access_token"},
		Scopes:   []string{"read:user", "user:email"},
		Profile: func(ctx context.Context, client *http.Client) (linked.Profile, error) {
			var me struct {
				ID int64 `json:"id"`
			}
			if err := GetJSON(ctx, client, api+"/user", &me); err != nil {
				return linked.Profile{}, err
			}
			p := linked.Profile{Subject: linked.NumericSubject(me.ID)}
			var emails []struct {
				Email    string
				Primary  bool
				Verified bool
			}
			if err := GetJSON(ctx, client, api+"/user/emails", &emails); err != nil {
				return linked.Profile{}, err
			}
			for _, e := range emails {
				if e.Primary {
					p.Email, p.Verification = e.Email, verification(e.Verified)
				}
			}
			return p, nil
		},
	}
}

func verification(verified bool) linked.Verification {
	if verified {
		return linked.Verified
	}
	return linked.Unverified
}

// facebookVersion is of the Graph API.
const facebookVersion = "v23.0"

// Facebook is facebook.com, under the name "facebook". It doesn't say whether
// an address is verified.
func Facebook(c Client) Provider {
	return facebook(c, "https://www.facebook.com", "https://graph.facebook.com")
}

func facebook(c Client, web, api string) Provider {
	return Provider{
		Name: "facebook", Client: c,
		Endpoint: oauth2.Endpoint{
			AuthURL:  web + "/" + facebookVersion + "/dialog/oauth",
			TokenURL: api + "/" + facebookVersion + "/oauth/access_token",
		},
		Scopes: []string{"email"},
		Profile: func(ctx context.Context, client *http.Client) (linked.Profile, error) {
			var me struct{ ID, Email string }
			err := GetJSON(ctx, client, api+"/"+facebookVersion+"/me?fields=id,email", &me)
			return linked.Profile{Subject: me.ID, Email: me.Email}, err
		},
	}
}

// Discord is discord.com, under the name "discord".
func Discord(c Client) Provider { return discord(c, "https://discord.com") }

func discord(c Client, web string) Provider {
	return Provider{
		Name: "discord", Client: c,
		Endpoint: oauth2.Endpoint{AuthURL: web + "/oauth2/authorize", TokenURL: web + "/api/oauth2/token"},
		Scopes:   []string{"identify", "email"},
		Profile: func(ctx context.Context, client *http.Client) (linked.Profile, error) {
			var me struct {
				ID, Email string
				Verified  bool
			}
			err := GetJSON(ctx, client, web+"/api/v10/users/@me", &me)
			return linked.Profile{Subject: me.ID, Email: me.Email, Verification: verification(me.Verified)}, err
		},
	}
}
