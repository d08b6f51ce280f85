package mail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"reflect"
	"strings"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// Config has the options of [New]. Its zero value works.
type Config[U authn.User] struct {
	// App is what the mails call the application. Defaults to the host of the
	// public URL.
	App string
	// VerifyPage is where links that verify an address lead: a reference that is
	// resolved against the public URL, whose path it keeps unless it begins with
	// a slash, or a URL of its own. Defaults to "verify".
	VerifyPage string
	// ResetPage is where links that reset a password lead. Defaults to
	// "reset-password".
	ResetPage string
	// TokenInFragment puts the token behind "#" in place of "?", where servers
	// and their logs don't see it: for single-page apps, whose script reads it.
	// The pages of package routes/pages don't.
	TokenInFragment bool

	// Templates are the application's own: <language>/<kind>.txt, whose first
	// line is "Subject: …", and <language>/<kind>.html beside it; without that,
	// the mail is text alone. The kinds are welcome, verify, reset,
	// password-changed, email-changed, new-device, account-linked and
	// account-unlinked, the data is [Data]. Defaults to
	// English ones, which also stand in for each that is missing.
	Templates fs.FS
	// Language returns a user's language as a BCP 47 tag, such as "de-AT". A
	// mail that isn't there in it is taken from "de", then from
	// DefaultLanguage, then from English. Defaults to DefaultLanguage for all.
	Language func(U) string
	// DefaultLanguage is a tag. Defaults to "en".
	DefaultLanguage string
	// Sample is the user with whom [New] tries the templates. Defaults to a zero
	// one.
	Sample U

	// InsecureHTTP allows http:// for hosts other than this machine: whoever
	// sees a link on its way can use it.
	InsecureHTTP bool
	// Now is the clock. Defaults to [time.Now].
	Now func() time.Time
}

// Data is what templates get. What a user typed, such as a name of .User,
// makes a mail that somebody else's text is sent with: the address may be
// anybody's. The built-in templates show none.
type Data[U authn.User] struct {
	// App is the application's name, and URL its public URL.
	App, URL string
	// Email is the address that the mail goes to; of email-changed, the one that
	// was replaced.
	Email string
	// Link leads to the page that verifies or resets; empty for a welcome
	// without anything to verify, and for notices.
	Link string
	// Token is what the link carries, for an app that has it typed or pasted.
	Token string
	// Expires is when the token ends, in UTC; zero if it never does.
	Expires time.Time
	// Minutes is for how long the token is good when the mail is made, rounded;
	// Hours are the full ones of it. Zero if it never ends.
	Minutes, Hours int
	// User is the user as they are now.
	User U
}

// Mails makes the mails of a manager's users. Safe for concurrent use.
type Mails[U authn.User] struct {
	users         *authn.Users[U]
	mailer        Mailer
	cfg           Config[U]
	url           string
	verify, reset page
	letters       letters
}

