package docs_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
)

func TestMyStore(t *testing.T) {
	authntest.TestStore(t, func(*testing.T) authn.Store[*authntest.User] {
		return new(authntest.Memory) // your store, empty each time
	})
}

func Example_asThisUser() {
	store := new(authntest.Memory)
	users, err := authn.New(store, authn.Config{}, authntest.Impersonator{})
	if err != nil {
		panic(err)
	}
	ann, err := store.Create(context.Background(), func(u *authntest.User) error {
		u.Email, u.IsActive = "ann@example.com", true
		return nil
	})
	if err != nil {
		panic(err)
	}
	e := echo.New()
	e.GET("/hello", users.CurrentUser(authn.Active).Handle(func(c echo.Context, u *authntest.User) error {
		return c.String(http.StatusOK, "Hello, "+u.Email)
	}))

	w := httptest.NewRecorder()
	e.ServeHTTP(w, authntest.As(httptest.NewRequest("GET", "/hello", nil), ann))
	fmt.Println(w.Code, w.Body)
	// Output: 200 Hello, ann@example.com
}
