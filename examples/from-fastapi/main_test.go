package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	goredis "github.com/redis/go-redis/v9"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/internal/testdb"
)

const arthur = "king.arthur@camelot.example.com"

// eachDatabase runs f on a copy of each database that fastapi-users wrote.
func eachDatabase(t *testing.T, f func(t *testing.T, old old)) {
	for _, engine := range []string{"sqlite", "postgres"} {
		for _, key := range []string{"uuid", "int"} {
			t.Run(engine+"/"+key, func(t *testing.T) {
				t.Parallel()
				f(t, openOld(t, engine, key))
			})
		}
	}
}

// old is a database of the Python application's, and the Go application over it.
type old struct {
	testdb.Fixture
	db     *gorm.DB
	app    *application
	server *httptest.Server
}

func openOld(t *testing.T, engine, key string) old {
	db, fixture := testdb.FastAPIUsers(t, engine, key)
	redisURL := testdb.RedisURL(t)
	options, err := goredis.ParseURL(redisURL)
	if err != nil {
		t.Fatal(err)
	}
	client := goredis.NewClient(options)
	t.Cleanup(func() { client.Close() })
	for _, user := range fixture.Users {
		if err := client.Set(t.Context(), user.RedisKey, user.RedisValue, time.Hour).Err(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Del(context.Background(), user.RedisKey) })
	}
	cfg := config{secrets: secrets(fixture.Secrets), redisURL: redisURL, lifetime: tenYears, insecure: true, timeout: time.Minute} // bcrypt is slow with the race detector
	o := old{Fixture: fixture, db: db}
	if key == "uuid" {
		o.app, err = newApplication[uuid.UUID](t.Context(), db, cfg)
	} else {
		o.app, err = newApplication[int64](t.Context(), db, cfg)
	}
	if err != nil {
		t.Fatal(err)
	}
	o.server = httptest.NewServer(o.app.echo)
	t.Cleanup(func() {
		o.server.Close()
		o.app.shutdown(context.Background())
	})
	return o
}

// ask sends a request and returns the answer's status and JSON.
func (o old) ask(t *testing.T, method, path string, header http.Header, contentType, body string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, o.server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", contentType)
	res, err := o.server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer map[string]any
	if res.StatusCode != http.StatusNoContent {
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
	}
	return res.StatusCode, answer
}

func (o old) get(t *testing.T, path string, header http.Header) (int, map[string]any) {
	t.Helper()
	return o.ask(t, http.MethodGet, path, header, "", "")
}

func (o old) post(t *testing.T, path, body string) (int, map[string]any) {
	t.Helper()
	return o.ask(t, http.MethodPost, path, nil, "application/json", body)
}

func (o old) login(t *testing.T, email, password string) (int, string) {
	t.Helper()
	form := url.Values{"username": {email}, "password": {password}}.Encode()
	status, answer := o.ask(t, http.MethodPost, "/auth/jwt/login", nil, "application/x-www-form-urlencoded", form)
	token, _ := answer["access_token"].(string)
	return status, token
}

