package docs_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
)

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
