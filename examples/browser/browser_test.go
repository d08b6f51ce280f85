package browser

import (
	"bufio"
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// patience bounds everything that a test waits for.
const patience = time.Minute

// serve builds and starts one of the examples, and returns its address once it
// prints one.
func serve(t *testing.T, example string, args ...string) *url.URL {
	t.Helper()
	u, lines := serveAndRead(t, example, args...)
	go func() {
		for range lines {
		}
	}()
	return u
}

// serveAndRead is serve, and returns the lines that the example prints later on.
func serveAndRead(t *testing.T, example string, args ...string) (*url.URL, <-chan string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), example)
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = filepath.Join("..", example) // which may be a module of its own
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	server := exec.Command(program, append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := server.Wait(); err != nil {
			t.Errorf("%s stopped with %v", example, err)
		}
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		line := lines.Text()
		if addr, ok := strings.CutPrefix(line, "listening on "); ok {
			line = "http://" + addr
		}
		if at := strings.Index(line, "http://"); at >= 0 {
			address, _, _ := strings.Cut(line[at:], " ")
			u, err := url.Parse(strings.TrimRight(address, "/."))
			if err != nil {
				t.Fatal(err)
			}
			later := make(chan string, 100)
			go func() {
				defer close(later)
				for lines.Scan() {
					later <- lines.Text()
				}
			}()
			return u, later
		}
	}
	t.Fatalf("%s printed no address", example)
	return nil, nil
}

// tab is a tab of a Chromium with a profile of its own.
type tab struct {
	*testing.T
	ctx context.Context
}

func openTab(t *testing.T) tab {
	t.Helper()
	program := os.Getenv("CHROMIUM")
	if program == "" {
		for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
			if found, err := exec.LookPath(name); err == nil {
				program = found
				break
			}
		}
	}
	if program == "" {
		if os.Getenv("BROWSER_REQUIRED") == "1" {
			t.Fatal("no Chromium: install it, or set CHROMIUM to its path")
		}
		t.Skip("no Chromium: install it, or set CHROMIUM to its path")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.DisableGPU,
		chromedp.Flag("no-sandbox", os.Geteuid() == 0),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
	)
	allocator, end := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(end)
	ctx, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	if err := chromedp.Do(ctx); err != nil { // the browser lives as long as the first context
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	t.Cleanup(cancel)
	return tab{t, ctx}
}

func (b tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.Fatal(err)
	}
}

func ask[T any](b tab, action chromedp.Action[T]) T {
	b.Helper()
	answer, err := chromedp.Run(b.ctx, action)
	if err != nil {
		b.Fatal(err)
	}
	return answer
}

func (b tab) open(address string) { b.Helper(); b.do(chromedp.Navigate(address)) }

// submit fills a form's fields, given as selector, value, and presses a
// button, and returns when the next page is there.
func (b tab) submit(button string, fields ...string) {
	b.Helper()
	for i := 0; i < len(fields); i += 2 {
		b.do(chromedp.SetValue(fields[i], fields[i+1]))
	}
	if _, err := chromedp.RunResponse(b.ctx, chromedp.Click(button)); err != nil {
		b.Fatal(err)
	}
}

// at returns the path and the query of the page that is shown.
func (b tab) at() string {
	b.Helper()
	u, err := url.Parse(ask(b, chromedp.Location()))
	if err != nil {
		b.Fatal(err)
	}
	return u.RequestURI()
}

func (b tab) text(selector string) string {
	b.Helper()
	return ask(b, chromedp.Text(selector))
}

// shows holds which page is shown, and what it says at a selector.
func (b tab) shows(what, path, selector, text string) {
	b.Helper()
	if got := b.at(); got != path {
		b.Errorf("%s: at %s, want %s", what, got, path)
	}
	if got := b.text(selector); !strings.Contains(got, text) {
		b.Errorf("%s: %q, want %q", what, got, text)
	}
}
