package backends_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"crypto/ed25519"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/strategies/jwt"
)

func withHeader(values ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/?access_token=query", nil)
	r.Header["Authorization"] = values
	return r
}

func TestBearerExtract(t *testing.T) {
	long := strings.Repeat("a", authn.MaxCredentialSize)
	for _, c := range []struct {
		headers []string
		token   string
		err     error
	}{
		{nil, "", authn.ErrNoCredential},
		{[]string{"Bearer abc"}, "abc", nil},
		{[]string{"bEARER abc"}, "abc", nil},
		{[]string{"Bearer   abc"}, "abc", nil},
		{[]string{"Bearer a-._~+/9=="}, "a-._~+/9==", nil},
		{[]string{"Bearer " + long}, long, nil},
		{[]string{"Bearer " + long + "a"}, "", authn.ErrInvalidToken},
		{[]string{""}, "", authn.ErrNoCredential},
		{[]string{"abc"}, "", authn.ErrNoCredential},
		{[]string{"Basic YTpi"}, "", authn.ErrNoCredential},
		{[]string{"BearerX abc"}, "", authn.ErrNoCredential},
		{[]string{"Bearer"}, "", authn.ErrInvalidToken},
		{[]string{"Bearer "}, "", authn.ErrInvalidToken},
		{[]string{"Bearer ="}, "", authn.ErrInvalidToken},
		{[]string{"Bearer a b"}, "", authn.ErrInvalidToken},
		{[]string{"Bearer a=b"}, "", authn.ErrInvalidToken},
		{[]string{"Bearer a,b"}, "", authn.ErrInvalidToken},
		{[]string{"Bearer \ta"}, "", authn.ErrInvalidToken},
		{[]string{"Bearer a\x00"}, "", authn.ErrInvalidToken},
		{[]string{"Bearer ä"}, "", authn.ErrInvalidToken},
		{[]string{"Bearer a", "Bearer b"}, "", authn.ErrInvalidToken},
	} {
		token, err := backends.Bearer{}.Extract(withHeader(c.headers...))
		if token != c.token || !errors.Is(err, c.err) {
			t.Errorf("%.40q: %.40q, %v", c.headers, token, err)
		}
	}
}

func FuzzBearerExtract(f *testing.F) {
	for _, seed := range []string{"Bearer abc", "bearer  a=", "Basic x", "Bearer", "Bearer a, Bearer b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		token, err := backends.Bearer{}.Extract(withHeader(header))
		switch {
		case err == nil && (token == "" || len(token) > authn.MaxCredentialSize || !strings.HasSuffix(header, token)):
			t.Errorf("%q from %q", token, header)
		case err != nil && token != "":
			t.Errorf("%q beside %v", token, err)
		case err != nil && !errors.Is(err, authn.ErrNoCredential) && !errors.Is(err, authn.ErrInvalidToken):
			t.Error(err)
		}
	})
}

// revocable is a strategy that can revoke, or that fails to.
type revocable struct {
	revoked []string
	err     error
}

func (*revocable) Issue(context.Context, authn.Identity) (authn.Token, error) {
	return authn.Token{Value: "t"}, nil
}

func (*revocable) Read(_ context.Context, token string) (authn.Identity, error) {
	return authn.Identity{Subject: token}, nil
}

func (s *revocable) Revoke(_ context.Context, token string) error {
	s.revoked = append(s.revoked, token)
	return s.err
}

// clearing is a transport that can clear.
type clearing struct{ backends.Bearer }

func (clearing) Clear() *authn.Response { return &authn.Response{Status: http.StatusResetContent} }

