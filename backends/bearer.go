package backends

import (
	"net/http"
	"strings"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// Bearer is the transport of RFC 6750: a token travels in the Authorization
// header, and the answer to a log-in is the JSON of RFC 6749 §5.1. A token in
// the query string or in a form counts for nothing.
type Bearer struct {
	// TokenURL is where documentation pages log in, relative to the API's
	// root. Defaults to "auth/<name>/login".
	TokenURL string
}

// bearerToken is the answer to a log-in.
type bearerToken struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
}

// refreshableToken is the answer where there is a refresh token (RFC 6749 §5.1).
type refreshableToken struct {
	bearerToken
	ExpiresIn    int64  `json:"expires_in"` // seconds, rounded up
	RefreshToken string `json:"refresh_token"`
}

// Extract finds the token of the Authorization header. The scheme is matched
// without regard to case (RFC 9110 §11.1).
func (Bearer) Extract(r *http.Request) (string, error) {
	headers := r.Header["Authorization"]
	if len(headers) == 0 {
		return "", authn.ErrNoCredential
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", authn.ErrNoCredential
	}
	token = strings.TrimLeft(token, " ")
	if len(headers) > 1 || len(token) > authn.MaxCredentialSize || !isBearerToken(token) {
		return "", authn.ErrInvalidToken
	}
	return token, nil
}

// isBearerToken reports whether s is a b64token (RFC 6750 §2.1). It looks at
// eight bytes at a time, for a token has hundreds.
func isBearerToken(s string) bool {
	s = strings.TrimRight(s, "=")
	if s == "" {
		return false
	}
	var foreign uint8
	for ; len(s) >= 8; s = s[8:] {
		foreign |= isForeign[s[0]] | isForeign[s[1]] | isForeign[s[2]] | isForeign[s[3]] |
			isForeign[s[4]] | isForeign[s[5]] | isForeign[s[6]] | isForeign[s[7]]
	}
	for i := range len(s) {
		foreign |= isForeign[s[i]]
	}
	return foreign == 0
}

// isForeign is 1 for what is no letter of a b64token, but for "=" at its end.
var isForeign = func() (is [256]uint8) {
	for c := range is {
		if strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/", byte(c)) < 0 {
			is[c] = 1
		}
	}
	return is
}()

// Carry answers with the token as JSON.
func (Bearer) Carry(t authn.Token) (*authn.Response, error) {
	return &authn.Response{
		Status: http.StatusOK,
		Body:   bearerToken{AccessToken: t.Value, TokenType: "bearer"},
	}, nil
}

// RefreshParameter returns true.
func (Bearer) RefreshParameter() bool { return true }

// ExtractRefresh finds none: it is a parameter.
func (Bearer) ExtractRefresh(*http.Request) (string, error) { return "", authn.ErrNoCredential }

// CarryRefresh answers with both tokens as JSON.
func (b Bearer) CarryRefresh(access, refresh authn.Token, now time.Time) (*authn.Response, error) {
	return &authn.Response{
		Status: http.StatusOK,
		Body: refreshableToken{
			bearerToken:  bearerToken{AccessToken: access.Value, TokenType: "bearer"},
			ExpiresIn:    int64((access.ExpiresAt.Sub(now) + time.Second - 1) / time.Second),
			RefreshToken: refresh.Value,
		},
	}, nil
}

// SecurityScheme describes the password flow.
func (b Bearer) SecurityScheme() authn.SecurityScheme {
	return authn.SecurityScheme{Type: "oauth2", TokenURL: b.TokenURL, Scheme: "bearer"}
}

// Challenge returns "Bearer".
func (Bearer) Challenge() string { return "Bearer" }