func (o old) hashOf(t *testing.T, email string) (hash string) {
	t.Helper()
	if err := o.db.Raw(`SELECT hashed_password FROM "user" WHERE email = ?`, email).Scan(&hash).Error; err != nil {
		t.Fatal(err)
	}
	return hash
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// credentialsOf are all that a user had at the Python application.
func credentialsOf(user testdb.FixtureUser) map[string]http.Header {
	return map[string]http.Header{
		"JWT":            bearer(user.JWT),
		"cookie":         {"Cookie": {"fastapiusersauth=" + user.CookieJWT}},
		"database token": bearer(user.DatabaseToken),
		"Redis token":    bearer(user.RedisToken),
	}
}

func TestEveryCredentialGoesOnWorking(t *testing.T) {
	eachDatabase(t, func(t *testing.T, o old) {
		for email, user := range o.Users {
			want := http.StatusOK
			if !user.IsActive {
				want = http.StatusUnauthorized
			}
			for kind, header := range credentialsOf(user) {
				status, me := o.get(t, "/users/me", header)
				if status != want {
					t.Errorf("%s's %s: %d", email, kind, status)
				}
				if status != http.StatusOK {
					continue
				}
				var firstName any
				if user.FirstName != nil {
					firstName = *user.FirstName
				}
				if me["email"] != email || me["first_name"] != firstName || me["is_superuser"] != user.IsSuperuser || me["is_verified"] != user.IsVerified {
					t.Errorf("%s's %s opens %v", email, kind, me)
				}
			}
			for what, header := range map[string]http.Header{
				"the cookie's token as a bearer": bearer(user.CookieJWT),
				"the JWT as a cookie":            {"Cookie": {"fastapiusersauth=" + user.JWT}},
				"a JWT of another signature":     bearer(user.JWT[:len(user.JWT)-2] + "xx"),
				"a database token cut short":     bearer(user.DatabaseToken[:42]),
				"a reset token":                  bearer(user.ResetToken),
				"a Redis key":                    bearer(user.RedisKey),
			} {
				if status, _ := o.get(t, "/users/me", header); status != http.StatusUnauthorized {
					t.Errorf("%s, %s: %d", email, what, status)
				}
			}
		}
	})
}

func TestPasswordsGoOnWorkingAndHashesAreUpgraded(t *testing.T) {
	eachDatabase(t, func(t *testing.T, o old) {
		if status, _ := o.login(t, arthur, "x"+o.Users[arthur].Password); status != http.StatusBadRequest {
			t.Errorf("wrong password: %d", status)
		}
		for email, user := range o.Users {
			before := o.hashOf(t, email)
			if !user.IsActive {
				if status, _ := o.login(t, email, user.Password); status != http.StatusBadRequest {
					t.Errorf("%s is inactive: %d", email, status)
				}
				continue
			}
			for _, spelling := range []string{email, strings.ToUpper(email)} { // the second with the upgraded hash
				if status, token := o.login(t, spelling, user.Password); status != http.StatusOK || token == "" {
					t.Errorf("%s: %d", spelling, status)
				}
			}
			if after := o.hashOf(t, email); after == before || !strings.HasPrefix(after, "$argon2id$v=19$m=19456,t=2,p=1$") {
				t.Errorf("%s: %.30s became %.30s", email, before, after)
			}
			if status, _ := o.get(t, "/users/me", bearer(user.JWT)); status != http.StatusOK {
				t.Errorf("%s: the upgrade of the hash ended an older token: %d", email, status)
			}
		}
	})
}

func TestMailedLinksGoOnWorking(t *testing.T) {
	eachDatabase(t, func(t *testing.T, o old) {
		verified, reset := 0, 0
		for email, user := range o.Users {
			if user.VerifyToken != "" {
				verified++
				status, me := o.post(t, "/auth/verify", `{"token":"`+user.VerifyToken+`"}`)
				if want := user.IsActive && !user.IsVerified; want != (status == http.StatusOK) || want && me["is_verified"] != true {
					t.Errorf("verifying %s: %d %v", email, status, me)
				}
				if status, _ := o.post(t, "/auth/reset-password", `{"token":"`+user.VerifyToken+`","password":"avalon-avalon"}`); status != http.StatusBadRequest {
					t.Errorf("%s: a verify token reset the password: %d", email, status)
				}
			}
			if user.ResetToken == "" {
				continue
			}
			reset++
			resetting := `{"token":"` + user.ResetToken + `","password":"avalon-avalon"}`
			if status, answer := o.post(t, "/auth/reset-password", resetting); user.IsActive != (status == http.StatusOK) {
				t.Errorf("resetting %s's password: %d %v", email, status, answer)
			}
			if email == arthur { // one, because bcrypt is slow with the race detector
				if status, answer := o.post(t, "/auth/reset-password", resetting); status != http.StatusBadRequest {
					t.Errorf("resetting %s's password again: %d %v", email, status, answer)
				}
			}
			if !user.IsActive {
				continue
			}
			if status, _ := o.login(t, email, "avalon-avalon"); status != http.StatusOK {
				t.Errorf("%s can't log in after the reset: %d", email, status)
			}
			if status, _ := o.login(t, email, user.Password); status != http.StatusBadRequest {
				t.Errorf("%s logs in with the old password: %d", email, status)
			}
			for kind, header := range credentialsOf(user) {
				if status, _ := o.get(t, "/users/me", header); status != http.StatusUnauthorized {
					t.Errorf("%s's %s outlived the reset: %d", email, kind, status)
				}
			}
		}
		if verified == 0 || reset == 0 {
			t.Errorf("%d verify and %d reset tokens in the fixture", verified, reset)
		}
	})
}

func TestALogoutEndsAnOlderToken(t *testing.T) {
	eachDatabase(t, func(t *testing.T, o old) {
		for email, user := range o.Users {
			if !user.IsActive {
				continue
			}
			for backend, token := range map[string]string{"database": user.DatabaseToken, "redis": user.RedisToken} {
				if status, answer := o.ask(t, http.MethodPost, "/auth/"+backend+"/logout", bearer(token), "", ""); status != http.StatusNoContent {
					t.Errorf("%s at %s: %d %v", email, backend, status, answer)
				}
				if status, _ := o.get(t, "/users/me", bearer(token)); status != http.StatusUnauthorized {
					t.Errorf("%s's token of %s outlived the log-out: %d", email, backend, status)
				}
			}
		}
	})
}

func TestTheApplicationGoesOn(t *testing.T) {
	eachDatabase(t, func(t *testing.T, o old) {
		status, u := o.post(t, "/auth/register", `{"email":"pellinore@camelot.example.com","password":"questing-beast","first_name":"Pellinore"}`)
		if status != http.StatusCreated || u["first_name"] != "Pellinore" {
			t.Fatalf("%d %v", status, u)
		}
		for email := range o.Users {
			if status, _ := o.post(t, "/auth/register", `{"email":"`+strings.ToUpper(email)+`","password":"questing-beast"}`); status != http.StatusBadRequest {
				t.Errorf("%s was registered twice: %d", email, status)
			}
		}
		if status, _ := o.post(t, "/auth/forgot-password", `{"email":"PELLINORE@camelot.example.com"}`); status != http.StatusAccepted {
			t.Errorf("%d", status)
		}
		if err := o.app.shutdown(t.Context()); err != nil { // the mail is sent
			t.Fatal(err)
		}
		if o.app.mails.lastTo("pellinore@camelot.example.com") == "" {
			t.Error("no mail")
		}
	})
}

// While fastapi-users before version 13 runs on the same table, it must be able
// to verify what is written here.
func TestHashesThatThePythonSideKnows(t *testing.T) {
	db, fixture := testdb.FastAPIUsers(t, "sqlite", "uuid")
	app, err := newApplication[uuid.UUID](t.Context(), db, config{secrets: secrets(fixture.Secrets), insecure: true, pythonKnowsBcryptAlone: true})
	if err != nil {
		t.Fatal(err)
	}
	o := old{Fixture: fixture, db: db, app: app, server: httptest.NewServer(app.echo)}
	defer o.server.Close()
	defer app.shutdown(context.Background())
	before := o.hashOf(t, arthur)
	if status, _ := o.login(t, arthur, o.Users[arthur].Password); status != http.StatusOK {
		t.Errorf("%d", status)
	}
	if o.hashOf(t, arthur) != before {
		t.Error("the hash was replaced")
	}
	if status, answer := o.post(t, "/auth/register", `{"email":"pellinore@camelot.example.com","password":"questing-beast"}`); status != http.StatusCreated {
		t.Fatalf("%d %v", status, answer)
	}
	if hash := o.hashOf(t, "pellinore@camelot.example.com"); !strings.HasPrefix(hash, "$2b$12$") {
		t.Errorf("%.10s", hash)
	}
	status, answer := o.post(t, "/auth/register", `{"email":"kay@camelot.example.com","password":"`+strings.Repeat("x", 73)+`"}`)
	if detail, _ := answer["detail"].(map[string]any); status != http.StatusBadRequest || detail["code"] != "REGISTER_INVALID_PASSWORD" {
		t.Errorf("%d %v", status, answer)
	}
}
