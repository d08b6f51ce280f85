package jwt_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/strategies/jwt"
)

func mailedTokens(t testing.TB) (verify, reset *jwt.MailedTokens) {
	t.Helper()
	cfg := jwt.MailedConfig{Now: func() time.Time { return noon }}
	verify, err := jwt.NewVerifyTokens(jwt.Secret(secret), cfg)
	if err != nil {
		t.Fatal(err)
	}
	reset, err = jwt.NewResetTokens(jwt.Secret(secret), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return verify, reset
}

func TestMailedTokensSayWhatTheySay(t *testing.T) {
	verify, reset := mailedTokens(t)
	said := authn.Mailed{Subject: "ann", Email: "ann@example.com", Generation: 3, PasswordDigest: "digest"}
	for purpose, tokens := range map[string]*jwt.MailedTokens{"verify": verify, "reset": reset} {
		token, err := tokens.Make(t.Context(), said)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tokens.Open(t.Context(), token.Value)
		want := said
		want.ExpiresAt = noon.Add(time.Hour).Truncate(time.Second)
		if purpose == "verify" {
			want.Generation, want.PasswordDigest = 0, ""
		}
		if err != nil || !got.ExpiresAt.Equal(want.ExpiresAt) || !token.ExpiresAt.Equal(want.ExpiresAt) {
			t.Errorf("%s: %+v, %v", purpose, got, err)
		}
		if got.ExpiresAt = want.ExpiresAt; got != want {
			t.Errorf("%s: %+v, want %+v", purpose, got, want)
		}
		// One key for all, and none passes for another.
		for other, wrong := range map[string]*jwt.MailedTokens{"verify": verify, "reset": reset} {
			if _, err := wrong.Open(t.Context(), token.Value); (err == nil) != (other == purpose) {
				t.Errorf("a %s token opened as %s: %v", purpose, other, err)
			}
		}
		if _, err := newStrategy(t, jwt.Secret(secret), jwt.Config{SkipAudience: true}).Read(t.Context(), token.Value); !errors.Is(err, authn.ErrInvalidToken) {
			t.Errorf("a %s token gives access: %v", purpose, err)
		}
		if text := fmt.Sprintf("%v %+v %#v", tokens, *tokens, tokens); strings.Contains(text, string(secret)) {
			t.Error("the secret is printed")
		}
	}
	for _, m := range []authn.Mailed{{Subject: "ann", PasswordDigest: "digest"}, {Email: "ann@example.com", PasswordDigest: "digest"}, {Subject: "ann", Email: "ann@example.com"}} {
		if _, err := reset.Make(t.Context(), m); err == nil {
			t.Errorf("a token of %+v", m)
		}
	}
}

func TestMailedTokensRefuseBadKeys(t *testing.T) {
	for what, make := range map[string]func() error{
		"short": func() error {
			_, err := jwt.NewVerifyTokens(jwt.Secret([]byte("short")), jwt.MailedConfig{})
			return err
		},
		"none": func() error { _, err := jwt.NewResetTokens(jwt.Key{}, jwt.MailedConfig{}); return err },
		"lifetime": func() error {
			_, err := jwt.NewResetTokens(jwt.Secret(secret), jwt.MailedConfig{Lifetime: 1})
			return err
		},
	} {
		if err := make(); err == nil {
			t.Error(what)
		}
	}
}

// FuzzOpenMailed holds that no text makes Open panic, that its only error is
// [authn.ErrInvalidToken], and that what it accepts has something to die with.
func FuzzOpenMailed(f *testing.F) {
	verify, reset := mailedTokens(f)
	for _, tokens := range []*jwt.MailedTokens{verify, reset} {
		token, err := tokens.Make(f.Context(), authn.Mailed{Subject: "ann", Email: "a@example.com", PasswordDigest: "digest"})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(token.Value)
	}
	const exp = `"exp":1700003600`
	for _, claims := range []string{
		`{"sub":"a","aud":"fastapi-users:verify","email":"a@example.com",` + exp + `}`,
		`{"user_id":"a","aud":["fastapi-users:reset"],"password_fgpt":"$2b$12$x",` + exp + `}`,
		`{"sub":"a","aud":"fastapi-users:reset","password_fgpt":7,` + exp + `}`, `{}`, `[]`,
	} {
		f.Add(signed(goodHeader, claims))
	}
	f.Add("")
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		for _, tokens := range []*jwt.MailedTokens{verify, reset} {
			m, err := tokens.Open(t.Context(), token)
			if err != nil {
				if !errors.Is(err, authn.ErrInvalidToken) || m != (authn.Mailed{}) {
					t.Fatalf("%+v beside %v", m, err)
				}
				continue
			}
			if m.Subject == "" || m.Email == "" && m.PasswordFingerprint == "" || tokens == reset && m.PasswordDigest == "" && m.PasswordFingerprint == "" || !noon.Before(m.ExpiresAt) {
				t.Fatalf("accepted as %+v", m)
			}
		}
	})
}
