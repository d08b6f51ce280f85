package jwt_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/strategies/jwt"
)

func TestMailedTokensOfAnotherAudience(t *testing.T) {
	key := jwt.Secret([]byte(strings.Repeat("k", 32)))
	own, err := jwt.NewResetTokens(key, jwt.MailedConfig{Audience: "camelot:reset"})
	if err != nil {
		t.Fatal(err)
	}
	usual, err := jwt.NewResetTokens(key, jwt.MailedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	token, err := own.Make(t.Context(), authn.Mailed{Subject: "1", Email: "ann@example.com", PasswordDigest: "digest"})
	if err != nil {
		t.Fatal(err)
	}
	if mailed, err := own.Open(t.Context(), token.Value); err != nil || mailed.Subject != "1" {
		t.Errorf("%+v, %v", mailed, err)
	}
	if _, err := usual.Open(t.Context(), token.Value); !errors.Is(err, authn.ErrInvalidToken) {
		t.Errorf("%v", err)
	}
	for _, audience := range []string{jwt.VerifyAudience, jwt.DefaultAudience} {
		if _, err := jwt.NewResetTokens(key, jwt.MailedConfig{Audience: audience}); err == nil {
			t.Errorf("reset tokens may be for %s", audience)
		}
	}
}
