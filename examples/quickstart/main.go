// Command quickstart is an Echo server with registration, log-in at two JWT
// backends, and routes for users and for superusers.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/glebarez/sqlite"
	"github.com/labstack/echo/v4"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

// AppUser is the application's user: ours, and a field of its own.
type AppUser struct {
	userdb.User
	FirstName string
}

// SignUp is what a registration says beside e-mail and password.
type SignUp struct {
	FirstName string `json:"first_name,omitempty"`
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8000", "listen on this `address`")
	file := flag.String("db", "quickstart.db", "keep the users in this SQLite `file`")
	superuser := flag.String("superuser", "", "make the user with this `e-mail` a superuser, and exit")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	db := must(gorm.Open(sqlite.Open(*file+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&_txlock=immediate"), &gorm.Config{}))
	store := must(userdb.New[AppUser](db))
	check(store.Migrate(ctx))
	if *superuser != "" {
		u := must(store.ByEmail(ctx, *superuser))
		must(store.Update(ctx, u.AuthID(), func(u *AppUser) error { u.IsSuperuser = true; return nil }))
		fmt.Println(u.Email, "is a superuser now")
		return
	}
	users := must(authn.New(store, authn.Config{},
		must(backends.JWT(secret("JWT_SECRET"), backends.JWTConfig{Name: "jwt"})),
		must(backends.JWT(secret("PARTNER_SECRET"), backends.JWTConfig{Name: "partner", Config: jwt.Config{Lifetime: 10 * time.Minute}})),
	))

	e := echo.New()
	e.HideBanner, e.HidePort, e.HTTPErrorHandler = true, true, routes.ErrorHandler
	e.Server.ReadHeaderTimeout = 10 * time.Second
	must(routes.New(users, routes.Config[*AppUser]{
		Register: routes.Input(func(in SignUp, u *AppUser) error { u.FirstName = in.FirstName; return nil }),
	})).All().Mount(e)

	active := users.CurrentUser(authn.Active)
	e.GET("/hello", active.Handle(func(c echo.Context, u *AppUser) error {
		return c.String(http.StatusOK, "Hello, "+cmp.Or(u.FirstName, u.Email)+"!\n")
	}))
	admin := e.Group("/admin", users.CurrentUser(authn.Active, authn.Superuser, authn.Only("jwt")).Middleware)
	admin.GET("/hello", func(c echo.Context) error { return c.String(http.StatusOK, "Hello, superuser!\n") })

	e.Listener = must(net.Listen("tcp", *addr))
	fmt.Printf(welcome, e.Listener.Addr())
	go func() {
		if err := e.Start(""); err != http.ErrServerClosed {
			log.Fatal(err)
		}
	}()
	<-ctx.Done()
	grace, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	check(e.Shutdown(grace))
	check(must(db.DB()).Close())
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

const welcome = `Listening on http://%[1]s. Try, in another terminal:

  curl http://%[1]s/auth/register -H 'Content-Type: application/json' \
       -d '{"email": "ann@example.com", "password": "correct horse", "first_name": "Ann"}'
  curl http://%[1]s/auth/jwt/login -d username=ann@example.com -d 'password=correct horse'
  curl http://%[1]s/hello -H 'Authorization: Bearer <the access_token>'

/auth/partner/login works alike. Make Ann a superuser for /admin/hello and /users/<id>:

  go run ./examples/quickstart -superuser ann@example.com
`
