package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/echo-users/echo-users/internal/testdb"
)

// sessionServers are the places where sessions can be.
func sessionServers(t *testing.T, test func(t *testing.T, base string)) {
	kinds{
		"memory": func(*testing.T) []string { return nil },
		"sqlite, int": func(t *testing.T) []string {
			return []string{"DATABASE_URL=sqlite:" + testdb.SQLiteFile(t), "USER_KEY=int"}
		},
		"postgres":      func(t *testing.T) []string { return []string{"DATABASE_URL=" + testdb.PostgresURL(t)} },
		"postgres, int": func(t *testing.T) []string { return []string{"DATABASE_URL=" + testdb.PostgresURL(t), "USER_KEY=int"} },
		"redis": func(t *testing.T) []string {
			return []string{"DATABASE_URL=sqlite:" + testdb.SQLiteFile(t), "SESSION_STORE=redis"}
		},
	}.each(t, func(t *testing.T, env []string) {
		test(t, start(t, append(env, "REDIS_URL="+testdb.RedisURL(t))...))
	})
}

const arthur = "king.arthur@camelot.example.com"

func register(t *testing.T, base, email string) {
	t.Helper()
	if status, answer := call(t, "POST", base+"/auth/register", "application/json", `{"email":"`+email+`","password":"abc"}`, ""); status != 201 {
		t.Fatal(status, answer)
	}
}

// logIn returns both tokens.
func logIn(t *testing.T, base, email, password string) (access, refresh string) {
	t.Helper()
	form := url.Values{"username": {email}, "password": {password}}
	status, answer := call(t, "POST", base+"/auth/session/login", "application/x-www-form-urlencoded", form.Encode(), "")
	lasts, _ := answer["expires_in"].(float64)
	if status != 200 || answer["token_type"] != "bearer" || lasts != 3600 && lasts != 3599 { // exp has whole seconds
		t.Fatal(status, answer)
	}
	return answer["access_token"].(string), answer["refresh_token"].(string)
}

func refresh(t *testing.T, base, token string) (status int, access, next string) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"refresh_token": token})
	if err != nil {
		t.Fatal(err)
	}
	status, answer := call(t, "POST", base+"/auth/session/refresh", "application/json", string(body), "")
	access, _ = answer["access_token"].(string)
	next, _ = answer["refresh_token"].(string)
	return status, access, next
}

func opens(t *testing.T, base, token string) bool {
	t.Helper()
	status, _ := call(t, "GET", base+"/protected/active", "", "", token)
	if status != 200 && status != 401 {
		t.Error(status)
	}
	return status == 200
}

