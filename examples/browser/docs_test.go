package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// docs is the documentation page of a server, in a tab.
type docs struct{ tab }

// openDocs opens the page of the server at base, and registers ann there.
func openDocs(t *testing.T, base string) docs {
	t.Helper()
	res, err := http.Post(base+"/auth/register", "application/json", strings.NewReader(`{"email":"ann@example.com","password":"correct horse"}`))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	d := docs{openTab(t)}
	d.do(chromedp.EmulateViewport(1280, 2400)) // high enough for the dialogue
	d.open(base + "/docs")
	d.shown() // who is logged in
	return d
}

// shown waits until the operations that are open can be tried out: the page
// forgets a press of the button while it still looks the operation up.
func (d docs) shown() {
	d.Helper()
	d.do(
		chromedp.WaitVisible(".opblock.is-open .btn.execute"),
		chromedp.WaitNotPresent(".opblock.is-open .opblock-loading-animation"),
	)
}

// authorize types user and password for a backend into the dialogue, and
// presses its button: two clicks and two fields.
func (d docs) authorize(backend, password string) {
	d.Helper()
	d.do(chromedp.Click(".auth-wrapper .btn.authorize"), chromedp.WaitVisible(".dialog-ux .modal-ux"))
	// Each scheme has a form; they share their fields' ids.
	form := ask(d.tab, chromedp.Evaluate[int](fmt.Sprintf(
		`[...document.querySelectorAll(".modal-ux .auth-container")].findIndex(c => c.querySelector("h4").textContent.startsWith(%q)) + 1`, backend+" ")))
	if form == 0 {
		d.Fatalf("the dialogue has no scheme %q", backend)
	}
	within := fmt.Sprintf(".modal-ux .auth-container:nth-of-type(%d) ", form)
	if ask(d.tab, chromedp.Evaluate[int](fmt.Sprintf("document.querySelectorAll(%q).length", within+"#oauth_username"))) != 1 {
		within = fmt.Sprintf(".modal-ux > :nth-child(%d) ", form)
	}
	d.do(
		chromedp.SendKeys(within+"#oauth_username", "ann@example.com"),
		chromedp.SendKeys(within+"#oauth_password", password),
		chromedp.Click(within+".auth-btn-wrapper .authorize"),
	)
}

// closed waits until the dialogue is.
func (d docs) closed() { d.Helper(); d.do(chromedp.WaitNotPresent(".dialog-ux .modal-ux")) }

// forget logs a backend out in the dialogue.
func (d docs) forget() {
	d.Helper()
	d.do(
		chromedp.Click(".auth-wrapper .btn.authorize"),
		chromedp.WaitVisible(".dialog-ux .modal-ux"),
	)
	ask(d.tab, chromedp.Evaluate[bool](`([...document.querySelectorAll(".modal-ux button")].find(b => b.textContent === "Logout").click(), true)`))
	d.do(chromedp.Click(".modal-ux .close-modal"))
	d.closed()
}

// execute presses the button of an operation that is open, and returns the
// status and the body of the answer.
func (d docs) execute(method, path string) (status, body string) {
	d.Helper()
	block := fmt.Sprintf(`[...document.querySelectorAll(".opblock-%s")].find(b => b.querySelector("[data-path]").dataset.path === %q)`, method, path)
	if clear := ask(d.tab, chromedp.Evaluate[bool](fmt.Sprintf(`!!%s.querySelector(".btn-clear")`, block))); clear {
		ask(d.tab, chromedp.Evaluate[bool](fmt.Sprintf(`(%s.querySelector(".btn-clear").click(), true)`, block)))
	}
	// Pressed as a person does: a field takes over what was typed when it is left.
	ask(d.tab, chromedp.Evaluate[bool](fmt.Sprintf(`(document.querySelectorAll(".pressed").forEach(b => b.classList.remove("pressed")), %s.querySelector(".btn.execute").classList.add("pressed"), true)`, block)))
	d.do(chromedp.Click(".btn.execute.pressed"))
	live := block + `.querySelector(".live-responses-table .response .response-col_status")`
	status = ask(d.tab, chromedp.Poll[string](fmt.Sprintf(`%s && %s.textContent`, live, live)))
	body = ask(d.tab, chromedp.Evaluate[string](fmt.Sprintf(`%s.querySelector(".live-responses-table").textContent`, block)))
	return status[:3], body
}

