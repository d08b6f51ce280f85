package routes_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/routes"
)

// byHeader has each request come from the address that a test says.
func byHeader(r *http.Request) string { return r.Header.Get("X-Test-Address") }

func (s *site) loginFrom(address, email, password string) reply {
	s.Helper()
	form := url.Values{"username": {email}, "password": {password}}.Encode()
	return s.do(http.MethodPost, "/auth/jwt/login", form, "Content-Type", "application/x-www-form-urlencoded", "X-Test-Address", address)
}

func TestLogInsAreLimited(t *testing.T) {
	s := newMailSite(t, testdb.SQLite(t), testdb.Secrets{}, routes.Limits{ClientAddress: byHeader})
	s.register("ann@example.com")
	address := func(i int) string { return fmt.Sprintf("192.0.2.%d", i) }

	for _, email := range []string{"ann@example.com", "nobody@example.com"} {
		for i := range 10 {
			spelling := []string{email, strings.ToUpper(email), " " + email}[i%3]
			s.has("guess", s.loginFrom(address(i), spelling, "wrong"), 400, "LOGIN_BAD_CREDENTIALS")
		}
		got := s.loginFrom(address(100), email, "secret")
		s.has("beyond the limit of "+email, got, 429, `{"detail":"Too Many Requests"}`)
		if wait, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || wait != 30 {
			t.Errorf("Retry-After: %q", got.header.Get("Retry-After"))
		}
	}
	s.clock.Advance(30 * time.Second)
	for range 30 { // each gives back what it took
		s.has("rightly", s.loginFrom(address(100), "ann@example.com", "secret"), 200, "")
	}
	s.has("a guess", s.loginFrom(address(101), "ann@example.com", "wrong"), 400, "")
	s.has("another", s.loginFrom(address(102), "ann@example.com", "wrong"), 429, "")
}

func TestAddressesAreLimited(t *testing.T) {
	s := newMailSite(t, testdb.SQLite(t), testdb.Secrets{}, routes.Limits{ClientAddress: byHeader})
	guess := func(i int, address string) int {
		return s.loginFrom(address, fmt.Sprintf("user%d@example.com", i), "wrong").status
	}
	for i := range 20 {
		if got := guess(i, fmt.Sprintf("[2001:db8::%x]:%d", i, 1000+i)); got != 400 {
			t.Fatal(got)
		}
	}
	for address, want := range map[string]int{
		"2001:db8::ffff": 429, "2001:db8:0:1::1": 400, "192.0.2.1:80": 400, "::ffff:192.0.2.9": 400, "@": 400, "": 400,
	} {
		if got := guess(100, address); got != want {
			t.Errorf("%s: %d, want %d", address, got, want)
		}
	}
	for i := range 20 {
		guess(200+i, []string{"192.0.2.7", "::ffff:192.0.2.7", "192.0.2.7:99"}[i%3])
	}
	if got := guess(300, "192.0.2.7:100"); got != 429 {
		t.Errorf("one IPv4 address in three spellings: %d", got)
	}
}

func TestMailsAreLimited(t *testing.T) {
	s := newMailSite(t, testdb.SQLite(t), testdb.Secrets{}, routes.Limits{ClientAddress: byHeader})
	s.register("ann@example.com")
	ask := func(path, email, address string) reply {
		return s.do(http.MethodPost, path, fmt.Sprintf(`{"email":%q}`, email), "Content-Type", "application/json", "X-Test-Address", address)
	}
	for _, email := range []string{"ann@example.com", "nobody@example.com"} {
		for i := range 3 {
			s.has("asked for", ask("/auth/forgot-password", email, fmt.Sprintf("192.0.2.%d", i)), 202, "null")
		}
		s.has("too often", ask("/auth/request-verify-token", email, "192.0.2.50"), 429, "Too Many Requests")
	}
	if n := len(s.mailed("forgot-password", "ann@example.com")); n != 3 {
		t.Errorf("%d mails", n)
	}
	for i := range 10 {
		s.has("asked for", ask("/auth/forgot-password", fmt.Sprintf("u%d@example.com", i), "192.0.2.99"), 202, "")
	}
	s.has("from one address", ask("/auth/forgot-password", "u11@example.com", "192.0.2.99"), 429, "")
}

// Many guesses at once don't get past the limit that one after the other do.
func TestGuessesAtOnce(t *testing.T) {
	s := newMailSite(t, testdb.SQLite(t), testdb.Secrets{}, routes.Limits{})
	s.register("ann@example.com")
	var tried atomic.Int64
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			if s.form("/auth/jwt/login", "username", "ann@example.com", "password", "wrong").status == 400 {
				tried.Add(1)
			}
		})
	}
	group.Wait()
	if n := tried.Load(); n != 10 {
		t.Errorf("%d of 100 guesses were looked at", n)
	}
}
