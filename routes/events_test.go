package routes_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

// eventSite is a site that tells of events to a list, a log and a table, and
// notes every secret that is sent either way.
type eventSite struct {
	*site
	events *userdb.Events
	mails  *authntest.Outbox[*userdb.User]
	log    bytes.Buffer
	names  map[string]string // of users, by id

	mu      sync.Mutex
	heard   []authn.Event
	all     []authn.Event
	secrets []string
}

func newEventSite(t *testing.T, db *gorm.DB, limits routes.Limits) *eventSite {
	t.Helper()
	s := &eventSite{mails: new(authntest.Outbox[*userdb.User]), names: map[string]string{"": "-"}}
	store, err := userdb.New[userdb.User](db)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	sessions, err := userdb.NewSessions(store, userdb.SessionsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if s.events, err = userdb.NewEvents(db, userdb.EventsConfig{}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sessions.Migrate(t.Context()), s.events.Migrate(t.Context())); err != nil {
		t.Fatal(err)
	}
	key := func(name string) jwt.Key { return jwt.Secret([]byte(strings.Repeat(name, 32)[:32])) }
	short, err := backends.JWT(key("web"), backends.JWTConfig{Name: "web"})
	if err != nil {
		t.Fatal(err)
	}
	web, err := backends.WithSessions(short, sessions, backends.SessionConfig{Limit: authn.SessionLimit{Max: 4, Refuse: true}, Grace: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	strict, err := backends.JWT(key("strict"), backends.JWTConfig{Name: "strict"})
	if err != nil {
		t.Fatal(err)
	}
	cookie, err := backends.CookieJWT(key("cookie"), backends.CookieJWTConfig{Cookie: backends.CookieConfig{InsecureHTTP: true}})
	if err != nil {
		t.Fatal(err)
	}
	verify, err := jwt.NewVerifyTokens(key("verify"), jwt.MailedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	reset, err := jwt.NewResetTokens(key("reset"), jwt.MailedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewJSONHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	limits.Devices.InsecureHTTP = true
	s.site = serveSite(t, db, authn.Config{VerifyTokens: verify, ResetTokens: reset, Logger: logger},
		routes.Config[*userdb.User]{Limits: limits, Events: s.events, Reauthenticate: routes.Reauthentication{Password: true}},
		web, authn.RequireVerified(strict), cookie)
	s.users.Use(s.mails.Hooks())
	s.users.Use(authn.Hooks[*userdb.User]{
		BeforeLogin: func(_ context.Context, u *userdb.User, _ authn.Identity) error {
			if u.Email == "gated@example.com" {
				return &authn.HTTPError{Status: http.StatusForbidden, Detail: "SECOND_FACTOR"}
			}
			return nil
		},
		OnEvent: func(_ context.Context, e authn.Event) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.heard, s.all = append(s.heard, e), append(s.all, e)
			return nil
		},
	})
	s.users.Use(authn.Hooks[*userdb.User]{OnEvent: authn.LogEvents(logger)})
	s.users.Use(authn.Hooks[*userdb.User]{OnEvent: s.events.Append})
	return s
}

// call sends a request that claims to come from elsewhere. JSON is recognised by
// its brace.
func (s *eventSite) call(method, path, body, token string) map[string]any {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("User-Agent", "audited")
	for _, forged := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded"} {
		r.Header.Set(forged, "203.0.113.66")
	}
	if token != "" {
		s.secrets = append(s.secrets, token)
		r.Header.Set("Authorization", "Bearer "+token)
	}
	got := s.answer(r)
	if got.status >= http.StatusInternalServerError {
		s.Fatalf("%s %s: %d %s", method, path, got.status, got.body)
	}
	for _, cookie := range got.header["Set-Cookie"] {
		_, value, _ := strings.Cut(cookie, "=")
		value, _, _ = strings.Cut(value, ";")
		s.secrets = append(s.secrets, value)
	}
	answer := map[string]any{}
	_ = json.Unmarshal([]byte(got.body), &answer)
	for _, name := range []string{"access_token", "refresh_token"} {
		if token, ok := answer[name].(string); ok {
			s.secrets = append(s.secrets, token)
		}
	}
	return answer
}

func (s *eventSite) in(backend, email, password string) (access, refresh string) {
	s.Helper()
	s.secrets = append(s.secrets, password)
	answer := s.call("POST", "/auth/"+backend+"/login", url.Values{"username": {email}, "password": {password}}.Encode(), "")
	access, _ = answer["access_token"].(string)
	refresh, _ = answer["refresh_token"].(string)
	return access, refresh
}

// audited is the context of a request of call.
func (s *eventSite) audited() context.Context {
	return authn.WithClient(s.Context(), authn.Client{Address: "127.0.0.1", UserAgent: "audited"})
}

// user makes somebody whose password is "secret-of-" and their name.
func (s *eventSite) user(name string, flags authn.Update[*userdb.User]) string {
	s.Helper()
	u, err := s.users.Register(s.audited(), name+"@example.com", "secret-of-"+name, nil)
	if err == nil {
		_, err = s.users.Update(s.audited(), u.AuthID(), flags)
	}
	if err != nil {
		s.Fatal(err)
	}
	s.names[u.AuthID()] = name
	s.told()
	return u.AuthID()
}

// told returns what was heard since, a line for each.
func (s *eventSite) told() string {
	s.Helper()
	if err := s.users.Flush(s.Context()); err != nil {
		s.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, e := range s.heard {
		line := []string{string(e.Kind), string(e.Outcome)}
		if e.Reason != "" {
			line = append(line, "("+string(e.Reason)+")")
		}
		line = append(line, s.names[e.UserID])
		if e.ActorID != "" {
			line = append(line, "by "+s.names[e.ActorID])
		}
		if e.Backend != "" {
			line = append(line, "at "+e.Backend)
		}
		if e.SessionID != "" {
			line = append(line, "in a session")
		}
		line = append(line, e.Methods...)
		lines = append(lines, strings.Join(line, " "))
		if e.Time.IsZero() || e.Client != (authn.Client{Address: "127.0.0.1", UserAgent: "audited"}) {
			s.Errorf("%s: %v, %+v", line, e.Time, e.Client)
		}
	}
	s.heard = nil
	return strings.Join(lines, "; ")
}

// mailed returns the newest token, and notes it.
func (s *eventSite) mailed() string {
	s.Helper()
	if err := s.users.Flush(s.Context()); err != nil {
		s.Fatal(err)
	}
	all := s.mails.Events()
	for i := len(all) - 1; i >= 0; i-- {
		if token := all[i].Token.Value; token != "" {
			s.secrets = append(s.secrets, token)
			return token
		}
	}
	s.Fatal("nothing was mailed")
	return ""
}

func TestEveryKindOfEvent(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		s := newEventSite(t, db, routes.Limits{Skip: true})
		s.user("root", authn.Update[*userdb.User]{IsSuperuser: &yes})
		s.user("gone", authn.Update[*userdb.User]{IsActive: &no})
		s.user("gated", authn.Update[*userdb.User]{})
		admin, _ := s.in("web", "root@example.com", "secret-of-root")
		s.told()

		var ann, token, refresh, session string
		post := func(path, body string) { s.call("POST", path, body, "") }
		for _, step := range []struct {
			what string
			do   func()
			want string
		}{
			{"register", func() {
				s.secrets = append(s.secrets, "first-secret")
				ann, _ = s.call("POST", "/auth/register", `{"email":"ann@example.com","password":"first-secret"}`, "")["id"].(string)
				s.names[ann] = "ann"
			}, "registered succeeded ann"},
			{"a taken address", func() { post("/auth/register", `{"email":"ann@example.com","password":"second-secret"}`) }, ""},
			{"nobody", func() { s.in("web", "typed-a-password-here", "hunter2-unknown") }, "login failed (unknown-user) - pwd"},
			{"a wrong password", func() { s.in("web", "ann@example.com", "hunter2-wrong") }, "login failed (wrong-password) ann pwd"},
			{"an inactive user", func() { s.in("web", "gone@example.com", "secret-of-gone") }, "login refused (inactive) gone pwd"},
			{"an inactive user's wrong password", func() { s.in("web", "gone@example.com", "hunter2-gone") }, "login failed (wrong-password) gone pwd"},
			{"unverified", func() { s.in("strict", "ann@example.com", "first-secret") }, "login refused (not-verified) ann at strict pwd"},
			{"a gate", func() { s.in("web", "gated@example.com", "secret-of-gated") }, "login refused (hook) gated at web pwd"},
			{"log in", func() { token, refresh = s.in("web", "ann@example.com", "first-secret") }, "login succeeded ann at web in a session pwd"},
			{"log in with a cookie", func() { s.in("cookie", "ann@example.com", "first-secret") }, "login succeeded ann at cookie pwd"},
			{"refresh", func() {
				s.call("POST", "/auth/web/refresh", fmt.Sprintf(`{"refresh_token":%q}`, refresh), "")
			}, ""},
			{"refresh again", func() {
				s.call("POST", "/auth/web/refresh", fmt.Sprintf(`{"refresh_token":%q}`, refresh), "")
			}, "token-reused succeeded ann at web in a session"},
			{"a dead token", func() { s.call("GET", "/users/me", "", token) }, ""},
			{"log in again", func() { token, _ = s.in("web", "ann@example.com", "first-secret") }, "login succeeded ann at web in a session pwd"},
			{"log out", func() { s.call("POST", "/auth/web/logout", "", token) }, "logout succeeded ann at web in a session"},
			{"too many sessions", func() {
				for range 5 {
					if access, _ := s.in("web", "ann@example.com", "first-secret"); access != "" {
						token = access
					}
				}
			}, strings.Repeat("login succeeded ann at web in a session pwd; ", 4) + "login refused (too-many-sessions) ann at web pwd"},
			{"end a session", func() {
				sessions, err := s.users.Sessions(t.Context(), ann)
				if err != nil || len(sessions) < 2 {
					t.Fatal(sessions, err)
				}
				session = sessions[len(sessions)-1].ID
				s.call("DELETE", "/auth/sessions/"+session, "", token)
			}, "session-ended succeeded ann at web in a session"},
			{"one that isn't there", func() { s.call("DELETE", "/auth/sessions/"+session, "", token) }, ""},
			{"sign out elsewhere", func() { s.call("DELETE", "/auth/sessions", "", token) }, "signed-out-elsewhere succeeded ann at web in a session"},
			{"by a superuser", func() { s.call("DELETE", "/users/"+ann+"/sessions", "", admin) }, "signed-out-everywhere succeeded ann by root at web in a session"},
			{"log in once more", func() { token, _ = s.in("web", "ann@example.com", "first-secret") }, "login succeeded ann at web in a session pwd"},
			{"a wrong current password", func() {
				s.call("PATCH", "/users/me", `{"password":"third-secret","current_password":"hunter2-current"}`, token)
			}, "password-checked failed (wrong-password) ann at web in a session pwd"},
			{"change password and address", func() {
				s.call("PATCH", "/users/me", `{"email":"anna@example.com","password":"third-secret","current_password":"first-secret"}`, token)
			}, "password-changed succeeded ann at web in a session; email-changed succeeded ann at web in a session"},
			{"ask for verification", func() { post("/auth/request-verify-token", `{"email":"anna@example.com"}`) }, "verify-requested succeeded ann"},
			{"for nobody", func() { post("/auth/request-verify-token", `{"email":"nobody@example.com"}`) }, "verify-requested refused (unknown-user) -"},
			{"verify", func() { post("/auth/verify", fmt.Sprintf(`{"token":%q}`, s.mailed())) }, "verified succeeded ann"},
			{"verify again", func() { post("/auth/verify", fmt.Sprintf(`{"token":%q}`, s.mailed())) }, ""},
			{"verify by nonsense", func() { post("/auth/verify", `{"token":"nonsense"}`) }, "verified failed (invalid-token) -"},
			{"when verified", func() { post("/auth/request-verify-token", `{"email":"anna@example.com"}`) }, "verify-requested refused (already-verified) ann"},
			{"forgot", func() { post("/auth/forgot-password", `{"email":"anna@example.com"}`) }, "password-reset-requested succeeded ann"},
			{"forgot, inactive", func() { post("/auth/forgot-password", `{"email":"gone@example.com"}`) }, "password-reset-requested refused (inactive) gone"},
			{"reset", func() {
				post("/auth/reset-password", fmt.Sprintf(`{"token":%q,"password":"fourth-secret"}`, s.mailed()))
			}, "password-reset succeeded ann"},
			{"reset again", func() {
				post("/auth/reset-password", fmt.Sprintf(`{"token":%q,"password":"fifth-secret"}`, s.mailed()))
			}, "password-reset failed (invalid-token) ann"},
			{"reset by nonsense", func() { post("/auth/reset-password", `{"token":"nonsense","password":"fifth-secret"}`) }, "password-reset failed (invalid-token) -"},
			{"flags", func() {
				s.call("PATCH", "/users/"+ann, `{"is_active":false,"is_superuser":true,"is_verified":false}`, admin)
			}, "unverified succeeded ann by root at web in a session; deactivated succeeded ann by root at web in a session; superuser-granted succeeded ann by root at web in a session"},
			{"and back", func() {
				s.call("PATCH", "/users/"+ann, `{"is_active":true,"is_superuser":false,"is_verified":true,"password":"fifth-secret"}`, admin)
			}, "password-changed succeeded ann by root at web in a session; verified succeeded ann by root at web in a session; activated succeeded ann by root at web in a session; superuser-revoked succeeded ann by root at web in a session"},
			{"nothing changes", func() { s.call("PATCH", "/users/"+ann, `{"is_active":true}`, admin) }, ""},
			{"claim", func() {
				_, err := s.users.Update(s.audited(), ann, authn.Update[*userdb.User]{IsVerified: &no})
				if err == nil {
					_, err = s.users.Claim(s.audited(), ann, "anna@example.com", nil)
				}
				if err != nil {
					t.Error(err)
				}
			}, "unverified succeeded ann; claimed succeeded ann"},
			{"delete", func() { s.call("DELETE", "/users/"+ann, "", admin) }, "deleted succeeded ann by root at web in a session"},
		} {
			step.do()
			if got := s.told(); got != step.want {
				t.Errorf("%s:\n%s, want\n%s", step.what, got, step.want)
			}
		}

		// Everything that was heard is in the table, in the same words.
		kept, err := s.events.Events(t.Context(), authn.EventQuery{Limit: 500})
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(kept)
		if len(kept) != len(s.all) {
			t.Fatalf("%d of %d events are kept", len(kept), len(s.all))
		}
		for i, e := range s.all {
			kept[i].ID, kept[i].Time, e.Time = 0, time.Time{}, time.Time{}
			if fmt.Sprintf("%+v", kept[i]) != fmt.Sprintf("%+v", e) {
				t.Errorf("%+v is kept as %+v", e, kept[i])
			}
		}
		s.secrets = append(s.secrets, "first-secret", "second-secret", "third-secret", "fourth-secret", "fifth-secret", "typed-a-password-here", "@example.com", "203.0.113.66")
		s.holdsNoSecret(db)
	})
}

// holdsNoSecret looks for whatever was sent in what was emitted.
func (s *eventSite) holdsNoSecret(db *gorm.DB) {
	s.Helper()
	var rows []map[string]any
	if err := db.Table(userdb.EventsTable).Find(&rows).Error; err != nil || len(rows) == 0 {
		s.Fatal(err, len(rows))
	}
	emitted := map[string]string{"the table": fmt.Sprint(rows), "the log": s.log.String(), "the hook": fmt.Sprintf("%+v", s.all)}
	var users []userdb.User
	if err := db.Find(&users).Error; err != nil {
		s.Fatal(err)
	}
	for _, u := range users {
		s.secrets = append(s.secrets, u.HashedPassword)
	}
	if len(s.secrets) < 40 {
		s.Errorf("%d secrets: the test sees too little", len(s.secrets))
	}
	for _, secret := range s.secrets {
		// A signature alone, or the middle of a token, is one too.
		for _, part := range append(strings.Split(secret, "."), secret) {
			if len(part) < 6 || strings.HasPrefix(part, "eyJ") {
				continue
			}
			for where, text := range emitted {
				if strings.Contains(text, part) {
					s.Errorf("%s holds %q", where, part)
				}
			}
		}
	}
}

// Whoever is beyond a limit is told of, and fills no table.
func TestEventsOfLimits(t *testing.T) {
	s := newEventSite(t, testdb.SQLite(t), routes.Limits{
		LoginAccount: routes.Limit{Burst: 1, Every: time.Hour}, LoginDevice: routes.Limit{Burst: 1, Every: time.Hour},
	})
	s.call("POST", "/auth/register", `{"email":"ann@example.com","password":"secret"}`, "")
	token, _ := s.in("web", "ann@example.com", "secret")
	s.told()
	for range 2 {
		s.in("web", "ann@example.com", "wrong")
		s.call("PATCH", "/users/me", `{"password":"another","current_password":"wrong"}`, token)
	}
	s.told()
	var got []string
	for _, e := range s.all {
		if e.Outcome != authn.Succeeded {
			got = append(got, string(e.Kind)+" "+string(e.Outcome))
		}
	}
	if want := []string{"login failed", "password-checked failed", "login limited", "password-checked limited"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	kept, err := s.events.Events(t.Context(), authn.EventQuery{})
	if err != nil || slices.ContainsFunc(kept, func(e authn.Event) bool { return e.Outcome == authn.Limited }) {
		t.Errorf("%+v, %v", kept, err)
	}
}

// What a transaction has undone is told nobody, and what it has done, afterwards.
func TestEventsOfTransactions(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		s := newEventSite(t, db, routes.Limits{Skip: true})
		store, err := userdb.New[userdb.User](db)
		if err != nil {
			t.Fatal(err)
		}
		kinds := func() string {
			t.Helper()
			if err := s.users.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			var got []string
			for _, e := range s.heard {
				got = append(got, string(e.Kind))
			}
			s.heard = nil
			return strings.Join(got, " ")
		}
		undo := errors.New("undo it")
		act := func(ctx context.Context, name string, end error) error {
			u, err := s.users.Register(ctx, name+"@example.com", "secret", nil)
			if err == nil {
				_, err = s.users.Update(ctx, u.AuthID(), authn.Update[*userdb.User]{IsSuperuser: &yes})
			}
			if got := kinds(); got != "" {
				t.Errorf("told before the end: %s", got)
			}
			return errors.Join(err, end)
		}
		const both = "registered superuser-granted"
		for name, end := range map[string]error{"done": nil, "undone": undo} {
			want := both
			if end != nil {
				want = ""
			}
			if err := store.InTransaction(t.Context(), func(ctx context.Context) error { return act(ctx, name, end) }); !errors.Is(err, end) {
				t.Error(err)
			}
			if got := kinds(); got != want {
				t.Errorf("Store.InTransaction, %s: %q", name, got)
			}
			ctx, tell := authn.HoldEvents(t.Context())
			err := db.Transaction(func(tx *gorm.DB) error { return act(userdb.WithTx(ctx, tx), name+"-by-hand", end) })
			if !errors.Is(err, end) {
				t.Error(err)
			}
			if err == nil {
				tell()
			}
			if got := kinds(); got != want {
				t.Errorf("HoldEvents, %s: %q", name, got)
			}
			if err := db.Transaction(func(tx *gorm.DB) error { return act(userdb.WithTx(t.Context(), tx), name+"-unheld", end) }); !errors.Is(err, end) {
				t.Error(err)
			}
			if got := kinds(); got != "" {
				t.Errorf("without HoldEvents, %s: %q", name, got)
			}
		}
		if !strings.Contains(s.log.String(), "authn.HoldEvents") {
			t.Error("what is dropped isn't in the log")
		}

		// The manager's own transaction, and a savepoint in one.
		refuse := true
		s.users.Use(authn.Hooks[*userdb.User]{DuringRegister: func(context.Context, *userdb.User) error {
			if refuse {
				return undo
			}
			return nil
		}})
		if _, err := s.users.Register(t.Context(), "refused@example.com", "secret", nil); !errors.Is(err, undo) {
			t.Error(err)
		}
		if got := kinds(); got != "" {
			t.Errorf("a registration that a hook has undone: %q", got)
		}
		if err := store.InTransaction(t.Context(), func(ctx context.Context) error {
			if _, err := s.users.Register(ctx, "refused@example.com", "secret", nil); !errors.Is(err, undo) {
				t.Error(err)
			}
			refuse = false
			_, err := s.users.Register(ctx, "kept@example.com", "secret", nil)
			return err
		}); err != nil {
			t.Error(err)
		}
		if got := kinds(); got != "registered" {
			t.Errorf("one of two in a transaction: %q", got)
		}
	})
}

// read asks for events.
func (s *eventSite) read(path, token string) (reply, []routes.EventRead) {
	s.Helper()
	got := s.send(http.MethodGet, path, "", "", token)
	var list []routes.EventRead
	if got.status == http.StatusOK {
		if err := json.Unmarshal([]byte(got.body), &list); err != nil {
			s.Fatal(err)
		}
	}
	return got, list
}

func TestEventRoutes(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		s := newEventSite(t, db, routes.Limits{Skip: true})
		s.user("root", authn.Update[*userdb.User]{IsSuperuser: &yes})
		ann := s.user("ann", authn.Update[*userdb.User]{})
		s.user("bob", authn.Update[*userdb.User]{})
		admin, _ := s.in("web", "root@example.com", "secret-of-root")
		mine, _ := s.in("web", "ann@example.com", "secret-of-ann")
		for range 3 {
			s.in("web", "ann@example.com", "wrong")
			s.in("web", "nobody@example.com", "wrong")
		}
		s.call("PATCH", "/users/"+ann, `{"is_verified":true}`, admin)
		s.told()

		say := func(list []routes.EventRead) string {
			var said []string
			for _, e := range list {
				said = append(said, string(e.Kind)+" "+string(e.Outcome))
			}
			return strings.Join(said, ", ")
		}
		for path, want := range map[string]string{
			"?user=" + strings.ToUpper(ann):                    "verified succeeded, login failed, login failed, login failed, login succeeded, registered succeeded",
			"?user=" + ann + "&kind=login":                     "login failed, login failed, login failed, login succeeded",
			"?user=x":                                          "",
			"?kind=verified&since=2020-01-01T00:00:00Z":        "verified succeeded",
			"?kind=verified&until=2020-01-01T00:00:00%2B02:00": "",
			"?limit=2":                   "verified succeeded, login failed",
			"?kind=x%27%20OR%201=1%20--": "",
		} {
			if got, list := s.read("/auth/events"+path, admin); got.status != http.StatusOK || say(list) != want {
				t.Errorf("%s: %d %s, want %s", path, got.status, say(list), want)
			}
		}
		// Page by page, it is all of it once.
		var paged, all []int64
		_, list := s.read("/auth/events?limit=500", admin)
		for _, e := range list {
			all = append(all, e.ID)
		}
		for path := "/auth/events?limit=3"; ; {
			_, list := s.read(path, admin)
			if len(list) == 0 {
				break
			}
			for _, e := range list {
				paged = append(paged, e.ID)
			}
			path = fmt.Sprintf("/auth/events?limit=3&before=%d", list[len(list)-1].ID)
		}
		if len(all) == 0 || !slices.Equal(all, paged) {
			t.Errorf("%v in pages, want %v", paged, all)
		}

		got, list := s.read("/users/me/events", mine)
		if say(list) != "verified succeeded, login failed, login failed, login failed, login succeeded, registered succeeded" || !strings.Contains(got.body, `"methods":[]`) {
			t.Errorf("ann's own: %s", got.body)
		}
		if first := list[0]; first.ActorID != "" || first.IPAddress != "" || first.SessionID != "" || list[1].IPAddress != "127.0.0.1" {
			t.Errorf("who ann's superuser is, is told: %+v", first)
		}
		if _, list := s.read("/users/me/events?user=x", mine); len(list) != 6 {
			t.Errorf("%d events of another's", len(list))
		}
		s.wants("not a superuser", s.send("GET", "/auth/events", "", "", mine), http.StatusForbidden, "Forbidden")
		s.wants("nobody", s.send("GET", "/auth/events", "", "", ""), http.StatusUnauthorized, "Unauthorized")
		s.wants("nobody's own", s.send("GET", "/users/me/events", "", "", ""), http.StatusUnauthorized, "Unauthorized")
		for _, bad := range []string{
			"before=x", "before=0", "before=-1", "before=9223372036854775808", "before=1;DROP+TABLE", "before=1&before=2", "before=1%20OR%201=1", "before=0x1", "before=1.0",
			"limit=0", "limit=501", "limit=x", "since=yesterday", "until=2026-01-01", "kind=%ff", "user=%ff", "kind=a&kind=b", "%zz",
		} {
			if got := s.send("GET", "/auth/events?"+bad, "", "", admin); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, `"loc":["query"`) {
				t.Errorf("%s: %d %s", bad, got.status, got.body)
			}
		}
	})
}

