package jwt

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"
)

// BenchmarkParts is what the check of a token is made of: docs/performance.
func BenchmarkParts(b *testing.B) {
	secret := []byte("0123456789abcdef0123456789abcdef")
	token, err := gojwt.NewWithClaims(gojwt.SigningMethodHS256, gojwt.MapClaims{
		"sub": "01a209c3-dadb-747c-9e50-9cb4cf1ba330", "aud": []string{DefaultAudience}, "iat": 1_700_000_000, "exp": 1_700_003_600, "amr": []string{"pwd"},
	}).SignedString(secret)
	if err != nil {
		b.Fatal(err)
	}
	end := strings.LastIndexByte(token, '.')
	signed, signature := token[:end], token[end+1:]
	_, payload, _ := strings.Cut(signed, ".")
	data, err := encoding.DecodeString(payload)
	if err != nil {
		b.Fatal(err)
	}
	var read claims
	if err := decodeClaims(payload, read.set); err != nil {
		b.Fatal(err)
	}
	kept, sum := new(verifiedTokens), digestOf(token)
	read.says.Claims = payload
	kept.keep(&sum, &read, time.Now())
	for _, part := range []struct {
		name string
		run  func() bool
	}{
		{"HMAC, with base64 of the signature", func() bool {
			sum, err := encoding.DecodeString(signature)
			return err == nil && gojwt.SigningMethodHS256.Verify(signed, sum, secret) == nil
		}},
		{"base64 of the claims", func() bool {
			var few [1 << 10]byte
			_, err := encoding.Decode(few[:], []byte(payload))
			return err == nil
		}},
		{"claims, with their base64", func() bool { return decodeClaims(payload, new(claims).set) == nil }},
		{"in place of these: SHA-256, and a look-up", func() bool {
			sum := digestOf(token)
			return kept.recall(&sum) != nil
		}},
		{"claims by encoding-json", func() bool {
			var c struct {
				Sub string   `json:"sub"`
				Aud []string `json:"aud"`
				Iat int64    `json:"iat"`
				Exp int64    `json:"exp"`
				Amr []string `json:"amr"`
			}
			return json.Unmarshal(data, &c) == nil
		}},
	} {
		b.Run(strings.ReplaceAll(part.name, " ", "_"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !part.run() {
					b.Fatal("refused")
				}
			}
		})
	}
}
