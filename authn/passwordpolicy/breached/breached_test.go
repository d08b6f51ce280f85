package breached_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/passwordpolicy/breached"
)

const leaked = "correct horse battery staple"

// digest is what the protocol makes of a password: what is told, and what isn't.
func digest(password string) (prefix, suffix string) {
	sum := sha1.Sum([]byte(password))
	text := strings.ToUpper(hex.EncodeToString(sum[:]))
	return text[:5], text[5:]
}

// line is one of an answer, of a suffix that begins with these digits.
func line(digits string, count int) string {
	return fmt.Sprintf("%s%s:%d\r\n", digits, strings.Repeat("A", 35-len(digits)), count)
}

// world is a service with one answer, and a policy that asks it.
type world struct {
	*breached.Policy
	log    bytes.Buffer
	mutex  sync.Mutex
	events []error
}

func newWorld(t *testing.T, answer http.HandlerFunc, cfg breached.Config) *world {
	t.Helper()
	service := httptest.NewServer(answer)
	t.Cleanup(service.Close)
	w := new(world)
	cfg.URL, cfg.InsecureHTTP = service.URL+"/", true
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Minute // no test waits for it
	}
	cfg.Logger = slog.New(slog.NewTextHandler(&w.log, nil))
	cfg.OnUnavailable = func(_ context.Context, err error) {
		w.mutex.Lock()
		defer w.mutex.Unlock()
		w.events = append(w.events, err)
	}
	var err error
	if w.Policy, err = breached.New(cfg); err != nil {
		t.Fatal(err)
	}
	return w
}

func writes(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) }
}

func TestAnswers(t *testing.T) {
	_, suffix := digest(leaked)
	for what, c := range map[string]struct {
		answer   string
		min      int
		breached bool
	}{
		"not among them":        {line("0", 3) + line("F", 12), 0, false},
		"first":                 {suffix + ":1\r\n" + line("F", 12), 0, true},
		"last, without its end": {line("0", 3) + suffix + ":2147483647", 0, true},
		"lines of Unix":         {"0" + suffix[1:] + ":3\n" + suffix + ":7\n", 0, true},
		"lower case":            {strings.ToLower(suffix) + ":7\r\n", 0, true},
		"padding":               {line("0", 0) + suffix + ":0\r\n", 0, false},
		"padding, and found":    {suffix + ":4\r\n" + suffix + ":0\r\n", 0, true},
		"fewer than the least":  {suffix + ":99\r\n", 100, false},
		"as many as the least":  {suffix + ":100\r\n", 100, true},
	} {
		w := newWorld(t, writes(c.answer), breached.Config{MinCount: c.min})
		err := w.CheckPassword(t.Context(), leaked, authn.Account{})
		var why *authn.PasswordError
		if errors.As(err, &why) != c.breached || (err != nil) != c.breached || w.events != nil || w.log.Len() != 0 {
			t.Errorf("%s: %v, %v, %s", what, err, w.events, &w.log)
		}
	}
}

// The service learns five digits of the digest, and is asked to pad.
func TestWhatTheServiceLearns(t *testing.T) {
	var asked *http.Request
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r
		io.WriteString(w, line("0", 1))
	}, breached.Config{UserAgent: "Acme"})
	const typed, composed = "u\u0308ber den Wolken", "über den Wolken"
	if err := w.CheckPassword(t.Context(), typed, authn.Account{Email: "ann@example.com"}); err != nil {
		t.Fatal(err)
	}
	prefix, suffix := digest(composed)
	var all bytes.Buffer
	if err := asked.Write(&all); err != nil {
		t.Fatal(err)
	}
	if asked.Method != http.MethodGet || asked.RequestURI != "/range/"+prefix || asked.Header.Get("Add-Padding") != "true" || asked.UserAgent() != "Acme" {
		t.Errorf("%s", &all)
	}
	for _, secret := range []string{suffix, suffix[:6], "Wolken", "ann"} {
		if strings.Contains(strings.ToUpper(all.String()), strings.ToUpper(secret)) {
			t.Errorf("the service learns %q", secret)
		}
	}
}

