package oauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"
)

// provider is an OpenID provider on loopback whose word can be bent: it knows
// one person, who always agrees.
type provider struct {
	*httptest.Server
	t   *testing.T
	key *ecdsa.PrivateKey

	mu    sync.Mutex
	codes map[string]url.Values // the authorization request of each code

	// What it says, and how it is bent.
	claims  map[string]any                                    // of the ID token, over the true ones; nil removes one
	sign    func(claims gojwt.MapClaims) string               // instead of its own signature
	back    func(values url.Values)                           // what it sends people back with
	token   func(w http.ResponseWriter, r *http.Request) bool // answers in place of the token endpoint
	publish map[string]any                                    // of the metadata, over the true ones
	info    map[string]any                                    // of the userinfo endpoint
	asked   map[string]int                                    // how often each path was
	last    url.Values                                        // the last token request
}

const clientID, clientSecret = "the-application", "its secret & more"

func newProvider(t *testing.T) *provider {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{t: t, key: key, codes: map[string]url.Values{}, asked: map[string]int{}, claims: map[string]any{}}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[r.URL.Path]++
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		meta := map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
			"jwks_uri": p.URL + "/keys", "userinfo_endpoint": p.URL + "/userinfo",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
			"id_token_signing_alg_values_supported":          []string{"ES256"},
			"authorization_response_iss_parameter_supported": true,
		}
		maps.Copy(meta, p.publish)
		p.write(w, meta)
	case "/keys":
		point, err := p.key.PublicKey.Bytes()
		if err != nil {
			p.t.Error(err)
		}
		text := base64.RawURLEncoding.EncodeToString
		p.write(w, map[string]any{"keys": []any{map[string]string{
			"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "one", "x": text(point[1:33]), "y": text(point[33:]),
		}}})
	case "/authorize":
		code := rand.Text()
		p.codes[code] = r.URL.Query()
		values := url.Values{"code": {code}, "state": {r.URL.Query().Get("state")}, "iss": {p.URL}}
		if p.back != nil {
			p.back(values)
		}
		http.Redirect(w, r, r.URL.Query().Get("redirect_uri")+"?"+values.Encode(), http.StatusFound)
	case "/token":
		if err := r.ParseForm(); err != nil {
			p.t.Error(err)
		}
		p.last = r.PostForm
		if p.token != nil && p.token(w, r) {
			return
		}
		p.redeem(w, r)
	case "/userinfo":
		if r.Header.Get("Authorization") != "Bearer the-access-token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		p.write(w, p.info)
	default:
		http.NotFound(w, r)
	}
}

func (p *provider) write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		p.t.Error(err)
	}
}

func (p *provider) refuse(w http.ResponseWriter, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": "a secret of theirs"})
}

// redeem is strict: a code is good once, with the client's secret, the redirect
// URI and the verifier of its request.
func (p *provider) redeem(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	if id, _ = url.QueryUnescape(id); id != clientID {
		p.refuse(w, "invalid_client")
		return
	}
	if secret, _ = url.QueryUnescape(secret); secret != clientSecret {
		p.refuse(w, "invalid_client")
		return
	}
	request, ok := p.codes[r.PostForm.Get("code")]
	delete(p.codes, r.PostForm.Get("code"))
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	if !ok || request.Get("redirect_uri") != r.PostForm.Get("redirect_uri") || request.Get("code_challenge_method") != "S256" ||
		request.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) {
		p.refuse(w, "invalid_grant")
		return
	}
	claims := gojwt.MapClaims{
		"iss": p.URL, "aud": clientID, "sub": "subject-1", "nonce": request.Get("nonce"),
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
		"email": "ann@example.com", "email_verified": true,
	}
	for name, value := range p.claims {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	sign := p.sign
	if sign == nil {
		sign = p.signed
	}
	p.write(w, map[string]any{
		"access_token": "the-access-token", "refresh_token": "the-refresh-token", "token_type": "Bearer", "expires_in": 3600, "id_token": sign(claims),
	})
}

func (p *provider) signed(claims gojwt.MapClaims) string {
	return p.signedBy(gojwt.SigningMethodES256, p.key, claims)
}

func (p *provider) signedBy(method gojwt.SigningMethod, key any, claims gojwt.MapClaims) string {
	token := gojwt.NewWithClaims(method, claims)
	token.Header["kid"] = "one"
	text, err := token.SignedString(key)
	if err != nil {
		p.t.Error(err)
	}
	return text
}