// New returns the mails of users, or an error that says what is wrong with the
// public URL, a page, or a template: each is tried. publicURL is where people
// reach the application, such as "https://app.example.com" or
// "https://example.com/app".
func New[U authn.User](users *authn.Users[U], mailer Mailer, publicURL string, cfg Config[U]) (*Mails[U], error) {
	if users == nil || mailer == nil {
		return nil, errors.New("mail: users or the mailer is nil")
	}
	public, err := parsePublicURL(publicURL, cfg.InsecureHTTP)
	if err != nil {
		return nil, err
	}
	if cfg.App == "" {
		cfg.App = public.Host
	}
	if cfg.VerifyPage == "" {
		cfg.VerifyPage = "verify"
	}
	if cfg.ResetPage == "" {
		cfg.ResetPage = "reset-password"
	}
	if cfg.Language == nil {
		cfg.Language = func(U) string { return "" }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	m := &Mails[U]{users: users, mailer: mailer, cfg: cfg, url: strings.TrimSuffix(public.String(), "/")}
	if m.verify, err = newPage(public, cfg.VerifyPage, cfg.InsecureHTTP, cfg.TokenInFragment); err != nil {
		return nil, err
	}
	if m.reset, err = newPage(public, cfg.ResetPage, cfg.InsecureHTTP, cfg.TokenInFragment); err != nil {
		return nil, err
	}
	if m.letters, err = newLetters(cfg.Templates); err != nil {
		return nil, err
	}
	if !m.letters.have(cfg.DefaultLanguage) {
		return nil, fmt.Errorf("mail: there is no template in the default language %q", cfg.DefaultLanguage)
	}
	if err := m.try(); err != nil {
		return nil, err
	}
	return m, nil
}

// Hooks returns the hooks that send: [authn.Hooks] Welcome,
// AfterRequestVerify, AfterForgotPassword and Notify; and AfterUpdate, which
// has an address that was changed verified where the manager can.
func (m *Mails[U]) Hooks() authn.Hooks[U] {
	return authn.Hooks[U]{
		Welcome: func(ctx context.Context, u U, verify authn.Token) error {
			return m.send(ctx, kindWelcome, u.AuthAccount().Email, u, m.verify, verify)
		},
		AfterRequestVerify: func(ctx context.Context, u U, token authn.Token) error {
			return m.send(ctx, kindVerify, u.AuthAccount().Email, u, m.verify, token)
		},
		AfterForgotPassword: func(ctx context.Context, u U, token authn.Token) error {
			return m.send(ctx, kindReset, u.AuthAccount().Email, u, m.reset, token)
		},
		Notify: func(ctx context.Context, u U, notice authn.Notice) error {
			if kind, ok := notices[notice.Kind]; ok {
				return m.send(ctx, kind, notice.Email, u, page{}, authn.Token{})
			}
			return fmt.Errorf("mail: there is no mail for the notice %q", notice.Kind)
		},
		AfterUpdate: func(ctx context.Context, u U, changed authn.Changed) {
			account := u.AuthAccount()
			if !changed.Email || account.IsVerified || !m.users.CanVerify() {
				return
			}
			if err := m.users.RequestVerify(ctx, account.Email); err != nil {
				m.users.Logger().ErrorContext(ctx, "mail: a changed address gets no mail to verify it", slog.String("user", u.AuthID()), slog.Any("error", err))
			}
		},
	}
}

func (m *Mails[U]) send(ctx context.Context, kind, to string, u U, p page, token authn.Token) error {
	if strings.ContainsFunc(to, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return errors.New("mail: an address with blanks or control characters gets no mail")
	}
	l := m.letters.of(kind, m.cfg.Language(u), m.cfg.DefaultLanguage)
	message, err := l.render(to, m.data(to, u, p, token))
	if err != nil {
		return fmt.Errorf("mail: %s: %w", kind, err)
	}
	if err := m.mailer.Send(ctx, message); err != nil {
		return fmt.Errorf("mail: %s: %w", kind, err)
	}
	return nil
}

func (m *Mails[U]) data(to string, u U, p page, token authn.Token) Data[U] {
	data := Data[U]{App: m.cfg.App, URL: m.url, Email: to, User: u}
	if token.Value == "" {
		return data
	}
	data.Token, data.Link = token.Value, p.link(token.Value)
	if !token.ExpiresAt.IsZero() {
		data.Expires = token.ExpiresAt.UTC()
		data.Minutes = max(0, int(math.Round(token.ExpiresAt.Sub(m.cfg.Now()).Minutes())))
		data.Hours = data.Minutes / 60
	}
	return data
}

// try makes every mail, so that a faulty template shows at once.
func (m *Mails[U]) try() error {
	var none U
	u := m.cfg.Sample
	if kind := reflect.TypeFor[U](); any(u) == any(none) && kind.Kind() == reflect.Pointer {
		u = reflect.New(kind.Elem()).Interface().(U)
	}
	token := authn.Token{Value: "sampletoken", ExpiresAt: m.cfg.Now().Add(90 * time.Minute)}
	for language, mails := range m.letters {
		for kind, l := range mails {
			tokens := []authn.Token{{}}
			switch kind {
			case kindWelcome:
				tokens = append(tokens, token)
			case kindVerify, kindReset:
				tokens = []authn.Token{token}
			}
			for _, token := range tokens {
				message, err := l.render("ann@example.com", m.data("ann@example.com", u, m.verify, token))
				if err != nil {
					return fmt.Errorf("mail: %w", err)
				}
				if kind == kindWelcome {
					continue
				}
				for extension, content := range map[string]string{".txt": message.Text, ".html": message.HTML} {
					if content != "" && !strings.Contains(content, token.Value) {
						return fmt.Errorf("mail: the template %s/%s%s shows neither .Link nor .Token", language, kind, extension)
					}
				}
			}
		}
	}
	return nil
}