// Without a store there are no such routes.
func TestNoEventRoutes(t *testing.T) {
	s := newSite(t, testdb.SQLite(t))
	for _, path := range []string{"/auth/events", "/users/me/events"} {
		if got := s.send("GET", path, "", "", ""); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}

// A query is refused, or is one of typed values: whatever it is, it is never an
// error of the database.
func FuzzEventQueries(f *testing.F) {
	db := testdb.SQLite(f)
	events, err := userdb.NewEvents(db, userdb.EventsConfig{})
	if err != nil {
		f.Fatal(err)
	}
	if err := events.Migrate(f.Context()); err != nil {
		f.Fatal(err)
	}
	users, err := authn.New(new(authntest.Memory), authn.Config{}, authntest.Impersonator{})
	if err != nil {
		f.Fatal(err)
	}
	root, err := users.Register(f.Context(), "root@example.com", "a password", func(u *authntest.User) error { u.IsSuperuser = true; return nil })
	if err != nil {
		f.Fatal(err)
	}
	if err := events.Append(f.Context(), authn.Event{Kind: authn.EventLogin, UserID: root.AuthID()}); err != nil {
		f.Fatal(err)
	}
	factory, err := routes.New(users, routes.Config[*authntest.User]{Events: events})
	if err != nil {
		f.Fatal(err)
	}
	handler := factory.Events()[0].Handler
	for _, seed := range []string{"", "before=1", "before=1)+OR+(1=1", "before=-9223372036854775808&limit=500", "user=%00&kind=%ff", "since=0000-01-01T00:00:00Z&until=9999-12-31T23:59:59Z", "user=' OR 1=1 --"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest(http.MethodGet, "/auth/events", nil)
		r.URL.RawQuery = query
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, authntest.As(r, root))
		if w.Code != http.StatusOK && w.Code != http.StatusUnprocessableEntity {
			t.Errorf("%q: %d %s", query, w.Code, w.Body)
		}
	})
}
