package authn

import (
	"errors"

	"github.com/labstack/echo/v4"
)

// Middleware guards the routes behind it; they find the user with
// [Guard.User] or [UserFrom].
//
//	e.Group("/admin", users.CurrentUser(authn.Active, authn.Superuser).Middleware)
func (g *Guard[U]) Middleware(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		_, r, err := g.Check(c.Request())
		if err != nil {
			return EchoError(c, err)
		}
		c.SetRequest(r)
		return next(c)
	}
}

// Handle guards a handler that gets the user as a parameter: nil where the
// guard is optional and there is none.
func (g *Guard[U]) Handle(h func(c echo.Context, u U) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		u, r, err := g.Check(c.Request())
		if err != nil {
			return EchoError(c, err)
		}
		c.SetRequest(r)
		return h(c, u)
	}
}

// User returns the user that a guard of these users found for the request,
// and whether there is one.
func (g *Guard[U]) User(c echo.Context) (U, bool) {
	return UserFrom[U](c.Request().Context())
}

// EchoError turns an error into one that Echo answers as [WriteError] would,
// whichever error handler is set: its message is the body, its headers are on
// the response already, and its cause is within for logs and error handlers
// of the application's own.
//
// An [*echo.HTTPError] that a rule or a hook of the application's returned
// keeps its code and message.
func EchoError(c echo.Context, err error) error {
	answer := AsHTTPError(err)
	var own *echo.HTTPError
	if errors.As(err, &own) {
		answer = &HTTPError{Status: own.Code, Detail: own.Message, Err: err}
	}
	answer.setHeader(c.Response().Header())
	return &echo.HTTPError{Code: answer.Status, Message: ErrorBody{answer.Detail}, Internal: err}
}
