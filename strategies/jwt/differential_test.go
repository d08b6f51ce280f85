package jwt_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"

	"github.com/echo-users/echo-users/strategies/jwt"
)

// FuzzAgainstGolangJWT holds the strategy's own verification against
// golang-jwt's parser: what the strategy accepts, the parser accepts too, and
// reads the same subject from it; KeepVerified changes neither, the first
// time or the second. Most inputs are rightly signed, so that
// headers and claims are tried and not the signature alone.
func FuzzAgainstGolangJWT(f *testing.F) {
	secret := []byte("0123456789abcdef0123456789abcdef")
	now := time.Unix(1_700_000_000, 0)
	strategy, err := jwt.New(jwt.Secret(secret), jwt.Config{Now: func() time.Time { return now }})
	if err != nil {
		f.Fatal(err)
	}
	keeping, err := jwt.New(jwt.Secret(secret), jwt.Config{KeepVerified: true, Now: func() time.Time { return now }})
	if err != nil {
		f.Fatal(err)
	}
	parser := gojwt.NewParser(
		gojwt.WithValidMethods([]string{"HS256"}),
		gojwt.WithStrictDecoding(),
		gojwt.WithExpirationRequired(),
		gojwt.WithAudience(jwt.DefaultAudience),
		gojwt.WithTimeFunc(func() time.Time { return now }),
	)
	sign := func(unsigned string) string {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(unsigned))
		return unsigned + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	for _, header := range []string{
		`{"alg":"HS256","typ":"JWT"}`, `{"typ":"JWT","alg":"HS256"}`, `{"alg":"none"}`, `{"ALG":"HS256"}`,
		`{"alg":"HS256","crit":["b64"],"b64":false}`, `{"alg":"HS256","alg":"HS512"}`, `{"alg":"HS256"}{}`, ` {"alg":"HS256"} `, `null`, `[]`,
	} {
		for _, claims := range []string{
			`{"sub":"a","aud":["fastapi-users:auth"],"exp":1700000001}`, `{"user_id":"a","aud":"fastapi-users:auth","exp":1.7e9}`,
			` { "sub" : "a" , "sub" : "b" , "aud" : [ "x" , "fastapi-users:auth" ] , "exp":1700000001.5,"nbf":1699999999,"x":{"y":["]}"]}} `,
			`{"SUB":"a","aud":"fastapi-users:auth","exp":1800000000}`, `{"s\u0075b":"\u00e4\ud800","aud":"fastapi-users:auth","exp":18e8}`,
			`{"sub":1}`, `{}`, `null`, `{"sub":null,"user_id":"b","aud":["fastapi-users:auth",null],"exp":"1800000000"}`,
		} {
			f.Add(header, claims, "")
		}
	}
	f.Add(`{"alg":"HS256"}`, `{}`, "AAAA")
	f.Add(`{"alg":"HS256","typ":"JWT"}`, `{}`, strings.Repeat("0", 88)+"1")
	f.Add(`{"alg":"HS256","typ":"JWT"}`, `{}`, strings.Repeat("A", 88))
	encode := base64.RawURLEncoding.EncodeToString
	f.Fuzz(func(t *testing.T, header, claims, signature string) {
		token := encode([]byte(header)) + "." + encode([]byte(claims))
		if signature == "" {
			token = sign(token)
		} else {
			token += "." + signature
		}
		id, err := strategy.Read(t.Context(), token)
		for range 2 {
			if other, otherErr := keeping.Read(t.Context(), token); fmt.Sprint(otherErr) != fmt.Sprint(err) || !reflect.DeepEqual(other, id) {
				t.Fatalf("%+v, %v, and with KeepVerified %+v, %v: %q", id, err, other, otherErr, token)
			}
		}
		if err != nil {
			return
		}
		read := gojwt.MapClaims{}
		if _, err := parser.ParseWithClaims(token, read, func(*gojwt.Token) (any, error) { return secret, nil }); err != nil {
			t.Fatalf("accepted, and golang-jwt says %v: %q", err, token)
		}
		subject, ok := read["sub"].(string)
		if !ok {
			subject, _ = read["user_id"].(string)
		}
		if subject != id.Subject {
			t.Fatalf("subject %q, and golang-jwt reads %q: %q", id.Subject, subject, token)
		}
	})
}
