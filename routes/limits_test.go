package routes_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/authn/linked"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

// byHeader has each request come from the address that a test says.
func byHeader(r *http.Request) string { return r.Header.Get("X-Test-Address") }

func newLimitSite(t *testing.T, limits routes.Limits) *mailSite {
	t.Helper()
	limits.ClientAddress = byHeader
	return newMailSite(t, testdb.SQLite(t), testdb.Secrets{}, limits)
}

func (s *site) loginFrom(address, email, password string, headers ...string) reply {
	s.Helper()
	form := url.Values{"username": {email}, "password": {password}}.Encode()
	return s.do(http.MethodPost, "/auth/jwt/login", form, append(headers, "Content-Type", "application/x-www-form-urlencoded", "X-Test-Address", address)...)
}

// device returns the cookie of a known device that an answer sets, or nothing.
func (r reply) device() string {
	for _, line := range r.header["Set-Cookie"] {
		if strings.HasPrefix(line, "__Host-device=") {
			pair, _, _ := strings.Cut(line, ";")
			return pair
		}
	}
	return ""
}

func address(i int) string { return fmt.Sprintf("198.51.%d.%d", 100+i/250, 1+i%250) }

// lock has an account locked from many addresses.
func (s *mailSite) lock(email string) {
	s.Helper()
	for i := range 6 {
		got := s.loginFrom(address(1000+i), email, "wrong")
		if i == 5 {
			s.has("locked", got, 429, `{"detail":"Too Many Requests"}`)
		}
	}
}

func TestLogInsAreLimited(t *testing.T) {
	s := newLimitSite(t, routes.Limits{})
	s.register("ann@example.com")
	for _, email := range []string{"ann@example.com", "nobody@example.com"} {
		waits := []string{}
		for i := range 5 {
			spelling := []string{email, strings.ToUpper(email), " " + email, strings.Replace(email, "e", "ｅ", 1)}[i%4]
			s.has("guess", s.loginFrom(address(i), spelling, "wrong"), 400, "LOGIN_BAD_CREDENTIALS")
		}
		for i := range 7 {
			got := s.loginFrom(address(100+i), email, "secret")
			s.has("beyond the limit of "+email, got, 429, `{"detail":"Too Many Requests"}`)
			waits = append(waits, got.header.Get("Retry-After"))
			wait, err := time.ParseDuration(waits[i] + "s")
			if err != nil {
				t.Fatal(err)
			}
			s.clock.Advance(wait)
			s.has("another guess", s.loginFrom(address(200+i), email, "wrong"), 400, "LOGIN_BAD_CREDENTIALS")
		}
		if got := fmt.Sprint(waits); got != "[30 60 120 240 480 900 900]" {
			t.Errorf("%s: Retry-After: %v", email, got)
		}
	}
	s.clock.Advance(15 * time.Minute)
	for range 30 { // none counts
		s.has("rightly", s.loginFrom(address(0), "ann@example.com", "secret"), 200, "")
	}
	for i := range 4 {
		s.has("a guess", s.loginFrom(address(300+i), "ann@example.com", "wrong"), 400, "")
	}
	s.has("rightly", s.loginFrom(address(301), "ann@example.com", "secret"), 200, "")
	s.has("a guess after it", s.loginFrom(address(310), "ann@example.com", "wrong"), 400, "")
}

