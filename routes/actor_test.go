package routes_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/userdb"
)

// Who acts is said by the credential: not by the body, the query or a header.
func TestTheCredentialSaysWhoActs(t *testing.T) {
	db := testdb.SQLite(t)
	s := newSite(t, db)
	ann, root := s.register("ann@example.com"), s.register("root@example.com")
	s.set(root, authn.Update[*userdb.User]{IsSuperuser: &yes})
	token := s.login("jwt", "ann@example.com", "secret")
	before := snapshot(t, db)
	claim := fmt.Sprintf(`{"id":%q,"user_id":%q,"userId":%q,"sub":%q,"user":{"id":%q},"email":"root@example.com"}`, root, root, root, root, root)
	query := "?id=" + root + "&user_id=" + root + "&userId=" + root + "&user=" + root
	headers := []string{"Content-Type", "application/json", "X-User-Id", root, "X-User", root, "X-Forwarded-User", root, "Remote-User", root, "X-Auth-Request-User", root}
	for _, path := range []string{"/users/me", "/users/" + root} {
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			got := s.do(method, path+query, claim, headers...)
			if got.status != http.StatusUnauthorized && got.status != http.StatusMethodNotAllowed && (path != "/users/me" || got.status != http.StatusNotFound) {
				t.Errorf("%s %s as nobody: %d %s", method, path, got.status, got.body)
			}
		}
	}
	headers = append(headers, "Authorization", "Bearer "+token)
	s.wants("another's data", s.do("GET", "/users/"+root+query, "", headers...), 403, "Forbidden")
	got := s.do("GET", "/users/me"+query, "", headers...)
	if !strings.Contains(got.body, ann) || strings.Contains(got.body, root) {
		t.Errorf("GET /users/me: %s", got.body)
	}
	s.wants("another's address", s.do("PATCH", "/users/me"+query, claim, headers...), 400, "UPDATE_USER_EMAIL_ALREADY_EXISTS")
	if after := snapshot(t, db); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("something was changed:\n%v\n%v", before, after)
	}
	got = s.do("PATCH", "/users/me"+query, strings.Replace(claim, "root@example.com", "anna@example.com", 1), headers...)
	if got.status != 200 || !strings.Contains(got.body, ann) {
		t.Errorf("one's own: %d %s", got.status, got.body)
	}
}

// sessionBackend is "web", of sessions in cookies.
func sessionBackend(t *testing.T) authn.Backend {
	t.Helper()
	cookie, err := backends.NewCookie(backends.CookieConfig{Name: "session", InsecureHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	b, err := backends.WithSessions(backends.New("web", cookie, new(authntest.Tokens)), new(authntest.MemorySessions), backends.SessionConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A log-in issues something new, whatever the client brings along: a value that
// somebody chose for it opens nothing afterwards, and an older one isn't kept.
func TestALogInTakesNothingThatTheClientBrings(t *testing.T) {
	s := serveSite(t, testdb.SQLite(t), authn.Config{}, routes.Config[*userdb.User]{Limits: noLimits}, sessionBackend(t))
	s.register("ann@example.com")
	login := func(cookies string) map[string]string {
		t.Helper()
		got := s.do("POST", "/auth/web/login?session=chosen&sid=chosen", "username=ann%40example.com&password=secret&session_id=chosen&access_token=chosen",
			"Content-Type", "application/x-www-form-urlencoded", "Cookie", cookies, "Authorization", "Bearer chosen")
		set := map[string]string{}
		for _, line := range got.header["Set-Cookie"] {
			c, err := http.ParseSetCookie(line)
			if err != nil {
				t.Fatal(err)
			}
			set[c.Name] = c.Value
		}
		if got.status != http.StatusNoContent || len(set) != 2 {
			t.Fatal(got)
		}
		return set
	}
	opens := func(value string) bool {
		return s.do("GET", "/users/me", "", "Cookie", "session="+value).status == http.StatusOK
	}
	first := login("session=chosen; session_refresh=chosen")
	second := login("session=" + first["session"] + "; session_refresh=" + first["session_refresh"])
	for name, value := range second {
		if value == "chosen" || first[name] == "chosen" || value == first[name] {
			t.Errorf("%s: %q, then %q", name, first[name], value)
		}
	}
	if opens("chosen") || !opens(first["session"]) || !opens(second["session"]) {
		t.Error("a chosen value opens, or an issued one doesn't")
	}
	if got := s.do("POST", "/auth/web/refresh", "", "Cookie", "session_refresh=chosen"); got.status != http.StatusUnauthorized {
		t.Errorf("a chosen refresh token: %d %s", got.status, got.body)
	}
	var list []map[string]any
	got := s.do("GET", "/auth/sessions", "", "Cookie", "session="+second["session"])
	if err := json.Unmarshal([]byte(got.body), &list); err != nil || len(list) != 2 || strings.Contains(got.body, "chosen") {
		t.Errorf("the sessions: %s, %v", got.body, err)
	}
}

// Without a word of the application, the address that limits count is that of
// the connection, whatever a header says.
func TestNoHeaderChangesTheAddress(t *testing.T) {
	s := newMailSite(t, testdb.SQLite(t), testdb.Secrets{}, routes.Limits{})
	for i := range 21 {
		from := address(i)
		got := s.do("POST", "/auth/jwt/login", fmt.Sprintf("username=user%d%%40example.com&password=wrong", i), "Content-Type", "application/x-www-form-urlencoded",
			"X-Forwarded-For", from, "X-Real-IP", from, "Forwarded", "for="+from, "True-Client-IP", from, "CF-Connecting-IP", from)
		if want := map[bool]int{false: 400, true: 429}[i == 20]; got.status != want {
			t.Errorf("guess %d: %d, want %d", i, got.status, want)
		}
	}
}
