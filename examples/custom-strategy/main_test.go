package main

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/backends"
)

func TestSessions(t *testing.T) {
	authntest.TestStrategy(t, func(*testing.T) authn.Strategy { return new(Sessions) })
	authntest.TestBackend(t, backends.New("session", backends.Bearer{}, new(Sessions)), nil)
}

func TestSessionsExpire(t *testing.T) {
	clock := authntest.NewClock(time.Now())
	sessions := &Sessions{Now: clock.Now}
	token, err := sessions.Issue(t.Context(), authn.Identity{Subject: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	clock.Advance(12 * time.Hour)
	if _, err := sessions.Read(t.Context(), token.Value); !errors.Is(err, authn.ErrInvalidToken) {
		t.Errorf("an expired token: %v", err)
	}
}

func verified(name string) *tls.ConnectionState {
	return &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{Subject: pkix.Name{CommonName: name}}}}}
}

func TestCertificates(t *testing.T) {
	b := Certificates{Users: map[string]string{"ann.internal": "ann", "bob.internal": "bob", "key.internal": "01a209c3-dadb-747c-9e50-9cb4cf1ba330"}}
	authntest.TestBackend(t, b, func(r *http.Request, subject string) {
		for name, id := range b.Users {
			if id == subject {
				r.TLS = verified(name)
			}
		}
	})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Subject: pkix.Name{CommonName: "ann.internal"}}}}
	if _, err := b.Authenticate(r); err != authn.ErrNoCredential {
		t.Errorf("a certificate that was not verified: %v", err)
	}
}

func TestTheServer(t *testing.T) {
	e, _, err := newServer(Certificates{Users: map[string]string{"robot.internal": "user-1"}})
	if err != nil {
		t.Fatal(err)
	}
	do := func(r *http.Request) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		return w
	}
	register := httptest.NewRequest("POST", "/auth/register", strings.NewReader(`{"email":"robot@example.com","password":"correct horse"}`))
	if w := do(register); w.Code != 201 {
		t.Fatal(w.Code, w.Body)
	}
	form := url.Values{"username": {"robot@example.com"}, "password": {"correct horse"}}
	login := httptest.NewRequest("POST", "/auth/session/login", strings.NewReader(form.Encode()))
	login.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(do(login).Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	request := func(method, path string) *http.Request {
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("Authorization", "Bearer "+answer.Token)
		return r
	}
	for _, step := range []struct {
		r    *http.Request
		want int
	}{
		{request("GET", "/hello"), 200},
		{request("POST", "/auth/session/logout"), 204},
		{request("GET", "/hello"), 401},
		{request("POST", "/auth/session/logout"), 401},
		{request("POST", "/auth/certificate/login"), 404},
	} {
		if w := do(step.r); w.Code != step.want {
			t.Errorf("%s %s: %d %s, want %d", step.r.Method, step.r.URL, w.Code, w.Body, step.want)
		}
	}
	robot := httptest.NewRequest("GET", "/hello", nil)
	robot.TLS = verified("robot.internal")
	if w := do(robot); w.Code != 200 {
		t.Errorf("a machine with a certificate: %d %s", w.Code, w.Body)
	}
}
