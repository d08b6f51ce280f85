package docs_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/mail"
	"github.com/echo-users/echo-users/mail/smtp"
	"github.com/echo-users/echo-users/routes/pages"
	"github.com/echo-users/echo-users/userdb"
)

func newMailServer(password string) (mail.Mailer, error) {
	return smtp.New(smtp.Config{
		Addr:     "mail.example.com:587",
		Username: "app",
		Password: password,
		From:     "Example <no-reply@example.com>",
	})
}

func useMails(users *authn.Users[*AppUser], mailer mail.Mailer) error {
	mails, err := mail.New(users, mailer, "https://app.example.com", mail.Config[*AppUser]{App: "Example"})
	if err != nil {
		return err
	}
	users.Use(mails.Hooks())
	return nil
}

func below(e *echo.Echo, users *authn.Users[*AppUser], mailer mail.Mailer) (*mail.Mails[*AppUser], error) {
	echo4.Mount(e.Group("/app"), pages.Routes(users))
	return mail.New(users, mailer, "https://example.com/app", mail.Config[*AppUser]{})
}

func ownPages(e *echo.Echo, users *authn.Users[*AppUser], templates fs.FS) error {
	list, err := pages.New(users, pages.Config{Templates: templates, Next: "/login"})
	if err != nil {
		return err
	}
	echo4.Mount(e, list)
	return nil
}

func forSinglePageApp(users *authn.Users[*AppUser], mailer mail.Mailer) (*mail.Mails[*AppUser], error) {
	return mail.New(users, mailer, "https://app.example.com", mail.Config[*AppUser]{
		VerifyPage:      "account/verify",
		ResetPage:       "account/reset",
		TokenInFragment: true, // https://app.example.com/account/verify#token=…
	})
}

// mailbox is a mailer for the test.
type mailbox chan mail.Message

func (b mailbox) Send(_ context.Context, m mail.Message) error { b <- m; return nil }

func TestMailsAndPagesOfThePage(t *testing.T) {
	if _, err := newMailServer("secret"); err != nil {
		t.Error(err)
	}
	newUsers := func() *authn.Users[*AppUser] {
		t.Helper()
		store, err := userdb.New[AppUser](testdb.SQLite(t))
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := newMailedTokens([]byte(strings.Repeat("v", 32)), []byte(strings.Repeat("r", 32)))
		if err := errors.Join(err, store.Migrate(t.Context())); err != nil {
			t.Fatal(err)
		}
		users, err := authn.New(store, cfg, authntest.Impersonator{})
		if err != nil {
			t.Fatal(err)
		}
		return users
	}
	for name, c := range map[string]struct {
		link string
		use  func(e *echo.Echo, users *authn.Users[*AppUser], box mailbox) error
	}{
		"root": {"https://app.example.com/verify?token=", func(e *echo.Echo, users *authn.Users[*AppUser], box mailbox) error {
			echo4.Mount(e, pages.Routes(users))
			return useMails(users, box)
		}},
		"below a path": {"https://example.com/app/verify?token=", func(e *echo.Echo, users *authn.Users[*AppUser], box mailbox) error {
			mails, err := below(e, users, box)
			if err == nil {
				users.Use(mails.Hooks())
			}
			return err
		}},
		"own pages": {"https://app.example.com/verify?token=", func(e *echo.Echo, users *authn.Users[*AppUser], box mailbox) error {
			own := fstest.MapFS{"verify.html": {Data: []byte(`{{if .Form}}<form method="post"><input name="token" value="{{.Token}}"></form>{{end}}`)}}
			return errors.Join(ownPages(e, users, own), useMails(users, box))
		}},
		"a single-page app": {"https://app.example.com/account/verify#token=", func(_ *echo.Echo, users *authn.Users[*AppUser], box mailbox) error {
			mails, err := forSinglePageApp(users, box)
			if err == nil {
				users.Use(mails.Hooks())
			}
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			e, users, box := echo.New(), newUsers(), make(mailbox, 9)
			if err := c.use(e, users, box); err != nil {
				t.Fatal(err)
			}
			if _, err := users.Register(t.Context(), "ann@example.com", "a long password", nil); err != nil {
				t.Fatal(err)
			}
			welcome := <-box
			_, rest, found := strings.Cut(welcome.Text, "\n"+c.link)
			if !found {
				t.Fatalf("no %s in\n%s", c.link, welcome.Text)
			}
			if strings.HasSuffix(c.link, "#token=") {
				return
			}
			token, _, _ := strings.Cut(rest, "\n")
			where, err := url.Parse(c.link)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range []*http.Request{
				httptest.NewRequest(http.MethodGet, where.Path+"?token="+token, nil),
				httptest.NewRequest(http.MethodPost, where.Path, strings.NewReader("token="+token)),
			} {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				w := httptest.NewRecorder()
				e.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					t.Errorf("%s: %d %s", r.Method, w.Code, w.Body)
				}
			}
			if ann, err := users.GetByEmail(t.Context(), "ann@example.com"); err != nil || !ann.IsVerified {
				t.Errorf("not verified, %v", err)
			}
		})
	}
}
