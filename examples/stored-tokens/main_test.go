package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/echo-users/echo-users/internal/testdb"
)

func TestTheExample(t *testing.T) {
	e, _, err := newServer(t.Context(), testdb.SQLite(t), testdb.RedisURL(t))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, path, contentType, body, token string, want int) string {
		t.Helper()
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s %s: %d %s, want %d", method, path, w.Code, w.Body, want)
		}
		return w.Body.String()
	}
	ask("POST", "/auth/register", "application/json", `{"email":"ann@example.com","password":"correct horse"}`, "", http.StatusCreated)
	form := url.Values{"username": {"ann@example.com"}, "password": {"correct horse"}}.Encode()
	for _, backend := range []string{"database", "redis"} {
		var answer struct {
			Token string `json:"access_token"`
		}
		body := ask("POST", "/auth/"+backend+"/login", "application/x-www-form-urlencoded", form, "", http.StatusOK)
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			t.Fatal(err)
		}
		ask("GET", "/hello", "", "", answer.Token, http.StatusOK)
		ask("POST", "/auth/"+backend+"/logout", "", "", answer.Token, http.StatusNoContent)
		ask("GET", "/hello", "", "", answer.Token, http.StatusUnauthorized)
	}
}
