package passwordpolicy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/authn/command"
	"github.com/echo-users/echo-users/authn/passwordpolicy"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/routes/pages"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

// plain is a hasher that costs nothing.
type plain struct{}

func (plain) Hash(_ context.Context, password string) (string, error) {
	return "hash of " + password, nil
}

func (plain) Verify(_ context.Context, password, hash string) (match, outdated bool, err error) {
	return hash == "hash of "+password, false, nil
}

// site is a server with everything that sets passwords, and its users: ann, a
// superuser, whose password is older than the policy.
type site struct {
	*testing.T
	url   string
	users *authn.Users[*userdb.User]
	mails authntest.Outbox[*userdb.User]
}

const (
	annsEmail, annsPassword = "ann@example.com", "password"
	// weak is on the list, once it is without its sign.
	weak = "Password1!"
)

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{T: t}
	store, err := userdb.New[userdb.User](testdb.SQLite(t))
	s.check(err)
	s.check(store.Migrate(t.Context()))
	key := func(letter string) jwt.Key { return jwt.Secret(bytes.Repeat([]byte(letter), 32)) }
	web, err := backends.JWT(key("w"), backends.JWTConfig{})
	s.check(err)
	reset, err := jwt.NewResetTokens(key("r"), jwt.MailedConfig{})
	s.check(err)

	cfg := authn.Config{Passwords: plain{}, ResetTokens: reset, Logger: slog.New(slog.DiscardHandler), PasswordPolicy: authn.MinLength(1)}
	before, err := authn.New(store, cfg, web)
	s.check(err)
	_, err = before.Register(t.Context(), annsEmail, annsPassword, func(u *userdb.User) error { u.IsSuperuser = true; return nil })
	s.check(err)

	cfg.PasswordPolicy = newPolicy(t, passwordpolicy.Config{})
	s.users, err = authn.New(store, cfg, web)
	s.check(err)
	s.users.Use(s.mails.Hooks())
	_, err = s.users.Register(t.Context(), "bob@example.com", "queen of camelot", nil)
	s.check(err)

	e := echo.New()
	echo4.Mount(e, routes.All(s.users))
	echo4.Mount(e, pages.Routes(s.users))
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *site) check(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// do sends JSON, or else a form, and returns the status and the body.
func (s *site) do(method, path, token, body string) (int, string) {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), method, s.url+path, strings.NewReader(body))
	s.check(err)
	r.Header.Set("Content-Type", "application/json")
	if !strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(r)
	s.check(err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	s.check(err)
	return res.StatusCode, string(text)
}

func (s *site) logIn(email, password string) string {
	s.Helper()
	status, body := s.do(http.MethodPost, "/auth/jwt/login", "", url.Values{"username": {email}, "password": {password}}.Encode())
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK {
		s.Fatalf("log in: %d %s", status, body)
	}
	return answer.Token
}

func (s *site) resetToken(email string) string {
	s.Helper()
	s.check(s.users.ForgotPassword(s.Context(), email))
	s.check(s.users.Flush(s.Context()))
	token := ""
	for _, e := range s.mails.Events() {
		if e.Kind == "forgot-password" {
			token = e.Token.Value
		}
	}
	return token
}

// Every way that sets a password refuses a common one and says why, and takes
// another. Whoever has a common password still logs in.
func TestEveryWayRefusesACommonPassword(t *testing.T) {
	const good = "battery staple"
	inJSON := func(password, more string) string { return `{"password": "` + password + `"` + more + `}` }
	request := func(method, path string, token func(*site) string, body func(s *site, password string) string) func(*site, string) (bool, string) {
		return func(s *site, password string) (bool, string) {
			bearer := ""
			if token != nil {
				bearer = token(s)
			}
			bob, err := s.users.GetByEmail(s.Context(), "bob@example.com")
			s.check(err)
			status, answer := s.do(method, strings.Replace(path, "{bob}", bob.AuthID(), 1), bearer, body(s, password))
			return status < 300, html.UnescapeString(answer)
		}
	}
	inTerminal := func(args ...string) func(*site, string) (bool, string) {
		return func(s *site, password string) (bool, string) {
			err := command.Run(s.Context(), s.users, args, command.Config[*userdb.User]{In: strings.NewReader(password + "\n"), Out: io.Discard, Err: io.Discard})
			if err != nil {
				return false, err.Error()
			}
			return true, ""
		}
	}
	annsToken := func(s *site) string { return s.logIn(annsEmail, annsPassword) }
	justPassword := func(_ *site, password string) string { return inJSON(password, "") }

	for what, c := range map[string]struct {
		set  func(s *site, password string) (accepted bool, answer string)
		code string
	}{
		"register": {request(http.MethodPost, "/auth/register", nil, func(_ *site, password string) string {
			return inJSON(password, `, "email": "new@example.com"`)
		}), `"REGISTER_INVALID_PASSWORD"`},
		"update oneself":    {request(http.MethodPatch, "/users/me", annsToken, justPassword), `"UPDATE_USER_INVALID_PASSWORD"`},
		"update by another": {request(http.MethodPatch, "/users/{bob}", annsToken, justPassword), `"UPDATE_USER_INVALID_PASSWORD"`},
		"reset": {request(http.MethodPost, "/auth/reset-password", nil, func(s *site, password string) string {
			return inJSON(password, `, "token": "`+s.resetToken("bob@example.com")+`"`)
		}), `"RESET_PASSWORD_INVALID_PASSWORD"`},
		"reset on a page": {request(http.MethodPost, "/reset-password", nil, func(s *site, password string) string {
			return url.Values{"token": {s.resetToken("bob@example.com")}, "password": {password}}.Encode()
		}), "<html"},
		"create in a terminal": {inTerminal("create", "new@example.com"), ""},
		"a superuser there":    {inTerminal("create", "new@example.com", "-superuser"), ""},
		"set in a terminal":    {inTerminal("password", "bob@example.com"), ""},
	} {
		t.Run(what, func(t *testing.T) {
			s := newSite(t)
			accepted, answer := c.set(s, weak)
			if accepted || !strings.Contains(answer, common) || !strings.Contains(answer, c.code) || strings.Contains(answer, weak) {
				t.Errorf("%q: %v, %s", weak, accepted, answer)
			}
			for _, email := range []string{annsEmail, "bob@example.com", "new@example.com"} {
				if _, err := s.users.Authenticate(t.Context(), email, weak); err == nil {
					t.Errorf("%s has the weak password", email)
				}
			}
			if accepted, answer := c.set(s, good); !accepted {
				t.Errorf("%q: %s", good, answer)
			}
		})
	}

	t.Run("log in with an older one", func(t *testing.T) {
		s := newSite(t)
		token := s.logIn(annsEmail, annsPassword)
		if status, body := s.do(http.MethodGet, "/users/me", token, ""); status != http.StatusOK {
			t.Error(status, body)
		}
		if status, body := s.do(http.MethodPatch, "/users/me", token, `{"is_verified": true}`); status != http.StatusOK {
			t.Error("a change that isn't one of the password:", status, body)
		}
	})
}
