package jwks_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/strategies/jwt/jwks"
)

func backend(t *testing.T, name string, keys jwt.Keys) authn.Backend {
	t.Helper()
	b, err := backends.JWT(keys, backends.JWTConfig{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func token(t *testing.T, b authn.Backend) string {
	t.Helper()
	s, _ := authn.Can[authn.Strategy](b)
	issued, err := s.Issue(t.Context(), authn.Identity{Subject: "ann", Generation: 3})
	if err != nil {
		t.Fatal(err)
	}
	return issued.Value
}

func privateKeys(t *testing.T) []jwt.Key {
	t.Helper()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return []jwt.Key{jwt.PrivateKey(ed), jwt.PrivateKey(ec), jwt.PrivateKey(rs), jwt.PrivateKey(rs).WithAlgorithm(jwt.PS256).WithID("pss")}
}

// What one service publishes, another verifies with, and follows a rotation.
func TestAnotherServiceVerifies(t *testing.T) {
	keys := privateKeys(t)
	current := keys[:1]
	set, err := jwt.NewKeySet(t.Context(), func(context.Context) ([]jwt.Key, error) { return current, nil }, jwt.KeySetConfig{})
	if err != nil {
		t.Fatal(err)
	}
	secret := jwt.Secret([]byte(strings.Repeat("s", 32)))
	issuer := backend(t, "auth", set)
	handler, err := jwks.Handler(issuer, backend(t, "secret", secret), backend(t, "too", set))
	if err != nil {
		t.Fatal(err)
	}
	url := serve(t, handler)
	clock := authntest.NewClock(time.Unix(1_700_000_000, 0))
	remote, err := jwt.NewKeySet(t.Context(), jwks.Source(url, jwks.Config{InsecureHTTP: true}), jwt.KeySetConfig{Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	verifier := backend(t, "auth", remote)
	if _, ok := authn.Can[authn.LoginBackend](verifier); ok {
		t.Error("a verifier logs people in")
	}
	accepts := func(token string, want bool) {
		t.Helper()
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		id, err := verifier.Authenticate(r)
		if (err == nil) != want || want && (id.Subject != "ann" || id.Generation != 3) {
			t.Errorf("%+v, %v, want %t", id, err, want)
		}
	}
	first := token(t, issuer)
	accepts(first, true)
	accepts(token(t, backend(t, "secret", secret)), false)
	for i := range keys {
		current = append([]jwt.Key{keys[i]}, keys[:i]...)
		if err := set.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		clock.Advance(5 * time.Second)
		accepts(token(t, issuer), true)
		accepts(first, true)
	}

	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var document struct{ Keys []map[string]any }
	if err := json.NewDecoder(res.Body).Decode(&document); err != nil {
		t.Fatal(err)
	}
	if res.Header.Get("Content-Type") != "application/jwk-set+json" || len(document.Keys) != len(keys) {
		t.Errorf("%v, %v", res.Header, document)
	}
	for _, key := range document.Keys {
		if key["use"] != "sig" || key["kid"] == nil || key["alg"] == nil {
			t.Errorf("%v", key)
		}
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if key[private] != nil {
				t.Errorf("the document has a private %q", private)
			}
		}
	}
}

func TestHandlerSaysWhatIsWrong(t *testing.T) {
	if _, err := jwks.Handler(); err == nil {
		t.Error("no backend")
	}
	if _, err := jwks.Handler(backends.New("opaque", backends.Bearer{}, new(authntest.Tokens))); err == nil || !strings.Contains(err.Error(), `"opaque"`) {
		t.Error(err)
	}
}

// Documents that a service should not serve, or that somebody else serves.
func TestHostileDocuments(t *testing.T) {
	const rsaKey = `{"kty":"RSA","kid":"weak","e":"AQAB","n":"AQAB"}`
	const good = `{"kty":"OKP","crv":"Ed25519","kid":"good","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	for what, c := range map[string]struct {
		status   int
		document string
		keys     int
	}{
		"one key":             {200, `{"keys":[` + good + `]}`, 1},
		"one among others":    {200, `{"keys":[{"kty":"oct","k":"AAAA","kid":"s"},` + rsaKey + `,` + good + `,{"kty":"EC","crv":"P-384","x":"AA","y":"AA"},7,null,{}]}`, 1},
		"one twice":           {200, `{"keys":[` + good + `,` + good + `]}`, 1},
		"for encryption":      {200, `{"keys":[` + strings.Replace(good, `"kid"`, `"use":"enc","kid"`, 1) + `]}`, 0},
		"for signing":         {200, `{"keys":[` + strings.Replace(good, `"kid"`, `"key_ops":["sign"],"kid"`, 1) + `]}`, 0},
		"another algorithm":   {200, `{"keys":[` + strings.Replace(good, `"kid"`, `"alg":"HS256","kid"`, 1) + `]}`, 0},
		"a secret":            {200, `{"keys":[{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","kid":"s","alg":"HS256"}]}`, 0},
		"a weak key":          {200, `{"keys":[` + rsaKey + `]}`, 0},
		"none":                {200, `{"keys":[]}`, 0},
		"no set":              {200, `[]`, 0},
		"no JSON":             {200, `<html>`, 0},
		"nothing":             {200, ``, 0},
		"not found":           {404, `{"keys":[` + good + `]}`, 0},
		"too large":           {200, `{"keys":[` + good + `],"x":"` + strings.Repeat("x", 1<<20) + `"}`, 0},
		"too many":            {200, `{"keys":[` + strings.Repeat(good+",", 200) + good + `]}`, 0},
		"a redirect":          {302, ``, 0},
		"an x5u to be asked":  {200, `{"keys":[` + strings.Replace(good, `"kid"`, `"x5u":"http://127.0.0.1:1/","kid"`, 1) + `]}`, 0},
		"x5u by TLS, unasked": {200, `{"keys":[` + strings.Replace(good, `"kid"`, `"x5u":"https://127.0.0.1:1/","kid"`, 1) + `]}`, 1},
	} {
		url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.document))
		}))
		keys, err := jwks.Source(url, jwks.Config{InsecureHTTP: true})(t.Context())
		if (err == nil) != (c.keys > 0) || len(keys) != c.keys {
			t.Errorf("%s: %d keys, %v", what, len(keys), err)
		}
	}
	for _, url := range []string{"", "x", "http://example.com/jwks.json", "ftp://example.com/", "https://", "file:///etc/passwd"} {
		if _, err := jwks.Source(url, jwks.Config{})(t.Context()); err == nil || !strings.Contains(err.Error(), "https://") {
			t.Errorf("%q: %v", url, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := jwks.Source("https://127.0.0.1:1/", jwks.Config{})(ended); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func FuzzDocument(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"good","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},{"kty":"RSA","n":"","e":""}]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		client := &http.Client{Transport: answering(document)}
		keys, err := jwks.Source("https://example.com/", jwks.Config{Client: client})(t.Context())
		if err != nil {
			return
		}
		for _, key := range keys {
			if key.Err() != nil {
				t.Error(key.Err())
			}
		}
		if _, err := jwt.New(keys[0], jwt.Config{}); err != nil {
			t.Error(err)
		}
	})
}

// answering is a transport that answers everything so.
type answering []byte

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	_, err := w.Write(a)
	return w.Result(), err
}

// TestAHugeKeyIsLeftOut: a verification with it would take minutes.
func TestAHugeKeyIsLeftOut(t *testing.T) {
	document := func(bytes int) string {
		n := base64.RawURLEncoding.EncodeToString(slices.Repeat([]byte{0xff}, bytes))
		return fmt.Sprintf(`{"keys":[{"kty":"RSA","alg":"RS256","kid":"x","n":%q,"e":"AQAB"}]}`, n)
	}
	for bytes, wanted := range map[int]bool{512: true, 2048: true, 2049: false, 60_000: false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, document(bytes)) }))
		keys, err := jwks.Source(server.URL, jwks.Config{InsecureHTTP: true})(t.Context())
		server.Close()
		if (err == nil && len(keys) == 1) != wanted {
			t.Errorf("a key of %d bits: %v, %v", bytes*8, keys, err)
		}
	}
}
