package authn_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
)

// member is an application's own user.
type member struct {
	authntest.User
	role string
}

// members keeps two of them.
type members struct{ authn.Store[*member] }

func (members) ByID(_ context.Context, id string) (*member, error) {
	role, ok := map[string]string{"ann": "editor", "bob": "reader"}[id]
	if !ok {
		return nil, authn.ErrUserNotFound
	}
	return &member{authntest.User{ID: id, Account: authn.Account{IsActive: true}}, role}, nil
}

func newMembers() *authn.Users[*member] {
	users, err := authn.New(members{}, authn.Config{}, authntest.Impersonator{}) // in life: backends.JWT(…)
	if err != nil {
		panic(err)
	}
	return users
}

// visit shows how the routes answer the member with this id.
func visit(e *echo.Echo, path, id string) {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if u, err := newMembers().Get(r.Context(), id); err == nil {
		r = authntest.As(r, u)
	}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
}

func ExampleUsers_CurrentUser() {
	users := newMembers()
	active := users.CurrentUser(authn.Active) // make once, reuse
	perhaps := users.CurrentUser(authn.Active, authn.Optional)

	e := echo.New()
	e.HideBanner = true
	e.GET("/hello", echo4.Handle(active, func(c echo.Context, u *member) error {
		return c.String(http.StatusOK, "hello "+u.ID)
	}))
	e.GET("/news", echo4.Handle(perhaps, func(c echo.Context, u *member) error {
		if u == nil {
			return c.String(http.StatusOK, "news for everybody")
		}
		return c.String(http.StatusOK, "news for "+u.ID)
	}))
	visit(e, "/hello", "ann")
	visit(e, "/news", "ann")
	visit(e, "/news", "")
	// Output:
	// 200 hello ann
	// 200 news for ann
	// 200 news for everybody
}

// A rule of the application's own: a role.
func ExampleGuard_Require() {
	editor := newMembers().CurrentUser(authn.Active).Require(func(u *member) error {
		if u.role != "editor" {
			return errors.New("not an editor")
		}
		return nil
	})
	e := echo.New()
	e.GET("/drafts", func(c echo.Context) error {
		u, _ := echo4.User(editor, c)
		return c.String(http.StatusOK, "drafts of "+u.ID)
	}, echo4.Middleware(editor))
	visit(e, "/drafts", "ann")
	visit(e, "/drafts", "bob")
	// Output:
	// 200 drafts of ann
	// 403 {"detail":"Forbidden"}
}
