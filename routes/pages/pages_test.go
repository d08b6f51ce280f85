package pages_test

import (
	"bytes"
	"context"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/routes/pages"
	"github.com/echo-users/echo-users/strategies/jwt"
)

const ann = "ann@example.com"

// site is a server of the pages below a prefix, beside the routes.
type site struct {
	*testing.T
	url    string
	users  *authn.Users[*authntest.User]
	mails  *authntest.Outbox[*authntest.User]
	hasher *hasher
	clock  *authntest.Clock
	log    *bytes.Buffer
}

// hasher costs nothing, and can be made to refuse.
type hasher struct{ busy atomic.Bool }

func (h *hasher) Hash(_ context.Context, password string) (string, error) {
	if h.busy.Load() {
		return "", overload{}
	}
	return "hash of " + password, nil
}

func (h *hasher) Verify(_ context.Context, password, hash string) (match, outdated bool, err error) {
	return hash == "hash of "+password, false, nil
}

type overload struct{}

func (overload) Error() string             { return "too many passwords" }
func (overload) RetryAfter() time.Duration { return 7 * time.Second }

func serve(t *testing.T, cfg pages.Config) site {
	t.Helper()
	s := site{T: t, hasher: new(hasher), mails: new(authntest.Outbox[*authntest.User]), clock: authntest.NewClock(time.Now()), log: new(bytes.Buffer)}
	verify, err := jwt.NewVerifyTokens(jwt.Secret(bytes.Repeat([]byte("v"), 32)), jwt.MailedConfig{Now: s.clock.Now})
	s.check(err)
	reset, err := jwt.NewResetTokens(jwt.Secret(bytes.Repeat([]byte("r"), 32)), jwt.MailedConfig{Now: s.clock.Now})
	s.check(err)
	s.users, err = authn.New(new(authntest.Memory), authn.Config{
		Passwords: s.hasher, VerifyTokens: verify, ResetTokens: reset, Logger: slog.New(slog.NewTextHandler(s.log, nil)),
	}, authntest.Impersonator{})
	s.check(err)
	s.users.Use(s.mails.Hooks())
	_, err = s.users.Register(t.Context(), ann, "correct horse", nil)
	s.check(err)

	e := echo.New()
	if cfg.Limit != nil { // the default factory's
		factory, err := routes.New(s.users, routes.Config[*authntest.User]{})
		s.check(err)
		cfg.Limit = factory.Limited
	}
	list, err := pages.New(s.users, cfg)
	s.check(err)
	echo4.Mount(e.Group("/app"), list)
	echo4.Mount(e, routes.All(s.users))
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s site) check(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// mailed returns the newest token of a kind.
func (s site) mailed(kind string) string {
	s.Helper()
	switch kind {
	case "request-verify":
		s.check(s.users.RequestVerify(s.Context(), ann))
	case "forgot-password":
		s.check(s.users.ForgotPassword(s.Context(), ann))
	}
	s.check(s.users.Flush(s.Context()))
	token := ""
	for _, e := range s.mails.Events() {
		if e.Kind == kind {
			token = e.Token.Value
		}
	}
	if token == "" {
		s.Fatalf("no token of the kind %s", kind)
	}
	return token
}

type answer struct {
	*http.Response
	body string
}

func (s site) do(method, path, contentType, body string) answer {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), method, s.url+path, strings.NewReader(body))
	s.check(err)
	r.Header.Set("Content-Type", contentType)
	res, err := http.DefaultTransport.RoundTrip(r)
	s.check(err)
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	s.check(err)
	return answer{res, string(data)}
}

func (s site) post(path string, fields ...string) answer {
	s.Helper()
	values := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		values.Add(fields[i], fields[i+1])
	}
	return s.do(http.MethodPost, path, "application/x-www-form-urlencoded", values.Encode())
}

// shows holds an answer's status, a text of it, and what every page has.
func (s site) shows(what string, a answer, status int, text string) {
	s.Helper()
	if a.StatusCode != status || !strings.Contains(html.UnescapeString(a.body), text) {
		s.Errorf("%s: %s, want %d with %q\n%s", what, a.Status, status, text, a.body)
	}
	for name, want := range map[string]string{
		"Content-Type":            "text/html; charset=utf-8",
		"Content-Security-Policy": "default-src 'none'",
		"Cache-Control":           "no-store",
		"Referrer-Policy":         "no-referrer",
		"X-Content-Type-Options":  "nosniff",
	} {
		if got := a.Header[name]; len(got) != 1 || !strings.HasPrefix(got[0], want) {
			s.Errorf("%s: %s is %q", what, name, got)
		}
	}
	if strings.Contains(a.body, "<script") {
		s.Errorf("%s has a script", what)
	}
}

