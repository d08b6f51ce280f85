// Command pages is an Echo server with three plain HTML pages, and users who
// log in at them: no scripts, a cookie backend, a guard that sends browsers to
// the log-in page.
package main

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"flag"
	"fmt"
	"html/template"
	"log"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/glebarez/sqlite"
	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

type user = userdb.User

//go:embed *.html
var files embed.FS

var templates = template.Must(template.ParseFS(files, "*.html"))

func main() {
	addr := flag.String("addr", "127.0.0.1:8000", "listen on this `address`")
	file := flag.String("db", "pages.db", "keep the users in this SQLite `file`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *file); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr, file string) error {
	db, err := gorm.Open(sqlite.Open(file+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&_txlock=immediate"), &gorm.Config{})
	if err != nil {
		return err
	}
	pool, err := db.DB()
	if err != nil {
		return err
	}
	users, err := newUsers(ctx, db)
	if err != nil {
		return err
	}
	e, err := newServer(users)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           e,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Printf("Open http://%s/ in a browser.\n", listener.Addr())
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	// What was accepted is answered, and the mails are sent.
	answering, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if server.Shutdown(answering) != nil {
		server.Close() // who is slower than that is cut off
	}
	mailing, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(users.Shutdown(mailing), pool.Close())
}

func newUsers(ctx context.Context, db *gorm.DB) (*authn.Users[*user], error) {
	store, err := userdb.New[user](db)
	if err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, err
	}
	secret := []byte(os.Getenv("COOKIE_SECRET"))
	if len(secret) == 0 {
		secret = []byte(rand.Text() + rand.Text())
		fmt.Println("COOKIE_SECRET is not set: a random one is used, and everybody is logged out with this process")
	}
	cookie, err := backends.CookieJWT(jwt.Secret(secret), backends.CookieJWTConfig{
		// For plain HTTP on this machine alone. Without it, call the cookie
		// __Host-session.
		Cookie: backends.CookieConfig{Name: "session", InsecureHTTP: true},
	})
	if err != nil {
		return nil, err
	}
	return authn.New(store, authn.Config{}, cookie)
}

// pages are the handlers.
type pages struct {
	users   *authn.Users[*user]
	factory *routes.Factory[*user]
}

func newServer(users *authn.Users[*user]) (*echo.Echo, error) {
	factory, err := routes.New(users, routes.Config[*user]{
		Limits: routes.Limits{Devices: routes.Devices{InsecureHTTP: true}}, // for plain HTTP, too
	})
	if err != nil {
		return nil, err
	}
	p := pages{users, factory}
	e := echo.New()
	e.HTTPErrorHandler = echo4.ErrorHandler // logs the causes of 5xx
	e.Use(secureHeaders, middleware.BodyLimit("64K"))

	anybody := users.CurrentUser(authn.Active, authn.Optional)
	members := users.CurrentUser(authn.Active, authn.RedirectTo("/login"))
	e.GET("/", echo4.Handle(anybody, p.home))
	e.GET("/members", echo4.Handle(members, p.members))
	e.POST("/password", echo4.Handle(members, p.changePassword))

	e.GET("/login", func(c echo.Context) error { return p.loginPage(c, http.StatusOK, "") })
	e.POST("/login", p.login)
	e.POST("/register", p.register)
	e.POST("/logout", p.logout)
	return e, nil
}

// secureHeaders keep what is personal out of caches and foreign code out of
// pages.
func secureHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		header := c.Response().Header()
		header.Set("Content-Security-Policy", "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		header.Set("Cache-Control", "no-store")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("X-Content-Type-Options", "nosniff")
		return next(c)
	}
}

func show(c echo.Context, status int, page string, data any) error {
	c.Response().Header().Set("Content-Type", "text/html; charset=utf-8")
	c.Response().WriteHeader(status)
	return templates.ExecuteTemplate(c.Response(), page, data)
}

func (p pages) home(c echo.Context, u *user) error {
	return show(c, http.StatusOK, "home.html", u)
}

// member is what the members' page shows.
type member struct {
	Email, Message string
}

func (p pages) members(c echo.Context, u *user) error {
	return show(c, http.StatusOK, "members.html", member{Email: u.Email})
}

// loginForm is what the log-in page shows.
type loginForm struct {
	Next, Message string
}

func (p pages) loginPage(c echo.Context, status int, message string) error {
	next := authn.ReturnPath(c.QueryParam("next"))
	return show(c, status, "login.html", loginForm{Next: next, Message: message})
}

// login does what POST /auth/cookie/login does, and answers with a redirect.
func (p pages) login(c echo.Context) error {
	res, err := p.factory.PasswordLogin(c.Request(), "cookie")
	if err != nil {
		return p.refuse(c, err)
	}
	res.Status = http.StatusSeeOther
	res.Header.Set("Location", authn.ReturnPath(c.QueryParam("next")))
	return res.Write(c.Response())
}

// refuse shows the log-in page with the answer that an error deserves: its
// status, and headers such as Retry-After. The causes of 5xx are logged: no
// error of the library's holds a password or a token.
func (p pages) refuse(c echo.Context, err error) error {
	answer := authn.AsHTTPError(err)
	maps.Copy(c.Response().Header(), answer.Header)
	if answer.Status >= http.StatusInternalServerError {
		c.Logger().Error(err)
	}
	message := "Something went wrong. Please try again later."
	switch answer.Status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		message = "This is not the right e-mail address and password."
	case http.StatusTooManyRequests:
		message = "Too many attempts. Please wait a moment."
	case http.StatusForbidden:
		message = "Please log in on this page."
	}
	return p.loginPage(c, answer.Status, message)
}

func (p pages) register(c echo.Context) error {
	r := c.Request()
	_, err := p.users.Register(r.Context(), r.PostFormValue("email"), r.PostFormValue("password"), nil)
	var weak *authn.PasswordError
	switch {
	case err == nil:
		return p.loginPage(c, http.StatusCreated, "Welcome! Please log in.")
	case errors.As(err, &weak):
		return p.loginPage(c, http.StatusBadRequest, weak.Reason)
	case errors.Is(err, authn.ErrPasswordTooLong):
		return p.loginPage(c, http.StatusBadRequest, "This password is too long.")
	case authn.AsHTTPError(err).Status >= http.StatusInternalServerError:
		return p.refuse(c, err)
	}
	return p.loginPage(c, http.StatusBadRequest, "This address can't be registered.")
}

func (p pages) changePassword(c echo.Context, u *user) error {
	password := c.Request().PostFormValue("password")
	_, err := p.users.Update(c.Request().Context(), u.AuthID(), authn.Update[*user]{By: u, Password: &password})
	var weak *authn.PasswordError
	switch {
	case errors.As(err, &weak):
		return show(c, http.StatusBadRequest, "members.html", member{u.Email, weak.Reason})
	case err != nil:
		return echo4.Error(c, err)
	}
	return p.loginPage(c, http.StatusOK, "The password was changed. Please log in with it.") // it voids the cookie
}

func (p pages) logout(c echo.Context) error {
	res, err := p.users.Logout(c.Request(), "cookie")
	if errors.Is(err, authn.ErrUnauthorized) {
		return c.Redirect(http.StatusSeeOther, "/") // logged out already
	}
	if err != nil {
		return echo4.Error(c, err)
	}
	res.Status = http.StatusSeeOther
	res.Header.Set("Location", "/")
	return res.Write(c.Response())
}
