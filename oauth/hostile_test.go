package oauth_test

import (
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"
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

func TestAProviderRotatesItsKeys(t *testing.T) {
	p := newProvider(t)
	s := newSite(t, nil, p.openID())
	s.wants("before", s.browser().signIn("/auth/op/authorize"), 200, "access_token")
	before := p.key
	p.key = newProvider(t).key
	s.wants("after", s.browser().signIn("/auth/op/authorize"), 200, "access_token")
	p.sign = func(c gojwt.MapClaims) string { return p.signedBy(gojwt.SigningMethodES256, before, c) }
	s.wants("with the key of before", s.browser().signIn("/auth/op/authorize"), 400, "OAUTH_INVALID_ID_TOKEN")
}

// TestATokenBringsNoKey: the key is the provider's, never the token's (RFC 8725
// §3.10).
func TestATokenBringsNoKey(t *testing.T) {
	p, thief := newProvider(t), newProvider(t)
	s := newSite(t, nil, p.openID())
	point, err := thief.key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	own := map[string]any{"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "own", "x": text(point[1:33]), "y": text(point[33:])}
	for what, header := range map[string]map[string]any{
		"in its header":       {"jwk": own},
		"by the known id":     {"jwk": own, "kid": "one"},
		"by its id":           {"jwk": own, "kid": "own"},
		"by an address":       {"jku": thief.URL + "/keys", "kid": "one"},
		"as a certificate":    {"x5u": thief.URL, "x5c": []string{text(point)}},
		"by an id that leads": {"kid": "../../../dev/null"},
		"by no text":          {"kid": 7},
		"by an extension":     {"crit": []string{"b64"}, "b64": false},
	} {
		p.sign = func(c gojwt.MapClaims) string {
			token := gojwt.NewWithClaims(gojwt.SigningMethodES256, c)
			maps.Copy(token.Header, header)
			signed, err := token.SignedString(thief.key)
			if err != nil {
				t.Error(err)
			}
			return signed
		}
		s.wants(what, s.browser().signIn("/auth/op/authorize"), 400, "OAUTH_INVALID_ID_TOKEN")
	}
	if len(thief.asked) != 0 {
		t.Errorf("a token had us ask for %v", thief.asked)
	}
	p.publish = map[string]any{"id_token_signing_alg_values_supported": []string{"none", "HS256"}}
	s = newSite(t, nil, p.openID())
	for what, sign := range map[string]func(c gojwt.MapClaims) string{
		"unsigned, as is published": func(c gojwt.MapClaims) string {
			return p.signedBy(gojwt.SigningMethodNone, gojwt.UnsafeAllowNoneSignatureType, c)
		},
		"by the secret, as is published":   func(c gojwt.MapClaims) string { return p.signedBy(gojwt.SigningMethodHS256, []byte(clientSecret), c) },
		"by the public key for the secret": func(c gojwt.MapClaims) string { return p.signedBy(gojwt.SigningMethodHS256, point, c) },
	} {
		p.sign = sign
		s.wants(what, s.browser().signIn("/auth/op/authorize"), 400, "OAUTH_INVALID_ID_TOKEN")
	}
}

// TestAnswersWithoutEnd and such as break off say nothing about the person.
func TestAnswersWithoutEnd(t *testing.T) {
	for what, answer := range map[string]func(w http.ResponseWriter){
		"without end": func(w http.ResponseWriter) {
			_, _ = w.Write([]byte(`{"access_token":"`))
			for range 3 << 10 {
				_, _ = w.Write([]byte(strings.Repeat("x", 1<<10)))
			}
			_, _ = w.Write([]byte(`"}`))
		},
		"half": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"access_token":"x"}`))
		},
		"deep":     func(w http.ResponseWriter) { _, _ = w.Write([]byte(strings.Repeat("[", 1<<19))) },
		"nothing":  func(http.ResponseWriter) {},
		"no token": func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"id_token":"x.y.z"}`)) },
		"elsewhere": func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://evil.example")
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
	} {
		p := newProvider(t)
		p.token = func(w http.ResponseWriter, _ *http.Request) bool { answer(w); return true }
		s := newSite(t, nil, p.openID())
		s.wants(what, s.browser().signIn("/auth/op/authorize"), 503, "Service Unavailable")
	}
}