func TestAddressesAreLimited(t *testing.T) {
	s := newLimitSite(t, routes.Limits{})
	guess := func(i int, address string) int {
		return s.loginFrom(address, fmt.Sprintf("user%d@example.com", i), "wrong").status
	}
	for i := range 20 {
		if got := guess(i, fmt.Sprintf("[2001:db8::%x]:%d", i, 1000+i)); got != 400 {
			t.Fatal(got)
		}
	}
	for address, want := range map[string]int{
		"2001:db8::ffff": 429, "2001:db8:0:1::1": 429, "2001:db8:1::1": 400, "192.0.2.1:80": 400, "::ffff:192.0.2.9": 400, "@": 400, "": 400,
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

// Who has an account of their own, logs in to it between guesses at others.
func TestASuccessTakesNothingBackFromAnAddress(t *testing.T) {
	s := newLimitSite(t, routes.Limits{})
	s.register("mallory@example.com")
	checked := 0
	for i := range 100 {
		if s.loginFrom("192.0.2.1", fmt.Sprintf("user%d@example.com", i), "wrong").status == 400 {
			checked++
		}
		s.loginFrom("192.0.2.1", "mallory@example.com", "secret")
	}
	if checked != 20 {
		t.Errorf("%d guesses, want 20", checked)
	}
}

// Names in another case of other letters than ASCII's are counted together, but
// may be of two accounts: who has one of them logs in to it between guesses at
// the other.
func TestASuccessEndsTheLockOfNoOtherAccount(t *testing.T) {
	s := newLimitSite(t, routes.Limits{})
	s.register("émile@example.com")
	s.register("Émile@example.com")
	checked := 0
	for i := range 60 {
		if s.loginFrom(address(i), "émile@example.com", "wrong").status == 400 {
			checked++
		}
		if i < 4 { // then it is locked as well
			s.has("mallory's own", s.loginFrom(address(i), "Émile@example.com", "secret"), 200, "")
		}
	}
	if checked != 5 {
		t.Errorf("%d guesses, want 5", checked)
	}
	s.has("where they have logged in", s.loginFrom(address(0), "Émile@Example.com", "secret"), 200, "")
	s.has("the other one there", s.loginFrom(address(0), "émile@example.com", "secret"), 429, "")
}

// The owner gets in on a device that is known while others have the account
// locked; nobody else does by such a cookie.
func TestAKnownDeviceGetsIn(t *testing.T) {
	s := newLimitSite(t, routes.Limits{})
	s.register("ann@example.com")
	s.register("bob@example.com")
	first := s.loginFrom("192.0.2.1", "ann@example.com", "secret")
	line := strings.Join(first.header["Set-Cookie"], "\n")
	for _, want := range []string{"; Path=/; Max-Age=15552000; HttpOnly; Secure; SameSite=Lax"} {
		if !strings.Contains(line, want) {
			t.Errorf("%s, want %s", line, want)
		}
	}
	device, bobs := first.device(), s.loginFrom("192.0.2.2", "bob@example.com", "secret").device()
	s.lock("ann@example.com")
	s.has("unknown", s.loginFrom("192.0.2.77", "ann@example.com", "secret"), 429, "")
	for i := range 20 {
		s.has("known", s.loginFrom(address(i), "Ann@Example.com", "secret", "Cookie", device), 200, "")
	}
	s.has("unknown still", s.loginFrom("192.0.2.77", "ann@example.com", "secret"), 429, "")
	for what, cookie := range map[string]string{
		"bob's": bobs, "altered": device[:len(device)-2] + "AA", "nothing": "__Host-device=", "no seal": "__Host-device=v1.AAAA",
		"long": "__Host-device=" + strings.Repeat("A", 9000), "many": strings.Repeat("__Host-device=x; ", 20) + device,
	} {
		s.has(what, s.loginFrom("192.0.2.78", "ann@example.com", "secret", "Cookie", cookie), 429, "")
	}
	s.has("two", s.loginFrom("192.0.2.78", "ann@example.com", "secret", "Cookie", bobs+"; "+device), 200, "")
	s.clock.Advance(180 * 24 * time.Hour)
	s.lock("ann@example.com")
	s.has("too old", s.loginFrom("192.0.2.79", "ann@example.com", "secret", "Cookie", device), 429, "")
}

// A browser knows the last four people who logged in with it, and another site
// can't have them forgotten.
func TestSeveralPeopleAtOneDevice(t *testing.T) {
	s := newLimitSite(t, routes.Limits{Devices: routes.Devices{SkipAddresses: true}})
	people := []string{"ann", "bob", "cid", "dan", "eve"}
	for _, name := range people {
		s.register(name + "@example.com")
	}
	login := func(name, device string, header ...string) string {
		t.Helper()
		got := s.loginFrom(address(0), name+"@example.com", "secret", append(header, "Cookie", device)...)
		s.has(name, got, 200, "")
		if len(got.header["Set-Cookie"]) == 0 {
			return device
		}
		return got.device()
	}
	device := ""
	for _, name := range people[:4] {
		device = login(name, device)
	}
	device = login("ann", login("bob", device))
	for i, name := range people {
		s.lock(name + "@example.com")
		want := 200
		if name == "eve" {
			want = 429
		}
		s.has(name, s.loginFrom(address(i), name+"@example.com", "secret", "Cookie", device), want, "")
	}
	s.clock.Advance(24 * time.Hour)
	if after := login("eve", device, "Sec-Fetch-Site", "cross-site"); after != device {
		t.Error("another site's log-in has set a cookie")
	}
	device = login("eve", device, "Sec-Fetch-Site", "same-site")
	for _, name := range people {
		s.lock(name + "@example.com")
		want := 200
		if name == "cid" { // who was here first, of four others
			want = 429
		}
		s.has(name+", after eve", s.loginFrom("192.0.2.9", name+"@example.com", "secret", "Cookie", device), want, "")
	}
}

// A device has failures of its own, however often its cookie was copied, and
// those of no other.
func TestKnownDevicesAreLimited(t *testing.T) {
	s := newLimitSite(t, routes.Limits{})
	s.register("ann@example.com")
	phone := s.loginFrom("192.0.2.1", "ann@example.com", "secret").device()
	laptop := s.loginFrom("192.0.2.1", "ann@example.com", "secret").device()
	for i := range 10 {
		s.has("a guess", s.loginFrom(address(i), "ann@example.com", "wrong", "Cookie", phone), 400, "")
	}
	got := s.loginFrom("192.0.2.1", "ann@example.com", "secret", "Cookie", phone)
	s.has("beyond", got, 429, "")
	if got.header.Get("Retry-After") != "30" {
		t.Error(got.header)
	}
	s.has("the other device", s.loginFrom("192.0.2.1", "ann@example.com", "secret", "Cookie", laptop), 200, "")
	s.has("somewhere else", s.loginFrom("203.0.113.1", "ann@example.com", "secret"), 200, "")
	s.clock.Advance(30 * time.Second)
	s.has("a right one", s.loginFrom("192.0.2.1", "ann@example.com", "secret", "Cookie", phone), 200, "")
	s.has("which ends it", s.loginFrom("192.0.2.1", "ann@example.com", "wrong", "Cookie", phone), 400, "")
}

// A new password makes every device an unknown one.
func TestADeviceIsOfAGeneration(t *testing.T) {
	s := newLimitSite(t, routes.Limits{Devices: routes.Devices{SkipAddresses: true}})
	s.register("ann@example.com")
	device := s.loginFrom("192.0.2.1", "ann@example.com", "secret").device()
	other := "another"
	s.update("ann@example.com", authn.Update[*userdb.User]{Password: &other})
	s.lock("ann@example.com")
	s.has("the old cookie", s.loginFrom("192.0.2.1", "ann@example.com", "another", "Cookie", device), 429, "")
}

// Who keeps no cookies is known by where they have logged in, for 30 days.
func TestAKnownAddressGetsIn(t *testing.T) {
	s := newLimitSite(t, routes.Limits{})
	s.register("ann@example.com")
	s.has("once", s.loginFrom("2001:db8:1:2::7", "ann@example.com", "secret"), 200, "")
	s.lock("ann@example.com")
	for range 3 {
		s.has("from there", s.loginFrom("2001:db8:1:2::9", "ANN@example.com", "secret"), 200, "")
	}
	for range 5 {
		s.has("a guess from there", s.loginFrom("2001:db8:1:2::9", "ann@example.com", "wrong"), 400, "")
	}
	s.has("the sixth", s.loginFrom("2001:db8:1:2::9", "ann@example.com", "secret"), 429, "")
	s.has("beside it", s.loginFrom("2001:db8:1:3::9", "ann@example.com", "secret"), 429, "")
	s.clock.Advance(30 * 24 * time.Hour)
	s.lock("ann@example.com")
	s.has("too long ago", s.loginFrom("2001:db8:1:2::9", "ann@example.com", "secret"), 429, "")
}

// Whoever had the password once may have logged in from anywhere.
func TestManyKnownAddresses(t *testing.T) {
	s := newLimitSite(t, routes.Limits{})
	s.register("ann@example.com")
	for i := range 40 {
		s.has("once", s.loginFrom(address(i), "ann@example.com", "secret"), 200, "")
	}
	other := "another"
	s.update("ann@example.com", authn.Update[*userdb.User]{Password: &other})
	checked := 0
	for i := range 400 {
		if s.loginFrom(address(i%40), "ann@example.com", "wrong").status == 400 {
			checked++
		}
	}
	if checked != 10 {
		t.Errorf("%d guesses, want 10", checked)
	}
	s.has("the owner", s.loginFrom("203.0.113.9", "ann@example.com", "another"), 200, "")
	s.has("at one of them", s.loginFrom(address(7), "ann@example.com", "another"), 429, "")
	s.has("a reset", s.reset(s.ask("/auth/forgot-password", "ann@example.com"), "new secret"), 200, "null")
	s.has("after it", s.loginFrom(address(7), "ann@example.com", "new secret"), 200, "")
}

// What was mistyped at home is made up for by time, and by nobody else's account.
func TestFailuresAtHome(t *testing.T) {
	s := newLimitSite(t, routes.Limits{})
	s.register("ann@example.com")
	s.has("once", s.loginFrom(address(0), "ann@example.com", "secret"), 200, "")
	for range 30 {
		s.has("mistyped", s.loginFrom(address(0), "ann@example.com", "wrong"), 400, "")
		s.has("rightly", s.loginFrom(address(0), "ann@example.com", "secret"), 200, "")
		s.clock.Advance(20 * time.Hour)
	}
	for _, name := range []string{"émile@example.com", "Émile@example.com"} {
		s.register(name)
		for i := range 3 {
			s.has(name, s.loginFrom(address(i), name, "secret"), 200, "")
		}
	}
	for i := range 10 {
		s.has("mallory's own", s.loginFrom(address(1+i%2), "Émile@example.com", "wrong"), 400, "")
	}
	s.has("the other one", s.loginFrom(address(0), "émile@example.com", "secret"), 200, "")
}

// A reset ends the lock of the browser in which it is done, too.
func TestAResetWhereThePasswordWasForgotten(t *testing.T) {
	s := newLimitSite(t, routes.Limits{Devices: routes.Devices{SkipAddresses: true}})
	s.register("ann@example.com")
	device := s.loginFrom(address(0), "ann@example.com", "secret").device()
	for range 10 {
		s.has("forgotten", s.loginFrom(address(0), "ann@example.com", "wrong", "Cookie", device), 400, "")
	}
	s.has("locked", s.loginFrom(address(0), "ann@example.com", "wrong", "Cookie", device), 429, "")
	got := s.do("POST", "/auth/reset-password", fmt.Sprintf(`{"token":%q,"password":"new secret"}`, s.ask("/auth/forgot-password", "ann@example.com")),
		"Content-Type", "application/json", "Cookie", device)
	s.has("reset", got, 200, "null")
	s.has("after it", s.loginFrom(address(0), "ann@example.com", "new secret", "Cookie", got.device()), 200, "")
}

// A reset ends the lock, and who has done it gets in while others go on.
func TestAResetGetsIn(t *testing.T) {
	s := newLimitSite(t, routes.Limits{Devices: routes.Devices{SkipAddresses: true}})
	s.register("ann@example.com")
	s.lock("ann@example.com")
	got := s.reset(s.ask("/auth/forgot-password", "ann@example.com"), "new secret")
	s.has("reset", got, 200, "null")
	s.has("unlocked", s.loginFrom("192.0.2.1", "ann@example.com", "wrong"), 400, "")
	s.lock("ann@example.com")
	s.has("unknown", s.loginFrom("192.0.2.1", "ann@example.com", "new secret"), 429, "")
	s.has("who has done it", s.loginFrom("192.0.2.1", "ann@example.com", "new secret", "Cookie", got.device()), 200, "")
}

// Where an attacker sits at the owner's address, a reset there ends that lock,
// too.
func TestAResetAtAKnownAddressGetsIn(t *testing.T) {
	s := newLimitSite(t, routes.Limits{})
	s.register("ann@example.com")
	s.has("once", s.loginFrom("192.0.2.1", "ann@example.com", "secret"), 200, "")
	for range 5 {
		s.has("a guess", s.loginFrom("192.0.2.1", "ann@example.com", "wrong"), 400, "")
	}
	s.has("locked there", s.loginFrom("192.0.2.1", "ann@example.com", "secret"), 429, "")
	body := fmt.Sprintf(`{"token":%q,"password":"new secret"}`, s.ask("/auth/forgot-password", "ann@example.com"))
	s.has("reset", s.do("POST", "/auth/reset-password", body, "Content-Type", "application/json", "X-Test-Address", "192.0.2.1"), 200, "null")
	s.has("unlocked", s.loginFrom("192.0.2.1", "ann@example.com", "new secret"), 200, "")
}

// attack sends 1,000 guesses, many at once. Every one claims another address, in
// headers that nobody believes, and takes another way to the route.
func (s *mailSite) attack(email func(i int) string, from func(i int) string) {
	s.Helper()
	paths := []string{"/auth/jwt/login", "/auth/cookie/login", "//auth/jwt/login", "/AUTH/JWT/LOGIN", "/auth/jwt/login/", "/auth//jwt/login", "/auth/./jwt/login", "/auth/jwt/login?x=1", "/%61uth/jwt/login"}
	var group sync.WaitGroup
	next := atomic.Int64{}
	for range 50 {
		group.Go(func() {
			for i := int(next.Add(1)); i <= 1000; i = int(next.Add(1)) {
				form := url.Values{"username": {email(i)}, "password": {fmt.Sprint("guess", i)}}.Encode()
				got := s.do(http.MethodPost, paths[i%len(paths)], form, "Content-Type", "application/x-www-form-urlencoded",
					"X-Test-Address", from(i), "X-Forwarded-For", address(i), "X-Real-IP", address(i), "Forwarded", "for="+address(i),
					"X-Forwarded-Host", "evil.example.com", "True-Client-IP", address(i), "CF-Connecting-IP", address(i))
				if got.status != 400 && got.status != 404 && got.status != 429 {
					s.Errorf("%s: %d %s", paths[i%len(paths)], got.status, got.body)
				}
			}
		})
	}
	group.Wait()
}

func TestAThousandGuesses(t *testing.T) {
	spellings := func(i int) string {
		return []string{"ann@example.com", "ANN@example.com", " ann@example.com", "Ann@Example.Com\t"}[i%4]
	}
	accounts := func(i int) string { return fmt.Sprintf("user%d@example.com", i) }
	for _, c := range []struct {
		name        string
		email, from func(i int) string
	}{
		{"at one account from anywhere", spellings, address},
		{"at one account from the owner's address", spellings, func(int) string { return "192.0.2.1" }},
		{"at one account from the Internet", spellings, func(i int) string { return fmt.Sprintf("2001:db8:%x:%x::%x", i, i, i) }},
		{"at accounts from the owner's address", accounts, func(int) string { return "192.0.2.1" }},
		{"at accounts from a home", accounts, func(i int) string { return fmt.Sprintf("[2001:db8:1:2:%x::%x]:%d", i, i, i+1) }},
		{"at accounts from a site", accounts, func(i int) string { return fmt.Sprintf("2001:db8:1:%x:%x::1%%eth0", i, i) }},
		{"at accounts from IPv4 in IPv6", accounts, func(i int) string {
			return []string{"::ffff:203.0.113.9", "203.0.113.9:1", "[::ffff:cb00:7109]:1"}[i%3]
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newLimitSite(t, routes.Limits{})
			s.register("ann@example.com")
			device := s.loginFrom("192.0.2.1", "ann@example.com", "secret").device()
			before := s.hasher.checks.Load()
			stop, done := make(chan struct{}), make(chan int)
			go func() { // the owner, all the time
				for n := 0; ; n++ {
					select {
					case <-stop:
						done <- n
						return
					default:
						s.has("the owner", s.loginFrom("192.0.2.1", "ann@example.com", "secret", "Cookie", device), 200, "")
					}
				}
			}()
			s.attack(c.email, c.from)
			close(stop)
			checks := int64(-<-done) + s.hasher.checks.Load() - before
			if checks >= 25 || checks < 4 {
				t.Errorf("%d passwords were looked at", checks)
			}
			s.has("the owner, after it", s.loginFrom("192.0.2.1", "ann@example.com", "secret", "Cookie", device), 200, "")
			t.Logf("%d passwords were looked at", checks)
		})
	}
}

// Many guesses at once don't get past the limit that one after the other do.
func TestGuessesAtOnce(t *testing.T) {
	s := newLimitSite(t, routes.Limits{})
	s.register("ann@example.com")
	before := s.hasher.checks.Load()
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() { s.loginFrom("192.0.2.1", "ann@example.com", "wrong") })
	}
	group.Wait()
	if n := s.hasher.checks.Load() - before; n != 5 {
		t.Errorf("%d of 100 guesses were looked at", n)
	}
}