// show opens an operation that is closed.
func (d docs) show(method, path string) {
	d.Helper()
	ask(d.tab, chromedp.Evaluate[bool](fmt.Sprintf(
		`([...document.querySelectorAll(".opblock-%s")].find(b => b.querySelector("[data-path]").dataset.path === %q).querySelector(".opblock-summary-control").click(), true)`, method, path)))
	d.do(chromedp.WaitVisible(fmt.Sprintf(".opblock-%s.is-open .btn.execute", method)))
	d.shown()
}

// screenshot keeps a picture among the test's artifacts (go test -artifacts).
func (d docs) screenshot(name string) {
	d.Helper()
	if err := os.WriteFile(filepath.Join(d.ArtifactDir(), name+".png"), ask(d.tab, chromedp.CaptureScreenshot()), 0o644); err != nil {
		d.Fatal(err)
	}
}

// sees holds what the route that shows who is logged in answers.
func (d docs) sees(what, wantStatus, wantBody string) {
	d.Helper()
	status, body := d.execute("get", "/users/me")
	if status != wantStatus || !strings.Contains(body, wantBody) {
		d.Errorf("%s: %s %s, want %s with %s", what, status, body, wantStatus, wantBody)
	}
}

// stripping is a proxy that serves the server at base under /shop.
func stripping(t *testing.T, base *url.URL) string {
	proxy := httptest.NewServer(http.StripPrefix("/shop", httputil.NewSingleHostReverseProxy(base)))
	t.Cleanup(proxy.Close)
	return proxy.URL + "/shop"
}

// TestThePageLogsIn does what a newcomer does: three clicks and two fields.
func TestThePageLogsIn(t *testing.T) {
	server := serve(t, "quickstart", "-db", filepath.Join(t.TempDir(), "quickstart.db"))
	for where, base := range map[string]string{"at the root": server.String(), "behind a proxy": stripping(t, server)} {
		t.Run(where, func(t *testing.T) {
			d := openDocs(t, base)
			d.authorize("jwt", "correct horse")
			d.closed()
			d.sees("jwt", "200", "ann@example.com")
			d.screenshot("docs-" + strings.ReplaceAll(where, " ", "-"))
			d.forget()
			d.sees("logged out", "401", "Unauthorized")
			d.authorize("partner", "correct horse")
			d.closed()
			d.sees("partner", "200", "ann@example.com")
			d.forget()
			d.authorize("jwt", "wrong")
			d.do(chromedp.WaitVisible(".modal-ux .errors"))
			if said := d.text(".modal-ux .errors"); !strings.Contains(said, "Bad Request") && !strings.Contains(said, "LOGIN_BAD_CREDENTIALS") {
				t.Errorf("a wrong password: %q", said)
			}
			d.screenshot("docs-wrong-password")
		})
	}
}

// TestThePageLogsInByCookie logs in by trying the cookie backend's log-in out.
func TestThePageLogsInByCookie(t *testing.T) {
	server := serve(t, "conformance")
	for where, base := range map[string]string{"at the root": server.String(), "behind a proxy": stripping(t, server)} {
		t.Run(where, func(t *testing.T) {
			d := openDocs(t, base)
			d.sees("nobody", "401", "Unauthorized")
			d.show("post", "/auth/cookie/login")
			field := func(name string) string {
				return fmt.Sprintf(`.opblock-post.is-open [data-property-name=%q] input`, name)
			}
			d.do(chromedp.WaitVisible(field("username")))
			d.do(chromedp.SendKeys(field("username"), "ann@example.com"), chromedp.SendKeys(field("password"), "correct horse"))
			if status, body := d.execute("post", "/auth/cookie/login"); status != "204" {
				t.Fatalf("log-in: %s %s", status, body)
			}
			d.sees("the cookie", "200", "ann@example.com")
			d.screenshot("docs-cookie")
			d.show("post", "/auth/cookie/logout")
			if status, body := d.execute("post", "/auth/cookie/logout"); status != "204" {
				t.Errorf("log-out: %s %s", status, body)
			}
			d.sees("logged out", "401", "Unauthorized")
		})
	}
}
