package main

import (
	"bytes"
	"context"
	"database/sql"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

const ann, secret = "ann@example.com", "correct horse"

// site is a running server of the pages, with a database of its own.
type site struct {
	*testing.T
	url    string
	pool   *sql.DB
	hasher *hasher
	log    *bytes.Buffer
}

func serve(t *testing.T) site {
	t.Helper()
	s := site{T: t, hasher: new(hasher), log: new(bytes.Buffer)}
	db, err := gorm.Open(sqlite.Open(filepath.Join(t.TempDir(), "pages.db")), &gorm.Config{})
	s.check(err)
	s.pool, err = db.DB()
	s.check(err)
	t.Cleanup(func() { s.pool.Close() })
	store, err := userdb.New[user](db)
	s.check(err)
	s.check(store.Migrate(t.Context()))
	cookie, err := backends.CookieJWT(jwt.Secret(bytes.Repeat([]byte("k"), 32)), backends.CookieJWTConfig{
		Cookie: backends.CookieConfig{InsecureHTTP: true},
	})
	s.check(err)
	users, err := authn.New(store, authn.Config{Passwords: s.hasher}, cookie)
	s.check(err)
	e, err := newServer(users)
	s.check(err)
	e.Logger.SetOutput(s.log)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s site) check(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// answer is an answer that was read.
type answer struct {
	*http.Response
	body string
}

// form returns fields that are given as name, value.
func form(fields ...string) url.Values {
	values := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	return values
}

func (s site) post(path string, cookies []*http.Cookie, fields ...string) answer {
	s.Helper()
	r, err := http.NewRequest(http.MethodPost, s.url+path, strings.NewReader(form(fields...).Encode()))
	s.check(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, cookie := range cookies {
		r.AddCookie(cookie)
	}
	return s.do(r)
}

func (s site) do(r *http.Request) answer {
	s.Helper()
	res, err := http.DefaultTransport.RoundTrip(r) // follows no redirect
	s.check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	s.check(err)
	return answer{res, html.UnescapeString(string(body))}
}

func (s site) register(email, password string) answer {
	s.Helper()
	return s.post("/register", nil, "email", email, "password", password)
}

func (s site) login(email, password string) answer {
	s.Helper()
	return s.post("/login?next=/members", nil, "username", email, "password", password)
}

// member registers somebody and logs them in.
func (s site) member(email, password string) []*http.Cookie {
	s.Helper()
	if a := s.register(email, password); a.StatusCode != http.StatusCreated {
		s.Fatal(a.Status, a.body)
	}
	a := s.login(email, password)
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/members" || len(a.Cookies()) != 2 { // the session and the device
		s.Fatal(a.Status, a.Header, a.body)
	}
	return a.Cookies()
}

// hasher costs nothing, and can be made to refuse.
type hasher struct{ busy atomic.Bool }

func (h *hasher) Hash(_ context.Context, password string) (string, error) {
	if h.busy.Load() {
		return "", overload{}
	}
	return "hash of " + password, nil
}

func (h *hasher) Verify(_ context.Context, password, hash string) (match, outdated bool, err error) {
	if h.busy.Load() {
		return false, false, overload{}
	}
	return hash == "hash of "+password, false, nil
}

type overload struct{}

func (overload) Error() string             { return "too many passwords" }
func (overload) RetryAfter() time.Duration { return 7 * time.Second }

func TestLogInIsRefused(t *testing.T) {
	s := serve(t)
	s.member(ann, secret)
	for password, want := range map[string]int{"wrong": http.StatusBadRequest, "": http.StatusUnprocessableEntity} {
		a := s.login(ann, password)
		if a.StatusCode != want || len(a.Cookies()) > 0 || !strings.Contains(a.body, "not the right") || a.Header.Get("Retry-After") != "" {
			t.Errorf("the password %q: %s, %v\n%s", password, a.Status, a.Header, a.body)
		}
	}
	var a answer
	for range 11 {
		a = s.login(ann, "wrong")
	}
	if s.log.Len() > 0 {
		t.Errorf("refusals are logged: %s", s.log)
	}
	seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
	if a.StatusCode != http.StatusTooManyRequests || err != nil || seconds < 1 || !strings.Contains(a.body, "Too many attempts") {
		t.Errorf("after many: %s, %v\n%s", a.Status, a.Header, a.body)
	}
}

func TestRegistrationIsRefused(t *testing.T) {
	s := serve(t)
	s.member(ann, secret)
	for _, c := range []struct{ what, email, password, want string }{
		{"a taken address", "ANN@example.com", secret, "This address can't be registered"},
		{"no address", "ann", secret, "This address can't be registered"},
		{"a short password", "bob@example.com", "short", "at least 8 characters"},
		{"a long password", "bob@example.com", strings.Repeat("a", authn.MaxPasswordLength+1), "This password is too long"},
	} {
		a := s.register(c.email, c.password)
		if a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, c.want) || a.Header.Get("Retry-After") != "" {
			t.Errorf("%s: %s, %v\n%s", c.what, a.Status, a.Header, a.body)
		}
	}
}

func TestTryAgainLater(t *testing.T) {
	for _, trouble := range []struct {
		what, retryAfter, cause string
		begin                   func(site) error
	}{
		{"busy", "7", "too many passwords", func(s site) error { s.hasher.busy.Store(true); return nil }},
		{"the store is away", "1", "database is closed", func(s site) error { return s.pool.Close() }},
	} {
		t.Run(trouble.what, func(t *testing.T) {
			s := serve(t)
			cookies := s.member(ann, secret)
			s.check(trouble.begin(s))
			for _, c := range []struct {
				path   string
				fields []string
				page   bool
			}{
				{"/login", []string{"username", ann, "password", secret}, true},
				{"/register", []string{"email", "bob@example.com", "password", secret}, true},
				{"/password", []string{"password", secret}, false},
			} {
				s.log.Reset()
				a := s.post(c.path, cookies, c.fields...)
				if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") != trouble.retryAfter {
					t.Errorf("%s: %s, Retry-After %q", c.path, a.Status, a.Header["Retry-After"])
				}
				if c.page && !strings.Contains(a.body, "try again later") {
					t.Errorf("%s shows\n%s", c.path, a.body)
				}
				logged := s.log.String()
				if strings.Count(logged, trouble.cause) != 1 {
					t.Errorf("%s logs %q", c.path, logged)
				}
				for _, hidden := range []string{secret, cookies[0].Value} {
					if strings.Contains(logged+a.body, hidden) {
						t.Errorf("%s tells %q", c.path, hidden)
					}
				}
			}
		})
	}
}

func TestQueryStringsCountForNothing(t *testing.T) {
	s := serve(t)
	cookies := s.member(ann, secret)
	const bob, carol, changed = "bob@example.com", "carol@example.com", "battery staple"
	for _, c := range []struct {
		path  string
		query url.Values
		body  []string
		want  int
	}{
		{"/login", form("username", ann, "password", secret), nil, http.StatusUnprocessableEntity},
		{"/login", form("password", secret), []string{"username", ann}, http.StatusUnprocessableEntity},
		{"/register", form("email", bob, "password", secret), nil, http.StatusBadRequest},
		{"/register", form("email", bob), []string{"password", secret}, http.StatusBadRequest},
		{"/register", form("password", secret), []string{"email", carol}, http.StatusBadRequest},
		{"/password", form("password", changed), nil, http.StatusBadRequest},
	} {
		a := s.post(c.path+"?"+c.query.Encode(), cookies, c.body...)
		if a.StatusCode != c.want || len(a.Cookies()) > 0 {
			t.Errorf("POST %s?%s: %s, want %d; cookies %v", c.path, c.query.Encode(), a.Status, c.want, a.Cookies())
		}
	}
}
