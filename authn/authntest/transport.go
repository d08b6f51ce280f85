package authntest

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// Client turns the answer to a log-in into a request that carries what the
// answer gave, as a real client would.
type Client func(answer *http.Response) *http.Request

// CommonClient understands RFC 6749's JSON (a bearer token) and cookies.
func CommonClient(answer *http.Response) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, cookie := range answer.Cookies() {
		if cookie.MaxAge >= 0 {
			r.AddCookie(cookie)
		}
	}
	var body struct {
		Token string `json:"access_token"`
	}
	if answer.Body != nil && json.NewDecoder(answer.Body).Decode(&body) == nil && body.Token != "" {
		r.Header.Set("Authorization", "Bearer "+body.Token)
	}
	return r
}

const notCommon = "CommonClient understands access_token JSON and cookies, and found neither in the answer"

// hasCredential reports whether CommonClient found one.
func hasCredential(r *http.Request) bool {
	return r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != ""
}

// TestTransport runs the suite of [authn.Transport], and of [authn.Clearer]
// where the transport is one. client says how an answer's credential is sent
// back; nil stands for [CommonClient], for JSON and cookies.
func TestTransport(t *testing.T, transport authn.Transport, client Client) {
	p := new(problems)
	checkTransport(p, transport, client)
	p.report(t)
}

func checkTransport(p *problems, transport authn.Transport, client Client) {
	if token, err := transport.Extract(httptest.NewRequest(http.MethodGet, "/", nil)); !errors.Is(err, authn.ErrNoCredential) || token != "" {
		p.add("Extract of a request without a credential: %v, want ErrNoCredential", err)
	}
	query := httptest.NewRequest(http.MethodGet, "/?access_token=secret&token=secret", nil)
	if _, err := transport.Extract(query); err == nil {
		p.add("Extract took a token from the query string, which is logged everywhere")
	}
	if client == nil {
		client = CommonClient
		if answer := carry(p, transport, "token"); answer != nil && !hasCredential(client(answer)) {
			p.add("Carry: " + notCommon + "; pass TestTransport a Client of your own")
			return
		}
	}
	atOnce(many, func(i int) {
		token := strings.Repeat("Token-._~", i+1)
		answer := carry(p, transport, token)
		if answer == nil {
			return
		}
		got, err := transport.Extract(client(answer))
		if err != nil || got != token {
			p.add("Extract: a token of %d bytes came back as %d bytes, %v", len(token), len(got), err)
		}
	})
	if answer := carry(p, transport, "token"); answer != nil && client(answer).Header.Get("Cookie") != "" {
		checkOrigins(p, transport)
	}
	if answer := carry(p, transport, strings.Repeat("a", authn.MaxCredentialSize+1)); answer != nil {
		if token, err := transport.Extract(client(answer)); err == nil && len(token) > authn.MaxCredentialSize {
			p.add("Extract returned a token of more than MaxCredentialSize bytes")
		}
	}
	if clearer, ok := transport.(authn.Clearer); ok {
		answer := written(p, clearer.Clear())
		if _, err := transport.Extract(client(answer)); !errors.Is(err, authn.ErrNoCredential) {
			p.add("Extract after Clear: %v, want ErrNoCredential", err)
		}
	}
}

// checkOrigins is for a credential that browsers send by themselves.
func checkOrigins(p *problems, transport authn.Transport) {
	checker, ok := transport.(authn.OriginChecker)
	if !ok {
		p.add("browsers send this credential by themselves: without CheckOrigin, other sites can act for its users")
		return
	}
	for _, c := range []struct {
		method string
		header [2]string
		want   error
	}{
		{http.MethodPost, [2]string{"Sec-Fetch-Site", "cross-site"}, authn.ErrCrossSite},
		{http.MethodDelete, [2]string{"Origin", "https://evil.example"}, authn.ErrCrossSite},
		{http.MethodPost, [2]string{"Sec-Fetch-Site", "same-origin"}, nil},
		{http.MethodGet, [2]string{"Sec-Fetch-Site", "cross-site"}, nil},
	} {
		r := httptest.NewRequest(c.method, "/", nil)
		r.Header.Set(c.header[0], c.header[1])
		if err := checker.CheckOrigin(r); !errors.Is(err, c.want) {
			p.add("CheckOrigin of %s with %s: %v, want %v", c.method, c.header, err, c.want)
		}
	}
	twice := httptest.NewRequest(http.MethodPost, "https://example.com/", nil)
	twice.Header["Origin"] = []string{"https://example.com", "https://evil.example"}
	if err := checker.CheckOrigin(twice); !errors.Is(err, authn.ErrCrossSite) {
		p.add("CheckOrigin of a request with two Origins: %v, want ErrCrossSite", err)
	}
	upgrade := httptest.NewRequest(http.MethodGet, "/", nil)
	upgrade.Header.Set("Upgrade", "websocket")
	upgrade.Header.Set("Origin", "https://evil.example")
	if err := checker.CheckOrigin(upgrade); !errors.Is(err, authn.ErrCrossSite) {
		p.add("CheckOrigin of a WebSocket that another site opens: %v, want ErrCrossSite", err)
	}
}

func carry(p *problems, transport authn.Transport, token string) *http.Response {
	res, err := transport.Carry(authn.Token{Value: token, ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		if len(token) <= authn.MaxCredentialSize {
			p.add("Carry: %v", err)
		}
		return nil
	}
	return written(p, res)
}

// written is the answer as a client sees it.
func written(p *problems, res *authn.Response) *http.Response {
	w := httptest.NewRecorder()
	if err := res.Write(w); err != nil {
		p.add("the answer can't be written: %v", err)
	}
	answer := w.Result()
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		p.add("the answer's status is %d", answer.StatusCode)
	}
	if answer.Header.Get("Cache-Control") != "no-store" {
		p.add("the answer may be cached")
	}
	return answer
}
