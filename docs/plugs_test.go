package docs_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/glebarez/sqlite"
	"github.com/labstack/echo/v4"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/userdb"
)

func TestMyStore(t *testing.T) {
	authntest.TestStore(t, func(*testing.T) authn.Store[*authntest.User] {
		return new(authntest.Memory) // your store, empty each time
	})
}

func TestHello(t *testing.T) {
	db, err := gorm.Open(sqlite.Open(filepath.Join(t.TempDir(), "test.db")), &gorm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := userdb.New[AppUser](db)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	users, err := authn.New(store, authn.Config{}, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	ann, err := store.Create(t.Context(), func(u *AppUser) error {
		u.Email, u.IsActive, u.FirstName = "ann@example.com", true, "Ann"
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	e := echo.New() // or your own function that makes the server of users
	e.GET("/hello", echo4.Handle(users.CurrentUser(authn.Active), func(c echo.Context, u *AppUser) error {
		return c.String(http.StatusOK, "Hello, "+u.FirstName)
	}))
	w := httptest.NewRecorder()
	e.ServeHTTP(w, authntest.As(httptest.NewRequest(http.MethodGet, "/hello", nil), ann))
	if w.Code != http.StatusOK || w.Body.String() != "Hello, Ann" {
		t.Error(w.Code, w.Body)
	}
}
