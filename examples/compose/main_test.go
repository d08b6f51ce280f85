package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/echo-users/echo-users/internal/testdb"
)

func TestTheService(t *testing.T) {
	db := testdb.Postgres(t)
	options, err := goredis.ParseURL(testdb.RedisURL(t))
	if err != nil {
		t.Fatal(err)
	}
	options.ContextTimeoutEnabled = true
	client := goredis.NewClient(options)
	defer client.Close()
	e, _, err := newServer(t.Context(), db, client)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, path, contentType, body, token string, want int) string {
		t.Helper()
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s %s: %d %s, want %d", method, path, w.Code, w.Body, want)
		}
		return w.Body.String()
	}
	ask("GET", "/ready", "", "", "", http.StatusNoContent)
	ask("POST", "/auth/register", "application/json", `{"email":"ann@example.com","password":"correct horse"}`, "", http.StatusCreated)
	var answer struct {
		Token string `json:"access_token"`
	}
	body := ask("POST", "/auth/redis/login", "application/x-www-form-urlencoded", "username=ann@example.com&password=correct+horse", "", http.StatusOK)
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	ask("GET", "/hello", "", "", answer.Token, http.StatusOK)
	client.Close()
	ask("GET", "/ready", "", "", "", http.StatusServiceUnavailable)
	ask("GET", "/hello", "", "", answer.Token, http.StatusServiceUnavailable)
}

func TestWhatIsNotConfiguredIsSaid(t *testing.T) {
	if err := run(t.Context(), "", "", ""); err == nil || !strings.Contains(err.Error(), "DATABASE_URL") {
		t.Errorf("%v", err)
	}
}
