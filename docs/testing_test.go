package docs_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/authn/password"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/userdb"
)

// newShop is the application under test. Its main function gives it real
// backends, a test also its own.
func newShop(db *gorm.DB, cfg authn.Config, list ...authn.Backend) (*echo.Echo, *authn.Users[*AppUser], error) {
	store, err := userdb.New[AppUser](db)
	if err != nil {
		return nil, nil, err
	}
	users, err := authn.New(store, cfg, list...)
	if err != nil {
		return nil, nil, err
	}
	e := echo.New()
	e.HTTPErrorHandler = echo4.ErrorHandler
	echo4.Mount(e, routes.All(users))
	e.GET("/orders", echo4.Handle(users.CurrentUser(authn.Active, authn.Verified), func(c echo.Context, u *AppUser) error {
		return c.String(http.StatusOK, "Orders of "+u.Email)
	}))
	return e, users, store.Migrate(db.Statement.Context)
}

// quick is for tests alone: a hash that costs nothing.
var quick = &password.Hasher{Params: password.Params{Memory: 64, Time: 1, Threads: 1}}

func TestOrders(t *testing.T) {
	e, users, err := newShop(testdb.SQLite(t), authn.Config{Passwords: quick}, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	ann, err := users.Register(t.Context(), "ann@example.com", "correct horse", func(u *AppUser) error {
		u.IsVerified = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	w := httptest.NewRecorder()
	e.ServeHTTP(w, authntest.As(httptest.NewRequest("GET", "/orders", nil), ann))
	if w.Code != http.StatusOK || w.Body.String() != "Orders of ann@example.com" {
		t.Errorf("%d %s", w.Code, w.Body)
	}

	w = httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest("GET", "/orders", nil))
	if w.Code != http.StatusUnauthorized {
		t.Errorf("without a user: %d", w.Code)
	}
}

func TestRegistrationIsHeardOf(t *testing.T) {
	_, users, err := newShop(testdb.SQLite(t), authn.Config{Passwords: quick}, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	var outbox authntest.Outbox[*AppUser]
	users.Use(outbox.Hooks())
	if _, err := users.Register(t.Context(), "ann@example.com", "correct horse", nil); err != nil {
		t.Fatal(err)
	}
	if err := users.Flush(t.Context()); err != nil { // what is mailed, is mailed in the background
		t.Fatal(err)
	}
	if events := outbox.Events(); len(events) != 2 || events[0].Kind != "welcome" && events[1].Kind != "welcome" {
		t.Errorf("%v", events)
	}
}
