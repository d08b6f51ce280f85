package oauth_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn"
)

// deviceSet reports whether an answer makes the device known.
func (a answer) deviceSet() bool {
	for _, line := range a.header["Set-Cookie"] {
		if strings.HasPrefix(line, "__Host-device=") {
			return true
		}
	}
	return false
}

// Who comes from a provider is known afterwards where they came from, and told
// where they weren't.
func TestSigningInMakesTheDeviceKnown(t *testing.T) {
	p := newProvider(t)
	p.claims["email_verified"] = true
	op := p.openID()
	op.IsVerifiedByDefault = true
	s := newSite(t, nil, op)
	told := 0
	signIn := func(what string, b *browser, from string, notices int, known bool, began ...string) {
		t.Helper()
		back := b.consent(b.authorize("/auth/op/web/authorize", began...))
		got := b.do("GET", back, "X-Test-Address", from, "Sec-Fetch-Site", "cross-site")
		if got.status != http.StatusNoContent || got.deviceSet() != known {
			t.Errorf("%s: %d %v", what, got.status, got.header)
		}
		if err := s.users.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		count := 0
		for _, e := range s.mails.Events() {
			if e.Kind == string(authn.NewDevice) {
				count++
			}
		}
		if count-told != notices {
			t.Errorf("%s: %d notices, want %d", what, count-told, notices)
		}
		told = count
	}
	ann := s.browser()
	signIn("the first", ann, "192.0.2.1", 0, true)
	signIn("the same browser elsewhere", ann, "192.0.2.2", 0, true)
	thief := s.browser()
	signIn("another browser elsewhere", thief, "192.0.2.3", 1, true)
	signIn("a known address", s.browser(), "192.0.2.2", 0, true)
	signIn("begun by another site", ann, "192.0.2.4", 0, false, "Sec-Fetch-Site", "cross-site")
	signIn("the same by another browser", s.browser(), "192.0.2.4", 1, false, "Sec-Fetch-Site", "cross-site")
	signIn("it has made no address known", s.browser(), "192.0.2.4", 1, true)
}
