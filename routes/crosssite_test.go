package routes_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/userdb"
)

// do sends a request with these headers, given as name, value, name, value.
func (s *site) do(method, path, body string, headers ...string) reply {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return s.answer(r)
}

// cookie logs in at the cookie backend and returns what the browser sends back.
func (s *site) cookie(email, password string, headers ...string) string {
	s.Helper()
	headers = append(headers, "Content-Type", "application/x-www-form-urlencoded")
	form := url.Values{"username": {email}, "password": {password}}.Encode()
	got := s.do(http.MethodPost, "/auth/cookie/login", form, headers...)
	if got.status != http.StatusNoContent {
		return ""
	}
	pair, _, _ := strings.Cut(got.header.Get("Set-Cookie"), ";")
	return pair
}

func TestCookieLogsInAndOut(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		s := newMailSite(t, db, testdb.Secrets{}, noLimits)
		s.register("ann@example.com")
		cookie := s.cookie("ann@example.com", "secret")
		s.has("me", s.do(http.MethodGet, "/users/me", "", "Cookie", cookie), http.StatusOK, "ann@example.com")
		got := s.do(http.MethodPost, "/auth/cookie/logout", "", "Cookie", cookie)
		if got.status != http.StatusNoContent || !strings.HasPrefix(got.header.Get("Set-Cookie"), "fastapiusersauth=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax") {
			t.Errorf("log-out: %d %v", got.status, got.header)
		}
		got = s.do(http.MethodPost, "/auth/cookie/logout", "")
		s.has("log-out without a cookie", got, http.StatusUnauthorized, "Unauthorized")
		if got.header.Get("WWW-Authenticate") == "" {
			t.Error("a 401 without a challenge")
		}
		bearer := s.login("jwt", "ann@example.com", "secret")
		s.has("log-out with a bearer token", s.do(http.MethodPost, "/auth/cookie/logout", "", "Authorization", "Bearer "+bearer), http.StatusUnauthorized, "")
	})
}

// A cookie that another site had sent counts as none.
func TestCrossSiteRequests(t *testing.T) {
	s := newMailSite(t, testdb.SQLite(t), testdb.Secrets{}, noLimits)
	s.register("ann@example.com")
	cookie := s.cookie("ann@example.com", "secret")
	bearer := "Bearer " + s.login("jwt", "ann@example.com", "secret")
	const patch, change = "/users/me", `{"email":"ann@example.com"}`
	for what, c := range map[string]struct {
		headers []string
		status  int
	}{
		"cross-site":                {[]string{"Sec-Fetch-Site", "cross-site"}, 403},
		"another host of the site":  {[]string{"Sec-Fetch-Site", "same-site", "Origin", "http://evil.example.com"}, 403},
		"an old browser":            {[]string{"Origin", "http://evil.example"}, 403},
		"a sandboxed frame":         {[]string{"Origin", "null"}, 403},
		"same origin":               {[]string{"Sec-Fetch-Site", "same-origin"}, 200},
		"the address bar":           {[]string{"Sec-Fetch-Site", "none"}, 200},
		"no browser":                {nil, 200},
		"old browser, same origin":  {[]string{"Origin", s.url}, 200},
		"trusted":                   {[]string{"Sec-Fetch-Site", "same-site", "Origin", "https://app.example.com"}, 200},
		"trusted without TLS":       {[]string{"Sec-Fetch-Site", "same-site", "Origin", "http://app.example.com"}, 403},
		"trusted, another port":     {[]string{"Sec-Fetch-Site", "same-site", "Origin", "https://app.example.com:8443"}, 403},
		"cross-site, with a bearer": {[]string{"Sec-Fetch-Site", "cross-site", "Authorization", bearer}, 200},
	} {
		headers := append([]string{"Cookie", cookie, "Content-Type", "application/json"}, c.headers...)
		if got := s.do(http.MethodPatch, patch, change, headers...); got.status != c.status {
			t.Errorf("%s: %d %s, want %d", what, got.status, got.body, c.status)
		}
	}
	s.has("a cookie of nobody", s.do(http.MethodPatch, patch, change, "Cookie", "fastapiusersauth=x", "Sec-Fetch-Site", "cross-site"), 401, "Unauthorized")
	s.has("a link from elsewhere", s.do(http.MethodGet, patch, "", "Cookie", cookie, "Sec-Fetch-Site", "cross-site"), 200, "")
	s.has("a WebSocket", s.do(http.MethodGet, patch, "", "Cookie", cookie, "Connection", "Upgrade", "Upgrade", "websocket", "Origin", "http://evil.example"), 403, "Forbidden")
	s.has("a WebSocket of ours", s.do(http.MethodGet, patch, "", "Cookie", cookie, "Connection", "Upgrade", "Upgrade", "websocket", "Origin", s.url), 200, "")
	s.has("log-out", s.do(http.MethodPost, "/auth/cookie/logout", "", "Cookie", cookie, "Sec-Fetch-Site", "cross-site"), 403, "Forbidden")

	if s.cookie("ann@example.com", "secret", "Sec-Fetch-Site", "cross-site") != "" {
		t.Error("another site logged somebody in")
	}
	if s.cookie("ann@example.com", "secret", "Sec-Fetch-Site", "same-site", "Origin", "https://app.example.com") == "" {
		t.Error("a trusted origin could not log in")
	}
	form := url.Values{"username": {"ann@example.com"}, "password": {"secret"}}.Encode()
	s.has("bearer log-in from anywhere", s.do(http.MethodPost, "/auth/jwt/login", form, "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "cross-site"), 200, "")
}

// No other site has a POST pass for a request that changes nothing
// (GHSA-r7w9-592q-9vg4 of Echo, whose versions before v4.16.0 let it).
func TestAnOverriddenMethodChangesNoJudgement(t *testing.T) {
	s := newMailSite(t, testdb.SQLite(t), testdb.Secrets{}, noLimits)
	s.register("ann@example.com")
	factory, err := routes.New(s.users, routes.Config[*userdb.User]{Limits: noLimits})
	if err != nil {
		t.Fatal(err)
	}
	cookie := s.cookie("ann@example.com", "secret")
	override := middleware.MethodOverrideWithConfig(middleware.MethodOverrideConfig{Getter: middleware.MethodFromQuery("_method")})
	for when, use := range map[string]func(e *echo.Echo){
		"before routing": func(e *echo.Echo) { e.Pre(override) },
		"after it":       func(e *echo.Echo) { e.Use(override) },
	} {
		e := echo.New()
		use(e)
		echo4.Mount(e, factory.All())
		for _, method := range []string{"", "GET", "HEAD", "OPTIONS", "TRACE", "get"} {
			for _, path := range []string{"/auth/cookie/logout?_method=", "/auth/cookie/login?_method="} {
				r := httptest.NewRequest(http.MethodPost, path+method, strings.NewReader("username=ann%40example.com&password=secret"))
				for name, value := range map[string]string{"Cookie": cookie, "Sec-Fetch-Site": "cross-site", "Content-Type": "application/x-www-form-urlencoded"} {
					r.Header.Set(name, value)
				}
				w := httptest.NewRecorder()
				e.ServeHTTP(w, r)
				if w.Code < 400 || w.Header().Get("Set-Cookie") != "" {
					t.Errorf("%s, %s%s: %d %v", when, path, method, w.Code, w.Header())
				}
			}
		}
	}
}
