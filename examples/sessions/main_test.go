package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/userdb"
)

func TestTheExample(t *testing.T) {
	for name, redisURL := range map[string]func(*testing.T) string{
		"database": func(*testing.T) string { return "" },
		"redis":    func(t *testing.T) string { return testdb.RedisURL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			db := testdb.SQLite(t)
			store, err := userdb.New[AppUser](db)
			if err != nil {
				t.Fatal(err)
			}
			if err := store.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			sessions, err := openSessions(t.Context(), store, redisURL(t))
			if err != nil {
				t.Fatal(err)
			}
			users, err := newUsers(store, sessions, []byte(strings.Repeat("s", 32)), []byte(strings.Repeat("c", 32)))
			if err != nil {
				t.Fatal(err)
			}
			events, err := openEvents(t.Context(), db, users)
			if err != nil {
				t.Fatal(err)
			}
			e, err := newServer(users, events)
			if err != nil {
				t.Fatal(err)
			}
			ask := func(method, path, contentType, body, token string, want int) (answer map[string]any, header http.Header) {
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
				_ = json.Unmarshal(w.Body.Bytes(), &answer)
				return answer, w.Header()
			}
			const formType = "application/x-www-form-urlencoded"
			ask("POST", "/auth/register", "application/json", `{"email":"ann@example.com","password":"correct horse"}`, "", 201)
			form := url.Values{"username": {"ann@example.com"}, "password": {"correct horse"}}.Encode()
			first, _ := ask("POST", "/auth/app/login", formType, form, "", 200)
			second, _ := ask("POST", "/auth/app/refresh", formType, url.Values{"refresh_token": {first["refresh_token"].(string)}}.Encode(), "", 200)
			access := second["access_token"].(string)
			ask("GET", "/hello", "", "", access, 200)
			ask("POST", "/payments", "", "", access, 200)
			_, header := ask("POST", "/auth/web/login", formType, form, "", 204)
			if cookies := header["Set-Cookie"]; len(cookies) != 3 || /* the last is the device's */ !strings.Contains(cookies[1], "Path=/auth/web/refresh") {
				t.Error(cookies)
			}
			ask("DELETE", "/auth/sessions", "", "", access, 204)
			ask("GET", "/hello", "", "", access, 200)
			if err := users.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if kept, err := events.Events(t.Context(), authn.EventQuery{}); err != nil || len(kept) != 4 || kept[0].Kind != authn.EventSignedOutElsewhere {
				t.Error(kept, err)
			}
			ask("GET", "/users/me/events", "", "", access, 200)
			ask("POST", "/auth/app/logout", "", "", access, 204)
			ask("GET", "/hello", "", "", access, 401)
			ask("POST", "/auth/app/refresh", formType, url.Values{"refresh_token": {second["refresh_token"].(string)}}.Encode(), "", 401)
		})
	}
}
