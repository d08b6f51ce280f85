package authn_test

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
)

var elsewhere = []string{
	"", "x", "//evil.example", "///evil.example", `/\evil.example`, `\\evil.example`, `\/evil.example`, "https://evil.example", "http:evil.example",
	"//evil.example/%2e%2e", "/%2Fevil.example", "/%2f%2fevil.example", "/%5Cevil.example", "/\t/evil.example", "/%09/evil.example", "/\n/evil", "/%0a/evil",
	"\x00/x", " /x", "javascript:alert(1)", "data:text/html,x", "/x#//evil", "/%zz", "//user@evil.example", "/" + strings.Repeat("a", 3000), "/a\\b", "/\x7f", "/x ",
}

var here = []string{"/", "/members", "/members?page=2&q=a%2Fb", "/a/b/c?next=//x", "/%C3%A4", "/@x", "/a//b"}

func TestReturnPath(t *testing.T) {
	for _, next := range elsewhere {
		if got := authn.ReturnPath(next); got != "/" {
			t.Errorf("%q leads to %q", next, got)
		}
	}
	for _, next := range here {
		if got := authn.ReturnPath(next); got != next {
			t.Errorf("%q leads to %q", next, got)
		}
	}
}

// FuzzReturnPath holds that a browser stays on the host it is on.
func FuzzReturnPath(f *testing.F) {
	for _, next := range append(elsewhere, here...) {
		f.Add(next)
	}
	base := &url.URL{Scheme: "https", Host: "app.example.com", Path: "/login"}
	f.Fuzz(func(t *testing.T, next string) {
		got := authn.ReturnPath(next)
		// What browsers do before they parse (WHATWG URL, 4.4).
		seen := strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(strings.Trim(got, "\x00\x01\x1f "))
		u, err := base.Parse(seen)
		if err != nil || u.Host != base.Host || u.Scheme != "https" || strings.HasPrefix(seen, "//") || seen != got {
			t.Fatalf("%q leads to %q, %v", next, got, u)
		}
	})
}

func TestGuardsRedirectBrowsers(t *testing.T) {
	users, err := authn.New(new(authntest.Memory), authn.Config{}, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	const html = "text/html,application/xhtml+xml,*/*;q=0.8"
	for what, c := range map[string]struct {
		page, method, target, accept, mode string
		status                             int
		location                           string
	}{
		"a page":          {"/login", "GET", "/members?a=1&b=2", html, "navigate", 303, "/login?next=%2Fmembers%3Fa%3D1%26b%3D2"},
		"an old browser":  {"/login", "GET", "/members", html, "", 303, "/login?next=%2Fmembers"},
		"a form":          {"/login", "POST", "/members", html, "navigate", 303, "/login"},
		"a page's query":  {"/login?lang=de", "GET", "/x", html, "", 303, "/login?lang=de&next=%2Fx"},
		"a script":        {"/login", "GET", "/members", html, "cors", 401, ""},
		"a program":       {"/login", "GET", "/members", "*/*", "", 401, ""},
		"no page":         {"", "GET", "/members", html, "navigate", 401, ""},
		"a hostile path":  {"/login", "GET", "//evil.example/x", html, "navigate", 303, "/login?next=%2F"},
		"an absolute URL": {"/login", "GET", "http://evil.example/x", html, "navigate", 303, "/login?next=%2Fx"},
	} {
		var rules []authn.Rule
		if c.page != "" {
			rules = append(rules, authn.RedirectTo(c.page))
		}
		guard := users.CurrentUser(authn.Active, rules...)
		r := httptest.NewRequest(c.method, "/", nil)
		u, err := url.Parse(c.target)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(c.target, "//") {
			u = &url.URL{Path: c.target}
		}
		r.URL = u
		r.Header.Set("Accept", c.accept)
		if c.mode != "" {
			r.Header.Set("Sec-Fetch-Mode", c.mode)
		}
		w := httptest.NewRecorder()
		_, _, err = guard.Check(r)
		authn.WriteError(w, err)
		if w.Code != c.status || w.Header().Get("Location") != c.location {
			t.Errorf("%s: %d to %q, want %d to %q", what, w.Code, w.Header().Get("Location"), c.status, c.location)
		}
	}
	for _, page := range []string{"https://evil.example/login", "//x", "login"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("RedirectTo(%q)", page)
				}
			}()
			authn.RedirectTo(page)
		}()
	}
}
