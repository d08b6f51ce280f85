package jwt_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/strategies/jwt"
)

func issueAndRead(t *testing.T, cfg jwt.Config, id authn.Identity) authn.Identity {
	t.Helper()
	s := newStrategy(t, jwt.Secret(secret), cfg)
	token, err := s.Issue(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	back, err := s.Read(t.Context(), token.Value)
	if err != nil {
		t.Fatal(err)
	}
	return back
}

func TestAnIdentitySurvivesTheRoundTrip(t *testing.T) {
	for _, id := range []authn.Identity{
		{Subject: "ann"},
		{Subject: "9221ffc9-640f-4372-86d3-ce642cba5603", Generation: 1 << 53, AuthTime: noon},
		{Subject: "7", Generation: 9_007_199_254_740_993, AuthTime: noon.Add(-time.Hour), SessionID: "session", Methods: []string{"pwd", "otp"}},
		{Subject: `a"b\c/d<é>` + "\u2028", Scopes: []string{"read:all", "write"}, Methods: []string{"hwk"}},
	} {
		back := issueAndRead(t, jwt.Config{}, id)
		if back.Subject != id.Subject || back.Generation != id.Generation || back.SessionID != id.SessionID ||
			!back.IssuedAt.Equal(noon) || !back.AuthTime.Equal(id.AuthTime) || !back.ExpiresAt.Equal(noon.Add(time.Hour)) ||
			fmt.Sprint(back.Methods, back.Scopes) != fmt.Sprint(id.Methods, id.Scopes) || back.User != nil {
			t.Errorf("%+v\nbecame %+v", id, back)
		}
	}
}

// A credential that says nothing of a generation or a time says so.
func TestWhatATokenDoesNotSay(t *testing.T) {
	s := newStrategy(t, jwt.Secret(secret), jwt.Config{})
	id, err := s.Read(t.Context(), access(`,"aud":"fastapi-users:auth"`))
	if err != nil || id.Generation != 0 || !id.IssuedAt.IsZero() || !id.AuthTime.IsZero() || len(id.Methods)+len(id.Scopes) > 0 || id.SessionID != "" {
		t.Errorf("%+v, %v", id, err)
	}
	for _, wrong := range []string{
		`"gen":"1"`, `"gen":1.0`, `"gen":1e0`, `"gen":9223372036854775808`, `"gen":[1]`, `"amr":"pwd"`, `"amr":[1]`, `"amr":null`,
		`"sid":7`, `"scope":["a"]`, `"iss":7`, `"iat":"now"`, `"auth_time":[]`, `"nbf":"1"`, `"nbf":null`,
	} {
		if _, err := s.Read(t.Context(), access(`,"aud":"fastapi-users:auth",`+wrong)); !errors.Is(err, authn.ErrInvalidToken) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

// issueCustom issues a token with these custom claims.
func issueCustom(t *testing.T, custom any) error {
	t.Helper()
	s := newStrategy(t, jwt.Secret(secret), jwt.Config{
		Claims: func(context.Context, authn.Identity) (any, error) { return custom, nil },
	})
	token, err := s.Issue(t.Context(), authn.Identity{Subject: "ann"})
	if (token.Value == "") != (err != nil) {
		t.Errorf("%v: a token beside %v", custom, err)
	}
	return err
}

func TestCustomClaimsTakeNoNameOfOurs(t *testing.T) {
	for _, name := range []string{"iss", "sub", "user_id", "aud", "exp", "nbf", "iat", "jti", "auth_time", "gen", "sid", "amr", "scope"} {
		for _, spelled := range []string{name, strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:], strings.Replace(name, "s", "ſ", 1)} {
			if err := issueCustom(t, map[string]any{spelled: "x", "fine": 1}); err == nil || !strings.Contains(err.Error(), spelled) {
				t.Errorf("%s: %v", spelled, err)
			}
		}
	}
	for _, name := range []string{"roles", "subs", "x_sub", "https://example.org/sub", ""} {
		if err := issueCustom(t, map[string]any{name: "x"}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for what, custom := range map[string]any{
		"list": []string{"x"}, "text": "x", "number": 7, "bool": true, "channel": make(chan int), "raw text": json.RawMessage(`"x"`), "broken": json.RawMessage(`{`),
	} {
		if err := issueCustom(t, custom); err == nil {
			t.Errorf("a %s became claims", what)
		}
	}
}

func TestClaimsOfIsForItsUserType(t *testing.T) {
	claims := jwt.ClaimsOf(func(_ context.Context, u *person) (roles, error) { return roles{u.roles}, nil })
	back := issueAndRead(t, jwt.Config{Claims: claims}, authn.Identity{Subject: "ann", User: &person{roles: []string{"editor", "admin"}}})
	got, err := jwt.ReadClaims[roles](back)
	if err != nil || fmt.Sprint(got.Roles) != "[editor admin]" {
		t.Errorf("%+v, %v", got, err)
	}
	if all, err := jwt.ReadClaims[map[string]any](back); err != nil || all["sub"] != "ann" || all["roles"] == nil {
		t.Errorf("%v, %v", all, err)
	}
	s := newStrategy(t, jwt.Secret(secret), jwt.Config{Claims: claims})
	for _, u := range []any{nil, "ann", person{}, new(stranger)} {
		if token, err := s.Issue(t.Context(), authn.Identity{Subject: "ann", User: u}); err == nil || token.Value != "" || !strings.Contains(err.Error(), "person") {
			t.Errorf("%T: %v", u, err)
		}
	}
}

// stranger is another application's user.
type stranger struct{ person }

func TestReadClaimsOfNothing(t *testing.T) {
	for what, id := range map[string]authn.Identity{
		"no claims": {}, "no base64": {Claims: "!"}, "no JSON": {Claims: encode("{")}, "another type": {Claims: encode(`{"roles":"editor"}`)},
	} {
		if got, err := jwt.ReadClaims[roles](id); err == nil || !strings.Contains(err.Error(), "roles") {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
}

// What a token's answer says of its end is what the token itself says.
func TestTheEndOfATokenIsItsExp(t *testing.T) {
	for _, now := range []time.Time{noon, noon.Add(999 * time.Millisecond)} {
		s := newStrategy(t, jwt.Secret(secret), jwt.Config{Now: at(now), Lifetime: time.Minute})
		token, err := s.Issue(t.Context(), authn.Identity{Subject: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		id, err := s.Read(t.Context(), token.Value)
		if err != nil || !id.ExpiresAt.Equal(token.ExpiresAt) {
			t.Errorf("the token ends at %v, and says %v (%v)", token.ExpiresAt, id.ExpiresAt, err)
		}
	}
}
