package browser

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

const (
	ann, secret = "ann@example.com", "correct horse"

	loginButton, registerButton, logoutButton = "#login", "#register", "#logout"
)

func loginFields(email, password string) []string {
	return []string{`form[action^="/login"] [name=username]`, email, `form[action^="/login"] [name=password]`, password}
}

func (b tab) register(base, email, password string) {
	b.Helper()
	b.open(base + "/login")
	b.submit(registerButton, `form[action^="/register"] [name=email]`, email, `form[action^="/register"] [name=password]`, password)
	b.shows("registered", "/register?next=%2f", "#message", "Welcome!")
}

func TestPages(t *testing.T) {
	base := serve(t, "pages", "-db", filepath.Join(t.TempDir(), "pages.db")).String()
	b := openTab(t)
	b.register(base, ann, secret)

	b.open(base + "/members")
	b.shows("without a log-in", "/login?next=%2Fmembers", "h1", "Log in")
	b.submit(loginButton, loginFields(ann, "wrong")...)
	b.shows("a wrong password", "/login?next=%2fmembers", "#message", "not the right e-mail address and password")
	b.submit(loginButton, loginFields(ann, secret)...)
	b.shows("logged in", "/members", "#who", ann)
	b.open(base + "/")
	b.shows("home", "/", "#who", ann)
	b.open(base + "/members")
	b.shows("again", "/members", "#who", ann)
	b.submit(logoutButton)
	b.shows("logged out", "/", "#who", "stranger")
	b.open(base + "/members")
	b.shows("after the log-out", "/login?next=%2Fmembers", "h1", "Log in")

	for _, next := range []string{"//evil.example", "%2F%2Fevil.example", "/%5Cevil.example", "https://evil.example/", "/%09/evil.example"} {
		b.open(base + "/login?next=" + next)
		b.submit(loginButton, loginFields(ann, secret)...)
		b.shows("next="+next, "/", "#who", ann)
	}

	b.open(base + "/members")
	b.submit("#change", `[name=password]`, "battery staple")
	b.shows("changed", "/password", "#message", "was changed")
	b.open(base + "/members")
	b.shows("the cookie is void", "/login?next=%2Fmembers", "h1", "Log in")
	b.submit(loginButton, loginFields(ann, "battery staple")...)
	b.shows("the new password", "/members", "#who", ann)
}

// Another site has the browser send what the person didn't want.
func TestOtherSites(t *testing.T) {
	base := serve(t, "pages", "-db", filepath.Join(t.TempDir(), "pages.db")).String()
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!DOCTYPE html><title>Win!</title><form method="post" action="%s">`, html.EscapeString(base+query.Get("path")))
		for _, field := range []string{"username", "password"} {
			fmt.Fprintf(w, `<input type="hidden" name="%s" value="%s">`, field, html.EscapeString(query.Get(field)))
		}
		fmt.Fprint(w, `<button id="win">Win!</button></form>`)
	}))
	t.Cleanup(evil.Close)

	for what, site := range map[string]string{
		// The same host at another port is the same site: SameSite=Lax doesn't
		// keep the cookie back, and Sec-Fetch-Site says same-site.
		"another port": evil.URL,
		"another site": strings.Replace(evil.URL, "127.0.0.1", "localhost", 1),
	} {
		t.Run(what, func(t *testing.T) {
			b := openTab(t)
			email := strings.ReplaceAll(what, " ", "") + "@example.com"
			b.register(base, email, secret)
			b.register(base, "mallory-"+email, secret)
			b.submit(loginButton, loginFields(email, secret)...)
			b.shows("logged in", "/", "#who", email)

			b.open(site + "/?path=/password&password=hijacked+by+a+form")
			b.submit("#win")
			b.open(base + "/members")
			b.shows("after a forged change", "/members", "#who", email)

			b.open(site + "/?path=/logout")
			b.submit("#win")
			b.open(base + "/members")
			b.shows("after a forged log-out", "/members", "#who", email)

			b.open(site + "/?path=/login&username=mallory-" + email + "&password=correct+horse")
			b.submit("#win")
			b.shows("a forged log-in", "/login", "#message", "log in on this page")
			b.open(base + "/members")
			b.shows("after a forged log-in", "/members", "#who", email)

			b.submit(logoutButton)
			b.open(base + "/login")
			b.submit(loginButton, loginFields(email, secret)...)
			b.shows("with the old password", "/", "#who", email)
		})
	}
}
