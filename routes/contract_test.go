package routes_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/password"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/internal/fronts"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

// site is a real server over a fresh database, with the backends jwt, other
// and strict, which takes verified users alone.
type site struct {
	*testing.T
	url     string
	users   *authn.Users[*userdb.User]
	hasher  *countingHasher
	factory *routes.Factory[*userdb.User]
}

// countingHasher counts the passwords that are looked at.
type countingHasher struct {
	password.Hasher
	checks atomic.Int64
}

func (h *countingHasher) Verify(ctx context.Context, password, hash string) (match, outdated bool, err error) {
	h.checks.Add(1)
	return h.Hasher.Verify(ctx, password, hash)
}

func newSite(t *testing.T, db *gorm.DB) *site {
	t.Helper()
	var list []authn.Backend
	for _, name := range []string{"jwt", "other", "strict"} {
		b, err := backends.JWT(jwt.Secret([]byte(strings.Repeat(name, 16))), backends.JWTConfig{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, b)
	}
	list[2] = authn.RequireVerified(list[2])
	return serveSite(t, db, authn.Config{}, routes.Config[*userdb.User]{Limits: routes.Limits{Skip: true}}, list...)
}

// each runs a test over every front on SQLite, and over the first of them on
// every other database, too.
func each(t *testing.T, f func(t *testing.T, db *gorm.DB)) {
	t.Helper()
	for i, name := range fronts.Names {
		t.Run(name, func(t *testing.T) {
			if i == 0 {
				testdb.Each(t, f)
			} else {
				f(t, testdb.SQLite(t))
			}
		})
	}
}

// overFront serves routes over the front that the test's name names: the first
// one outside of each.
func overFront(t *testing.T, lists ...routes.List) fronts.Front {
	t.Helper()
	name := fronts.Names[0]
	for segment := range strings.SplitSeq(t.Name(), "/") {
		if slices.Contains(fronts.Names, segment) {
			name = segment
		}
	}
	front, err := fronts.New(name)
	if err != nil {
		t.Fatal(err)
	}
	front.Mount(lists...)
	return front
}

// serveSite serves all routes over a database that it migrates, with a cheap
// hasher.
func serveSite(t *testing.T, db *gorm.DB, cfg authn.Config, routing routes.Config[*userdb.User], list ...authn.Backend) *site {
	t.Helper()
	store, err := userdb.New[userdb.User](db)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	hasher := &countingHasher{Hasher: password.Hasher{Params: password.Params{Memory: 64, Time: 1}}}
	cfg.Passwords = hasher
	cfg.PasswordPolicy = authn.MinLength(3)
	users, err := authn.New(store, cfg, list...)
	if err != nil {
		t.Fatal(err)
	}
	factory, err := routes.New(users, routing)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(overFront(t, factory.All()))
	t.Cleanup(server.Close)
	return &site{t, server.URL, users, hasher, factory}
}

// reply is an answer, its body as text.
type reply struct {
	status int
	header http.Header
	body   string
}

func (s *site) send(method, path, contentType, body, token string) reply {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return s.answer(r)
}

func (s *site) answer(r *http.Request) reply {
	s.Helper()
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Error(err) // not Fatal: some ask from goroutines
		return reply{}
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.Error(err)
	}
	return reply{res.StatusCode, res.Header, string(bytes.TrimSpace(text))}
}

func (s *site) json(method, path, body, token string) reply {
	s.Helper()
	return s.send(method, path, "application/json", body, token)
}

func (s *site) form(path string, pairs ...string) reply {
	s.Helper()
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return s.send(http.MethodPost, path, "application/x-www-form-urlencoded", values.Encode(), "")
}

// register makes a user with the password "secret" and returns its id.
func (s *site) register(email string) string {
	s.Helper()
	got := s.json("POST", "/auth/register", fmt.Sprintf(`{"email":%q,"password":"secret"}`, email), "")
	var user struct{ ID string }
	if err := json.Unmarshal([]byte(got.body), &user); err != nil || got.status != http.StatusCreated {
		s.Fatal(got, err)
	}
	return user.ID
}

func (s *site) login(backend, email, password string) string {
	s.Helper()
	got := s.form("/auth/"+backend+"/login", "username", email, "password", password)
	var answer struct {
		Token string `json:"access_token"`
		Type  string `json:"token_type"`
	}
	if err := json.Unmarshal([]byte(got.body), &answer); err != nil || got.status != http.StatusOK || answer.Type != "bearer" {
		s.Fatal(got, err)
	}
	if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Pragma") != "no-cache" || got.header.Get("X-Content-Type-Options") != "nosniff" {
		s.Error("a token may be cached")
	}
	return answer.Token
}

