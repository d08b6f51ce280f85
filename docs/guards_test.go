package docs_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
)

func Example_guards() {
	users, e := newApp()

	active := users.CurrentUser(authn.Active)
	admin := users.CurrentUser(authn.Active, authn.Superuser, authn.Only("jwt"))
	perhaps := users.CurrentUser(authn.Active, authn.Optional)

	// The handler gets the user as a parameter.
	e.GET("/hello", echo4.Handle(active, func(c echo.Context, u *AppUser) error {
		return c.String(http.StatusOK, "Hello, "+u.Email)
	}))

	// Or a whole group is guarded, and a handler asks for the user.
	group := e.Group("/admin", echo4.Middleware(admin))
	group.GET("/report", func(c echo.Context) error {
		u, _ := echo4.User(admin, c) // never nil behind echo4.Middleware(admin)
		return c.String(http.StatusOK, "Report for "+u.Email)
	})

	// Behind an optional guard the user may be nil.
	e.GET("/", echo4.Handle(perhaps, func(c echo.Context, u *AppUser) error {
		if u == nil {
			return c.String(http.StatusOK, "Hello, stranger")
		}
		return c.String(http.StatusOK, "Hello, "+u.Email)
	}))

	fmt.Println(get(e, "/hello", ""))
	fmt.Println(get(e, "/", ""))
	// Output:
	// 401 {"detail":"Unauthorized"}
	// 200 Hello, stranger
}

func Example_ownRule() {
	users, e := newApp()

	editor := users.CurrentUser(authn.Active).Require(func(u *AppUser) error {
		if u.Role != "editor" {
			return errors.New("not an editor")
		}
		return nil
	})
	e.PUT("/articles/:id", echo4.Handle(editor, saveArticle))

	reachable := users.CurrentUser(authn.Active).Require(func(u *AppUser) error {
		if u.Phone == nil {
			return &authn.HTTPError{Status: http.StatusConflict, Detail: "PHONE_MISSING"}
		}
		return nil
	})
	e.PUT("/orders/:id", echo4.Handle(reachable, saveArticle))

	fmt.Println(len(e.Routes()) > 0)
	// Output: true
}

func saveArticle(c echo.Context, u *AppUser) error {
	return c.NoContent(http.StatusNoContent)
}

func Example_guardWithoutEcho() {
	users, _ := newApp()

	active := users.CurrentUser(authn.Active)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, r, err := active.Check(r)
		if err != nil {
			authn.WriteError(w, err)
			return
		}
		fmt.Fprintf(w, "Hello, %s", u.Email)
	})

	fmt.Println(get(handler, "/", ""))
	// Output: 401 {"detail":"Unauthorized"}
}

// get returns the status and the body of a GET with that bearer token.
func get(h http.Handler, path, token string) string {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	body := w.Body.String()
	for len(body) > 0 && body[len(body)-1] == '\n' {
		body = body[:len(body)-1]
	}
	return fmt.Sprint(w.Code, " ", body)
}
