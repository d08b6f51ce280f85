package jwt

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"

	"github.com/echo-users/echo-users/authn"
)

// claims is what the strategy reads of a token (RFC 7519 §4.1, RFC 8176 amr,
// OpenID Connect Core §2 auth_time, RFC 8693 §4.2 scope).
type claims struct {
	Issuer     string      `json:"iss"`
	Subject    *string     `json:"sub"`
	UserID     *string     `json:"user_id"` // fastapi-users up to v9
	Audience   audience    `json:"aud"`
	ExpiresAt  numericDate `json:"exp"`
	NotBefore  numericDate `json:"nbf"`
	IssuedAt   numericDate `json:"iat"`
	AuthTime   numericDate `json:"auth_time"`
	Generation int64       `json:"gen"`
	SessionID  string      `json:"sid"`
	Methods    []string    `json:"amr"`
	Scope      string      `json:"scope"`
}

// reserved are the names that custom claims can't have, in any letter case.
var reserved = []string{
	"iss", "sub", "user_id", "aud", "exp", "nbf", "iat", "jti",
	"auth_time", "gen", "sid", "amr", "scope",
}

func (c *claims) subject() string {
	switch {
	case c.Subject != nil:
		return *c.Subject
	case c.UserID != nil:
		return *c.UserID
	}
	return ""
}

// identity is what the claims say about who it is.
func (c *claims) identity() authn.Identity {
	id := authn.Identity{
		Subject:    c.subject(),
		SessionID:  c.SessionID,
		Generation: c.Generation,
		IssuedAt:   c.IssuedAt.Time,
		AuthTime:   c.AuthTime.Time,
		Methods:    c.Methods,
		ExpiresAt:  c.ExpiresAt.Time,
		Scopes:     strings.Fields(c.Scope),
	}
	if id.AuthTime.IsZero() {
		id.AuthTime = id.IssuedAt
	}
	return id
}

// The strategy validates claims itself, after the signature; golang-jwt's
// interface is satisfied and not asked.

func (c *claims) GetExpirationTime() (*gojwt.NumericDate, error) { return nil, nil }
func (c *claims) GetIssuedAt() (*gojwt.NumericDate, error)       { return nil, nil }
func (c *claims) GetNotBefore() (*gojwt.NumericDate, error)      { return nil, nil }
func (c *claims) GetIssuer() (string, error)                     { return "", nil }
func (c *claims) GetSubject() (string, error)                    { return "", nil }
func (c *claims) GetAudience() (gojwt.ClaimStrings, error)       { return nil, nil }

// audience is a string or an array of strings (RFC 7519 §4.1.3).
type audience []string

func (a *audience) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var one string
		err := json.Unmarshal(data, &one)
		*a = audience{one}
		return err
	}
	// Pointers, so that null is told from "".
	var several []*string
	if err := json.Unmarshal(data, &several); err != nil {
		return err
	}
	if several == nil {
		return errors.New("aud is null")
	}
	*a = make(audience, 0, len(several))
	for _, one := range several {
		if one == nil {
			return errors.New("aud has a null")
		}
		*a = append(*a, *one)
	}
	return nil
}

// numericDate is a number of seconds since 1970 (RFC 7519 §2); it is zero
// where the claim is absent, and nothing else but a number is one.
type numericDate struct{ time.Time }

// maxNumericDate is the last second of the year 9999.
const maxNumericDate = 253402300799

func (d *numericDate) UnmarshalJSON(data []byte) error {
	var seconds float64
	if bytes.Equal(data, []byte("null")) {
		return errors.New("a date is null")
	}
	if err := json.Unmarshal(data, &seconds); err != nil {
		return err
	}
	if seconds < 0 || seconds > maxNumericDate {
		return errors.New("a date is out of range")
	}
	whole, part := math.Modf(seconds)
	d.Time = time.Unix(int64(whole), int64(part*1e9))
	return nil
}

// ClaimsFunc makes the custom claims of a token; its result must marshal to a
// JSON object without the names that the strategy uses itself. An error
// refuses the log-in. [ClaimsOf] makes a typed one.
type ClaimsFunc func(ctx context.Context, id authn.Identity) (any, error)

// ClaimsOf returns the [ClaimsFunc] that calls f with the user who logs in.
//
//	jwt.Config{Claims: jwt.ClaimsOf(func(ctx context.Context, u *AppUser) (Roles, error) { … })}
func ClaimsOf[U authn.User, C any](f func(ctx context.Context, u U) (C, error)) ClaimsFunc {
	return func(ctx context.Context, id authn.Identity) (any, error) {
		u, ok := id.User.(U)
		if !ok {
			return nil, fmt.Errorf("jwt: the claims are for users of type %T, and this one is a %T", u, id.User)
		}
		return f(ctx, u)
	}
}

// ReadClaims decodes the claims set of the token that id was read from.
func ReadClaims[C any](id authn.Identity) (C, error) {
	var c C
	data, err := base64.RawURLEncoding.DecodeString(id.Claims)
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		return c, fmt.Errorf("jwt: this identity has no claims of type %T: %w", c, err)
	}
	return c, nil
}

// addCustom adds custom claims to the strategy's own.
func addCustom(to gojwt.MapClaims, custom any) error {
	data, err := json.Marshal(custom)
	if err != nil {
		return err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return fmt.Errorf("jwt: custom claims of type %T are no JSON object", custom)
	}
	for name, value := range members {
		for _, own := range reserved {
			if strings.EqualFold(name, own) {
				return fmt.Errorf("jwt: the custom claim %q is reserved", name)
			}
		}
		to[name] = value
	}
	return nil
}