// Nobody is refused for logging in at the same moment as many others.
func TestLogInsAtOnce(t *testing.T) {
	s := newLimitSite(t, routes.Limits{})
	s.register("ann@example.com")
	var group sync.WaitGroup
	for range 60 {
		group.Go(func() { s.has("rightly", s.loginFrom("192.0.2.1", "ann@example.com", "secret"), 200, "") })
	}
	group.Wait()
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
		s.has("too often", ask("/auth/forgot-password", email, "192.0.2.50"), 429, "Too Many Requests")
	}
	if n := len(s.mailed("forgot-password", "ann@example.com")); n != 3 {
		t.Errorf("%d mails", n)
	}
	for i := range 10 {
		s.has("asked for", ask("/auth/forgot-password", fmt.Sprintf("u%d@example.com", i), "192.0.2.99"), 202, "")
	}
	s.has("from one address", ask("/auth/forgot-password", "u11@example.com", "192.0.2.99"), 429, "")
}

// Requests that have nothing sent, to who is verified, take no reset from them:
// it is how they get in while others have their account locked.
func TestMailsToVerifyTakeNoReset(t *testing.T) {
	s := newLimitSite(t, routes.Limits{})
	s.register("ann@example.com")
	for i := range 6 {
		got := s.do(http.MethodPost, "/auth/request-verify-token", `{"email":"ann@example.com"}`, "Content-Type", "application/json", "X-Test-Address", address(i))
		if want := map[bool]int{true: 202, false: 429}[i < 3]; got.status != want {
			t.Errorf("the %d. request: %d, want %d", i+1, got.status, want)
		}
	}
	if token := s.ask("/auth/forgot-password", "ann@example.com"); token == "" {
		t.Error("no mail")
	}
}

