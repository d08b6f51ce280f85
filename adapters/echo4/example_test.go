package echo4_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/routes"
)

// newUsers has one user, Ann, and who she is.
func newUsers() (*authn.Users[*authntest.User], *authntest.User) {
	users, err := authn.New(&authntest.Memory{}, authn.Config{}, authntest.Impersonator{}) // in life: userdb.New, backends.JWT
	if err != nil {
		panic(err)
	}
	ann, err := users.Register(context.Background(), "ann@example.com", "correct horse", nil)
	if err != nil {
		panic(err)
	}
	return users, ann
}

// visit shows how a path answers a user, or nobody.
func visit(h http.Handler, path string, u *authntest.User) {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if u != nil {
		r = authntest.As(r, u)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
}

func ExampleHandle() {
	users, ann := newUsers()
	active := users.CurrentUser(authn.Active)

	e := echo.New()
	e.GET("/hello", echo4.Handle(active, func(c echo.Context, u *authntest.User) error {
		return c.String(http.StatusOK, "Hello, "+u.Email)
	}))

	visit(e, "/hello", ann)
	// Output:
	// 200 Hello, ann@example.com
}

func ExampleMiddleware() {
	users, ann := newUsers()
	active := users.CurrentUser(authn.Active)

	e := echo.New()
	orders := e.Group("/orders", echo4.Middleware(active))
	orders.GET("/last", func(c echo.Context) error {
		u, _ := echo4.User(active, c) // never nil here
		return c.String(http.StatusOK, "The last order of "+u.Email)
	})

	visit(e, "/orders/last", ann)
	// Output:
	// 200 The last order of ann@example.com
}

func ExampleMount() {
	users, _ := newUsers()

	e := echo.New()
	e.HTTPErrorHandler = echo4.ErrorHandler
	echo4.Mount(e, routes.All(users))

	visit(e, "/users/me", nil)
	visit(e, "/nowhere", nil)
	// Output:
	// 401 {"detail":"Unauthorized"}
	// 404 {"detail":"Not Found"}
}
