package oauth

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	"golang.org/x/oauth2"

	"github.com/echo-users/echo-users/authn/linked"
)

// state is what a flow remembers while the person is at the provider. It
// travels as the "state" parameter, sealed, and is good for one browser,
// provider, flow and use (RFC 9700 §2.1, §4.7).
type state struct {
	ID       string   `json:"i"`
	Provider string   `json:"p"`
	Flow     flowKind `json:"f"`
	Backend  string   `json:"b,omitempty"`
	User     string   `json:"u,omitempty"` // who links an account
	Redirect string   `json:"r,omitempty"`
	Nonce    string   `json:"n"`
	Verifier string   `json:"v"`           // PKCE, RFC 7636 §4.1
	Browser  string   `json:"c"`           // the hash of its cookie
	Foreign  bool     `json:"x,omitempty"` // another site began it
	Expires  int64    `json:"e"`           // in seconds
}

type flowKind string

const (
	flowLogin flowKind = "login"
	flowLink  flowKind = "link"
)

const purposeState = "oauth.state"

// maxState is the longest state that is looked at, in bytes.
const maxState = 4 << 10

func newState(provider string, flow flowKind, browser string, expires time.Time) state {
	return state{
		ID: rand.Text(), Provider: provider, Flow: flow,
		Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(),
		Browser: hash(browser), Expires: expires.Unix(),
	}
}

func hash(secret string) string {
	sum := sha256.Sum256([]byte(purposeState + "\x00" + secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (s state) seal(keys *linked.Keys) (string, error) {
	var data bytes.Buffer
	plain := json.NewEncoder(&data)
	plain.SetEscapeHTML(false) // six letters for each & of the longest redirect_to are too many for maxState
	if err := plain.Encode(s); err != nil {
		return "", err
	}
	return keys.Seal(purposeState, data.Bytes()), nil
}

// openState reads a state of this provider, flow and browser:
// [ErrMalformedState], [ErrExpiredState], [ErrInvalidState]. Whether it was
// used is for the store to say.
func openState(keys *linked.Keys, text, provider string, flow flowKind, browser string, now time.Time) (state, error) {
	var s state
	if text == "" || len(text) > maxState {
		return s, ErrMalformedState
	}
	data, err := keys.Open(purposeState, text)
	if err != nil || json.Unmarshal(data, &s) != nil {
		return state{}, ErrMalformedState
	}
	if now.Unix() >= s.Expires {
		return state{}, ErrExpiredState
	}
	if browser == "" || s.Provider != provider || s.Flow != flow ||
		subtle.ConstantTimeCompare([]byte(s.Browser), []byte(hash(browser))) != 1 {
		return state{}, ErrInvalidState
	}
	return s, nil
}

// used names a state for the store that notes uses.
func (s state) used() [32]byte { return sha256.Sum256([]byte(purposeState + "\x00used\x00" + s.ID)) }

const crossSite = "cross-site"

// beganWith returns the callback's request as a request of the site that began
// the flow: the callback itself always comes from the provider's.
func (s state) beganWith(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	r.Header.Del("Sec-Fetch-Site")
	if s.Foreign {
		r.Header.Set("Sec-Fetch-Site", crossSite)
	}
	return r
}

// csrfCookie is fastapi-users' name; browsers hold the prefix to this host, to
// Secure, and to the path "/".
const csrfCookie = "fastapiusersoauthcsrf"

func cookieName(insecure bool) string {
	if insecure {
		return csrfCookie
	}
	return "__Host-" + csrfCookie
}

// browserOf returns the secret that a browser has of a flow before, or "".
// Two different ones are none: somebody else has set one.
func browserOf(r *http.Request, name string) string {
	var secret string
	for _, cookie := range r.CookiesNamed(name) {
		if len(cookie.Value) != len(rand.Text()) || secret != "" && cookie.Value != secret {
			return ""
		}
		secret = cookie.Value
	}
	return secret
}
