package jwt_test

import (
	"strings"
	"testing"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/strategies/jwt"
)

func python(t *testing.T, secret string, claims gojwt.MapClaims) string {
	t.Helper()
	claims["exp"] = time.Now().Add(time.Hour).Unix()
	token, err := gojwt.NewWithClaims(gojwt.SigningMethodHS256, claims).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestNoKindOfTokenPassesForAnother(t *testing.T) {
	secret := strings.Repeat("k", 32)
	key := jwt.Secret([]byte(secret))
	verify, err := jwt.NewVerifyTokens(key, jwt.MailedConfig{Audience: "camelot"})
	if err != nil {
		t.Fatal(err)
	}
	reset, err := jwt.NewResetTokens(key, jwt.MailedConfig{Audience: "camelot"})
	if err != nil {
		t.Fatal(err)
	}
	for what, claims := range map[string]gojwt.MapClaims{
		"access":            {"sub": "1", "aud": []string{"camelot"}},
		"access with email": {"sub": "1", "aud": []string{"camelot", "x"}, "email": "a@b.c"},
		"reset":             {"user_id": "1", "sub": "1", "aud": "camelot", "password_fgpt": "x"},
	} {
		if m, err := verify.Open(t.Context(), python(t, secret, claims)); err == nil {
			t.Errorf("verify takes %s: %+v", what, m)
		}
	}
	for what, claims := range map[string]gojwt.MapClaims{
		"access":          {"sub": "1", "aud": []string{"camelot"}},
		"verify":          {"sub": "1", "aud": "camelot", "email": "a@b.c"},
		"verify with one": {"sub": "1", "aud": "camelot", "email": "a@b.c", "password_digest": "digest"},
	} {
		if m, err := reset.Open(t.Context(), python(t, secret, claims)); err == nil {
			t.Errorf("reset takes %s: %+v", what, m)
		}
	}
	v, _ := verify.Make(t.Context(), authn.Mailed{Subject: "1", Email: "a@b.c"})
	r, err := reset.Make(t.Context(), authn.Mailed{Subject: "1", Email: "a@b.c", PasswordDigest: "digest"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reset.Open(t.Context(), v.Value); err == nil {
		t.Error("reset takes verify")
	}
	if _, err := verify.Open(t.Context(), r.Value); err == nil {
		t.Error("verify takes reset")
	}
	for what, cfg := range map[string]jwt.Config{"same audience": {Audience: []string{"camelot"}}, "SkipAudience": {SkipAudience: true}} {
		access, err := jwt.New(key, cfg)
		if err != nil {
			t.Fatal(err)
		}
		for name, token := range map[string]string{
			"our verify": v.Value, "our reset": r.Value,
			"python's verify":       python(t, secret, gojwt.MapClaims{"sub": "1", "aud": "camelot", "email": "a@b.c"}),
			"python's reset":        python(t, secret, gojwt.MapClaims{"sub": "1", "aud": "camelot", "password_fgpt": "x"}),
			"python's reset, usual": python(t, secret, gojwt.MapClaims{"sub": "1", "aud": jwt.ResetAudience, "password_fgpt": "x"}),
		} {
			// Of which nothing but its audience says what it is for.
			known := name == "python's verify"
			if id, err := access.Read(t.Context(), token); (err == nil) != known {
				t.Errorf("%s: an access strategy takes %s: %v", what, name, id.Subject)
			}
		}
	}
	for _, aud := range []string{"fastapi-users:auth", "fastapi-users:reset", "fastapi-users:x"} {
		if _, err := jwt.NewVerifyTokens(key, jwt.MailedConfig{Audience: aud}); err == nil {
			t.Error(aud)
		}
	}
}