// A service that is away, or something else in its place, lets pass and is
// told of; or refuses, where it was asked to. Nothing that is told or logged
// has a part of the password or of its digest.
func TestUnavailable(t *testing.T) {
	prefix, suffix := digest(leaked)
	elsewhere := httptest.NewServer(writes(suffix + ":5\r\n"))
	defer elsewhere.Close()
	const soon = 50 * time.Millisecond
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			io.WriteString(w, suffix+":5\r\n")
		}
	}
	for what, c := range map[string]struct {
		answer  http.HandlerFunc
		timeout time.Duration
		why     string
	}{
		"silent": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, soon, "deadline"},
		"slow": {func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, suffix+":5\r\n")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, soon, "deadline"},
		"huge": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, line("0", 1)); err != nil {
					return
				}
			}
		}, 0, "no end"},
		"one long line": {writes(strings.Repeat("A", 2<<20)), 0, "no end"},
		"broken off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, line("0", 1))
		}, 0, "EOF"},
		"hung up":         {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, "EOF"},
		"429":             {status(http.StatusTooManyRequests), 0, "429"},
		"500":             {status(http.StatusInternalServerError), 0, "500"},
		"404":             {status(http.StatusNotFound), 0, "404"},
		"204":             {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, 0, "204"},
		"elsewhere":       {http.RedirectHandler(elsewhere.URL, http.StatusFound).ServeHTTP, 0, "302"},
		"a page":          {writes("<html><body>Please log in to this network</body></html>"), 0, "range"},
		"nothing":         {writes(""), 0, "range"},
		"an empty line":   {writes(line("0", 1) + "\r\n" + line("1", 1)), 0, "range"},
		"whole digests":   {writes(prefix + suffix + ":5\r\n"), 0, "range"},
		"no count":        {writes(suffix + "\r\n"), 0, "range"},
		"an empty count":  {writes(suffix + ":\r\n"), 0, "range"},
		"less than none":  {writes(suffix + ":-1\r\n"), 0, "range"},
		"too many":        {writes(suffix + ":99999999999999999999\r\n"), 0, "range"},
		"no hexadecimals": {writes(line("G", 1)), 0, "range"},
	} {
		for _, closed := range []bool{false, true} {
			w := newWorld(t, c.answer, breached.Config{Timeout: c.timeout, FailClosed: closed})
			err := w.CheckPassword(t.Context(), leaked, authn.Account{})
			if errors.Is(err, authn.ErrUnavailable) != closed || (err != nil) != closed {
				t.Errorf("%s, closed %v: %v", what, closed, err)
			}
			if len(w.events) != 1 || !strings.Contains(w.events[0].Error(), c.why) || strings.Count(w.log.String(), "level=WARN") != 1 {
				t.Errorf("%s, closed %v: told %v, logged %s", what, closed, w.events, &w.log)
				continue
			}
			told := strings.ToUpper(fmt.Sprint(err, w.events, &w.log))
			for _, secret := range []string{prefix, suffix[:8], "STAPLE"} {
				if strings.Contains(told, secret) {
					t.Errorf("%s: %q is told: %s", what, secret, told)
				}
			}
		}
	}
}

// A port where nobody listens is away at once.
func TestNobodyListens(t *testing.T) {
	service := httptest.NewServer(nil)
	service.Close()
	prefix, _ := digest(leaked)
	var told error
	p, err := breached.New(breached.Config{URL: service.URL, InsecureHTTP: true, Timeout: time.Minute, Logger: slog.New(slog.DiscardHandler),
		OnUnavailable: func(_ context.Context, err error) { told = err }})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.CheckPassword(t.Context(), leaked, authn.Account{}); err != nil || told == nil || strings.Contains(told.Error(), prefix) {
		t.Errorf("%v, told %v", err, told)
	}
}

// A caller that hangs up isn't let pass, and says nothing of the service.
func TestTheCallerHangsUp(t *testing.T) {
	asked := make(chan struct{})
	w := newWorld(t, func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}, breached.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	err := w.CheckPassword(ctx, leaked, authn.Account{})
	if !errors.Is(err, authn.ErrUnavailable) || !errors.Is(err, context.Canceled) || w.events != nil || w.log.Len() != 0 {
		t.Errorf("%v, %v, %s", err, w.events, &w.log)
	}
}

func TestConcurrentUse(t *testing.T) {
	_, suffix := digest(leaked)
	w := newWorld(t, writes(suffix+":5\r\n"), breached.Config{})
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if err := w.CheckPassword(t.Context(), leaked, authn.Account{}); err == nil {
				t.Error("let pass")
			}
		})
	}
	wg.Wait()
}

func TestNewRefuses(t *testing.T) {
	for what, cfg := range map[string]breached.Config{
		"http":               {URL: "http://api.pwnedpasswords.com"},
		"another scheme":     {URL: "ftp://example.com", InsecureHTTP: true},
		"no host":            {URL: "https:///x"},
		"no URL":             {URL: "https://exa mple.com"},
		"a query":            {URL: "https://example.com/?mode=ntlm"},
		"a negative count":   {MinCount: -1},
		"a negative timeout": {Timeout: -time.Second},
	} {
		if _, err := breached.New(cfg); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if _, err := breached.New(breached.Config{}); err != nil {
		t.Error(err)
	}
}
