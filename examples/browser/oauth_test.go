package browser

import (
	"net"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// freeAddress is one that a program may listen on, and others be told of before.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// consent signs in at the provider, whose page is shown.
func (b tab) consent(name, password string) {
	b.Helper()
	if at := b.at(); !strings.HasPrefix(at, "/login/username") {
		b.Fatalf("at %s, and not at the provider", at)
	}
	b.submit("button[type=submit]", "#username", name, "#password", password)
}

func (b tab) click(selector string) {
	b.Helper()
	if _, err := chromedp.RunResponse(b.ctx, chromedp.Click(selector)); err != nil {
		b.Fatal(err)
	}
}

// TestSignInAtAProvider goes through the pages of an OpenID provider and back.
func TestSignInAtAProvider(t *testing.T) {
	addr := freeAddress(t)
	app := "http://" + addr
	provider := serve(t, "oauth-provider", "-app", app).String()
	serve(t, "oauth", "-addr", addr, "-issuer", provider)

	b := openTab(t)
	b.open(app)
	b.shows("a stranger", "/", "h1", "Sign in")
	b.click("#with-loopback")
	b.consent("ann", "wrong")
	b.consent("ann", "ann")
	b.shows("signed in", "/", "#me", "ann@example.com")
	if got := b.text("#accounts"); !strings.Contains(got, "loopback: ann@example.com") {
		t.Errorf("the linked accounts: %q", got)
	}
	b.click(".unlink")
	b.shows("the last way in", "/?error=OAUTH_LAST_WAY_IN", "#problem", "OAUTH_LAST_WAY_IN")
	b.click("#logout")
	b.shows("signed out", "/", "h1", "Sign in")
	b.click("#with-loopback")
	b.consent("ann", "ann")
	b.shows("signed in again", "/", "#me", "ann@example.com")

	// Somebody else's account is linked from the page, and not by another site.
	b.click(`a[href^="/auth/associate/loopback/"]`)
	b.consent("bob", "bob")
	b.shows("two accounts", "/", "#accounts", "bob@example.com")
	b.open("data:text/html,<a id=x href='" + app + "/auth/associate/loopback/authorize?redirect_to=/'>Win!</a>")
	b.click("#x")
	if got := b.text("body"); !strings.Contains(got, "Forbidden") {
		t.Errorf("another site begins to link an account: %s", got)
	}

	// A provider's answer opens nothing in another browser.
	other := openTab(t)
	other.open(app + "/auth/loopback/authorize?redirect_to=/")
	other.consent("bob", "bob")
	other.shows("bob is whose account it is", "/", "#me", "ann@example.com")
	other.open(app + "/auth/loopback/callback?code=x&state=x")
	if got := other.text("body"); !strings.Contains(got, "ACCESS_TOKEN_DECODE_ERROR") {
		t.Errorf("a made-up answer: %s", got)
	}
}