func (s *site) set(id string, up authn.Update[*userdb.User]) {
	s.Helper()
	if _, err := s.users.Update(s.Context(), id, up); err != nil {
		s.Fatal(err)
	}
}

// wants holds an answer against a status and a body; {"detail":CODE} is
// written as CODE.
func (s *site) wants(what string, got reply, status int, body string) {
	s.Helper()
	if body != "" && !strings.HasPrefix(body, "{") && body != "null" {
		body = fmt.Sprintf(`{"detail":%q}`, body)
	}
	if got.status != status || body != "" && got.body != body {
		s.Errorf("%s: %d %s, want %d %s", what, got.status, got.body, status, body)
	}
}

var yes, no = true, false

func TestLoginContract(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		s := newSite(t, db)
		id := s.register("King.Arthur@Camelot.example.com")
		s.set(s.register("mordred@camelot.example.com"), authn.Update[*userdb.User]{IsActive: &no})

		s.login("jwt", "king.arthur@camelot.EXAMPLE.com", "secret")
		s.login("other", " King.Arthur@camelot.example.com ", "secret")
		for what, got := range map[string]reply{
			"wrong password": s.form("/auth/jwt/login", "username", "king.arthur@camelot.example.com", "password", "wrong"),
			"unknown":        s.form("/auth/jwt/login", "username", "nobody@camelot.example.com", "password", "secret"),
			"inactive":       s.form("/auth/jwt/login", "username", "mordred@camelot.example.com", "password", "secret"),
			"NUL":            s.form("/auth/jwt/login", "username", "a\x00@camelot.example.com", "password", "secret"),
		} {
			s.wants(what, got, 400, "LOGIN_BAD_CREDENTIALS")
		}
		s.wants("unverified", s.form("/auth/strict/login", "username", "king.arthur@camelot.example.com", "password", "secret"), 400, "LOGIN_USER_NOT_VERIFIED")
		s.wants("unverified, wrong password", s.form("/auth/strict/login", "username", "king.arthur@camelot.example.com", "password", "wrong"), 400, "LOGIN_BAD_CREDENTIALS")
		s.set(id, authn.Update[*userdb.User]{IsVerified: &yes})
		strict := s.login("strict", "king.arthur@camelot.example.com", "secret")
		s.set(id, authn.Update[*userdb.User]{IsVerified: &no})
		s.wants("no longer verified", s.json("GET", "/users/me", "", strict), 403, "Forbidden")

		both := `{"detail":[{"loc":["body","username"],"msg":"field required","type":"value_error.missing"},{"loc":["body","password"],"msg":"field required","type":"value_error.missing"}]}`
		s.wants("JSON", s.json("POST", "/auth/jwt/login", `{"username":"a","password":"b"}`, ""), 422, both)
		s.wants("query", s.form("/auth/jwt/login?username=a&password=b"), 422, both)
		s.wants("empty", s.form("/auth/jwt/login", "username", "", "password", ""), 422, both)
		for grant, status := range map[string]int{"": 200, "password": 200, "passwordX": 422, "client_credentials": 422} {
			s.wants("grant "+grant, s.form("/auth/jwt/login", "username", "king.arthur@camelot.example.com", "password", "secret",
				"grant_type", grant, "scope", "a b", "client_id", "c", "client_secret", "d"), status, "")
		}
		s.wants("long password", s.form("/auth/jwt/login", "username", "a", "password", strings.Repeat("a", 4097)), 422, "")
		s.wants("invalid UTF-8", s.form("/auth/jwt/login", "username", "a\xff", "password", "b"), 422, "")
		s.wants("no log-out of a JWT", s.form("/auth/jwt/logout"), 404, "Not Found")
		s.wants("no such backend", s.form("/auth/none/login"), 404, "Not Found")
		s.wants("method", s.json("PUT", "/auth/jwt/login", "", ""), 405, "Method Not Allowed")
		s.wants("large", s.form("/auth/jwt/login", "username", strings.Repeat("a", 70_000)), 413, "Request Entity Too Large")
	})
}

