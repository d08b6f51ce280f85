package oauth

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"
)

// AppleKey is the key with which the application signs its client secret: "Sign
// in with Apple" has no other one.
type AppleKey struct {
	// TeamID and KeyID are ten letters and digits each.
	TeamID, KeyID string
	// PEM is the content of the .p8 file.
	PEM []byte
}

// Format prints the key's id alone, whatever the verb.
func (k AppleKey) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[key %s]", k.KeyID) }

// LogValue returns the key's id alone.
func (k AppleKey) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(k)) }

const (
	appleIssuer = "https://appleid.apple.com"
	// appleSecretLife is how long a secret is good; Apple takes six months.
	appleSecretLife = 5 * time.Minute
)

// Apple is Sign in with Apple, under the name "apple". clientID is the Services
// ID. It answers by a POST; only the address is taken from it, which may be one
// of Apple's relay.
func Apple(clientID string, key AppleKey) Provider {
	p := OpenID("apple", appleIssuer, Client{ID: clientID})
	p.Scopes, p.FormPost = []string{"openid", "email"}, true
	private, err := parseAppleKey(key)
	if err != nil {
		p.err = err
	}
	p.NewSecret = func(context.Context) (string, error) {
		now := time.Now()
		token := gojwt.NewWithClaims(gojwt.SigningMethodES256, gojwt.MapClaims{
			"iss": key.TeamID, "sub": clientID, "aud": appleIssuer,
			"iat": now.Unix(), "exp": now.Add(appleSecretLife).Unix(),
		})
		token.Header["kid"] = key.KeyID
		return token.SignedString(private)
	}
	return p
}

func parseAppleKey(key AppleKey) (*ecdsa.PrivateKey, error) {
	if key.TeamID == "" || key.KeyID == "" {
		return nil, errors.New("the TeamID or the KeyID is empty")
	}
	block, _ := pem.Decode(key.PEM)
	if block == nil {
		return nil, errors.New("the key is no PEM: give the content of the .p8 file")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || private.Curve.Params().BitSize != 256 {
		return nil, errors.New("the PEM has no private key of the curve P-256 in it")
	}
	return private, nil
}
