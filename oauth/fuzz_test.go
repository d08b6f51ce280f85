package oauth

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn/linked"
)

// FuzzRedirectTo: whatever passes leads to where the list says, as a browser
// resolves it.
func FuzzRedirectTo(f *testing.F) {
	for _, seed := range []string{"/app", "/app/x?y=z", "//evil.example", "/app/..", "/app/%2e%2e/x", `/\evil`, "/\t/evil", "https://front.example.com/done", "https://front.example.com@evil/done"} {
		f.Add(seed)
	}
	list, err := newAllowList([]string{"/app", "/app/", "https://front.example.com/done"})
	if err != nil {
		f.Fatal(err)
	}
	base, err := url.Parse("https://own.example/auth/op/callback")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, to string) {
		got, err := list.check(to)
		if err != nil {
			return
		}
		for _, sent := range []string{got, withError(got, "code")} {
			u, err := base.Parse(sent)
			if err != nil {
				t.Fatalf("%q became %q: %v", to, sent, err)
			}
			own := originOf(u) == "https://own.example" && (u.Path == "/app" || strings.HasPrefix(u.Path, "/app/"))
			front := originOf(u) == "https://front.example.com" && u.Path == "/done"
			if !own && !front || strings.ContainsAny(sent, "\r\n\t\\ ") {
				t.Errorf("%q leads to %s", to, u)
			}
		}
	})
}

// TestAnOriginIsNotAllOfItsPaths: only an entry that ends in a slash has
// something below it.
func TestAnOriginIsNotAllOfItsPaths(t *testing.T) {
	for entry, allowed := range map[string]map[string]bool{
		"https://front.example.com":      {"https://front.example.com": true, "https://front.example.com/": true, "https://front.example.com/?x=y": true, "https://front.example.com/x": false},
		"https://front.example.com/":     {"https://front.example.com": true, "https://front.example.com/": true, "https://front.example.com/x": true},
		"https://front.example.com/done": {"https://front.example.com": false, "https://front.example.com/": false, "https://front.example.com/done": true, "https://front.example.com/done/x": false},
		"https://front.example.com:8443": {"https://front.example.com": false, "https://front.example.com:8443": true, "https://front.example.com.:8443": false},
		"http://[::1]:8000/":             {"http://[::1]:8000/x": true, "http://[::1]/x": false, "http://[::ffff:1]:8000/x": false, "http://[::1%25eth0]:8000/x": false},
	} {
		list, err := newAllowList([]string{entry})
		if err != nil {
			t.Fatal(err)
		}
		for to, want := range allowed {
			if _, err := list.check(to); (err == nil) != want {
				t.Errorf("%s with %s on the list: %v", to, entry, err)
			}
		}
	}
}

// FuzzState: nothing that wasn't sealed is opened.
func FuzzState(f *testing.F) {
	keys, err := linked.NewKeys([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		f.Fatal(err)
	}
	now := time.Unix(1_700_000_000, 0)
	good, err := newState("op", flowLogin, "browser", now.Add(time.Minute)).seal(keys)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := openState(keys, good, "op", flowLogin, "browser", now); err != nil {
		f.Fatal(err)
	}
	f.Add(good[:len(good)-1])
	f.Add("v1.")
	f.Add(keys.Seal("another purpose", []byte(`{}`)))
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := openState(keys, text, "op", flowLogin, "browser", now); err == nil && text != good {
			t.Errorf("%q was opened: %+v", text, s)
		}
	})
}