var action, hidden = regexp.MustCompile(`action="([^"]*)"`), regexp.MustCompile(`name="token" value="([^"]*)"`)

// submit sends the form of a page as a browser would.
func (s site) submit(page answer, fields ...string) answer {
	s.Helper()
	where, token := action.FindStringSubmatch(page.body), hidden.FindStringSubmatch(page.body)
	if where == nil || token == nil {
		s.Fatalf("no form:\n%s", page.body)
	}
	to, err := page.Request.URL.Parse(html.UnescapeString(where[1]))
	s.check(err)
	if to.RawQuery != "" {
		s.Errorf("the form goes to %s", to)
	}
	return s.post(to.RequestURI(), append(fields, "token", html.UnescapeString(token[1]))...)
}

func (s site) isVerified() bool {
	s.Helper()
	u, err := s.users.GetByEmail(s.Context(), ann)
	s.check(err)
	return u.IsVerified
}

func (s site) hasPassword(password string) bool {
	_, err := s.users.Authenticate(s.Context(), ann, password)
	return err == nil
}

const form = "application/x-www-form-urlencoded"

func TestVerify(t *testing.T) {
	s := serve(t, pages.Config{Next: "/login"})
	token := s.mailed("welcome")
	page := "/app/verify?token=" + url.QueryEscape(token)
	for range 3 {
		if a := s.do(http.MethodHead, page, "", ""); a.StatusCode != http.StatusOK || a.body != "" {
			t.Errorf("HEAD: %s %s", a.Status, a.body)
		}
		s.shows("a scanner", s.do(http.MethodGet, page, "", ""), http.StatusOK, "This address is mine")
	}
	if s.isVerified() {
		t.Fatal("a link was used up by opening it")
	}
	s.shows("a token in the query", s.do(http.MethodPost, page, form, ""), http.StatusUnprocessableEntity, "not valid")
	if s.isVerified() {
		t.Fatal("POST took the token from the query")
	}
	s.shows("the person", s.submit(s.do(http.MethodGet, page, "", "")), http.StatusOK, "Your address is verified")
	if !s.isVerified() {
		t.Error("not verified")
	}
	again := s.submit(s.do(http.MethodGet, page, "", ""))
	s.shows("again", again, http.StatusBadRequest, "verified already")
	if !strings.Contains(again.body, `href="/login"`) {
		t.Errorf("no way on:\n%s", again.body)
	}
	s.shows("nonsense", s.post("/app/verify", "token", "nonsense"), http.StatusBadRequest, "not valid")
	s.shows("a token of another kind", s.post("/app/verify", "token", s.mailed("forgot-password")), http.StatusBadRequest, "not valid")
}

func TestResetPassword(t *testing.T) {
	s := serve(t, pages.Config{})
	token := s.mailed("forgot-password")
	page := s.do(http.MethodGet, "/app/reset-password?token="+url.QueryEscape(token), "", "")
	s.shows("the page", page, http.StatusOK, "New password")

	weak := s.submit(page, "password", "short")
	s.shows("a short password", weak, http.StatusBadRequest, "at least 8 characters")
	long := s.submit(weak, "password", strings.Repeat("a", authn.MaxPasswordLength+1))
	s.shows("a long password", long, http.StatusUnprocessableEntity, "too long")
	binary := s.submit(long, "password", "caf\xe9 caf\xe9 caf\xe9")
	s.shows("no text", binary, http.StatusUnprocessableEntity, "")
	none := s.submit(binary)
	s.shows("no password", none, http.StatusBadRequest, "at least 8 characters")
	if !s.hasPassword("correct horse") {
		t.Fatal("a refused password was set")
	}
	s.shows("a password in the query", s.do(http.MethodPost, "/app/reset-password?password=battery+staple", form, "token="+url.QueryEscape(token)), http.StatusBadRequest, "")

	s.shows("a good password", s.submit(none, "password", "battery staple"), http.StatusOK, "password was changed")
	if !s.hasPassword("battery staple") {
		t.Error("not set")
	}
	s.shows("again", s.submit(page, "password", "another password"), http.StatusBadRequest, "not valid")
	token = s.mailed("forgot-password")
	s.clock.Advance(2 * time.Hour)
	s.shows("too late", s.post("/app/reset-password", "token", token, "password", "another password"), http.StatusBadRequest, "not valid")
	if !s.hasPassword("battery staple") {
		t.Error("a void token set a password")
	}
	if s.log.Len() > 0 {
		t.Errorf("refusals are logged: %s", s.log)
	}
}

