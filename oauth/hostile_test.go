package oauth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/echo-users/echo-users/authn/linked"
	"github.com/echo-users/echo-users/oauth"
)

// TestEndpointsWithoutTLS: a provider publishes where its endpoints are, and
// they get the client's secret, codes and tokens, or say whose signature counts
// (OpenID Connect Discovery §3).
func TestEndpointsWithoutTLS(t *testing.T) {
	for _, endpoint := range []string{"authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"} {
		for _, address := range []string{"http://evil.example/x", "javascript:alert(1)", "//evil.example/x", "/x", "https:evil.example", "ftp://evil.example/", "https://user@evil.example/", "https://evil.example/#x", "https://", "%"} {
			p := newProvider(t)
			p.publish = map[string]any{endpoint: address}
			s := newSite(t, nil, p.openID())
			s.wants(endpoint+" "+address, s.browser().do("GET", "/auth/op/authorize"), 503, "Service Unavailable")
		}
		if endpoint == "userinfo_endpoint" {
			continue // there needn't be one
		}
		p := newProvider(t)
		p.publish = map[string]any{endpoint: nil}
		s := newSite(t, nil, p.openID())
		s.wants("no "+endpoint, s.browser().do("GET", "/auth/op/authorize"), 503, "Service Unavailable")
	}
}

// TestARedirectOutOfTLS: who is between us and a host without TLS would say
// where the provider's endpoints are, or whose keys count.
func TestARedirectOutOfTLS(t *testing.T) {
	asked := 0
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer plain.Close()
	op := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
	defer op.Close()
	s := newSite(t, func(cfg *oauth.Config) { cfg.Client = op.Client() }, oauth.OpenID("op", op.URL, oauth.Client{ID: clientID}))
	s.wants("discovery", s.browser().do("GET", "/auth/op/authorize"), 503, "Service Unavailable")
	if asked != 0 {
		t.Error("a redirect led out of TLS")
	}
}

// TestARedirectGetsNoToken: the access token is for the API that was asked.
func TestARedirectGetsNoToken(t *testing.T) {
	var leaked []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		leaked = append(leaked, r.Header.Get("Authorization"))
	}))
	defer other.Close()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"access_token":"the-access-token","token_type":"bearer"}`))
			return
		}
		http.Redirect(w, r, other.URL, http.StatusFound)
	}))
	defer api.Close()
	s := newSite(t, nil, oauth.Provider{
		Name: "own", Client: oauth.Client{ID: clientID}, Endpoint: oauth2.Endpoint{AuthURL: api.URL + "/a", TokenURL: api.URL + "/t"},
		Profile: func(ctx context.Context, client *http.Client) (linked.Profile, error) {
			var me struct{ ID string }
			err := oauth.GetJSON(ctx, client, api.URL+"/me", &me)
			return linked.Profile{Subject: me.ID}, err
		},
	})
	b := s.browser()
	_, query, _ := strings.Cut(b.authorize("/auth/own/authorize"), "?")
	s.wants("a redirect", b.do("GET", "/auth/own/callback?code=c&"+query), 503, "Service Unavailable")
	if len(leaked) != 0 {
		t.Errorf("another host was asked with %q", leaked)
	}
}

// TestClaimsOfAlmostTheSameName: encoding/json takes them for ours, whichever
// comes last, and people choose names of claims at some providers.
func TestClaimsOfAlmostTheSameName(t *testing.T) {
	const longS = "\u017f" // an s to it, and behind all letters
	for name, c := range map[string]struct {
		claims map[string]any
		code   string
	}{
		longS + "ub":      {map[string]any{"sub": "thief"}, "OAUTH_INVALID_ID_TOKEN"},
		"SUB":             {map[string]any{"sub": nil}, "OAUTH_INVALID_ID_TOKEN"},
		"i" + longS + "s": {map[string]any{"sub": "thief"}, "OAUTH_INVALID_ID_TOKEN"},
		"Nonce":           {map[string]any{"sub": "thief"}, "OAUTH_INVALID_ID_TOKEN"},
		"Email":           {map[string]any{"sub": "thief", "email": nil}, "OAUTH_NOT_AVAILABLE_EMAIL"},
		"Email_Verified":  {map[string]any{"sub": "thief", "email_verified": nil}, "OAUTH_USER_ALREADY_EXISTS"},
	} {
		p := newProvider(t)
		p.publish = map[string]any{"userinfo_endpoint": ""}
		op := p.openID()
		op.AssociateByEmail = true
		s := newSite(t, nil, op)
		s.wants("control", s.browser().signIn("/auth/op/authorize"), 200, "access_token")
		p.claims = c.claims
		p.claims[name] = map[string]any{"Email": "ann@example.com", "Email_Verified": true, "Nonce": "x"}[name]
		if p.claims[name] == nil {
			p.claims[name] = "subject-1"
		}
		s.wants(name, s.browser().signIn("/auth/op/authorize"), 400, c.code)
	}
}

func TestUserinfoOfAlmostTheSameName(t *testing.T) {
	for name, value := range map[string]any{"\u017fub": "subject-1", "EMAIL": "ann@example.com", "Email_Verified": true} {
		p := newProvider(t)
		op := p.openID()
		op.AssociateByEmail = true
		s := newSite(t, nil, op)
		s.register("ann@example.com", true)
		p.claims["email"] = nil
		p.info = map[string]any{"sub": "subject-1", name: value}
		if name != "EMAIL" {
			p.info["email"] = "ann@example.com"
		}
		if name == "\u017fub" {
			p.info["sub"], p.info["email_verified"] = "another", true
		}
		if got := s.browser().signIn("/auth/op/authorize"); got.status != 400 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}
