package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"
)

func serve(h http.Handler, r *http.Request) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func post(path, contentType, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	return r
}

var series = regexp.MustCompile(`(?m)^echo_users_\w+`)

func TestWhatHappensIsSeen(t *testing.T) {
	db, err := gorm.Open(sqlite.Open(filepath.Join(t.TempDir(), "test.db")), &gorm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var spans bytes.Buffer
	p, err := newProviders(&spans)
	if err != nil {
		t.Fatal(err)
	}
	users, err := newUsers(t.Context(), db, p)
	if err != nil {
		t.Fatal(err)
	}
	server := newServer(users)
	const form = "application/x-www-form-urlencoded"
	if code, body := serve(server, post("/auth/register", "application/json", `{"email": "ann@example.com", "password": "correct horse"}`)); code != http.StatusCreated {
		t.Fatal(code, body)
	}
	code, body := serve(server, post("/auth/jwt/login", form, "username=ann@example.com&password=correct+horse"))
	if code != http.StatusOK {
		t.Fatal(code, body)
	}
	_, token, _ := strings.Cut(body, `"access_token":"`)
	token, _, _ = strings.Cut(token, `"`)
	hello := httptest.NewRequest(http.MethodGet, "/hello", nil)
	hello.Header.Set("Authorization", "Bearer "+token)
	if code, body := serve(server, hello); code != http.StatusOK {
		t.Fatal(code, body)
	}
	for range 7 {
		serve(server, post("/auth/jwt/login", form, "username=nobody@example.com&password=wrong"))
	}
	_, scraped := serve(p.handler, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`echo_users_login_duration_seconds_count{echo_users_backend="jwt",echo_users_outcome="ok"`,
		`echo_users_guard_duration_seconds_count{echo_users_backend="jwt",echo_users_outcome="ok"`,
		`echo_users_authenticate_duration_seconds_count{echo_users_outcome="bad_credentials"`,
		`echo_users_limit_hits_total{echo_users_limit="login.account"`,
		`echo_users_cache_lookups_total{echo_users_result="miss"`,
	} {
		if !strings.Contains(scraped, want) {
			t.Errorf("no %s} in\n%s", want, scraped)
		}
	}
	for _, secret := range []string{"ann@example.com", "horse", token} {
		if strings.Contains(scraped, secret) {
			t.Errorf("the metrics tell %q", secret)
		}
	}
	if err := p.shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(spans.String(), `"Name":"echo_users.login"`) || strings.Contains(spans.String(), "ann@") {
		t.Error(spans.String())
	}

	// What these metrics are called is what the dashboard and the alerts ask for.
	there := map[string]bool{}
	for _, name := range series.FindAllString(scraped, -1) {
		there[name] = true
	}
	for _, file := range []string{"dashboard.json", "alerts.yaml"} {
		text, err := os.ReadFile("../../docs/telemetry/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`echo_users_\w+`).FindAllString(string(text), -1) {
			untouched := strings.Contains(name, "_refresh_") || strings.Contains(name, "_mail_") || strings.Contains(name, "_outbox_")
			isMetric := strings.Contains(name, "_seconds") || strings.HasSuffix(name, "_total")
			if isMetric && !untouched && !there[name] {
				t.Errorf("%s asks for %s, which isn't there", file, name)
			}
		}
	}
}
