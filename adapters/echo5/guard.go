// Package echo5 binds guards and routes to Echo v5.
//
//	active := users.CurrentUser(authn.Active)
//	e.GET("/hello", echo5.Handle(active, func(c *echo.Context, u *AppUser) error { … }))
//	e.Group("/admin", echo5.Middleware(admins))
//	echo5.Mount(e, routes.All(users))
//
// Package echo4 has the same functions for Echo v4.
package echo5

import (
	"github.com/labstack/echo/v5"

	"github.com/echo-users/echo-users/authn"
)

// Middleware guards the routes behind it; they find the user with [User] or
// [authn.UserFrom].
func Middleware[U authn.User](g *authn.Guard[U]) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			_, r, err := g.Check(c.Request())
			if err != nil {
				return Error(c, err)
			}
			c.SetRequest(r)
			return next(c)
		}
	}
}

// Handle guards a handler that gets the user as a parameter: nil where the
// guard is optional and there is none.
func Handle[U authn.User](g *authn.Guard[U], h func(c *echo.Context, u U) error) echo.HandlerFunc {
	return func(c *echo.Context) error {
		u, r, err := g.Check(c.Request())
		if err != nil {
			return Error(c, err)
		}
		c.SetRequest(r)
		return h(c, u)
	}
}

// User returns the user that a guard of these users found for the request,
// and whether there is one.
func User[U authn.User](_ *authn.Guard[U], c *echo.Context) (U, bool) {
	return authn.UserFrom[U](c.Request().Context())
}