// A spelling that finds nobody has nothing mailed, and uses up nothing of the
// owner's: else whoever asks by it keeps them from a reset.
func TestOddSpellingsTakeNoMails(t *testing.T) {
	long := strings.Repeat("각", 20) + "@" + strings.Repeat("각", 20) + ".example"
	each(t, func(t *testing.T, db *gorm.DB) {
		s := newMailSite(t, db, testdb.Secrets{}, routes.Limits{ClientAddress: byHeader})
		for owner, odd := range map[string][]string{
			"victim1@example.com":         {"ｖｉｃｔｉｍ１@example.com", "vıctim1@example.com", "v\u0130ctim1@example.com", "ⅴictim1@example.com", "viⓒtim1@example.com"},
			"γιώργος@example.gr":          {"ΓΙΏΡΓΟΣ@example.gr", "γιώργος@ｅxample.gr", "γιώργοσ@example.gr"},
			"ışık@example.com":            {"IŞIK@example.com", "ışık@exampⅼe.com"},
			"ÉRICÀ@example.com":           {"Éricà@example.com", "éricà@example.com"},
			"Émile@example.com":           {"Émilｅ@example.com", "émilｅ@example.com", "Ém\u0130le@example.com"},
			"josé@example.com":            {"josＥ\u0301@example.com", "ｊosé@example.com"},
			long:                          {norm.NFD.String(strings.Repeat("각", 60)) + long},
			"plain.name@beispiel.example": {"plain.name@beiſpiel.example"},
		} {
			s.register(owner)
			for _, path := range []string{"/auth/forgot-password", "/auth/request-verify-token"} {
				for i, email := range odd {
					for n := range 4 {
						s.do(http.MethodPost, path, fmt.Sprintf(`{"email":%q}`, email), "Content-Type", "application/json", "X-Test-Address", address(10*i+n+100*len(owner)))
					}
				}
				s.clock.Advance(time.Second)
				got := s.do(http.MethodPost, path, fmt.Sprintf(`{"email":%q}`, owner), "Content-Type", "application/json", "X-Test-Address", "192.0.2."+fmt.Sprint(len(owner)))
				kind := map[string]string{"/auth/request-verify-token": "request-verify", "/auth/forgot-password": "forgot-password"}[path]
				if got.status != http.StatusAccepted && len(s.mailed(kind, owner)) == 0 {
					t.Errorf("%s: %d and no mail for %s", path, got.status, owner)
				}
			}
		}
	})
}

