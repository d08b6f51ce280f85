// Command mail is an Echo server whose users get their mails over a mail
// server, in English or in German, with the pages that the links lead to.
//
//	SMTP_PASSWORD=… go run ./examples/mail -smtp mail.example.com:587 -user app -from 'Example <no-reply@example.com>'
//
// Without -smtp it prints them.
package main

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"flag"
	"io/fs"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/glebarez/sqlite"
	"github.com/labstack/echo/v4"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/mail"
	"github.com/echo-users/echo-users/mail/smtp"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/routes/pages"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

// AppUser is the application's user.
type AppUser struct {
	userdb.User
	Language string
}

// Profile is what a registration says beside e-mail and password.
type Profile struct {
	Language routes.Optional[string] `json:"language"`
}

//go:embed mails
var files embed.FS

func main() {
	var server smtp.Config
	addr := flag.String("addr", "127.0.0.1:8000", "listen on this `address`")
	file := flag.String("db", "mail.db", "keep the users in this SQLite `file`")
	publicURL := flag.String("url", "http://localhost:8000", "the public `URL`, which links begin with")
	flag.StringVar(&server.Addr, "smtp", "", "the mail server's `host:port`")
	flag.StringVar(&server.Username, "user", "", "the `name` for the mail server, with a password in SMTP_PASSWORD")
	flag.StringVar(&server.From, "from", "Example <no-reply@example.com>", "the `sender`")
	flag.BoolVar(&server.ImplicitTLS, "tls", false, "speak TLS from the first byte on, as at port 465")
	flag.BoolVar(&server.InsecurePlaintext, "plaintext", false, "send without encryption, to a server on this machine")
	flag.Parse()
	server.Password = os.Getenv("SMTP_PASSWORD")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, server, *addr, *file, *publicURL); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, server smtp.Config, addr, file, publicURL string) error {
	mailer, err := newMailer(server)
	if err != nil {
		return err
	}
	db, err := gorm.Open(sqlite.Open(file+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&_txlock=immediate"), &gorm.Config{})
	if err != nil {
		return err
	}
	pool, err := db.DB()
	if err != nil {
		return err
	}
	users, err := newUsers(ctx, db, mailer, publicURL)
	if err != nil {
		return err
	}
	e, err := newServer(users)
	if err != nil {
		return err
	}
	go users.DeliverOutbox(ctx, 30*time.Second)
	e.Server.ReadHeaderTimeout, e.Server.MaxHeaderBytes = 5*time.Second, 32<<10
	e.Server.ReadTimeout, e.Server.WriteTimeout, e.Server.IdleTimeout = 30*time.Second, 30*time.Second, 2*time.Minute
	served := make(chan error, 1)
	go func() { served <- e.Start(addr) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	// What was accepted is answered, and the mails are sent.
	answering, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if e.Shutdown(answering) != nil {
		e.Close() // who is slower than that is cut off
	}
	mailing, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return errors.Join(users.Shutdown(mailing), pool.Close())
}

func newMailer(server smtp.Config) (mail.Mailer, error) {
	if server.Addr == "" {
		return mail.Printer(os.Stdout), nil
	}
	return smtp.New(server)
}

func newUsers(ctx context.Context, db *gorm.DB, mailer mail.Mailer, publicURL string) (*authn.Users[*AppUser], error) {
	store, err := userdb.New[AppUser](db)
	if err != nil {
		return nil, err
	}
	outbox, err := userdb.NewOutbox(db)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(store.Migrate(ctx), outbox.Migrate(ctx)); err != nil {
		return nil, err
	}
	verify, err := jwt.NewVerifyTokens(newSecret(), jwt.MailedConfig{})
	if err != nil {
		return nil, err
	}
	reset, err := jwt.NewResetTokens(newSecret(), jwt.MailedConfig{})
	if err != nil {
		return nil, err
	}
	web, err := backends.JWT(newSecret(), backends.JWTConfig{})
	if err != nil {
		return nil, err
	}
	users, err := authn.New(store, authn.Config{VerifyTokens: verify, ResetTokens: reset, Outbox: outbox}, web)
	if err != nil {
		return nil, err
	}
	return users, sendMails(users, mailer, publicURL)
}

func sendMails(users *authn.Users[*AppUser], mailer mail.Mailer, publicURL string) error {
	templates, err := fs.Sub(files, "mails")
	if err != nil {
		return err
	}
	mails, err := mail.New(users, mailer, publicURL, mail.Config[*AppUser]{
		App:       "Example",
		Templates: templates,
		Language:  func(u *AppUser) string { return u.Language },
	})
	if err != nil {
		return err
	}
	users.Use(mails.Hooks())
	return nil
}

func newServer(users *authn.Users[*AppUser]) (*echo.Echo, error) {
	factory, err := routes.New(users, routes.Config[*AppUser]{
		Register: routes.Input(func(in Profile, u *AppUser) error { in.Language.Apply(&u.Language); return nil }),
	})
	if err != nil {
		return nil, err
	}
	e := echo.New()
	e.HTTPErrorHandler = echo4.ErrorHandler
	echo4.Mount(e, factory.All())
	echo4.Mount(e, pages.Routes(users))
	return e, nil
}

// newSecret is a key that ends with the process, and all its tokens with it.
// One from your configuration lives on.
func newSecret() jwt.Key { return jwt.Secret([]byte(rand.Text() + rand.Text())) }