func TestRegisterContract(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		s := newSite(t, db)
		got := s.json("POST", "/auth/register", `{"email":" Bors@CAMELOT.example.com","password":"secret","id":"x","is_active":false,
			"is_superuser":true,"IS_SUPERUSER":true,"is_verified":true,"hashed_password":"x","other":[1]}`, "")
		var user map[string]any
		if err := json.Unmarshal([]byte(got.body), &user); err != nil {
			t.Fatal(err)
		}
		id := user["id"]
		delete(user, "id")
		if text := fmt.Sprint(user); got.status != 201 || text != "map[email:Bors@camelot.example.com is_active:true is_superuser:false is_verified:false]" || len(fmt.Sprint(id)) != 36 {
			t.Errorf("%d %s", got.status, got.body)
		}
		const path = "/auth/register"
		s.wants("again, in capitals", s.json("POST", path, `{"email":"BORS@camelot.example.com","password":"secret"}`, ""), 400, "REGISTER_USER_ALREADY_EXISTS")
		s.wants("short", s.json("POST", path, `{"email":"a@example.com","password":"ab"}`, ""), 400,
			`{"detail":{"code":"REGISTER_INVALID_PASSWORD","reason":"Password should be at least 3 characters"}}`)
		s.wants("all faults", s.json("POST", path, `{"email":7}`, ""), 422,
			`{"detail":[{"loc":["body","password"],"msg":"field required","type":"value_error.missing"},{"loc":["body","email"],"msg":"str type expected","type":"type_error.str"}]}`)
		for what, body := range map[string]string{
			"e-mail": `{"email":"king.arthur","password":"secret"}`, "NUL": `{"email":"a\u0000@example.com","password":"secret"}`,
			"CRLF": `{"email":"a@example.com\r\nBcc: b@example.com","password":"secret"}`, "null": `{"email":null,"password":"secret"}`,
			"true": `{"email":"a@example.com","password":true}`, "broken": `{"email":"a@example.com","password":"hidden`, "array": `[]`,
			"nothing": ``, "lone surrogate": `{"email":"a@example.com","password":"\ud800abc"}`, "UTF-8": "{\"email\":\"a@example.com\",\"password\":\"\xffabc\"}",
			"twice": `{"email":"a@example.com","password":"secret","password":"public"}`, "deep": strings.Repeat("[", 20_000),
			"long": fmt.Sprintf(`{"email":"a@example.com","password":%q}`, strings.Repeat("a", 4097)), "full-width": `{"email":"ａ@example.com","password":"secret"}`,
		} {
			got := s.json("POST", path, body, "")
			s.wants(what, got, 422, "")
			if strings.Contains(got.body, "hidden") || !strings.Contains(got.body, `"loc":["body"`) {
				t.Errorf("%s: %s", what, got.body)
			}
		}
		s.wants("a form", s.form(path, "email", "a@example.com", "password", "secret"), 422, `{"detail":[{"loc":["body"],"msg":"value is not a valid dict","type":"type_error.dict"}]}`)
		s.wants("over 1,024 bytes", s.json("POST", path, fmt.Sprintf(`{"email":"a@example.com","password":%q}`, strings.Repeat("a", 1025)), ""), 400, "")
		s.wants("NUL in a password", s.json("POST", path, `{"email":"a@example.com","password":"a\u0000b"}`, ""), 201, "")
		s.login("jwt", "a@example.com", "a\x00b")
	})
}

