package swaggerui_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/routes/swaggerui"
)

func get(t *testing.T, h http.Handler, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, r io.Reader) string {
	t.Helper()
	all, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

var reference = regexp.MustCompile(`(?:src|href)="([^"]*)"`)

func TestThePageHasAllItNeeds(t *testing.T) {
	e := echo.New()
	echo4.Mount(e, swaggerui.Routes())
	list, err := swaggerui.New(swaggerui.Config{Path: "/api/reference", Title: `<script>"`, Document: "../openapi.json", Connect: []string{"https://api.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	echo4.Mount(e, list)
	for page, below := range map[string]string{"/docs": "/", "/api/reference": "/api/"} {
		res := get(t, e, page)
		body := text(t, res.Body)
		if res.StatusCode != http.StatusOK || strings.Contains(body, "<script>\"") {
			t.Errorf("%s: %d %s", page, res.StatusCode, body)
		}
		policy := res.Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "script-src 'self';") || strings.Contains(policy, "unsafe-eval") || strings.Contains(policy, "*") {
			t.Errorf("%s: %s", page, policy)
		}
		if strings.Contains(policy, "https://api.example.com") != (page == "/api/reference") {
			t.Errorf("%s: %s", page, policy)
		}
		found := 0
		for _, match := range reference.FindAllStringSubmatch(body, -1) {
			if strings.HasSuffix(match[1], "openapi.json") {
				continue
			}
			found++
			if strings.Contains(match[1], "//") || strings.HasPrefix(match[1], "/") {
				t.Errorf("%s has %s, which is not below it", page, match[1])
			}
			if res := get(t, e, below+match[1]); res.StatusCode != http.StatusOK || len(text(t, res.Body)) < 500 {
				t.Errorf("%s: %d", match[1], res.StatusCode)
			}
		}
		if found != 4 {
			t.Errorf("%s has %d files", page, found)
		}
	}
}

func TestFilesAreSentCompressedWhereTheClientTakesIt(t *testing.T) {
	e := echo.New()
	echo4.Mount(e, swaggerui.Routes())
	plain := text(t, get(t, e, "/docs/swagger-ui-bundle.js").Body)
	res := get(t, e, "/docs/swagger-ui-bundle.js", "Accept-Encoding", "gzip")
	if res.Header.Get("Content-Encoding") != "gzip" || !strings.Contains(res.Header.Get("Content-Type"), "javascript") {
		t.Fatalf("%v", res.Header)
	}
	unzipped, err := gzip.NewReader(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if text(t, unzipped) != plain || len(plain) < 1_000_000 {
		t.Errorf("%d bytes", len(plain))
	}
	if again := get(t, e, "/docs/swagger-ui-bundle.js", "Accept-Encoding", "gzip", "If-None-Match", res.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
		t.Errorf("asked again: %d", again.StatusCode)
	}
}

func TestNothingElseIsServed(t *testing.T) {
	e := echo.New()
	e.HTTPErrorHandler = echo4.ErrorHandler
	echo4.Mount(e, swaggerui.Routes())
	for _, path := range []string{"/docs/embed.go", "/docs/", "/docs/..", "/docs/../swaggerui.go", "/docs/%2e%2e%2fswaggerui.go", "/docs/swagger-ui.js", "/docs/oauth2-redirect.html", "/docs/start.js/x"} {
		res := get(t, e, path)
		if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusNotFound || string(body) != `{"detail":"Not Found"}` {
			t.Errorf("%s: %d %s %v", path, res.StatusCode, body, err)
		}
	}
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	for _, cfg := range []swaggerui.Config{
		{Path: "docs"}, {Path: "/docs/"}, {Path: "/"}, {Path: "/:docs"}, {Path: "/a/../b"},
		{Document: "javascript:alert(1)"}, {Document: "data:text/plain,x"}, {Document: "%zz"},
		{Connect: []string{"*"}}, {Connect: []string{"https://a.example.com/path"}}, {Connect: []string{"https://a.example.com; script-src *"}}, {Connect: []string{"'unsafe-inline'"}},
	} {
		if list, err := swaggerui.New(cfg); err == nil || list != nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}
