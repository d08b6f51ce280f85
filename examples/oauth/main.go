// Command oauth has a page with "Sign in with …" and no password anywhere. Out of
// the box it signs in at a provider on this machine, which runs beside it:
//
//	(cd examples/oauth-provider && go run .) &
//	go run ./examples/oauth
//
// Then open http://127.0.0.1:8000. With GOOGLE_CLIENT_ID and
// GOOGLE_CLIENT_SECRET set it also signs in at Google; with GITHUB_CLIENT_ID and
// GITHUB_CLIENT_SECRET, at GitHub.
package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"flag"
	"fmt"
	"html/template"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/glebarez/sqlite"
	"github.com/labstack/echo/v4"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/linked"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/oauth"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

// AppUser is the application's user.
type AppUser struct {
	userdb.User
}

//go:embed home.html
var homeHTML string

var home = template.Must(template.New("home").Parse(homeHTML))

func main() {
	addr := flag.String("addr", "127.0.0.1:8000", "listen on this `address`")
	issuer := flag.String("issuer", "http://127.0.0.1:9998", "the `URL` of the provider on this machine")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *issuer); err != nil {
		log.Fatal(err)
	}
}

// providers returns where people sign in.
func providers(issuer string) []oauth.Provider {
	all := []oauth.Provider{oauth.OpenID("loopback", issuer, oauth.Client{ID: "web", Secret: "secret"})}
	if id := os.Getenv("GOOGLE_CLIENT_ID"); id != "" {
		all = append(all, oauth.Google(oauth.Client{ID: id, Secret: os.Getenv("GOOGLE_CLIENT_SECRET")}))
	}
	if id := os.Getenv("GITHUB_CLIENT_ID"); id != "" {
		all = append(all, oauth.GitHub(oauth.Client{ID: id, Secret: os.Getenv("GITHUB_CLIENT_SECRET")}))
	}
	for i := range all {
		// Whose address the provider has verified needn't verify it here; and who
		// has an account of that address already signs in to it.
		all[i].IsVerifiedByDefault, all[i].AssociateByEmail = true, true
	}
	return all
}

func run(ctx context.Context, addr, issuer string) error {
	db, err := gorm.Open(sqlite.Open("file::memory:?_pragma=foreign_keys(1)"), &gorm.Config{})
	if err != nil {
		return err
	}
	if pool, err := db.DB(); err == nil {
		pool.SetMaxOpenConns(1) // each connection would have a memory of its own
	}
	e, users, err := newServer(ctx, db, "http://"+addr, providers(issuer))
	if err != nil {
		return err
	}
	e.Server.ReadHeaderTimeout, e.Server.MaxHeaderBytes = 5*time.Second, 32<<10
	e.Server.ReadTimeout, e.Server.WriteTimeout, e.Server.IdleTimeout = 30*time.Second, 30*time.Second, 2*time.Minute
	served := make(chan error, 1)
	go func() { served <- e.Start(addr) }()
	fmt.Printf("Open http://%s.\n", addr)
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
	mailing, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return users.Shutdown(mailing)
}

// newServer returns the application over a database, as browsers find it.
func newServer(ctx context.Context, db *gorm.DB, publicURL string, providers []oauth.Provider) (*echo.Echo, *authn.Users[*AppUser], error) {
	store, err := userdb.New[AppUser](db)
	if err != nil {
		return nil, nil, err
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, nil, err
	}
	// Your own keys are secrets of your environment, and stay the same:
	//	linked.ParseKeys(os.Getenv("ACCOUNT_KEYS"))
	random := make([]byte, linked.KeySize)
	rand.Read(random)
	keys, err := linked.NewKeys(random)
	if err != nil {
		return nil, nil, err
	}
	accounts, err := userdb.NewLinkedAccounts(store, userdb.LinkedAccountsConfig{Keys: keys})
	if err != nil {
		return nil, nil, err
	}
	if err := accounts.Migrate(ctx); err != nil {
		return nil, nil, err
	}

	secret := make([]byte, 32)
	rand.Read(secret)
	web, err := backends.CookieJWT(jwt.Secret(secret), backends.CookieJWTConfig{
		Name:   "web",
		Cookie: backends.CookieConfig{InsecureHTTP: true}, // this example has no TLS
	})
	if err != nil {
		return nil, nil, err
	}
	users, err := authn.New(store, authn.Config{}, web)
	if err != nil {
		return nil, nil, err
	}
	factory, err := routes.New(users, routes.Config[*AppUser]{})
	if err != nil {
		return nil, nil, err
	}
	signIn, err := oauth.New(factory, accounts, oauth.Config{
		PublicURL:    publicURL,
		Keys:         keys,
		RedirectTo:   []string{"/"},
		InsecureHTTP: true, // nor here
	}, providers...)
	if err != nil {
		return nil, nil, err
	}

	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = echo4.ErrorHandler
	echo4.Mount(e.Group("/auth/web"), factory.Auth("web")) // to log out
	echo4.Mount(e.Group("/users"), factory.Users())
	echo4.Mount(e, signIn.Routes())

	anybody := users.CurrentUser(authn.Active, authn.Optional)
	e.GET("/", echo4.Handle(anybody, func(c echo.Context, u *AppUser) error {
		page := struct {
			User      *AppUser
			Accounts  []linked.Account
			Providers []oauth.Provider
			Problem   string
		}{User: u, Providers: providers, Problem: c.QueryParam("error")}
		if u != nil {
			accounts, err := signIn.Accounts().Of(c.Request().Context(), u.AuthID())
			if err != nil {
				return err
			}
			page.Accounts = accounts
		}
		c.Response().Header().Set("Content-Type", "text/html; charset=utf-8")
		c.Response().Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'")
		return home.Execute(c.Response(), page)
	}))
	e.GET("/home.js", func(c echo.Context) error {
		return c.Blob(http.StatusOK, "text/javascript", []byte(homeJS))
	})
	return e, users, nil
}

//go:embed home.js
var homeJS string