func TestUsersContract(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		s := newSite(t, db)
		ann, root := s.register("ann@example.com"), s.register("root@example.com")
		s.set(root, authn.Update[*userdb.User]{IsSuperuser: &yes})
		token, super := s.login("jwt", "ann@example.com", "secret"), s.login("other", "root@example.com", "secret")
		me := func(email string, verified bool) string {
			return fmt.Sprintf(`{"id":%q,"email":%q,"is_active":true,"is_superuser":false,"is_verified":%t}`, ann, email, verified)
		}

		got := s.json("GET", "/users/me", "", "")
		s.wants("nobody", got, 401, "Unauthorized")
		if h := got.header.Get("WWW-Authenticate"); h != `Bearer realm="users"` {
			t.Error(h)
		}
		got = s.json("GET", "/users/me", "", token+"x")
		s.wants("bad token", got, 401, "Unauthorized")
		if h := got.header.Get("WWW-Authenticate"); h != `Bearer realm="users", error="invalid_token"` {
			t.Error(h)
		}
		s.wants("token in the query", s.json("GET", "/users/me?access_token="+token, "", ""), 401, "Unauthorized")
		s.wants("me", s.json("GET", "/users/me", "", token), 200, me("ann@example.com", false))
		s.wants("nothing", s.json("PATCH", "/users/me", `{}`, token), 200, me("ann@example.com", false))
		s.wants("flags", s.json("PATCH", "/users/me", `{"is_superuser":true,"is_verified":true,"is_active":false}`, token), 200, me("ann@example.com", false))
		s.wants("null e-mail", s.json("PATCH", "/users/me", `{"email":null}`, token), 422, "")
		s.wants("null password", s.json("PATCH", "/users/me", `{"password":null}`, token), 200, me("ann@example.com", false))
		s.wants("taken", s.json("PATCH", "/users/me", `{"email":"ROOT@example.com"}`, token), 400, "UPDATE_USER_EMAIL_ALREADY_EXISTS")
		s.wants("short", s.json("PATCH", "/users/me", `{"password":"ab"}`, token), 400,
			`{"detail":{"code":"UPDATE_USER_INVALID_PASSWORD","reason":"Password should be at least 3 characters"}}`)
		s.set(ann, authn.Update[*userdb.User]{IsVerified: &yes})
		s.wants("own address", s.json("PATCH", "/users/me", `{"email":"ann@EXAMPLE.com"}`, token), 200, me("ann@example.com", true))
		s.wants("in capitals", s.json("PATCH", "/users/me", `{"email":"ANN@example.com"}`, token), 200, me("ANN@example.com", false))
		s.wants("both", s.json("PATCH", "/users/me", `{"email":"anna@example.com","password":"newer"}`, token), 200, me("anna@example.com", false))
		s.wants("the older token", s.json("GET", "/users/me", "", token), 401, "Unauthorized")
		s.wants("the older password", s.form("/auth/jwt/login", "username", "anna@example.com", "password", "secret"), 400, "LOGIN_BAD_CREDENTIALS")
		token = s.login("jwt", "anna@example.com", "newer")

		s.wants("not a superuser", s.json("GET", "/users/"+root, "", token), 403, "Forbidden")
		s.wants("nobody", s.json("DELETE", "/users/"+ann, "", ""), 401, "Unauthorized")
		for _, id := range []string{"nobody", "00000000-0000-0000-0000-000000000000", "%00", "1"} {
			for _, method := range []string{"GET", "PATCH", "DELETE"} {
				s.wants(method+" "+id, s.json(method, "/users/"+id, "{}", super), 404, "Not Found")
			}
		}
		for _, id := range []string{ann, strings.ToUpper(ann), strings.ReplaceAll(ann, "-", ""), "urn:uuid:" + ann} {
			s.wants(id, s.json("GET", "/users/"+id, "", super), 200, me("anna@example.com", false))
		}
		s.wants("verify", s.json("PATCH", "/users/"+ann, `{"is_verified":true,"email":"ann@example.com"}`, super), 200, me("ann@example.com", true))
		s.wants("null flag", s.json("PATCH", "/users/"+ann, `{"is_active":null,"is_superuser":"yes"}`, super), 422, "")
		s.wants("off", s.json("PATCH", "/users/"+ann, `{"is_active":false}`, super), 200, "")
		s.wants("inactive", s.json("GET", "/users/me", "", token), 401, "Unauthorized")
		s.wants("on", s.json("PATCH", "/users/"+ann, `{"is_active":true}`, super), 200, me("ann@example.com", true))
		s.wants("a token from before", s.json("GET", "/users/me", "", token), 401, "Unauthorized")
		token = s.login("jwt", "ann@example.com", "newer")
		s.wants("delete", s.json("DELETE", "/users/"+ann, "", super), 204, "")
		s.wants("deleted", s.json("GET", "/users/me", "", token), 401, "Unauthorized")
	})
}

func TestFiftyRegistrationsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		s := newSite(t, db)
		var group sync.WaitGroup
		replies := make(chan reply, 50)
		for i := range 50 {
			group.Go(func() {
				email := "galahad@example.com"
				if i%2 == 0 {
					email = "Galahad@example.com"
				}
				replies <- s.json("POST", "/auth/register", fmt.Sprintf(`{"email":%q,"password":"secret"}`, email), "")
			})
		}
		group.Wait()
		close(replies)
		made := 0
		for got := range replies {
			if got.status == 201 {
				made++
			} else {
				s.wants("late", got, 400, "REGISTER_USER_ALREADY_EXISTS")
			}
		}
		if made != 1 {
			t.Errorf("%d were registered", made)
		}
	})
}
