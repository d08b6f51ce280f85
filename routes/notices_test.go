package routes_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/userdb"
)

// told counts the notices of a new device since.
func (s *mailSite) told() (n int) {
	s.Helper()
	if err := s.users.Flush(s.Context()); err != nil {
		s.Fatal(err)
	}
	for _, e := range s.mails.Events() {
		if e.Kind == string(authn.NewDevice) {
			if e.Email != "ann@example.com" {
				s.Errorf("a notice to %s", e.Email)
			}
			n++
		}
	}
	defer func(before int) { s.noticed = before }(n)
	return n - s.noticed
}

func TestNoticesOfNewDevices(t *testing.T) {
	s := newLimitSite(t, routes.Limits{Devices: routes.Devices{Notify: true}})
	s.register("ann@example.com")
	in := func(from string, headers ...string) reply {
		t.Helper()
		got := s.loginFrom(from, "ann@example.com", "secret", headers...)
		s.has("log-in from "+from, got, http.StatusOK, "access_token")
		return got
	}
	verified := func(is *bool) { s.update("ann@example.com", authn.Update[*userdb.User]{IsVerified: is}) }
	wants := func(what string, want int) {
		t.Helper()
		if n := s.told(); n != want {
			t.Errorf("%s: %d notices, want %d", what, n, want)
		}
	}
	cookie := in("192.0.2.1").device()
	wants("the first log-in", 0)
	in("192.0.2.2")
	wants("an address that nobody has verified", 0)
	verified(&yes)
	in("192.0.2.1")
	in("192.0.2.2")
	wants("known addresses", 0)
	in("192.0.2.3", "Cookie", cookie)
	wants("a known device", 0)
	in("192.0.2.4")
	wants("neither", 1)
	in("192.0.2.4")
	wants("the same again", 0)
	if got := s.loginFrom("192.0.2.5", "ann@example.com", "wrong"); got.status != http.StatusBadRequest {
		t.Error(got)
	}
	wants("a wrong password", 0)

	password := "secret"
	s.update("ann@example.com", authn.Update[*userdb.User]{Password: &password})
	in("192.0.2.6", "Cookie", cookie)
	wants("the device, after a new password", 0)
	s.register("bob@example.com")
	theirs := s.loginFrom("192.0.2.7", "bob@example.com", "secret").device()
	in("192.0.2.8", "Cookie", theirs)
	wants("somebody else's device", 1)

	for i := range 10 {
		in(address(i))
	}
	wants("no more than three at once", 1)
	s.clock.Advance(time.Hour)
	in(address(11))
	in(address(12))
	wants("one more an hour", 1)
	s.clock.Advance(31 * 24 * time.Hour)
	in("192.0.2.1")
	wants("an address that is forgotten", 1)
}

func TestNoNoticesOfNewDevicesByDefault(t *testing.T) {
	for what, devices := range map[string]routes.Devices{"the zero value": {}, "no devices": {Skip: true, Notify: true}} {
		s := newLimitSite(t, routes.Limits{Devices: devices})
		s.register("ann@example.com")
		s.update("ann@example.com", authn.Update[*userdb.User]{IsVerified: &yes})
		for i := range 3 {
			s.has("log-in", s.loginFrom(address(i), "ann@example.com", "secret"), http.StatusOK, "access_token")
		}
		if n := s.told(); n != 0 {
			t.Errorf("%s: %d notices", what, n)
		}
	}
}

// A notice of the application's own goes to a verified address, or nowhere.
func TestANoticeOfTheApplications(t *testing.T) {
	s := newMailSite(t, testdb.SQLite(t), testdb.Secrets{}, noLimits)
	s.register("ann@example.com")
	tell := func() {
		t.Helper()
		u, err := s.users.GetByEmail(t.Context(), "ann@example.com")
		if err != nil {
			t.Fatal(err)
		}
		s.users.Notify(t.Context(), u, authn.NewDevice)
	}
	tell()
	if n := s.told(); n != 0 {
		t.Error("a notice to an address that nobody has verified")
	}
	s.update("ann@example.com", authn.Update[*userdb.User]{IsVerified: &yes})
	tell()
	if n := s.told(); n != 1 {
		t.Errorf("%d notices", n)
	}
}

// A passkey, say, makes a device and an address known as a password does, and is
// told of.
func TestALogInByOtherMeans(t *testing.T) {
	s := newLimitSite(t, routes.Limits{Devices: routes.Devices{Notify: true}})
	s.register("ann@example.com")
	s.update("ann@example.com", authn.Update[*userdb.User]{IsVerified: &yes})
	ann, err := s.users.GetByEmail(t.Context(), "ann@example.com")
	if err != nil {
		t.Fatal(err)
	}
	in := func(what, from string, notices int, headers ...string) (device string) {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
		r.Header.Set("X-Test-Address", from)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		cookie := s.factory.LoggedIn(r, ann)
		if n := s.told(); n != notices {
			t.Errorf("%s: %d notices, want %d", what, n, notices)
		}
		if cookie == nil {
			return ""
		}
		return cookie.Name + "=" + cookie.Value
	}
	device := in("the first", "192.0.2.1", 0)
	in("elsewhere", "192.0.2.2", 1)
	in("the same again", "192.0.2.2", 0)
	in("with the device", "192.0.2.3", 0, "Cookie", device)
	if got := in("begun by another site", "192.0.2.4", 1, "Sec-Fetch-Site", "cross-site"); got != "" {
		t.Errorf("another site made a device known: %s", got)
	}
	in("elsewhere still, after that", "192.0.2.4", 1)
	s.lock("ann@example.com")
	s.has("a known address", s.loginFrom("192.0.2.2", "ann@example.com", "secret"), http.StatusOK, "access_token")
	s.has("the known device", s.loginFrom("192.0.2.9", "ann@example.com", "secret", "Cookie", device), http.StatusOK, "access_token")
	s.has("neither", s.loginFrom("192.0.2.10", "ann@example.com", "secret"), http.StatusTooManyRequests, "")
}

func TestALogInByOtherMeansWithoutLimits(t *testing.T) {
	for what, limits := range map[string]routes.Limits{"none": noLimits, "no devices": {Devices: routes.Devices{Skip: true, Notify: true}}} {
		s := newMailSite(t, testdb.SQLite(t), testdb.Secrets{}, limits)
		s.register("ann@example.com")
		ann, err := s.users.GetByEmail(t.Context(), "ann@example.com")
		if err != nil {
			t.Fatal(err)
		}
		if cookie := s.factory.LoggedIn(httptest.NewRequest(http.MethodPost, "/", nil), ann); cookie != nil {
			t.Errorf("%s: %v", what, cookie)
		}
	}
}