func newJWT(t *testing.T, key jwt.Key) *jwt.Strategy {
	t.Helper()
	s, err := jwt.New(key, jwt.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhatABackendCan(t *testing.T) {
	signing := newJWT(t, jwt.Secret([]byte(strings.Repeat("s", 32))))
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	verifying := newJWT(t, jwt.PublicKey(public))
	for what, c := range map[string]struct {
		backend       authn.Backend
		login, logout bool
	}{
		"bearer JWT":         {backends.New("b", backends.Bearer{}, signing), true, false},
		"verifier":           {backends.New("b", backends.Bearer{}, verifying), false, false},
		"revocable":          {backends.New("b", backends.Bearer{}, &revocable{}), true, true},
		"clearing JWT":       {backends.New("b", clearing{}, signing), true, true},
		"clearing, verifier": {backends.New("b", clearing{}, verifying), false, true},
	} {
		for _, b := range []authn.Backend{c.backend, authn.RequireVerified(authn.RequireVerified(c.backend))} {
			if _, ok := authn.Can[authn.LoginBackend](b); ok != c.login {
				t.Errorf("%s: log-in %t", what, ok)
			}
			if _, ok := authn.Can[authn.LogoutBackend](b); ok != c.logout {
				t.Errorf("%s: log-out %t", what, ok)
			}
			if challenger, ok := authn.Can[authn.Challenger](b); !ok || challenger.Challenge() != "Bearer" {
				t.Errorf("%s: no challenge", what)
			}
			if _, ok := authn.Can[authn.Strategy](b); !ok {
				t.Errorf("%s: no strategy", what)
			}
			if _, ok := authn.Can[authn.Transport](b); !ok {
				t.Errorf("%s: no transport", what)
			}
			if _, ok := authn.Can[authn.Revoker](b); ok != (what == "revocable") {
				t.Errorf("%s: revocation %t", what, ok)
			}
			if _, ok := authn.Can[authn.Clearer](b); ok {
				t.Errorf("%s: what the backend doesn't offer was found", what)
			}
		}
	}
	if _, ok := authn.Can[authn.LoginBackend](nil); ok {
		t.Error("nothing can log in")
	}
}

func TestLogoutRevokes(t *testing.T) {
	s := &revocable{}
	b := backends.New("b", backends.Bearer{}, s)
	out, _ := authn.Can[authn.LogoutBackend](b)
	if res, err := out.Logout(withHeader("Bearer abc")); err != nil || res.Status != http.StatusNoContent || s.revoked[0] != "abc" {
		t.Errorf("%v, %v, %v", res, err, s.revoked)
	}
	s.err = errors.New("cut")
	if res, err := out.Logout(withHeader("Bearer abc")); !errors.Is(err, s.err) || res != nil {
		t.Errorf("%v, %v", res, err)
	}

	in, _ := authn.Can[authn.LoginBackend](b)
	res, err := in.Login(t.Context(), authn.Identity{Subject: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Undo(t.Context()); !errors.Is(err, s.err) || s.revoked[2] != "t" {
		t.Errorf("%v, %v", err, s.revoked)
	}
}

func TestNewPanicsWithoutItsParts(t *testing.T) {
	for _, f := range []func(){
		func() { backends.New("b", nil, &revocable{}) },
		func() { backends.New("b", backends.Bearer{}, nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		}()
	}
}

func TestTheJWTPreset(t *testing.T) {
	secret := strings.Repeat("secret", 6)
	b, err := backends.JWT(jwt.Secret([]byte(secret)), backends.JWTConfig{})
	if err != nil {
		t.Fatal(err)
	}
	transport, _ := authn.Can[authn.Transport](b)
	if bearer, ok := transport.(backends.Bearer); b.Name() != "jwt" || !ok || bearer.TokenURL != "auth/jwt/login" {
		t.Errorf("%s, %+v", b.Name(), transport)
	}
	strategy, _ := authn.Can[authn.Strategy](b)
	token, err := strategy.Issue(t.Context(), authn.Identity{Subject: "ann"})
	if left := time.Until(token.ExpiresAt); err != nil || left > time.Hour || left < 59*time.Minute {
		t.Errorf("%v, %v", left, err)
	}
	_, err = backends.JWT(jwt.Secret([]byte("hush")), backends.JWTConfig{Name: "partner"})
	if err == nil || !strings.Contains(err.Error(), `"partner"`) || strings.Contains(err.Error(), "hush") {
		t.Error(err)
	}
}

func TestThreeNamedJWTBackends(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	clock := func() time.Time { return now }
	var list []*backends.Backend
	for _, c := range []struct {
		name     string
		lifetime time.Duration
	}{{"web", time.Hour}, {"partner", time.Minute}, {"device", 24 * time.Hour}} {
		b, err := backends.JWT(jwt.Secret([]byte(strings.Repeat(c.name, 16))), backends.JWTConfig{
			Name:   c.name,
			Config: jwt.Config{Lifetime: c.lifetime, Audience: []string{c.name + "-api"}, Now: clock},
		})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, b)
	}
	var tokens []string
	for _, b := range list {
		in, _ := authn.Can[authn.LoginBackend](b)
		res, err := in.Login(t.Context(), authn.Identity{Subject: b.Name()})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		if err := res.Write(w); err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(w.Body.String(), `"access_token":"`)
		token, _, _ := strings.Cut(rest, `"`)
		tokens = append(tokens, token)
	}
	check := func(want map[int]bool) {
		t.Helper()
		for i, b := range list {
			for j, token := range tokens {
				id, err := b.Authenticate(withHeader("Bearer " + token))
				if ok := i == j && want[i]; (err == nil) != ok || ok && (id.Backend != b.Name() || id.Subject != b.Name()) {
					t.Errorf("%s reads %s's token: %v", b.Name(), list[j].Name(), err)
				}
			}
		}
	}
	check(map[int]bool{0: true, 1: true, 2: true})
	now = now.Add(time.Minute)
	check(map[int]bool{0: true, 2: true})
	now = now.Add(time.Hour)
	check(map[int]bool{2: true})
}