// What is done by a page is told of with where it came from.
func TestEventsSayWhoSendsAForm(t *testing.T) {
	limit := func(string, routes.Handler) routes.Handler { return nil } // the default factory's
	for what, cfg := range map[string]pages.Config{"alone": {}, "limited": {Limit: limit}} {
		s := serve(t, cfg)
		events := make(chan authn.Event, 100)
		s.users.Use(authn.Hooks[*authntest.User]{OnEvent: func(_ context.Context, e authn.Event) error {
			events <- e
			return nil
		}})
		s.shows(what, s.post("/app/verify", "token", s.mailed("welcome")), http.StatusOK, "")
		s.shows(what, s.post("/app/reset-password", "token", s.mailed("forgot-password"), "password", "battery staple"), http.StatusOK, "")
		s.check(s.users.Flush(t.Context()))
		close(events)
		seen := 0
		for e := range events {
			if e.Kind != authn.EventVerified && e.Kind != authn.EventPasswordReset {
				continue
			}
			seen++
			if want := (authn.Client{Address: "127.0.0.1", UserAgent: "Go-http-client/1.1"}); e.Client != want {
				t.Errorf("%s: %s by %+v, want %+v", what, e.Kind, e.Client, want)
			}
		}
		if seen != 2 {
			t.Errorf("%s: %d events", what, seen)
		}
	}
}

func TestTryAgainLater(t *testing.T) {
	s := serve(t, pages.Config{})
	token := s.mailed("forgot-password")
	s.hasher.busy.Store(true)
	a := s.post("/app/reset-password", "token", token, "password", "battery staple")
	s.shows("busy", a, http.StatusServiceUnavailable, "try again later")
	if got := a.Header.Get("Retry-After"); got != "7" {
		t.Errorf("Retry-After %q", got)
	}
	if logged := s.log.String(); strings.Count(logged, "too many passwords") != 1 || strings.Contains(logged, token) || strings.Contains(logged, "battery") {
		t.Errorf("logged: %s", logged)
	}
	s.hasher.busy.Store(false)
	s.shows("later", s.submit(a, "password", "battery staple"), http.StatusOK, "password was changed")
}

// The pages refuse with the statuses of the routes.
func TestStatusesAreThoseOfTheRoutes(t *testing.T) {
	s := serve(t, pages.Config{})
	token := s.mailed("forgot-password")
	for _, c := range []struct{ page, route, token, password string }{
		{"/app/verify", "/auth/verify", "nonsense", ""},
		{"/app/reset-password", "/auth/reset-password", "nonsense", "battery staple"},
		{"/app/reset-password", "/auth/reset-password", token, "short"},
		{"/app/reset-password", "/auth/reset-password", token, strings.Repeat("a", authn.MaxPasswordLength+1)},
		{"/app/reset-password", "/auth/reset-password", strings.Repeat("a", 70<<10), "battery staple"},
	} {
		page := s.post(c.page, "token", c.token, "password", c.password)
		route := s.do(http.MethodPost, c.route, "application/json", `{"token":"`+c.token+`","password":"`+c.password+`"}`)
		if page.StatusCode != route.StatusCode {
			t.Errorf("%s: %s, %s: %s", c.page, page.Status, c.route, route.Status)
		}
	}
}

func TestFormsThatAreNone(t *testing.T) {
	s := serve(t, pages.Config{})
	token := s.mailed("welcome")
	for what, a := range map[string]answer{
		"nothing":       s.do(http.MethodPost, "/app/verify", form, ""),
		"JSON":          s.do(http.MethodPost, "/app/verify", "application/json", `{"token":"`+token+`"}`),
		"twice":         s.post("/app/verify", "token", token, "token", token),
		"an empty one":  s.post("/app/verify", "token", ""),
		"bad escapes":   s.do(http.MethodPost, "/app/verify", form, "token=%zz"),
		"two passwords": s.post("/app/reset-password", "token", token, "password", "battery staple", "password", "correct horse"),
	} {
		s.shows(what, a, http.StatusUnprocessableEntity, "not valid")
	}
	for what, query := range map[string]string{
		"no token":    "",
		"an empty":    "?token=",
		"a long one":  "?token=" + strings.Repeat("a", authn.MaxCredentialSize+1),
		"bad escapes": "?token=%zz",
	} {
		s.shows(what, s.do(http.MethodGet, "/app/verify"+query, "", ""), http.StatusBadRequest, "not valid")
	}
	attack := s.do(http.MethodGet, "/app/verify?token="+url.QueryEscape(`"><script>alert(1)</script>`), "", "")
	s.shows("a script", attack, http.StatusOK, "")
	if s.isVerified() {
		t.Error("verified")
	}
}

