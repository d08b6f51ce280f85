package jwt_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/strategies/jwt"
)

// FuzzRead holds that no text makes Read panic, that its only error is
// [authn.ErrInvalidToken], and that it accepts nothing without a signature
// that this test makes itself, in its one spelling.
func FuzzRead(f *testing.F) {
	strategy := newStrategy(f, jwt.Secret(secret), jwt.Config{})
	issued, err := strategy.Issue(f.Context(), authn.Identity{Subject: "ann", Generation: 3, Methods: []string{authn.MethodPassword}})
	if err != nil {
		f.Fatal(err)
	}
	for _, token := range []string{
		issued.Value, signed(goodHeader, goodClaims), signed(`{"alg":"HS256"}`, `{"user_id":"ann","aud":"fastapi-users:auth","exp":1700000001}`),
		seedToken, "", "..", "e30.e30.", encode(`{"alg":"none"}`) + "." + encode(goodClaims) + ".",
		strings.Replace(issued.Value, ".", "..", 1), issued.Value + "=", issued.Value + "\n",
		signed(strings.Repeat("[", 2000), goodClaims), signed(goodHeader, strings.Repeat(`{"a":`, 900)),
	} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		id, err := strategy.Read(t.Context(), token)
		if err != nil {
			if !errors.Is(err, authn.ErrInvalidToken) || id.Subject != "" {
				t.Fatalf("%q beside %v", id.Subject, err)
			}
			return
		}
		if len(token) > authn.MaxCredentialSize {
			t.Fatalf("%d bytes are accepted", len(token))
		}
		dot := strings.LastIndexByte(token, '.')
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(token[:dot]))
		if want := base64.RawURLEncoding.EncodeToString(mac.Sum(nil)); token[dot+1:] != want {
			t.Fatalf("accepted with a wrong signature: %q", token)
		}
		var header struct {
			Alg string `json:"alg"`
		}
		first, _, _ := strings.Cut(token, ".")
		data, err := base64.RawURLEncoding.Strict().DecodeString(first)
		if err != nil || json.Unmarshal(data, &header) != nil || header.Alg != "HS256" {
			t.Fatalf("accepted with the header %q: %v", data, err)
		}
		if id.Subject == "" || !noon.Before(id.ExpiresAt) || id.ExpiresAt.After(time.Unix(253402300800, 0)) {
			t.Fatalf("accepted as %+v", id)
		}
	})
}
