package jwt_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/strategies/jwt"
)

type person struct {
	authn.Account
	roles []string
}

func (*person) AuthID() string                { return "ann" }
func (p *person) AuthAccount() *authn.Account { return &p.Account }

type roles struct {
	Roles []string `json:"roles"`
}

func TestWhatIsIssued(t *testing.T) {
	issue := func(cfg jwt.Config, id authn.Identity) (string, string, error) {
		s := newStrategy(t, jwt.Secret(secret), cfg)
		token, err := s.Issue(t.Context(), id)
		if err != nil {
			return "", "", err
		}
		parts := strings.Split(token.Value, ".")
		header, _ := base64.RawURLEncoding.DecodeString(parts[0])
		claims, _ := base64.RawURLEncoding.DecodeString(parts[1])
		if back, err := s.Read(t.Context(), token.Value); err != nil || back.Subject != id.Subject || back.Generation != id.Generation ||
			!back.ExpiresAt.Equal(token.ExpiresAt) || !reflect.DeepEqual(back.Methods, id.Methods) || back.SessionID != id.SessionID {
			t.Errorf("%+v, %v", back, err)
		}
		return string(header), string(claims), nil
	}
	for what, c := range map[string]struct {
		cfg    jwt.Config
		id     authn.Identity
		claims string
	}{
		"plain": {jwt.Config{}, authn.Identity{Subject: "ann", AuthTime: noon, Methods: []string{"pwd"}},
			`{"amr":["pwd"],"aud":["fastapi-users:auth"],"auth_time":1700000000,"exp":1700003600,"iat":1700000000,"sub":"ann"}`},
		"full": {jwt.Config{Lifetime: time.Minute, Audience: []string{"a", "b"}, Issuer: "me"},
			authn.Identity{Subject: "ann", Generation: 7, AuthTime: noon.Add(-time.Hour), SessionID: "s", Scopes: []string{"x", "y"}},
			`{"aud":["a","b"],"auth_time":1699996400,"exp":1700000060,"gen":7,"iat":1700000000,"iss":"me","scope":"x y","sid":"s","sub":"ann"}`},
		"bare": {jwt.Config{SkipAudience: true, SkipExpiry: true}, authn.Identity{Subject: "ann"}, `{"iat":1700000000,"sub":"ann"}`},
		"custom": {jwt.Config{Claims: jwt.ClaimsOf(func(_ context.Context, p *person) (roles, error) { return roles{p.roles}, nil })},
			authn.Identity{Subject: "ann", User: &person{roles: []string{"editor"}}},
			`{"aud":["fastapi-users:auth"],"exp":1700003600,"iat":1700000000,"roles":["editor"],"sub":"ann"}`},
	} {
		header, claims, err := issue(c.cfg, c.id)
		if err != nil || header != goodHeader || claims != c.claims {
			t.Errorf("%s: %v\n%s\n%s", what, err, header, claims)
		}
	}
	refused := errors.New("no roles")
	for what, c := range map[string]struct {
		claims jwt.ClaimsFunc
		want   string
	}{
		"reserved":  {func(context.Context, authn.Identity) (any, error) { return map[string]string{"Sub": "root"}, nil }, `"Sub" is reserved`},
		"user_id":   {func(context.Context, authn.Identity) (any, error) { return map[string]string{"user_id": "root"}, nil }, "reserved"},
		"no object": {func(context.Context, authn.Identity) (any, error) { return []int{1}, nil }, "no JSON object"},
		"too much": {func(context.Context, authn.Identity) (any, error) {
			return map[string]string{"x": strings.Repeat("x", 9000)}, nil
		}, "are accepted"},
		"other user": {jwt.ClaimsOf(func(context.Context, *person) (roles, error) { return roles{}, nil }), "person"},
		"refused":    {func(context.Context, authn.Identity) (any, error) { return nil, refused }, "no roles"},
	} {
		if _, _, err := issue(jwt.Config{Claims: c.claims}, authn.Identity{Subject: "ann"}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, _, err := issue(jwt.Config{}, authn.Identity{}); err == nil {
		t.Error("a token of nobody's")
	}
}

func ExampleClaimsOf() {
	strategy, err := jwt.New(jwt.Secret(secret), jwt.Config{
		Claims: jwt.ClaimsOf(func(ctx context.Context, u *person) (roles, error) {
			return roles{u.roles}, nil
		}),
	})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	token, err := strategy.Issue(ctx, authn.Identity{Subject: "ann", User: &person{roles: []string{"editor"}}})
	if err != nil {
		panic(err)
	}
	identity, err := strategy.Read(ctx, token.Value)
	if err != nil {
		panic(err)
	}
	claims, err := jwt.ReadClaims[roles](identity)
	fmt.Println(identity.Subject, claims.Roles, err)
	// Output: ann [editor] <nil>
}

// A service that has the public key alone verifies, and can't issue.
func ExamplePublicKey() {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	issuer, err := jwt.New(jwt.PrivateKey(private), jwt.Config{Audience: []string{"reports"}})
	if err != nil {
		panic(err)
	}
	verifier, err := jwt.New(jwt.PublicKey(public), jwt.Config{Audience: []string{"reports"}})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	token, err := issuer.Issue(ctx, authn.Identity{Subject: "ann"})
	if err != nil {
		panic(err)
	}
	identity, err := verifier.Read(ctx, token.Value)
	fmt.Println(identity.Subject, err, verifier.CanIssue())
	// Output: ann <nil> false
}
