package docs_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

func newMailedTokens(verifySecret, resetSecret []byte) (authn.Config, error) {
	verify, err := jwt.NewVerifyTokens(jwt.Secret(verifySecret), jwt.MailedConfig{Lifetime: 24 * time.Hour})
	if err != nil {
		return authn.Config{}, err
	}
	reset, err := jwt.NewResetTokens(jwt.Secret(resetSecret), jwt.MailedConfig{})
	if err != nil {
		return authn.Config{}, err
	}
	return authn.Config{VerifyTokens: verify, ResetTokens: reset}, nil
}

type mailer interface {
	Send(ctx context.Context, to, subject, body string) error
}

// publicURL is configuration. A link is never built from a request's Host.
const publicURL = "https://app.example.com"

func mailHooks(m mailer) authn.Hooks[*AppUser] {
	return authn.Hooks[*AppUser]{
		Welcome: func(ctx context.Context, u *AppUser, verify authn.Token) error {
			link := publicURL + "/verify?token=" + url.QueryEscape(verify.Value)
			return m.Send(ctx, u.Email, "Welcome! Please verify your address", link)
		},
		AfterRequestVerify: func(ctx context.Context, u *AppUser, token authn.Token) error {
			link := publicURL + "/verify?token=" + url.QueryEscape(token.Value)
			return m.Send(ctx, u.Email, "Verify your address", link)
		},
		AfterForgotPassword: func(ctx context.Context, u *AppUser, token authn.Token) error {
			link := publicURL + "/reset-password?token=" + url.QueryEscape(token.Value)
			return m.Send(ctx, u.Email, "Set a new password", link)
		},
		Notify: func(ctx context.Context, u *AppUser, notice authn.Notice) error {
			switch notice.Kind {
			case authn.PasswordChanged:
				return m.Send(ctx, notice.Email, "Your password was changed", "If that wasn't you …")
			case authn.EmailChanged:
				return m.Send(ctx, notice.Email, "Your address was changed", "If that wasn't you …")
			}
			return nil
		},
	}
}

// Membership is a row of the application's own.
type Membership struct {
	UserID string `gorm:"primaryKey"`
	Plan   string
}

func withMembership() authn.Hooks[*AppUser] {
	return authn.Hooks[*AppUser]{
		DuringRegister: func(ctx context.Context, u *AppUser) error {
			tx, _ := userdb.Tx(ctx)
			return tx.Create(&Membership{UserID: u.AuthID(), Plan: "free"}).Error
		},
	}
}

func inviteOnly(invited func(email string) bool) authn.Hooks[*AppUser] {
	return authn.Hooks[*AppUser]{
		DuringRegister: func(ctx context.Context, u *AppUser) error {
			if !invited(u.Email) {
				return &authn.HTTPError{Status: 403, Detail: "NOT_INVITED"}
			}
			return nil
		},
	}
}

func withOutbox(ctx context.Context, db *gorm.DB, cfg authn.Config) (authn.Config, error) {
	outbox, err := userdb.NewOutbox(db)
	if err != nil {
		return cfg, err
	}
	cfg.Outbox = outbox
	return cfg, outbox.Migrate(ctx)
}

func deliver(ctx context.Context, users *authn.Users[*AppUser]) {
	go users.DeliverOutbox(ctx, 30*time.Second)
}

func slowWork(users *authn.Users[*AppUser], index func(context.Context, *AppUser) error) authn.Hooks[*AppUser] {
	return authn.Hooks[*AppUser]{
		AfterRegister: func(ctx context.Context, u *AppUser) {
			err := users.Background(ctx, "index a user", func(ctx context.Context) error { return index(ctx, u) })
			if err != nil {
				users.Logger().ErrorContext(ctx, "not indexed", "error", err)
			}
		},
	}
}

// postbox is a mailer for the test.
type postbox struct{ mails chan string }

func (p postbox) Send(_ context.Context, to, subject, body string) error {
	p.mails <- to + ": " + subject + ": " + body
	return nil
}

func TestMailsOfThePage(t *testing.T) {
	db := testdb.SQLite(t)
	store, err := userdb.New[AppUser](db)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(store.Migrate(t.Context()), db.AutoMigrate(&Membership{})); err != nil {
		t.Fatal(err)
	}
	cfg, err := newMailedTokens([]byte(strings.Repeat("v", 32)), []byte(strings.Repeat("r", 32)))
	if err != nil {
		t.Fatal(err)
	}
	if cfg, err = withOutbox(t.Context(), db, cfg); err != nil {
		t.Fatal(err)
	}
	users, err := authn.New(store, cfg, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	box := postbox{make(chan string, 10)}
	delivering, end := context.WithCancel(t.Context())
	deliver(delivering, users)
	defer end()
	users.Use(mailHooks(box))
	users.Use(withMembership())
	users.Use(inviteOnly(func(email string) bool { return email != "eve@example.com" }))
	users.Use(slowWork(users, func(context.Context, *AppUser) error { return nil }))
	if _, err := users.Register(t.Context(), "eve@example.com", "a long password", nil); authn.AsHTTPError(err).Status != 403 {
		t.Error(err)
	}
	if _, err := users.Register(t.Context(), "ann@example.com", "a long password", nil); err != nil {
		t.Fatal(err)
	}
	mail := <-box.mails
	if !strings.HasPrefix(mail, "ann@example.com: Welcome! Please verify your address: https://app.example.com/verify?token=ey") {
		t.Error(mail)
	}
	if err := users.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	var members int64
	if db.Model(&Membership{}).Count(&members); members != 1 {
		t.Errorf("%d memberships", members)
	}
}
