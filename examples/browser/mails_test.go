package browser

import (
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

// TestLinksInMails clicks what the quickstart prints.
func TestLinksInMails(t *testing.T) {
	base, lines := serveAndRead(t, "quickstart", "-db", filepath.Join(t.TempDir(), "quickstart.db"))
	post := func(path, body string, want int) {
		t.Helper()
		res, err := http.Post(base.String()+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Fatalf("%s: %s", path, res.Status)
		}
	}
	link := func(page string) string {
		t.Helper()
		for line := range lines {
			if strings.HasPrefix(line, base.String()+page+"?token=") {
				return line
			}
		}
		t.Fatalf("no link to %s was printed", page)
		return ""
	}
	b := openTab(t)
	post("/auth/register", `{"email":"ann@example.com","password":"correct horse"}`, http.StatusCreated)
	verify := link("/verify")
	b.open(verify)
	b.open(verify)
	b.submit("#verify")
	b.shows("pressed", "/verify", "#message", "is verified")
	b.open(verify)
	b.submit("#verify")
	b.shows("pressed again", "/verify", "#message", "verified already")

	post("/auth/forgot-password", `{"email":"ann@example.com"}`, http.StatusAccepted)
	reset := link("/reset-password")
	b.open(reset)
	b.submit("#reset", "[name=password]", "short")
	b.shows("a weak password", "/reset-password", "#message", "at least 8 characters")
	b.submit("#reset", "[name=password]", "battery staple")
	b.shows("a new password", "/reset-password", "#message", "was changed")
	b.open(reset)
	b.submit("#reset", "[name=password]", "another password")
	b.shows("a used link", "/reset-password", "#message", "not valid")

	login := func(password string, want int) {
		t.Helper()
		res, err := http.PostForm(base.String()+"/auth/jwt/login", url.Values{"username": {"ann@example.com"}, "password": {password}})
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("log in with %q: %s", password, res.Status)
		}
	}
	login("correct horse", http.StatusBadRequest)
	login("battery staple", http.StatusOK)
}
