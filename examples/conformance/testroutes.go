package main

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/authn"
)

// mountTestRoutes adds what suites need to look behind the server. Nothing
// like it belongs into an application.
func mountTestRoutes[U authn.User](e *echo.Echo, users *authn.Users[U], store authn.Store[U]) {
	e.GET("/_test/outbox", func(c echo.Context) error {
		return c.JSON(http.StatusOK, map[string][]string{"verify": {}, "reset": {}})
	})
	e.POST("/_test/user-flags", func(c echo.Context) error {
		var in struct {
			Email          string  `json:"email"`
			IsActive       *bool   `json:"is_active"`
			IsVerified     *bool   `json:"is_verified"`
			IsSuperuser    *bool   `json:"is_superuser"`
			HashedPassword *string `json:"hashed_password"`
		}
		if err := c.Bind(&in); err != nil {
			return err
		}
		ctx := c.Request().Context()
		u, err := users.GetByEmail(ctx, in.Email)
		if err != nil {
			return authn.EchoError(c, err)
		}
		u, err = users.Update(ctx, u.AuthID(), authn.Update[U]{
			IsActive: in.IsActive, IsVerified: in.IsVerified, IsSuperuser: in.IsSuperuser,
		})
		if err == nil && in.HashedPassword != nil {
			// As given: a hash that no hasher would make.
			_, err = store.Update(ctx, u.AuthID(), func(u U) error {
				u.AuthAccount().HashedPassword = *in.HashedPassword
				return nil
			})
		}
		if err != nil {
			return authn.EchoError(c, err)
		}
		return c.NoContent(http.StatusNoContent)
	})
}
