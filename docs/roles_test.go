package docs_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/strategies/jwt"
)

// mayEdit is a rule for guards.
func mayEdit(u *AppUser) error {
	if u.Role != "editor" && !u.IsSuperuser {
		return authn.ErrForbidden
	}
	return nil
}

func mountArticles(e *echo.Echo, users *authn.Users[*AppUser]) {
	editor := users.CurrentUser(authn.Active, authn.Verified).Require(mayEdit)
	e.PUT("/articles/:id", echo4.Handle(editor, saveArticle))
}

// RoleClaims is what a token says beside whose it is.
type RoleClaims struct {
	Role Role `json:"role"`
}

func newBackendWithClaims(secret []byte) (*backends.Backend, error) {
	return backends.JWT(jwt.Secret(secret), backends.JWTConfig{
		Config: jwt.Config{
			Claims: jwt.ClaimsOf(func(_ context.Context, u *AppUser) (RoleClaims, error) {
				return RoleClaims{Role: u.Role}, nil
			}),
		},
	})
}

func showClaims(c echo.Context, _ *AppUser) error {
	id, _ := authn.IdentityFrom(c.Request().Context())
	claims, err := jwt.ReadClaims[RoleClaims](id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, claims)
}

func TestRolesAndClaims(t *testing.T) {
	web, err := newBackendWithClaims(secret())
	if err != nil {
		t.Fatal(err)
	}
	users, err := authn.New[*AppUser](newAppStore(t), authn.Config{}, web, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	mountArticles(e, users)
	e.GET("/claims", echo4.Handle(users.CurrentUser(authn.Active), showClaims))
	for role, want := range map[Role]int{"editor": http.StatusNoContent, "reader": http.StatusForbidden} {
		u, err := users.Register(t.Context(), string(role)+"@example.com", "correct horse", func(u *AppUser) error {
			u.Role, u.IsVerified = role, true
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := serve(e, authntest.As(request(http.MethodPut, "/articles/1", ""), u)).Code; got != want {
			t.Errorf("%s: %d", role, got)
		}
		res, err := users.Login(t.Context(), "jwt", u, authn.MethodPassword)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := get(e, "/claims", tokenOf(t, res)), `200 {"role":"`+string(role)+`"}`; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
