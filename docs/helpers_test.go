package docs_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

func newAppStore(t *testing.T) *userdb.Store[AppUser, *AppUser] {
	t.Helper()
	store, err := userdb.New[AppUser](testdb.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store
}

func newAppUsers(t *testing.T, more ...authn.Backend) *authn.Users[*AppUser] {
	t.Helper()
	web, err := backends.JWT(jwt.Secret(secret()), backends.JWTConfig{})
	if err != nil {
		t.Fatal(err)
	}
	users, err := authn.New(newAppStore(t), authn.Config{}, append([]authn.Backend{web}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	return users
}

func request(method, path, body string) *http.Request {
	return httptest.NewRequest(method, path, strings.NewReader(body))
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func post(h http.Handler, path, contentType, body string) *httptest.ResponseRecorder {
	r := request(http.MethodPost, path, body)
	r.Header.Set("Content-Type", contentType)
	return serve(h, r)
}

// tokenOf returns the bearer token of a log-in's answer.
func tokenOf(t *testing.T, res *authn.Response) string {
	t.Helper()
	w := httptest.NewRecorder()
	if err := res.Write(w); err != nil {
		t.Fatal(err)
	}
	var body struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	return body.Token
}
