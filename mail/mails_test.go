package mail_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/mail"
	"github.com/echo-users/echo-users/routes"
)

// box is a mailer that keeps what it gets.
type box struct {
	mu    sync.Mutex
	mails []mail.Message
	err   error
}

func (b *box) Send(_ context.Context, m mail.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mails = append(b.mails, m)
	return b.err
}

// tokens say whom they are for.
type tokens struct {
	purpose string
	expires time.Time
}

func (k tokens) Make(_ context.Context, m authn.Mailed) (authn.Token, error) {
	return authn.Token{Value: k.purpose + "+/=" + m.Email, ExpiresAt: k.expires}, nil
}

func (tokens) Open(context.Context, string) (authn.Mailed, error) {
	return authn.Mailed{}, authn.ErrInvalidToken
}

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

type users = authn.Users[*authntest.User]

func newUsers(t *testing.T, cfg authn.Config) *users {
	t.Helper()
	cfg.Logger = slog.New(slog.DiscardHandler)
	cfg.Passwords = plain{}
	users, err := authn.New(new(authntest.Memory), cfg, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	return users
}

// plain hashes nothing.
type plain struct{}

func (plain) Hash(_ context.Context, password string) (string, error) { return password, nil }

func (plain) Verify(_ context.Context, password, hash string) (match, outdated bool, err error) {
	return password == hash, false, nil
}

type config = mail.Config[*authntest.User]

func newMails(t *testing.T, users *users, mailer mail.Mailer, publicURL string, cfg config) *mail.Mails[*authntest.User] {
	t.Helper()
	cfg.Now = func() time.Time { return now }
	mails, err := mail.New(users, mailer, publicURL, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return mails
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// has holds that a mail has a text in both of its parts.
func has(t *testing.T, m mail.Message, to, subject string, want ...string) {
	t.Helper()
	if m.To != to || m.Subject != subject {
		t.Errorf("%v, want one to %s: %s", m, to, subject)
	}
	for _, want := range want {
		if !strings.Contains(m.Text, want) || m.HTML != "" && !strings.Contains(m.HTML, want) {
			t.Errorf("%v has no %q in both parts:\n%s\n%s", m, want, m.Text, m.HTML)
		}
	}
}

func TestMailsOfAnAccount(t *testing.T) {
	mailer := new(box)
	users := newUsers(t, authn.Config{
		VerifyTokens: tokens{"verify", now.Add(24 * time.Hour)},
		ResetTokens:  tokens{"reset", now.Add(40 * time.Minute)},
	})
	users.Use(newMails(t, users, mailer, "https://example.com/app", config{App: "Ex & Co"}).Hooks())
	flush := func() []mail.Message {
		t.Helper()
		check(t, users.Flush(t.Context()))
		mails := mailer.mails
		slices.SortFunc(mails, func(a, b mail.Message) int { return strings.Compare(a.Subject, b.Subject) })
		mailer.mails = nil
		return mails
	}
	one := func() mail.Message {
		t.Helper()
		mails := flush()
		if len(mails) != 1 {
			t.Fatalf("%d mails: %v", len(mails), mails)
		}
		return mails[0]
	}

	ann, err := users.Register(t.Context(), "ann@example.com", "a password", nil)
	check(t, err)
	verify := "https://example.com/app/verify?token=verify%2B%2F%3D"
	has(t, one(), "ann@example.com", "Welcome to Ex & Co", verify+"ann%40example.com", "24 hours")

	check(t, users.RequestVerify(t.Context(), "ANN@example.com"))
	has(t, one(), "ann@example.com", "Verify your address for Ex & Co", verify+"ann%40example.com", "24 hours")

	check(t, users.ForgotPassword(t.Context(), "ANN@example.com"))
	has(t, one(), "ann@example.com", "Set a new password for Ex & Co", "https://example.com/app/reset-password?token=reset%2B%2F%3Dann%40example.com", "40 minutes")

	password := "another password"
	_, err = users.Update(t.Context(), ann.ID, authn.Update[*authntest.User]{Password: &password})
	check(t, err)
	has(t, one(), "ann@example.com", "Your password for Ex & Co was changed", "https://example.com/app")

	email := "anna@example.com"
	_, err = users.Update(t.Context(), ann.ID, authn.Update[*authntest.User]{Email: &email})
	check(t, err)
	mails := flush()
	if len(mails) != 2 {
		t.Fatalf("%d mails: %v", len(mails), mails)
	}
	has(t, mails[0], "anna@example.com", "Verify your address for Ex & Co", verify+"anna%40example.com")
	has(t, mails[1], "ann@example.com", "Your address at Ex & Co was changed", "ann@example.com")
	if strings.Contains(mails[1].Text+mails[1].HTML, "anna@") {
		t.Errorf("the old address is told the new one: %s", mails[1].Text)
	}

	email, verified := "annie@example.com", true
	_, err = users.Update(t.Context(), ann.ID, authn.Update[*authntest.User]{Email: &email, IsVerified: &verified})
	check(t, err)
	has(t, one(), "anna@example.com", "Your address at Ex & Co was changed")

	annie, err := users.Get(t.Context(), ann.ID)
	check(t, err)
	for kind, subject := range map[authn.NoticeKind]string{
		authn.NewDevice:       "A log-in at Ex & Co from a new device",
		authn.AccountLinked:   "Another way to log in to Ex & Co",
		authn.AccountUnlinked: "A way to log in to Ex & Co was removed",
	} {
		users.Notify(t.Context(), annie, kind)
		has(t, one(), "annie@example.com", subject, "annie@example.com", "https://example.com/app")
	}
}

func TestMailsWithoutTokens(t *testing.T) {
	mailer := new(box)
	users := newUsers(t, authn.Config{})
	users.Use(newMails(t, users, mailer, "https://example.com", config{}).Hooks())
	ann, err := users.Register(t.Context(), "ann@example.com", "a password", nil)
	check(t, err)
	email := "anna@example.com"
	_, err = users.Update(t.Context(), ann.ID, authn.Update[*authntest.User]{Email: &email})
	check(t, errors.Join(err, users.Flush(t.Context())))
	if len(mailer.mails) != 2 {
		t.Fatalf("%v", mailer.mails)
	}
	for _, m := range mailer.mails {
		if strings.Contains(m.Text+m.HTML, "verify") {
			t.Errorf("nothing can be verified: %s\n%s", m.Text, m.HTML)
		}
	}
}

func TestLinks(t *testing.T) {
	for _, c := range []struct {
		public string
		cfg    config
		want   string
	}{
		{"https://example.com", config{}, "https://example.com/reset-password?token=t"},
		{"https://example.com/", config{}, "https://example.com/reset-password?token=t"},
		{"https://example.com/app", config{}, "https://example.com/app/reset-password?token=t"},
		{"https://example.com/a%2Fb/", config{}, "https://example.com/a%2Fb/reset-password?token=t"},
		{"https://example.com/app", config{ResetPage: "/reset"}, "https://example.com/reset?token=t"},
		{"https://example.com/app", config{ResetPage: "auth/reset?theme=dark"}, "https://example.com/app/auth/reset?theme=dark&token=t"},
		{"https://api.example.com", config{ResetPage: "https://app.example.com/reset"}, "https://app.example.com/reset?token=t"},
		{"https://example.com", config{TokenInFragment: true}, "https://example.com/reset-password#token=t"},
		{"http://127.0.0.1:8000", config{}, "http://127.0.0.1:8000/reset-password?token=t"},
		{"http://[::1]:8000", config{}, "http://[::1]:8000/reset-password?token=t"},
		{"http://app.localhost", config{}, "http://app.localhost/reset-password?token=t"},
		{"http://intranet", config{InsecureHTTP: true}, "http://intranet/reset-password?token=t"},

		{"", config{}, ""},
		{"example.com", config{}, ""},
		{"/app", config{}, ""},
		{"//example.com", config{}, ""},
		{"https://", config{}, ""},
		{"https://:443", config{}, ""},
		{"https:example.com", config{}, ""},
		{"ftp://example.com", config{}, ""},
		{"javascript:alert(1)", config{}, ""},
		{"http://example.com", config{}, ""},
		{"http://localhost.example.com", config{}, ""},
		{"http://128.0.0.1", config{}, ""},
		{"https://example.com?a=b", config{}, ""},
		{"https://example.com?", config{}, ""},
		{"https://example.com#a", config{}, ""},
		{"https://ann:secret@example.com", config{}, ""},
		{"https://example.com\r\n", config{}, ""},
		{"https://example.com", config{ResetPage: "http://example.org/reset"}, ""},
		{"https://example.com", config{ResetPage: "reset#there"}, ""},
		{"https://example.com", config{ResetPage: "reset?token=x"}, ""},
		{"https://example.com", config{VerifyPage: "mailto:ann@example.com"}, ""},
		{"https://example.com", config{VerifyPage: "%zz"}, ""},
	} {
		mailer := new(box)
		mails, err := mail.New(newUsers(t, authn.Config{}), mailer, c.public, c.cfg)
		if c.want == "" {
			if err == nil || mails != nil {
				t.Errorf("%q and %+v are accepted", c.public, c.cfg)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q and %+v: %v", c.public, c.cfg, err)
			continue
		}
		u := &authntest.User{Account: authn.Account{Email: "ann@example.com"}}
		check(t, mails.Hooks().AfterForgotPassword(t.Context(), u, authn.Token{Value: "t"}))
		if got := mailer.mails[0].Text; !strings.Contains(got, "\n"+c.want+"\n") {
			t.Errorf("%q and %+v: no %s in\n%s", c.public, c.cfg, c.want, got)
		}
	}
}

func TestLanguages(t *testing.T) {
	files := fstest.MapFS{
		"de/reset.txt":     {Data: []byte("Subject: Neues Passwort für {{.App}}\r\n\r\nHallo {{.User.Email}}: {{.Link}}")},
		"de/reset.html":    {Data: []byte(`<p>Hallo {{.User.Email}}: <a href="{{.Link}}">neu</a>`)},
		"de-AT/verify.txt": {Data: []byte("Subject: Servus\n{{.Token}}")},
		"en/verify.txt":    {Data: []byte("Subject: Hi\n{{.Link}}")},
		"de/README.md":     {Data: []byte("how to translate")},
	}
	for _, c := range []struct{ language, fallback, reset, verify string }{
		{"de", "", "Neues Passwort für Ex", "Hi"},
		{"de-AT", "", "Neues Passwort für Ex", "Servus"},
		{"de_AT", "", "Neues Passwort für Ex", "Servus"},
		{"DE-at-1996", "", "Neues Passwort für Ex", "Servus"},
		{"fr", "", "Set a new password for Ex", "Hi"},
		{"fr", "de-CH", "Neues Passwort für Ex", "Hi"},
		{"", "de-AT", "Neues Passwort für Ex", "Servus"},
		{"../en", "", "Set a new password for Ex", "Hi"},
		{"-", "", "Set a new password for Ex", "Hi"},
	} {
		mailer := new(box)
		hooks := newMails(t, newUsers(t, authn.Config{}), mailer, "https://example.com", config{
			App: "Ex", Templates: files, DefaultLanguage: c.fallback,
			Language: func(u *authntest.User) string { return u.ID },
		}).Hooks()
		u := &authntest.User{ID: c.language, Account: authn.Account{Email: "<b>@example.com"}}
		check(t, hooks.AfterForgotPassword(t.Context(), u, authn.Token{Value: "t"}))
		check(t, hooks.AfterRequestVerify(t.Context(), u, authn.Token{Value: "t"}))
		reset, verify := mailer.mails[0], mailer.mails[1]
		if reset.Subject != c.reset || verify.Subject != c.verify {
			t.Errorf("%+v: %q, %q", c, reset.Subject, verify.Subject)
		}
		if verify.HTML != "" {
			t.Errorf("%+v: text of one file system, HTML of another: %s", c, verify.HTML)
		}
		if strings.HasPrefix(reset.Subject, "Neu") &&
			(reset.Text != "Hallo <b>@example.com: https://example.com/reset-password?token=t" ||
				reset.HTML != `<p>Hallo &lt;b&gt;@example.com: <a href="https://example.com/reset-password?token=t">neu</a>`) {
			t.Errorf("%+v: %q, %q", c, reset.Text, reset.HTML)
		}
	}
}

func TestFaultyTemplatesAreErrorsAtTheStart(t *testing.T) {
	const good = "Subject: Reset\n{{.Link}}"
	file := func(name, data string) fstest.MapFS { return fstest.MapFS{name: {Data: []byte(data)}} }
	both := func(text, html string) fstest.MapFS {
		return fstest.MapFS{"en/reset.txt": {Data: []byte(text)}, "en/reset.html": {Data: []byte(html)}}
	}
	for _, c := range []struct {
		files fs.FS
		want  string
	}{
		{file("en/reset.txt", "{{.Link}}"), `must begin with a line "Subject: …"`},
		{file("en/reset.txt", "Subject: \n{{.Link}}"), "subject is empty"},
		{file("en/reset.txt", "Subject: {{.Oops}}\n{{.Link}}"), "Oops"},
		{file("en/reset.txt", "Subject: a\n{{.Link}} {{.User.Oops}}"), "Oops"},
		{file("en/reset.txt", "Subject: a\n{{.Link"), "unclosed action"},
		{file("en/reset.txt", "Subject: a\nwithout a link"), "neither .Link nor .Token"},
		{file("xx/welcome.txt", "Subject: a\n{{if .Link}}{{.Oops}}{{end}}"), "Oops"},
		{file("xx/welcome.txt", "Subject: a\n{{if not .Link}}{{.Oops}}{{end}}"), "Oops"},
		{both(good, "{{.Oops}}"), "Oops"},
		{both(good, "<p>without a link"), "neither .Link nor .Token"},
		{both(good, "<a href='{{.Link}}"), "ends in a non-text context"},
		{file("en/reset.html", "{{.Link}}"), "needs a text beside it"},
		{file("en/rest.txt", good), "is for no mail"},
		{file("mails/en/reset.txt", good), "fs.Sub"},
		{fstest.MapFS{}, "fs.Sub"},
	} {
		_, err := mail.New(newUsers(t, authn.Config{}), new(box), "https://example.com", config{Templates: c.files})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.files, err, c.want)
		}
	}
	if _, err := mail.New(newUsers(t, authn.Config{}), new(box), "https://example.com", config{DefaultLanguage: "de"}); err == nil {
		t.Error("a default language without any template")
	}
	if _, err := mail.New(newUsers(t, authn.Config{}), nil, "https://example.com", config{}); err == nil {
		t.Error("no mailer")
	}
	if _, err := mail.New[*authntest.User](nil, new(box), "https://example.com", config{}); err == nil {
		t.Error("no users")
	}
}

// A sample is for templates that look where a zero user has nothing.
func TestSample(t *testing.T) {
	files := fstest.MapFS{"en/verify.txt": {Data: []byte("Subject: a\n{{.Link}} {{slice .User.ID 0 2}}")}}
	cfg := config{Templates: files}
	if _, err := mail.New(newUsers(t, authn.Config{}), new(box), "https://example.com", cfg); err == nil {
		t.Error("a zero user has an id of two letters")
	}
	cfg.Sample = &authntest.User{ID: "a user"}
	if _, err := mail.New(newUsers(t, authn.Config{}), new(box), "https://example.com", cfg); err != nil {
		t.Error(err)
	}
}

func TestNothingGetsIntoAHeader(t *testing.T) {
	mailer := new(box)
	hooks := newMails(t, newUsers(t, authn.Config{}), mailer, "https://example.com", config{
		App:       "Ex\r\nBcc: all@example.com\x00\u2028\u0085x",
		Templates: fstest.MapFS{"en/verify.txt": {Data: []byte("Subject: {{.App}} {{.User.ID}}\n{{.Link}}")}},
	}).Hooks()
	u := &authntest.User{ID: "a\nX: b", Account: authn.Account{Email: "ann@example.com"}}
	check(t, hooks.AfterRequestVerify(t.Context(), u, authn.Token{Value: "t"}))
	if got := mailer.mails[0].Subject; got != "Ex Bcc: all@example.com x a X: b" {
		t.Errorf("%q", got)
	}
	for _, email := range []string{"ann@example.com\r\nBcc: all@example.com", "ann@example.com\n", "a b@example.com", "ann@example.com\x00", "\x7f@example.com"} {
		u.Email = email
		if err := hooks.AfterRequestVerify(t.Context(), u, authn.Token{Value: "t"}); err == nil || strings.Contains(err.Error(), "example.com") {
			t.Errorf("%q: %v", email, err)
		}
	}
	if len(mailer.mails) != 1 {
		t.Errorf("%d mails", len(mailer.mails))
	}
}

func TestErrorsOfTheMailer(t *testing.T) {
	mailer := &box{err: errors.New("away")}
	hooks := newMails(t, newUsers(t, authn.Config{}), mailer, "https://example.com", config{}).Hooks()
	u := &authntest.User{Account: authn.Account{Email: "ann@example.com"}}
	for kind, err := range map[string]error{
		"welcome": hooks.Welcome(t.Context(), u, authn.Token{}),
		"reset":   hooks.AfterForgotPassword(t.Context(), u, authn.Token{Value: "t"}),
		"notice":  hooks.Notify(t.Context(), u, authn.Notice{Kind: authn.PasswordChanged, Email: "ann@example.com"}),
	} {
		if !errors.Is(err, mailer.err) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if err := hooks.Notify(t.Context(), u, authn.Notice{Kind: "hair-cut", Email: "ann@example.com"}); err == nil {
		t.Error("a notice that nobody has a mail for")
	}
}

func TestMessagesDontPrintTheirContent(t *testing.T) {
	m := mail.Message{To: "ann@example.com", Subject: "Reset", Text: "secret", HTML: "secret"}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("mail", slog.Any("mail", m))
	for _, printed := range []string{fmt.Sprint(m), fmt.Sprintf("%+v %#v %s %q", m, m, &m, m), logged.String()} {
		if strings.Contains(printed, "secret") || !strings.Contains(printed, "ann@example.com") {
			t.Error(printed)
		}
	}
}

func TestPrinter(t *testing.T) {
	var out strings.Builder
	printer := mail.Printer(&out)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if err := printer.Send(t.Context(), mail.Message{To: "ann@example.com", Subject: "Hi", Text: "one\n\ttwo\x1b[31m\r\n", HTML: "<p>one"}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if want := strings.Repeat("\n--- mail ---\nTo: ann@example.com\nSubject: Hi\n\none\n\ttwo[31m\n---\n", 20); out.String() != want {
		t.Errorf("%q", out.String())
	}
}

// What a request says of where it came to is in no link.
func TestLinksComeFromNoRequest(t *testing.T) {
	mailer := new(box)
	users := newUsers(t, authn.Config{VerifyTokens: tokens{"verify", now.Add(time.Hour)}, ResetTokens: tokens{"reset", now.Add(time.Hour)}})
	users.Use(newMails(t, users, mailer, "https://app.example.com", config{}).Hooks())
	e := echo.New()
	echo4.Mount(e, routes.All(users))
	if _, err := users.Register(t.Context(), "ann@example.com", "a password", nil); err != nil {
		t.Fatal(err)
	}
	for path, body := range map[string]string{
		"/auth/register":             `{"email":"bob@example.com","password":"a password"}`,
		"/auth/request-verify-token": `{"email":"ann@example.com"}`,
		"/auth/forgot-password":      `{"email":"ann@example.com"}`,
	} {
		check(t, users.Flush(t.Context()))
		mailer.mails = nil
		r := httptest.NewRequest(http.MethodPost, "http://evil.test"+path, strings.NewReader(body))
		r.Host, r.RemoteAddr = "evil.test", "10.0.0.1:1"
		for _, name := range []string{"X-Forwarded-Host", "X-Original-Host", "X-Host", "Origin", "Referer"} {
			r.Header.Set(name, "http://evil.test")
		}
		r.Header.Set("Forwarded", "host=evil.test;proto=http")
		r.Header.Set("X-Forwarded-Proto", "http")
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		check(t, users.Flush(t.Context()))
		if w.Code >= 300 || len(mailer.mails) != 1 {
			t.Fatalf("%s: %d, %d mails", path, w.Code, len(mailer.mails))
		}
		if text := mailer.mails[0].Text + mailer.mails[0].HTML; strings.Contains(text, "evil") || strings.Contains(text, "http://") || !strings.Contains(text, "https://app.example.com/") {
			t.Errorf("%s: %s", path, text)
		}
	}
}