// TestManySlowQuestions in a row, each of which is in time, take no longer
// together.
func TestManySlowQuestions(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	slow := false
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slow {
			select {
			case <-time.After(4 * time.Second):
			case <-r.Context().Done():
				return
			}
		}
		p.ServeHTTP(w, r)
	}))
	defer front.Close()
	p.URL = front.URL
	p.claims["email"], p.info = nil, map[string]any{"sub": "subject-1", "email": "ann@example.com"}
	s := newSite(t, nil, p.openID())
	b := s.browser()
	back := b.consent(b.authorize("/auth/op/authorize"))
	slow = true
	begun := time.Now()
	s.wants("token, keys and userinfo", b.do("GET", back), 503, "Service Unavailable")
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestAStoreThatIsAway lets nobody in, and isn't taken for one that is empty.
func TestAStoreThatIsAway(t *testing.T) {
	for what, statement := range map[string]string{
		"the uses of states":  `DROP TABLE oauth_account_used_state`,
		"the accounts":        `ALTER TABLE oauth_account RENAME TO elsewhere`,
		"a column of theirs":  `ALTER TABLE oauth_account RENAME COLUMN sealed_access_token TO elsewhere`,
		"the users":           `ALTER TABLE user RENAME TO elsewhere`,
		"writing an account":  `CREATE TRIGGER away BEFORE INSERT ON oauth_account BEGIN SELECT RAISE(FAIL, 'away'); END`,
		"renewing an account": `CREATE TRIGGER away BEFORE UPDATE ON oauth_account BEGIN SELECT RAISE(FAIL, 'away'); END`,
		"noting a use":        `CREATE TRIGGER away BEFORE INSERT ON oauth_account_used_state BEGIN SELECT RAISE(FAIL, 'away'); END`,
	} {
		t.Run(what, func(t *testing.T) {
			p := newProvider(t)
			s := newSite(t, nil, p.openID())
			if strings.HasPrefix(what, "renewing") {
				s.wants("control", s.browser().signIn("/auth/op/authorize"), 200, "access_token")
			}
			b := s.browser()
			back := b.consent(b.authorize("/auth/op/authorize"))
			if err := s.db.Exec(statement).Error; err != nil {
				t.Fatal(err)
			}
			s.wants(what, b.do("GET", back), 503, "Service Unavailable")
			if strings.HasPrefix(what, "writing an") && s.count("user") != 0 {
				t.Error("a user was made who has no way in")
			}
		})
	}
}

// TestAnErrorThatIsNobodys ends no flow of anybody's, and says only what
// standards name.
func TestAnErrorThatIsNobodys(t *testing.T) {
	p := newProvider(t)
	s := newSite(t, nil, p.openID())
	b := s.browser()
	back := b.consent(b.authorize("/auth/op/authorize"))
	for query, want := range map[string]string{
		"":                                     "ACCESS_TOKEN_DECODE_ERROR",
		"error=access_denied":                  "access_denied",
		"error=<script>":                       "provider_error",
		"error=%0d%0aSet-Cookie:%20x=y":        "provider_error",
		"error=access_denied&state=x":          "ACCESS_TOKEN_DECODE_ERROR",
		"error=access_denied&error=x":          "OAUTH_INVALID_REQUEST",
		"error=" + strings.Repeat("x", 8<<10):  "OAUTH_INVALID_REQUEST",
		"code=x&state=":                        "ACCESS_TOKEN_DECODE_ERROR",
		"code=x&state=x;error=y":               "ACCESS_TOKEN_DECODE_ERROR",
		"error=access_denied&iss=https://evil": "access_denied",
	} {
		got := s.browser().do("GET", "/auth/op/callback?"+query)
		s.wants(query, got, 400, want)
		if got.header.Get("Set-Cookie") != "" || got.header.Get("Location") != "" {
			t.Errorf("%s: %v", query, got.header)
		}
	}
	for _, method := range []string{"HEAD", "POST", "PUT", "TRACE"} {
		for _, path := range []string{"/auth/op/authorize", "/auth/associate/op/authorize", strings.TrimPrefix(back, s.URL)} {
			s.wants(method, b.do(method, path), 405, "")
		}
	}
	s.wants("the flow goes on", b.do("GET", back), 200, "access_token")
}