// The letters of a long address may be typed in parts: it is found, and mailed to.
func TestALongAddressInParts(t *testing.T) {
	s := newLimitSite(t, routes.Limits{})
	long := strings.Repeat("각", 20)
	long += "@" + long + "." + long + ".example"
	s.register(long)
	s.do(http.MethodPost, "/auth/forgot-password", fmt.Sprintf(`{"email":%q}`, norm.NFD.String(long)), "Content-Type", "application/json")
	if n := len(s.mailed("forgot-password", long)); n != 1 {
		t.Errorf("%d mails", n)
	}
}

// Who hangs up has a mail sent that was counted; and a request that failed
// counts for nothing.
func TestMailsThatAreCountedAreSent(t *testing.T) {
	s := newLimitSite(t, routes.Limits{})
	s.register("ann@example.com")
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	for range 3 {
		r := httptest.NewRequestWithContext(gone, http.MethodPost, "/auth/forgot-password", strings.NewReader(`{"email":"ann@example.com"}`))
		r.Header.Set("Content-Type", "application/json")
		if err := s.factory.ResetPassword()[0].Handler(httptest.NewRecorder(), r); err != nil {
			t.Error(err)
		}
	}
	if n := len(s.mailed("forgot-password", "ann@example.com")); n != 3 {
		t.Errorf("%d mails after three requests by who hung up", n)
	}

	full := authn.Background{Workers: 1, Backlog: 1}
	reset, err := jwt.NewResetTokens(jwt.Secret(resetSecret), jwt.MailedConfig{InsecureShortSecret: true})
	if err != nil {
		t.Fatal(err)
	}
	bearer, err := backends.JWT(jwt.Secret(jwtSecret), backends.JWTConfig{Config: jwt.Config{InsecureShortSecret: true}})
	if err != nil {
		t.Fatal(err)
	}
	busy := serveSite(t, testdb.SQLite(t), authn.Config{ResetTokens: reset, Background: full}, routes.Config[*userdb.User]{}, bearer)
	started, release := make(chan struct{}, 2), make(chan struct{})
	hold := func() {
		t.Helper()
		if err := busy.users.Background(t.Context(), "test", func(context.Context) error { started <- struct{}{}; <-release; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	hold()
	<-started // it runs, and the next one waits
	hold()
	ask := func() reply {
		return busy.json(http.MethodPost, "/auth/forgot-password", `{"email":"ann@example.com"}`, "")
	}
	for range 5 {
		if got := ask(); got.status != http.StatusServiceUnavailable {
			t.Errorf("control: %v", got)
		}
	}
	close(release)
	if err := busy.users.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := ask(); got.status != http.StatusAccepted {
		t.Errorf("after five that failed: %v", got)
	}
}

// Each route that costs or tells something is bounded, by its own count.
func TestOtherRoutesAreLimited(t *testing.T) {
	s := newLimitSite(t, routes.Limits{})
	s.register("ann@example.com")
	token := s.login("jwt", "ann@example.com", "secret")
	ask := func(method, path, body string) reply {
		return s.do(method, path, body, "Content-Type", "application/json", "Authorization", "Bearer "+token, "X-Test-Address", "192.0.2.1")
	}
	for _, c := range []struct {
		path, body  string
		status, max int
	}{
		{"/auth/register", `{"email":"ann@example.com","password":"secret"}`, 400, 30},
		{"/auth/verify", `{"token":"wrong"}`, 400, 30},
		{"/auth/reset-password", `{"token":"wrong","password":"secret"}`, 400, 30},
	} {
		for range c.max {
			s.has(c.path, ask("POST", c.path, c.body), c.status, "")
		}
		got := ask("POST", c.path, c.body)
		s.has(c.path+" beyond", got, 429, `{"detail":"Too Many Requests"}`)
		if got.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		s.has(c.path+" from elsewhere", s.do("POST", c.path, c.body, "Content-Type", "application/json", "X-Test-Address", "192.0.2.2"), c.status, "")
	}
	for range 5 { // nothing is mailed, and nothing told
		s.has("a password that is refused", ask("PATCH", "/users/me", `{"email":"bob@example.com","password":"s"}`), 400, "UPDATE_USER_INVALID_PASSWORD")
	}
	for i := range 3 { // mails go out
		s.has("another address", ask("PATCH", "/users/me", fmt.Sprintf(`{"email":"ann%d@example.com"}`, i)), 200, "")
	}
	s.has("one too many", ask("PATCH", "/users/me", `{"email":"bob@example.com"}`), 429, "")
	s.has("no change", ask("PATCH", "/users/me", `{"email":"ann2@example.com"}`), 200, "")
	s.clock.Advance(15 * time.Minute)
	s.register("bob@example.com")
	for range 3 { // which tells that somebody has it
		s.has("a taken address", ask("PATCH", "/users/me", `{"email":"bob@example.com"}`), 400, "UPDATE_USER_EMAIL_ALREADY_EXISTS")
	}
	s.has("one too many again", ask("PATCH", "/users/me", `{"email":"cid@example.com"}`), 429, "")
}

// A password that its policy refuses has cost what the policy asks of others.
func TestRefusedPasswordsAreLimited(t *testing.T) {
	s := newLimitSite(t, routes.Limits{})
	s.register("ann@example.com")
	bearer := "Bearer " + s.login("jwt", "ann@example.com", "secret")
	token := s.ask("/auth/forgot-password", "ann@example.com")
	for _, c := range []struct{ method, path, body string }{
		{"PATCH", "/users/me", `{"password":"s"}`},
		{"POST", "/auth/reset-password", fmt.Sprintf(`{"token":%q,"password":"s"}`, token)},
	} {
		ask := func() reply {
			return s.do(c.method, c.path, c.body, "Content-Type", "application/json", "Authorization", bearer, "X-Test-Address", "192.0.2.1")
		}
		for range 100 {
			s.has(c.path, ask(), 400, "INVALID_PASSWORD")
		}
		s.has(c.path+" beyond", ask(), 429, "Too Many Requests")
	}
	s.has("no password", s.do("PATCH", "/users/me", `{}`, "Content-Type", "application/json", "Authorization", bearer, "X-Test-Address", "192.0.2.1"), 200, "")
}

// A right password counts for nothing where a gate of the backend's refuses it; but
// what a hook refuses does, whatever it says: it may be a second factor that
// somebody guesses.
func TestARightPasswordThatIsRefused(t *testing.T) {
	var all []authn.Backend
	for _, name := range []string{"jwt", "strict"} {
		b, err := backends.JWT(jwt.Secret([]byte(strings.Repeat(name, 16))), backends.JWTConfig{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	all[1] = authn.RequireVerified(all[1])
	s := serveSite(t, testdb.SQLite(t), authn.Config{}, routes.Config[*userdb.User]{Limits: routes.Limits{ClientAddress: byHeader}}, all...)
	s.register("ann@example.com")
	for range 7 {
		s.wants("strict", s.form("/auth/strict/login", "username", "ann@example.com", "password", "secret"), 400, "LOGIN_USER_NOT_VERIFIED")
	}
	refuse := true
	s.users.Use(authn.Hooks[*userdb.User]{BeforeLogin: func(context.Context, *userdb.User, authn.Identity) error {
		if refuse {
			return fmt.Errorf("%w: a wrong code", authn.ErrNotVerified)
		}
		return nil
	}})
	for range 5 {
		s.wants("hook", s.form("/auth/jwt/login", "username", "ann@example.com", "password", "secret"), 400, "LOGIN_USER_NOT_VERIFIED")
	}
	refuse = false
	s.wants("after a hook", s.form("/auth/jwt/login", "username", "ann@example.com", "password", "secret"), 429, "Too Many Requests")
}

// What succeeds counts for nothing.
func TestTokensThatAreRightCountForNothing(t *testing.T) {
	s := newLimitSite(t, routes.Limits{TokenAddress: routes.Limit{Burst: 2, Every: time.Hour}})
	for i := range 5 {
		email := fmt.Sprintf("user%d@example.com", i)
		s.register(email)
		s.has("verify", s.verify(s.ask("/auth/request-verify-token", email)), 200, "")
	}
}

// Who has a refresh token isn't kept from using it by others at the same address
// who have none.
func TestARightRefreshPasses(t *testing.T) {
	s := serveSite(t, testdb.SQLite(t), authn.Config{}, routes.Config[*userdb.User]{}, sessionBackend(t))
	s.register("ann@example.com")
	in := s.do(http.MethodPost, "/auth/web/login", "username=ann%40example.com&password=secret", "Content-Type", "application/x-www-form-urlencoded")
	var refresh string
	for _, line := range in.header["Set-Cookie"] {
		if strings.HasPrefix(line, "session_refresh=") {
			refresh, _, _ = strings.Cut(line, ";")
		}
	}
	for i := range 40 {
		if got, want := s.do(http.MethodPost, "/auth/web/refresh", "", "Cookie", "session_refresh=wrong").status, map[bool]int{true: 401, false: 429}[i < 30]; got != want {
			t.Errorf("the %d. wrong one: %d, want %d", i+1, got, want)
		}
	}
	if got := s.do(http.MethodPost, "/auth/web/refresh", "", "Cookie", refresh); got.status != http.StatusNoContent {
		t.Errorf("a right one: %v", got)
	}
}

// What is tried too often leaves no row for each.
func TestTokensBeyondTheLimitLeaveNoEvents(t *testing.T) {
	s := newEventSite(t, testdb.SQLite(t), routes.Limits{})
	for range 100 {
		s.call("POST", "/auth/verify", `{"token":"nonsense"}`, "")
		s.call("POST", "/auth/reset-password", `{"token":"nonsense","password":"secret"}`, "")
	}
	if err := s.users.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(s.heard); n != 60 {
		t.Errorf("%d events, want 60", n)
	}
}

// Who has the old password, or waits under somebody's address, can't keep them
// from a reset by ever newer ones; and what was refused counts for nothing.
func TestNewPasswordsAreLimited(t *testing.T) {
	s := newLimitSite(t, routes.Limits{})
	s.register("ann@example.com")
	token := s.login("jwt", "ann@example.com", "secret")
	change := func(password string) reply {
		got := s.do(http.MethodPatch, "/users/me", fmt.Sprintf(`{"password":%q}`, password), "Content-Type", "application/json", "Authorization", "Bearer "+token)
		if got.status == http.StatusOK {
			token = s.login("jwt", "ann@example.com", password)
		}
		return got
	}
	for range 5 {
		s.has("a short one", change("s"), 400, "UPDATE_USER_INVALID_PASSWORD")
	}
	for i := range 3 {
		s.has("a new one", change(fmt.Sprintf("secret%d", i)), 200, "")
	}
	s.has("one too many", change("secret3"), 429, "")
	s.clock.Advance(5 * time.Minute)
	token = s.login("jwt", "ann@example.com", "secret2")
	s.has("later", change("secret4"), 200, "")
	s.clock.Advance(5 * time.Minute)
	token = s.login("jwt", "ann@example.com", "secret4")
	s.has("the delay grows", change("secret5"), 429, "")
	if got := s.reset(s.ask("/auth/forgot-password", "ann@example.com"), "mine again"); got.status != http.StatusOK {
		t.Errorf("a reset: %v", got)
	}
	token = s.login("jwt", "ann@example.com", "mine again")
	s.has("what others have changed is forgotten", change("and another"), 200, "")
}

// A device goes on being known when its user has a new password there; another
// one doesn't become so.
func TestANewPasswordKeepsTheDevice(t *testing.T) {
	s := newLimitSite(t, routes.Limits{})
	s.register("ann@example.com")
	in := s.loginFrom("192.0.2.1", "ann@example.com", "secret")
	device, token := in.device(), s.login("jwt", "ann@example.com", "secret")
	change := func(password string, headers ...string) reply {
		return s.do(http.MethodPatch, "/users/me", fmt.Sprintf(`{"password":%q}`, password), append(headers, "Content-Type", "application/json", "Authorization", "Bearer "+token)...)
	}
	got := change("another", "Cookie", device)
	if got.status != http.StatusOK || got.device() == "" {
		t.Fatal(got)
	}
	s.lock("ann@example.com")
	s.has("the device", s.loginFrom("192.0.2.9", "ann@example.com", "another", "Cookie", got.device()), 200, "access_token")
	token = s.login("jwt", "ann@example.com", "another")
	for what, headers := range map[string][]string{"none": nil, "one of before the password": {"Cookie", device}} {
		if got := change("yet another", headers...); got.status != http.StatusOK || got.device() != "" {
			t.Errorf("%s: %v", what, got)
		}
		token = s.login("jwt", "ann@example.com", "yet another")
	}
}

// A device that goes on being known has the failures of before: who has it and a
// session, and no password, gets no more guesses by signing out elsewhere.
func TestSigningOutElsewhereForgetsNoGuesses(t *testing.T) {
	s := newLimitSite(t, routes.Limits{})
	s.register("ann@example.com")
	device, token := s.loginFrom("192.0.2.1", "ann@example.com", "secret").device(), s.login("jwt", "ann@example.com", "secret")
	before := s.hasher.checks.Load()
	for range 5 {
		for range 5 {
			s.loginFrom("192.0.2.1", "ann@example.com", "wrong", "Cookie", device)
		}
		got := s.do(http.MethodDelete, "/auth/sessions", "", "Cookie", device, "Authorization", "Bearer "+token)
		if got.status != http.StatusOK || got.device() == "" || got.device() == device {
			t.Fatal(got)
		}
		var answer struct {
			Token string `json:"access_token"`
		}
		if err := json.Unmarshal([]byte(got.body), &answer); err != nil {
			t.Fatal(err)
		}
		device, token = got.device(), answer.Token
	}
	if n := s.hasher.checks.Load() - before; n != 10 {
		t.Errorf("%d guesses were looked at, want 10", n)
	}
}

// failing is a store that is away while it is told so.
type failing struct {
	authn.MemoryLimits
	away  atomic.Bool
	asked atomic.Int64
}

func (f *failing) Take(ctx context.Context, key authn.LimitKey, limit routes.Limit, now time.Time) (time.Duration, error) {
	f.asked.Add(1)
	if f.away.Load() {
		return 0, errors.New("away")
	}
	return f.MemoryLimits.Take(ctx, key, limit, now)
}

func newKeys(t *testing.T) *linked.Keys {
	t.Helper()
	keys, err := linked.NewKeys([]byte(strings.Repeat("k1", linked.KeySize/2)))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// Processes share counts and devices; and a store that is away turns no limit
// off, and nobody away.
func TestAStoreOfLimits(t *testing.T) {
	store := new(failing)
	limits := routes.Limits{Store: store, Devices: routes.Devices{Keys: newKeys(t)}}
	one := newLimitSite(t, limits)
	one.register("ann@example.com")
	device := one.loginFrom("192.0.2.1", "ann@example.com", "secret").device()
	one.lock("ann@example.com")
	one.has("the device", one.loginFrom("203.0.113.1", "ann@example.com", "secret", "Cookie", device), 200, "")

	two := newLimitSite(t, limits) // of another database: unknown is as known
	two.has("another process", two.loginFrom("203.0.113.7", "ann@example.com", "secret"), 429, "")

	store.away.Store(true)
	one.has("locked still", one.loginFrom("203.0.113.2", "ann@example.com", "secret"), 429, "")
	one.has("the device still", one.loginFrom("203.0.113.2", "ann@example.com", "secret", "Cookie", device), 200, "")
	before := store.asked.Load()
	for range 5 {
		one.has("counted here", one.loginFrom("203.0.113.3", "bob@example.com", "wrong"), 400, "")
	}
	one.has("counted here", one.loginFrom("203.0.113.3", "bob@example.com", "wrong"), 429, "")
	if n := store.asked.Load() - before; n != 0 {
		t.Errorf("a store that is away was asked %d times", n)
	}
	one.clock.Advance(3 * time.Second)
	one.has("and again later", one.loginFrom("203.0.113.3", "carol@example.com", "wrong"), 400, "")
	if n := store.asked.Load() - before; n != 1 {
		t.Errorf("it was asked %d times", n)
	}
	store.away.Store(false)
	one.clock.Advance(3 * time.Second)
	one.has("there again", one.loginFrom("203.0.113.3", "dave@example.com", "wrong"), 400, "")
	if n := store.asked.Load() - before; n < 3 {
		t.Errorf("it was asked %d times", n)
	}
}

func TestLimitsThatAreWrong(t *testing.T) {
	users, err := authn.New(new(authntest.Memory), authn.Config{Logger: slog.New(slog.DiscardHandler)}, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	for says, limits := range map[string]routes.Limits{
		"needs Limits.Devices.Keys": {Store: new(authn.MemoryLimits)},
		"at least a second":         {Devices: routes.Devices{Lifetime: time.Millisecond}},
		"browsers refuse":           {Devices: routes.Devices{CookieName: "__Host-x", InsecureHTTP: true}},
		"invalid":                   {Devices: routes.Devices{CookieName: "a b"}},
	} {
		if _, err := routes.New(users, routes.Config[*authntest.User]{Limits: limits}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want one that says %q", err, says)
		}
	}
	if _, err := routes.New(users, routes.Config[*authntest.User]{Limits: routes.Limits{Store: new(authn.MemoryLimits), Devices: routes.Devices{Skip: true}}}); err != nil {
		t.Error(err)
	}
}
