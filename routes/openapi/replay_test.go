package openapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/authn/password"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/routes/openapi"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

// stage is a server whose documented answers are provoked, one after the other.
type stage struct {
	*testing.T
	url    string
	users  *authn.Users[*member]
	outbox *authntest.Outbox[*member]
	close  func() // the database
	count  int
}

func newStage(t *testing.T) (*stage, map[string]any) {
	db := testdb.SQLite(t)
	store, err := userdb.New[member](db)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	key := func(name string) jwt.Key { return jwt.Secret([]byte(strings.Repeat(name, 16))) }
	verify, err := jwt.NewVerifyTokens(key("verify"), jwt.MailedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	reset, err := jwt.NewResetTokens(key("reset"), jwt.MailedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	web, err := backends.JWT(key("web"), backends.JWTConfig{Name: "web"})
	if err != nil {
		t.Fatal(err)
	}
	strict, err := backends.JWT(key("strict"), backends.JWTConfig{Name: "strict"})
	if err != nil {
		t.Fatal(err)
	}
	cookie, err := backends.CookieJWT(key("cookie"), backends.CookieJWTConfig{})
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := userdb.NewSessions(store, userdb.SessionsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := sessions.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	short, err := backends.JWT(key("session"), backends.JWTConfig{Name: "session"})
	if err != nil {
		t.Fatal(err)
	}
	session, err := backends.WithSessions(short, sessions, backends.SessionConfig{Limit: authn.SessionLimit{Max: 2, Refuse: true}})
	if err != nil {
		t.Fatal(err)
	}
	browser, err := backends.CookieJWT(key("browser"), backends.CookieJWTConfig{Name: "browser", Cookie: backends.CookieConfig{Name: "browser"}})
	if err != nil {
		t.Fatal(err)
	}
	if browser, err = backends.WithSessions(browser, sessions, backends.SessionConfig{}); err != nil {
		t.Fatal(err)
	}
	users, err := authn.New(store, authn.Config{
		VerifyTokens: verify, ResetTokens: reset,
		Passwords: &password.Hasher{Params: password.Params{Memory: 64, Time: 1, Threads: 1}},
	}, web, authn.RequireVerified(strict), cookie, authn.RequireVerified(session), browser)
	if err != nil {
		t.Fatal(err)
	}
	outbox := new(authntest.Outbox[*member])
	users.Use(outbox.Hooks())
	input := routes.Input(func(in memberInput, u *member) error { u.Name = in.Name; return nil })
	update := routes.Input(func(in struct {
		Name routes.Optional[string] `json:"name"`
	}, u *member) error {
		in.Name.Apply(&u.Name)
		return nil
	})
	events, err := userdb.NewEvents(db, userdb.EventsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := events.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	users.Use(authn.Hooks[*member]{OnEvent: events.Append})
	factory, err := routes.New(users, routes.Config[*member]{Register: input, Update: update, Events: events, Limits: routes.Limits{
		RegisterAddress: few, TokenAddress: few, RequestAddress: few,
	}})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi.New(factory, openapi.Config{})
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	e.HTTPErrorHandler = echo4.ErrorHandler
	echo4.Mount(e, factory.All())
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	return &stage{T: t, url: server.URL, users: users, outbox: outbox, close: func() { pool.Close() }}, document(t, doc)
}

const right = "correct horse"

var few = routes.Limit{Burst: 20, Every: time.Minute}

// user makes one who is verified or not, superuser or not.
func (s *stage) user(superuser, verified bool) *member {
	s.Helper()
	s.count++
	name := fmt.Sprintf("user%d", s.count)
	u, err := s.users.Register(s.Context(), name+"@example.com", right, func(u *member) error {
		u.Name, u.IsSuperuser, u.IsVerified = name, superuser, verified
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
	return u
}

// credential logs a user in, and returns the header that says so.
func (s *stage) credential(backend string, u *member) http.Header {
	s.Helper()
	res, err := s.users.Login(s.Context(), backend, u, authn.MethodPassword)
	if err != nil {
		s.Fatal(err)
	}
	if set := res.Header["Set-Cookie"]; set != nil {
		var pairs []string
		for _, cookie := range set {
			pair, _, _ := strings.Cut(cookie, ";")
			pairs = append(pairs, pair)
		}
		return http.Header{"Cookie": {strings.Join(pairs, "; ")}}
	}
	return http.Header{"Authorization": {"Bearer " + s.tokens(res).Access}}
}

type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// tokens are those of an answer.
func (s *stage) tokens(res *authn.Response) (t tokens) {
	s.Helper()
	body, err := json.Marshal(res.Body)
	if err != nil {
		s.Fatal(err)
	}
	if err := json.Unmarshal(body, &t); err != nil {
		s.Fatal(err)
	}
	return t
}

// refreshToken logs a user in at the backend "session".
func (s *stage) refreshToken(u *member) string {
	s.Helper()
	res, err := s.users.Login(s.Context(), "session", u, authn.MethodPassword)
	if err != nil {
		s.Fatal(err)
	}
	return s.tokens(res).Refresh
}

// sessionOf returns the id of the first session of a user.
func (s *stage) sessionOf(u *member) string {
	s.Helper()
	s.credential("session", u)
	all, err := s.users.Sessions(s.Context(), u.AuthID())
	if err != nil || len(all) == 0 {
		s.Fatal(all, err)
	}
	return all[0].ID
}

// mailed returns the newest token of a kind.
func (s *stage) mailed(kind string) string {
	s.Helper()
	if err := s.users.Flush(s.Context()); err != nil {
		s.Fatal(err)
	}
	events := s.outbox.Events()
	for i := len(events) - 1; i >= 0; i-- {
		if events[i].Kind == kind {
			return events[i].Token.Value
		}
	}
	s.Fatalf("no %s", kind)
	return ""
}

// attempt is a request.
type attempt struct {
	method, path string
	header       http.Header
	contentType  string
	body         string
}

func (s *stage) ask(a attempt) (int, any) {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), a.method, s.url+a.path, strings.NewReader(a.body))
	if err != nil {
		s.Fatal(err)
	}
	for name, values := range a.header {
		r.Header[name] = values
	}
	if a.contentType != "" {
		r.Header.Set("Content-Type", a.contentType)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.Fatal(err)
	}
	var answer any
	if len(bytes.TrimSpace(text)) > 0 {
		if err := json.Unmarshal(text, &answer); err != nil {
			s.Fatal(err)
		}
	}
	return res.StatusCode, answer
}

func jsonOf(s *stage, members map[string]any) string {
	text, err := json.Marshal(members)
	if err != nil {
		s.Fatal(err)
	}
	return string(text)
}

// good returns a request that succeeds but for what a scenario changes.
func (s *stage) good(method, path string) (attempt, map[string]any) {
	s.Helper()
	a := attempt{method: method, path: path, contentType: "application/json"}
	body := map[string]any{}
	s.count++
	fresh := fmt.Sprintf("fresh%d", s.count)
	switch {
	case strings.HasSuffix(path, "/login"):
		a.contentType = "application/x-www-form-urlencoded"
		body = map[string]any{"username": s.user(false, true).Email, "password": right}
	case strings.HasSuffix(path, "/logout"):
		a.header = s.credential(strings.Split(path, "/")[2], s.user(false, true))
	case path == "/auth/session/refresh":
		body = map[string]any{"refresh_token": s.refreshToken(s.user(false, true))}
	case path == "/auth/browser/refresh":
		a.header = s.credential("browser", s.user(false, false))
	case strings.HasSuffix(path, "/revoke"):
		body = map[string]any{"token": s.refreshToken(s.user(false, true))}
	case path == "/auth/sessions":
		a.header = s.credential("web", s.user(false, true))
	case path == "/auth/sessions/{session}":
		u := s.user(false, true)
		a.path = "/auth/sessions/" + s.sessionOf(u)
		a.header = s.credential("web", u)
	case strings.HasPrefix(path, "/users/{id}/sessions"):
		a.header = s.credential("web", s.user(true, true))
		u := s.user(false, true)
		a.path = strings.NewReplacer("{id}", u.AuthID(), "{session}", s.sessionOf(u)).Replace(path)
	case path == "/auth/register":
		body = map[string]any{"email": fresh + "@example.com", "password": right, "name": fresh}
	case path == "/auth/forgot-password", path == "/auth/request-verify-token":
		body = map[string]any{"email": s.user(false, false).Email}
	case path == "/auth/verify":
		if err := s.users.RequestVerify(s.Context(), s.user(false, false).Email); err != nil {
			s.Fatal(err)
		}
		body = map[string]any{"token": s.mailed("request-verify")}
	case path == "/auth/reset-password":
		if err := s.users.ForgotPassword(s.Context(), s.user(false, false).Email); err != nil {
			s.Fatal(err)
		}
		body = map[string]any{"token": s.mailed("forgot-password"), "password": right + "s"}
	case path == "/auth/events":
		a.header = s.credential("web", s.user(true, true))
	case path == "/users/me", path == "/users/me/events":
		a.header = s.credential("web", s.user(false, false))
	case path == "/users/{id}":
		a.header = s.credential("web", s.user(true, true))
		a.path = "/users/" + s.user(false, false).AuthID()
	default:
		s.Fatalf("no request for %s %s", method, path)
	}
	return a, body
}

// encode makes the body of an attempt.
func (s *stage) encode(a *attempt, body map[string]any) {
	switch {
	case a.method == http.MethodGet || a.method == http.MethodDelete || strings.HasSuffix(a.path, "/logout") || a.path == "/auth/browser/refresh":
		a.contentType = ""
	case strings.HasPrefix(a.contentType, "application/x-www-form-urlencoded"):
		values := url.Values{}
		for name, value := range body {
			values.Set(name, value.(string))
		}
		a.body = values.Encode()
	default:
		a.body = jsonOf(s, body)
	}
}

// provoke makes the server give a documented refusal. It reports false for one
// that it has no scenario for.
func (s *stage) provoke(method, path string, status int, code string) (int, any, bool) {
	s.Helper()
	a, body := s.good(method, path)
	repeat, change := 1, func(int) {}
	switch key := strconv.Itoa(status) + " " + code; key {
	case "400 LOGIN_BAD_CREDENTIALS":
		body["password"] = "wrong"
	case "400 LOGIN_USER_NOT_VERIFIED":
		u := s.user(false, true)
		if strings.HasSuffix(path, "/refresh") {
			body["refresh_token"] = s.refreshToken(u)
		}
		body["username"] = u.Email
		no := false
		if _, err := s.users.Update(s.Context(), u.AuthID(), authn.Update[*member]{IsVerified: &no}); err != nil {
			s.Fatal(err)
		}
	case "400 LOGIN_TOO_MANY_SESSIONS":
		u := s.user(false, true)
		for range 2 {
			s.refreshToken(u)
		}
		body["username"] = u.Email
		if strings.HasPrefix(path, "/auth/browser/") {
			return 0, nil, false
		}
	case "400 TOKEN_WITHOUT_SESSION":
		b, _ := s.users.Backend(strings.Split(path, "/")[2])
		strategy, _ := authn.Can[authn.Strategy](b)
		token, err := strategy.Issue(s.Context(), authn.Identity{Subject: s.user(false, true).AuthID()})
		if err != nil {
			s.Fatal(err)
		}
		body["token"] = token.Value
		a.header = http.Header{"Authorization": {"Bearer " + token.Value}}
	case "400 REGISTER_USER_ALREADY_EXISTS", "400 UPDATE_USER_EMAIL_ALREADY_EXISTS":
		body["email"] = strings.ToUpper(s.user(false, false).Email)
	case "400 REGISTER_INVALID_PASSWORD", "400 RESET_PASSWORD_INVALID_PASSWORD", "400 UPDATE_USER_INVALID_PASSWORD":
		body["password"] = "short"
	case "400 VERIFY_USER_BAD_TOKEN", "400 RESET_PASSWORD_BAD_TOKEN":
		body["token"] = "no token"
	case "400 VERIFY_USER_ALREADY_VERIFIED":
		repeat = 2
	case "401 Unauthorized":
		a.header = nil
		if _, ok := body["refresh_token"]; ok {
			body["refresh_token"] = "no token"
		}
	case "403 Forbidden":
		switch {
		case strings.HasPrefix(path, "/users/{id}"), path == "/auth/events":
			a.header = s.credential("web", s.user(false, false))
		case method == http.MethodGet, strings.HasPrefix(path, "/auth/s") && strings.HasSuffix(path, "/logout"): // of a backend for verified users alone
			u := s.user(false, true)
			backend := "strict"
			if strings.HasSuffix(path, "/logout") {
				backend = strings.Split(path, "/")[2]
			}
			a.header = s.credential(backend, u)
			no := false
			if _, err := s.users.Update(s.Context(), u.AuthID(), authn.Update[*member]{IsVerified: &no}); err != nil {
				s.Fatal(err)
			}
		default:
			if a.header == nil || a.header["Cookie"] == nil {
				a.header = s.credential("cookie", s.user(false, false))
			}
			a.header.Set("Origin", "https://evil.example.com")
		}
	case "404 Not_Found":
		switch {
		case strings.HasPrefix(path, "/auth/sessions/"):
			a.path = "/auth/sessions/" + s.sessionOf(s.user(false, true)) // somebody else's
		default:
			a.path = strings.NewReplacer("{id}", "987654321", "{session}", "x").Replace(path)
		}
	case "409 Conflict":
		body["name"] = s.user(false, false).Name
	case "413 Request_Entity_Too_Large":
		body["padding"] = strings.Repeat("x", 70_000)
	case "422 missing":
		for _, first := range []string{"username", "email", "token", "refresh_token"} {
			if _, ok := body[first]; ok {
				delete(body, first)
				break
			}
		}
	case "422 query":
		a.path += "?before=x"
	case "422 invalid":
		body["email"] = "no address"
	case "429 Too_Many_Requests":
		repeat = 30
		for _, name := range []string{"token", "refresh_token", "password"} {
			if _, ok := body[name]; ok && path != "/auth/register" {
				body[name] = "wrong"
			}
		}
		if path == "/auth/browser/refresh" {
			a.header = http.Header{"Cookie": {regexp.MustCompile(`=[^;]*`).ReplaceAllString(a.header.Get("Cookie"), "=wrong")}}
		}
		if path == "/users/me" {
			change = func(i int) { body["email"] = fmt.Sprintf("other%d@example.com", i) }
		}
	default:
		return 0, nil, false
	}
	var got int
	var answer any
	for i := range repeat {
		change(i)
		s.encode(&a, body)
		if got, answer = s.ask(a); got == status {
			break
		}
	}
	return got, answer, true
}

// TestEveryDocumentedRefusalHappens replays each example against a server.
func TestEveryDocumentedRefusalHappens(t *testing.T) {
	_, parsed := newStage(t)
	replayed := 0
	for path, item := range at(parsed, "paths").(map[string]any) {
		for method, operation := range item.(map[string]any) {
			for status, response := range at(operation, "responses").(map[string]any) {
				examples, _ := at(response, "content", "application/json", "examples").(map[string]any)
				code, err := strconv.Atoi(status)
				if err != nil {
					t.Fatal(err)
				}
				if code >= 400 && len(examples) == 0 {
					t.Errorf("%s %s: %s has no example", method, path, status)
				}
				for name, example := range examples {
					t.Run(fmt.Sprintf("%s %s %s %s", method, path, status, name), func(t *testing.T) {
						s, _ := newStage(t)
						var got int
						var answer any
						ok := true
						if code == http.StatusServiceUnavailable {
							a, body := s.good(strings.ToUpper(method), path)
							s.encode(&a, body)
							if err := s.users.Flush(t.Context()); err != nil {
								t.Fatal(err)
							}
							s.close()
							got, answer = s.ask(a)
						} else {
							got, answer, ok = s.provoke(strings.ToUpper(method), path, code, name)
						}
						if want := at(example, "value"); !ok || got != code || !reflect.DeepEqual(answer, want) {
							t.Errorf("scenario: %v; %d %v, want %v", ok, got, answer, want)
						}
					})
					replayed++
				}
			}
		}
	}
	if replayed < 60 {
		t.Errorf("%d examples were replayed", replayed)
	}
}

// TestEveryDocumentedSuccessHappens does what each route is for.
func TestEveryDocumentedSuccessHappens(t *testing.T) {
	s, parsed := newStage(t)
	for path, item := range at(parsed, "paths").(map[string]any) {
		for method, operation := range item.(map[string]any) {
			a, body := s.good(strings.ToUpper(method), path)
			s.encode(&a, body)
			got, answer := s.ask(a)
			response := at(operation, "responses", strconv.Itoa(got))
			if got >= 300 || response == nil {
				t.Errorf("%s %s: %d %v", method, path, got, answer)
				continue
			}
			schema := at(response, "content", "application/json", "schema")
			if bare := got == http.StatusNoContent || strings.HasSuffix(path, "/revoke"); (schema == nil) != bare {
				t.Errorf("%s %s: %d has the schema %v", method, path, got, schema)
			}
		}
	}
}
