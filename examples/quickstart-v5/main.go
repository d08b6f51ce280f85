// Command quickstart-v5 is an Echo v5 server with registration, verification and reset
// by mail (printed here, with links to click), log-in at two JWT backends, and
// routes for users and for superusers; "quickstart-v5 users" manages them.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/glebarez/sqlite"
	"github.com/labstack/echo/v5"
	swaggest "github.com/swaggest/openapi-go"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/adapters/echo5"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/command"
	"github.com/echo-users/echo-users/authn/passwordpolicy"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/mail"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/routes/openapi"
	"github.com/echo-users/echo-users/routes/pages"
	"github.com/echo-users/echo-users/routes/swaggerui"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

// AppUser is the application's user: ours, and a field of its own.
type AppUser struct {
	userdb.User
	FirstName string
}

// Profile is what requests say beside e-mail and password.
type Profile struct {
	FirstName routes.Optional[string] `json:"first_name"`
}

// ProfileRead is what answers show.
type ProfileRead struct {
	routes.UserRead
	FirstName string `json:"first_name"`
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8000", "listen on this `address`")
	file := flag.String("db", "quickstart.db", "keep the users in this SQLite `file`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	db := must(gorm.Open(sqlite.Open(*file+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&_txlock=immediate"), &gorm.Config{}))
	store := must(userdb.New[AppUser](db))
	check(store.Migrate(ctx))
	users := must(authn.New(store,
		authn.Config{
			PasswordPolicy: must(passwordpolicy.New(passwordpolicy.Config{Words: []string{"Quickstart"}})),

			VerifyTokens: must(jwt.NewVerifyTokens(secret("VERIFY_SECRET"), jwt.MailedConfig{})),
			ResetTokens:  must(jwt.NewResetTokens(secret("RESET_SECRET"), jwt.MailedConfig{})),
		},
		must(backends.JWT(secret("JWT_SECRET"), backends.JWTConfig{Name: "jwt"})),
		must(backends.JWT(secret("PARTNER_SECRET"), backends.JWTConfig{Name: "partner", Config: jwt.Config{Lifetime: 10 * time.Minute}})),
	))
	if flag.Arg(0) == "users" {
		if err := command.Run(ctx, users, flag.Args()[1:], command.Config[*AppUser]{Name: "quickstart-v5 users"}); !errors.Is(err, flag.ErrHelp) {
			check(err)
		}
		return
	}

	// A thread more than processors: what is cheap needn't wait for a hash to
	// give way.
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	listener := must(net.Listen("tcp", *addr))
	mails := must(mail.New(users, mail.Printer(os.Stdout), publicURL(listener.Addr()), mail.Config[*AppUser]{
		App:          "Quickstart",
		InsecureHTTP: true, // for -addr of a local network; an application has https
	}))
	users.Use(mails.Hooks())

	e := echo.New()
	e.HTTPErrorHandler = echo5.ErrorHandler
	profile := routes.Input(func(in Profile, u *AppUser) error { in.FirstName.Apply(&u.FirstName); return nil })
	factory := must(routes.New(users, routes.Config[*AppUser]{
		Register: profile,
		Update:   profile,
		Read:     routes.Output(func(u *AppUser) ProfileRead { return ProfileRead{routes.NewUserRead(u), u.FirstName} }),
	}))
	echo5.Mount(e, factory.All())
	echo5.Mount(e, pages.Routes(users)) // where the links in mails lead

	active := users.CurrentUser(authn.Active)
	e.GET("/hello", echo5.Handle(active, func(c *echo.Context, u *AppUser) error {
		return c.String(http.StatusOK, "Hello, "+cmp.Or(u.FirstName, u.Email)+"!\n")
	}))
	superuser := users.CurrentUser(authn.Active, authn.Superuser, authn.Only("jwt"))
	admin := e.Group("/admin", echo5.Middleware(superuser))
	admin.GET("/hello", func(c *echo.Context) error { return c.String(http.StatusOK, "Hello, superuser!\n") })

	doc := must(openapi.New(factory, openapi.Config{Title: "Quickstart"}))
	describe(doc, "/hello", "Greets who is logged in", active)
	describe(doc, "/admin/hello", "Greets superusers", superuser)
	echo5.Mount(e, doc.Routes())
	echo5.Mount(e, swaggerui.Routes())

	var server *http.Server
	start := echo.StartConfig{
		Listener: listener, HideBanner: true, HidePort: true,
		GracefulTimeout: 10 * time.Second, OnShutdownError: func(error) { server.Close() }, // who is slower than that is cut off
		BeforeServeFunc: func(s *http.Server) error {
			server = s
			s.ReadHeaderTimeout, s.MaxHeaderBytes = 5*time.Second, 32<<10
			s.ReadTimeout, s.WriteTimeout, s.IdleTimeout = 30*time.Second, 30*time.Second, 2*time.Minute
			return nil
		},
	}
	fmt.Printf(welcome, listener.Addr())
	check(start.Start(ctx, e)) // until ctx ends, and what was accepted is answered
	mailing, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	check(users.Shutdown(mailing))
	check(must(db.DB()).Close())
}

// describe adds a route of the application's own to the document.
func describe(doc *openapi.Document, path, summary string, guard openapi.Guard) {
	op := must(doc.Operation(http.MethodGet, path, guard))
	op.SetSummary(summary)
	op.AddRespStructure("", swaggest.WithHTTPStatus(http.StatusOK), swaggest.WithContentType("text/plain"))
	check(doc.AddOperation(op))
}

// publicURL is where a browser on this machine finds the server.
func publicURL(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	check(err)
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// secret is a key from the environment, or one that lives as long as the process.
func secret(name string) jwt.Key {
	value := os.Getenv(name)
	if value == "" {
		value = rand.Text() + rand.Text()
		fmt.Printf("%s is not set: a random one is used, and tokens end with this process\n", name)
	}
	return jwt.Secret([]byte(value))
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

const welcome = `Listening on http://%[1]s. Open http://%[1]s/docs in a browser to
try every route. Or, in another terminal:

  curl http://%[1]s/auth/register -H 'Content-Type: application/json' \
       -d '{"email": "ann@example.com", "password": "correct horse", "first_name": "Ann"}'
  curl http://%[1]s/auth/jwt/login -d username=ann@example.com -d 'password=correct horse'
  curl http://%[1]s/hello -H 'Authorization: Bearer <the access_token>'

/auth/partner/login works alike. Mails are printed here: open the links in them.
The first one verifies Ann's address; this asks for one that sets a new password:

  curl http://%[1]s/auth/forgot-password -H 'Content-Type: application/json' -d '{"email": "ann@example.com"}'

Make Ann a superuser for /admin/hello and /users/<id>:

  go run ./examples/quickstart-v5 users promote ann@example.com
`
