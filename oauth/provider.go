package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"golang.org/x/oauth2"

	"github.com/echo-users/echo-users/authn/linked"
)

// Client is what a provider knows the application by, once it is registered
// there.
type Client struct {
	// ID is the client_id.
	ID string
	// Secret is the client_secret; empty for a public client, which has PKCE alone.
	Secret string
}

// Format prints the ID alone, whatever the verb.
func (c Client) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[client %s]", c.ID) }

// LogValue returns the ID alone.
func (c Client) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

// Provider is where people have accounts. [OpenID], [Google], [Microsoft],
// [Keycloak], [Apple], [GitHub], [Facebook] and [Discord] make one, whose fields
// may be set before it is given to [New].
//
// Another one is a Provider with an Issuer, where it speaks OpenID Connect, or
// else with Endpoint and Profile:
//
//	oauth.Provider{
//		Name:     "example",
//		Client:   client,
//		Endpoint: oauth2.Endpoint{AuthURL: "https://…/authorize", TokenURL: "https://…/token"},
//		Scopes:   []string{"email"},
//		Profile: func(ctx context.Context, api *http.Client) (linked.Profile, error) {
//			var me struct{ ID, Email string }
//			err := oauth.GetJSON(ctx, api, "https://…/me", &me)
//			return linked.Profile{Subject: me.ID, Email: me.Email}, err
//		},
//	}
type Provider struct {
	// Name is the provider's in routes and in the table: a URL path segment of at
	// most 100 bytes.
	Name   string
	Client Client
	// Options say how far it is trusted.
	linked.Options

	// Issuer is the provider's, exactly as its ID tokens spell it (OpenID Connect
	// Core §2). Its endpoints and keys are discovered when they are first needed.
	Issuer string
	// Endpoint is where a provider without OpenID Connect is.
	Endpoint oauth2.Endpoint
	// Profile asks such a provider whose account it is. api sends the access
	// token along. Provider, Issuer and Tokens are filled in afterwards.
	Profile func(ctx context.Context, api *http.Client) (linked.Profile, error)
	// Claims may complete the profile of an ID token, which was verified; decode
	// reads its claims.
	Claims func(decode func(into any) error, p *linked.Profile) error

	// Scopes are asked for, unless the request names others.
	Scopes []string
	// Parameters are added to the authorization request, such as "prompt".
	Parameters map[string]string
	// FormPost has the provider answer by a POST ("response_mode=form_post").
	FormPost bool
	// NewSecret makes the client's secret anew, in place of Client.Secret.
	NewSecret func(ctx context.Context) (string, error)

	// Backends are the names of the backends where it logs people in, the first
	// one unless a request says otherwise. Defaults to all, in their order.
	Backends []string
	// CallbackURL and AssociateURL are where the provider sends people back to,
	// after a log-in and after linking an account. They default to the routes
	// below [Config.PublicURL]. A front end that takes the answer itself has a
	// page of its own here, which hands code and state on to the route.
	CallbackURL, AssociateURL string

	own func(decode func(into any) error, p *linked.Profile) error // is asked before Claims
	err error                                                      // of the constructor
}

// maxName is what fastapi-users' column holds.
const maxName = 100

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

func (p *Provider) check() error {
	switch {
	case p.err != nil:
		return fmt.Errorf("oauth: provider %q: %w", p.Name, p.err)
	case !nameForm.MatchString(p.Name) || len(p.Name) > maxName:
		return fmt.Errorf("oauth: the provider's name %q is no URL path segment, or too long", p.Name)
	case p.Name == "associate" || p.Name == "accounts":
		return fmt.Errorf("oauth: the name %q is a route's", p.Name)
	case p.Client.ID == "":
		return fmt.Errorf("oauth: provider %q: the client's ID is empty", p.Name)
	case p.Profile == nil && p.Issuer == "":
		return fmt.Errorf("oauth: provider %q needs an Issuer, or Endpoint and Profile", p.Name)
	case p.Profile != nil && (p.Endpoint.AuthURL == "" || p.Endpoint.TokenURL == ""):
		return fmt.Errorf("oauth: provider %q needs an Endpoint", p.Name)
	}
	for _, address := range []string{p.Issuer, p.Endpoint.AuthURL, p.Endpoint.TokenURL} {
		if address == "" {
			continue
		}
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
			return fmt.Errorf("oauth: provider %q: %q is no URL", p.Name, address)
		}
		if !isSafe(u) {
			return fmt.Errorf("oauth: provider %q: %q needs https", p.Name, address)
		}
	}
	return nil
}

// isSafe reports whether nobody is between us and a host.
func isSafe(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())
}

// checkPublished holds a provider's endpoints to what is asked of those that are
// configured, and to TLS wherever its issuer has it.
func (p *Provider) checkPublished(endpoints ...string) error {
	for _, address := range endpoints {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || !isSafe(u) ||
			u.Scheme != "https" && strings.HasPrefix(p.Issuer, "https:") {
			return errors.New("it publishes an endpoint that is none, or without TLS")
		}
	}
	return nil
}
