package jwt

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"

	"github.com/echo-users/echo-users/authn"
)

// claims is what the strategy reads of a token (RFC 7519 §4.1, RFC 8176 amr,
// OpenID Connect Core §2 auth_time, RFC 8693 §4.2 scope).
type claims struct {
	says       authn.Identity
	id, issuer string
	userID     string // fastapi-users up to v9
	hasSubject bool
	audience   audience
	notBefore  time.Time
	mailed     bool // to reset a password, by fastapi-users
	kept       bool // and shared by all who read the token
}

// set takes one claim. Names are exact; other claims are the application's.
func (c *claims) set(name, value string) (err error) {
	switch name {
	case "iss":
		c.issuer, err = text(value)
	case "jti":
		c.id, err = text(value)
	case "sub":
		c.says.Subject = ""
		if c.hasSubject = value != "null"; c.hasSubject {
			c.says.Subject, err = text(value)
		}
	case "user_id":
		c.userID, err = text(value)
	case "aud":
		c.audience = audience(value)
	case "exp":
		c.says.ExpiresAt, err = numericDate(value)
	case "nbf":
		c.notBefore, err = numericDate(value)
	case "iat":
		c.says.IssuedAt, err = numericDate(value)
	case "auth_time":
		c.says.AuthTime, err = numericDate(value)
	case "gen":
		c.says.Generation, err = strconv.ParseInt(value, 10, 64)
	case "sid":
		c.says.SessionID, err = text(value)
	case "amr":
		c.says.Methods, err = texts(value)
	case "renewed":
		c.says.Renewed = value != "false" && value != "null"
	case "password_fgpt":
		c.mailed = true
	case "scope":
		value, err = text(value)
		c.says.Scopes = strings.Fields(value)
	}
	return err
}

// reserved are the names that custom claims can't have, in any letter case.
var reserved = []string{
	"iss", "sub", "user_id", "aud", "exp", "nbf", "iat", "jti",
	"auth_time", "gen", "sid", "amr", "scope", "renewed",
}

// owner is the user's id: sub, or user_id where there is none.
func (c *claims) owner() string {
	if c.hasSubject {
		return c.says.Subject
	}
	return c.userID
}

// identity is what the claims of a valid token say about who it is.
func (c *claims) identity() authn.Identity {
	id := c.says
	if c.kept { // the caller gets their own
		id.Methods, id.Scopes = slices.Clone(id.Methods), slices.Clone(id.Scopes)
	}
	return id
}

// audience is an aud claim as it is written: a string or an array of strings
// (RFC 7519 §4.1.3), which is for [audience.each] to find.
type audience string

// each calls visit with each value: errMalformed where it is something else.
func (a audience) each(visit func(aud string)) error {
	if a == "" {
		return nil
	}
	return eachText(string(a), func(aud string) bool {
		visit(aud)
		return true
	})
}

// eachText calls visit with a string, or with each one of an array, until it
// returns false.
func eachText(value string, visit func(one string) bool) error {
	if value[0] == '"' {
		one, err := text(value)
		if err == nil {
			visit(one)
		}
		return err
	}
	if value[0] != '[' {
		return errMalformed
	}
	for i := skipSpace(value, 1); value[i] != ']'; {
		end := valueEnd(value, i)
		one, err := text(value[i:end])
		if err != nil {
			return err
		}
		if !visit(one) {
			return nil
		}
		if i = skipSpace(value, end); value[i] == ',' {
			i = skipSpace(value, i+1)
		}
	}
	return nil
}

// texts decodes an array of strings.
func texts(value string) (list []string, err error) {
	if value[0] != '[' {
		return nil, errMalformed
	}
	err = eachText(value, func(one string) bool {
		list = append(list, one)
		return true
	})
	return list, err
}

// maxNumericDate is the last second of the year 9999.
const maxNumericDate = 253402300799

// numericDate decodes a number of seconds since 1970, whole or not
// (RFC 7519 §2). Nothing but a number is one.
func numericDate(value string) (time.Time, error) {
	if whole, ok := shortInteger(value); ok {
		return time.Unix(whole, 0), nil
	}
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil || value[0] == '"' || seconds < 0 || seconds > maxNumericDate {
		return time.Time{}, errMalformed
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*1e9)), nil
}

// shortInteger decodes a number of up to eleven digits, which is no later than
// maxNumericDate.
func shortInteger(value string) (n int64, ok bool) {
	if len(value) > 11 {
		return 0, false
	}
	for i := range len(value) {
		if value[i] < '0' || value[i] > '9' {
			return 0, false
		}
		n = 10*n + int64(value[i]-'0')
	}
	return n, true
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