func TestOwnTemplates(t *testing.T) {
	s := serve(t, pages.Config{VerifyPath: "/me/is-it-you", Templates: fstest.MapFS{
		"verify.html": {Data: []byte(`<h1>Bist du es?</h1>{{.Problem}}{{if .Form}}<form method="post" action="{{.Action}}"><input name="token" value="{{.Token}}">{{end}}`)},
	}})
	page := s.do(http.MethodGet, "/app/me/is-it-you?token="+s.mailed("welcome"), "", "")
	s.shows("own", page, http.StatusOK, "Bist du es?")
	s.shows("own", s.submit(page), http.StatusOK, "Bist du es?")
	s.shows("own", s.submit(page), http.StatusBadRequest, "already-verified")
	s.shows("built-in", s.do(http.MethodGet, "/app/reset-password?token=t", "", ""), http.StatusOK, "Set a new password")
}

func TestFaultyConfigsAreErrors(t *testing.T) {
	users := serve(t, pages.Config{}).users
	file := func(data string) fstest.MapFS { return fstest.MapFS{"verify.html": {Data: []byte(data)}} }
	for what, cfg := range map[string]pages.Config{
		"a field that is none":   {Templates: file(`{{.Oops}}`)},
		"no template":            {Templates: file(`{{if`)},
		"a form without a token": {Templates: file(`<form method="post"></form>`)},
		"a faulty problem":       {Templates: file(`{{.Token}}{{if eq .Problem "weak-password"}}{{.Oops}}{{end}}`)},
		"a relative path":        {VerifyPath: "verify"},
		"a folder":               {ResetPath: "/reset/"},
		"the root":               {ResetPath: "/"},
		"a parameter":            {ResetPath: "/:token"},
		"a negative limit":       {BodyLimit: -1},
		"a negative timeout":     {Timeout: -1},
	} {
		if _, err := pages.New(users, cfg); err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
	if _, err := pages.New[*authntest.User](nil, pages.Config{}); err == nil {
		t.Error("no users")
	}
}

func TestPagesFollowTheTokens(t *testing.T) {
	users, err := authn.New(new(authntest.Memory), authn.Config{}, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	if list, err := pages.New(users, pages.Config{}); err != nil || len(list) > 0 {
		t.Errorf("%v, %v", list, err)
	}
	echo4.Mount(echo.New(), pages.Routes(users))
}

// Of many who press the button at once, one sets the password.
func TestOneOfManyResets(t *testing.T) {
	s := serve(t, pages.Config{})
	token := s.mailed("forgot-password")
	statuses := make(chan int, 20)
	for range cap(statuses) {
		go func() {
			status := 0
			res, err := http.PostForm(s.url+"/app/reset-password", url.Values{"token": {token}, "password": {"battery staple"}})
			if err == nil {
				status = res.StatusCode
				res.Body.Close()
			}
			statuses <- status
		}()
	}
	count := map[int]int{}
	for range cap(statuses) {
		count[<-statuses]++
	}
	if count[http.StatusOK] != 1 || count[http.StatusBadRequest] != cap(statuses)-1 {
		t.Errorf("statuses: %v", count)
	}
}

// limited asks serve for limits.
func limited(string, routes.Handler) routes.Handler { return nil }

// Forms with tokens that are none are bounded, and a reset makes the device
// known.
func TestFormsAreLimited(t *testing.T) {
	s := serve(t, pages.Config{Limit: limited})
	right := s.mailed("forgot-password")
	done := s.post("/app/reset-password", "token", right, "password", "battery staple")
	s.shows("in time", done, http.StatusOK, "")
	if cookie := done.Header.Get("Set-Cookie"); !strings.HasPrefix(cookie, "__Host-device=") {
		t.Errorf("Set-Cookie: %q", cookie)
	}
	for range 30 {
		s.shows("a guess", s.post("/app/reset-password", "token", "wrong", "password", "battery staple"), http.StatusBadRequest, "")
	}
	late := s.post("/app/reset-password", "token", "wrong", "password", "battery staple")
	s.shows("beyond", late, http.StatusTooManyRequests, "")
	if late.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	s.shows("the other page", s.post("/app/verify", "token", "wrong"), http.StatusBadRequest, "")
}