func listSessions(t *testing.T, address, token string) []map[string]any {
	t.Helper()
	r, err := http.NewRequest("GET", address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		t.Fatal(res.Status, err)
	}
	if strings.Contains(string(text), "refresh") || strings.Contains(string(text), "token") {
		t.Errorf("a list says %s", text)
	}
	var list []map[string]any
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestFiftyRefreshesAtOnce(t *testing.T) {
	sessionServers(t, func(t *testing.T, base string) {
		register(t, base, arthur)
		access, token := logIn(t, base, arthur, "abc")
		for range 3 {
			var mu sync.Mutex
			statuses, successors := map[int]int{}, map[string]bool{}
			var group sync.WaitGroup
			for range 50 {
				group.Go(func() {
					status, renewed, next := refresh(t, base, token)
					mu.Lock()
					defer mu.Unlock()
					statuses[status]++
					successors[next] = true
					access = renewed
				})
			}
			group.Wait()
			if len(successors) != 1 || statuses[200] != 50 {
				t.Fatalf("%d successors, %v", len(successors), statuses)
			}
			token = slices.Collect(maps.Keys(successors))[0]
		}
		if n := len(listSessions(t, base+"/auth/sessions", access)); n != 1 {
			t.Errorf("%d families", n)
		}
	})
}

func TestSessionsOverHTTP(t *testing.T) {
	sessionServers(t, func(t *testing.T, base string) {
		register(t, base, arthur)
		register(t, base, "merlin@camelot.example.com")
		access, token := logIn(t, base, arthur, "abc")
		otherAccess, otherToken := logIn(t, base, arthur, "abc")
		strangers, _ := logIn(t, base, "merlin@camelot.example.com", "abc")
		list := listSessions(t, base+"/auth/sessions", access)
		if len(list) != 2 || list[0]["current"] == list[1]["current"] {
			t.Fatal(list)
		}
		var mine, other map[string]any
		for _, session := range list {
			if session["current"] == true {
				mine = session
			} else {
				other = session
			}
			if session["backend"] != "session" || session["ip_address"] != "127.0.0.1" || session["user_agent"] != "Go-http-client/1.1" {
				t.Error(session)
			}
		}
		end := func(path, token string, want int) {
			t.Helper()
			if status, answer := call(t, "DELETE", base+path, "", "", token); status != want {
				t.Errorf("%s: %d %v, want %d", path, status, answer, want)
			}
		}
		end(fmt.Sprint("/auth/sessions/", other["id"]), strangers, 404)
		end("/auth/sessions/x", access, 404)
		end(fmt.Sprint("/auth/sessions/", other["id"]), "", 401)
		if !opens(t, base, otherAccess) {
			t.Error("a stranger has ended it")
		}
		end(fmt.Sprint("/auth/sessions/", other["id"]), access, 204)
		if status, _, _ := refresh(t, base, otherToken); status != 401 || opens(t, base, otherAccess) {
			t.Error("an ended session goes on:", status)
		}

		// A superuser may for others.
		status, me := call(t, "GET", base+"/users/me", "", "", access)
		if status != 200 {
			t.Fatal(status)
		}
		theirs := fmt.Sprint("/users/", id(me["id"]), "/sessions")
		end(theirs, strangers, 403)
		if status, answer := call(t, "POST", base+"/_test/user-flags", "application/json", `{"email":"merlin@camelot.example.com","is_superuser":true}`, ""); status != 204 {
			t.Fatal(status, answer)
		}
		if list := listSessions(t, base+theirs, strangers); len(list) != 1 || list[0]["id"] != mine["id"] || list[0]["current"] != false {
			t.Error(list)
		}
		end(theirs+"/x", strangers, 404)
		end(fmt.Sprint(theirs, "/", mine["id"]), strangers, 204)
		if status, _, _ := refresh(t, base, token); status != 401 || opens(t, base, access) {
			t.Error("a session that a superuser has ended goes on:", status)
		}
		access, token = logIn(t, base, arthur, "abc")
		_, plain := login(t, base, "jwt", arthur, "abc")
		end(theirs, strangers, 204)
		if status, _, _ := refresh(t, base, token); status != 401 || opens(t, base, access) || opens(t, base, plain) {
			t.Error("signed out everywhere, and in")
		}

		// Everywhere but here: of a session, and of a plain JWT.
		access, token = logIn(t, base, arthur, "abc")
		otherAccess, otherToken = logIn(t, base, arthur, "abc")
		_, plain = login(t, base, "jwt", arthur, "abc")
		end("/auth/sessions", access, 204)
		if status, _, _ := refresh(t, base, otherToken); status != 401 || opens(t, base, otherAccess) || opens(t, base, plain) || !opens(t, base, access) {
			t.Error("everywhere but here")
		}
		status, access, token = refresh(t, base, token)
		if status != 200 || !opens(t, base, access) {
			t.Error(status)
		}
		_, plain = login(t, base, "my-jwt", arthur, "abc")
		status, answer := call(t, "DELETE", base+"/auth/sessions", "", "", plain)
		again, _ := answer["access_token"].(string)
		if status != 200 || !opens(t, base, again) || opens(t, base, plain) || opens(t, base, access) {
			t.Error(status, answer)
		}
		if status, _, _ := refresh(t, base, token); status != 401 {
			t.Error(status)
		}

		// RFC 7009.
		revoke := func(body string, want int) {
			t.Helper()
			if status, answer := call(t, "POST", base+"/auth/session/revoke", "application/x-www-form-urlencoded", body, ""); status != want {
				t.Errorf("%.40q: %d %v, want %d", body, status, answer, want)
			}
		}
		access, token = logIn(t, base, arthur, "abc")
		revoke("token=x", 200)
		revoke("token="+token[1:], 200)
		revoke("", 422)
		if !opens(t, base, access) {
			t.Error("garbage has ended it")
		}
		revoke("token_type_hint=access_token&token="+token, 200)
		revoke("token="+token, 200)
		if status, _, _ := refresh(t, base, token); status != 401 || opens(t, base, access) {
			t.Error("a revoked session goes on:", status)
		}
	})
}

// id is as a path has it.
func id(value any) string {
	if number, ok := value.(float64); ok {
		return fmt.Sprintf("%.0f", number)
	}
	return fmt.Sprint(value)
}

// What ends a person's credentials ends those of every backend, and the log-in
// that follows in the same second lives.
func TestEveryOlderCredentialIsDead(t *testing.T) {
	sessionServers(t, func(t *testing.T, base string) {
		flags := func(t *testing.T, body string) {
			t.Helper()
			if status, answer := call(t, "POST", base+"/_test/user-flags", "application/json", `{"email":"`+arthur+`",`+body+`}`, ""); status != 204 {
				t.Fatal(status, answer)
			}
		}
		register(t, base, arthur)
		flags(t, `"is_verified":true`)
		password := "abc"
		all := func(t *testing.T) (tokens map[string]string, renewing string) {
			t.Helper()
			tokens = map[string]string{}
			for _, backend := range []string{"jwt", "my-jwt", "strict", "database", "redis"} {
				status, token := login(t, base, backend, arthur, password)
				if status != 200 {
					t.Fatal(backend, status)
				}
				tokens[backend] = token
			}
			form := url.Values{"username": {arthur}, "password": {password}}
			res, err := http.PostForm(base+"/auth/cookie/login", form)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			for _, cookie := range res.Cookies() {
				tokens["cookie"] = cookie.Value
			}
			tokens["session"], renewing = logIn(t, base, arthur, password)
			return tokens, renewing
		}
		alive := func(t *testing.T, backend, token string) bool {
			t.Helper()
			if backend != "cookie" {
				return opens(t, base, token)
			}
			r, err := http.NewRequest("GET", base+"/protected/active", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.AddCookie(&http.Cookie{Name: "fastapiusersauth", Value: token})
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			return res.StatusCode == 200
		}
		for _, c := range []struct {
			what string
			end  func(t *testing.T, tokens map[string]string)
		}{
			{"a new password", func(t *testing.T, tokens map[string]string) {
				if status, answer := call(t, "PATCH", base+"/users/me", "application/json", `{"password":"abcd"}`, tokens["database"]); status != 200 {
					t.Fatal(status, answer)
				}
				password = "abcd"
			}},
			{"a reset", func(t *testing.T, _ map[string]string) {
				if status, _ := call(t, "POST", base+"/auth/forgot-password", "application/json", `{"email":"`+arthur+`"}`, ""); status != 202 {
					t.Fatal(status)
				}
				_, mails := call(t, "GET", base+"/_test/outbox?email="+url.QueryEscape(arthur), "", "", "")
				resets := mails["reset"].([]any)
				body, err := json.Marshal(map[string]any{"token": resets[len(resets)-1], "password": "abcde"})
				if err != nil {
					t.Fatal(err)
				}
				if status, answer := call(t, "POST", base+"/auth/reset-password", "application/json", string(body), ""); status != 200 {
					t.Fatal(status, answer)
				}
				password = "abcde"
			}},
			{"deactivation and re-activation", func(t *testing.T, tokens map[string]string) {
				flags(t, `"is_active":false`)
				for backend, token := range tokens {
					if alive(t, backend, token) {
						t.Errorf("%s: an inactive user", backend)
					}
				}
				flags(t, `"is_active":true`)
			}},
		} {
			t.Run(c.what, func(t *testing.T) {
				before, renewing := all(t)
				for backend, token := range before {
					if !alive(t, backend, token) {
						t.Errorf("%s: a log-in is dead", backend)
					}
				}
				c.end(t, before)
				after, renewed := all(t)
				for backend, token := range before {
					if alive(t, backend, token) {
						t.Errorf("%s: an older credential lives", backend)
					}
					if !alive(t, backend, after[backend]) {
						t.Errorf("%s: the new log-in is dead", backend)
					}
				}
				if status, _, _ := refresh(t, base, renewing); status != 401 {
					t.Error("an older refresh token:", status)
				}
				if status, _, _ := refresh(t, base, renewed); status != 200 {
					t.Error("the new refresh token:", status)
				}
			})
		}
	})
}

// A hash that is replaced at a log-in signs nobody out.
func TestAHashUpgradeEndsNothing(t *testing.T) {
	base := start(t, "REDIS_URL="+testdb.RedisURL(t))
	register(t, base, arthur)
	before := map[string]string{}
	for _, backend := range []string{"jwt", "my-jwt", "database", "redis"} {
		_, before[backend] = login(t, base, backend, arthur, "abc")
	}
	var renewing string
	before["session"], renewing = logIn(t, base, arthur, "abc")
	legacy, err := bcrypt.GenerateFromPassword([]byte("abc"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{"email": arthur, "hashed_password": string(legacy)})
	if err != nil {
		t.Fatal(err)
	}
	if status, answer := call(t, "POST", base+"/_test/user-flags", "application/json", string(body), ""); status != 204 {
		t.Fatal(status, answer)
	}
	for range 2 { // the first one replaces it
		if status, _ := login(t, base, "jwt", arthur, "abc"); status != 200 {
			t.Fatal(status)
		}
	}
	for backend, token := range before {
		if !opens(t, base, token) {
			t.Errorf("%s: signed out", backend)
		}
	}
	if status, _, _ := refresh(t, base, renewing); status != 200 {
		t.Error(status)
	}
}

// Nothing that anybody sends is a server's error.
func TestGarbageAtTheRoutesOfSessions(t *testing.T) {
	sessionServers(t, func(t *testing.T, base string) {
		register(t, base, arthur)
		access, token := logIn(t, base, arthur, "abc")
		for _, route := range []string{"POST /auth/session/refresh", "POST /auth/session/revoke", "DELETE /auth/sessions/%00", "DELETE /auth/sessions/%FF",
			"DELETE /auth/sessions/" + strings.Repeat("x", 5000), "GET /users/x/sessions", "DELETE /users/%00/sessions", "DELETE /users/99999999999999999999/sessions/x"} {
			method, path, _ := strings.Cut(route, " ")
			for _, contentType := range []string{"", "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "multipart/form-data", "text/\x7f"} {
				for _, body := range []string{"", "{", "[]", "null", `{"refresh_token":null}`, `{"refresh_token":7,"token":[]}`, `{"refresh_token":"","token":""}`,
					`{"refresh_token":"x","refresh_token":"y"}`, `{"refresh_token":"\u0000","token":"\u0000"}`, `{"refresh_token":"x","grant_type":"password"}`,
					"refresh_token=%ff&token=%ff", "refresh_token=a&refresh_token=b&token=a&token=b", "refresh_token=%00&token=%00", "%", "--x\r\n\r\n--x--",
					`{"refresh_token":"` + token[:40] + `"}`, `{"refresh_token":"` + strings.Repeat("A", 20000) + `","token":"` + strings.Repeat("A", 20000) + `"}`} {
					r, err := http.NewRequest(method, base+path, strings.NewReader(body))
					if err != nil {
						t.Fatal(err)
					}
					r.Header["Content-Type"] = []string{strings.ReplaceAll(contentType, "\x7f", "")}
					r.Header.Set("Authorization", "Bearer "+access)
					res, err := http.DefaultClient.Do(r)
					if err != nil {
						t.Fatal(err)
					}
					res.Body.Close()
					if res.StatusCode >= 500 || res.StatusCode < 200 {
						t.Errorf("%.60s, %s, %.60q: %d", route, contentType, body, res.StatusCode)
					}
				}
			}
		}
		if status, _, _ := refresh(t, base, token); status != 200 {
			t.Error("garbage has ended the session:", status)
		}
	})
}
