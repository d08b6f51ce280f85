package routes

import (
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/authn"
)

// Router is where routes are mounted: an [*echo.Echo] or an [*echo.Group].
type Router interface {
	Add(method, path string, handler echo.HandlerFunc, middleware ...echo.MiddlewareFunc) *echo.Route
}

// Mount mounts every route of the users with the contract's defaults. For
// anything else make a factory with [New].
func Mount[U authn.User](r Router, users *authn.Users[U]) {
	factory, err := New(users, Config[U]{})
	if err != nil {
		panic(err) // no users
	}
	factory.All().Mount(r)
}

// Mount adds the routes to an Echo router or group.
func (l List) Mount(r Router) {
	for _, route := range l {
		path, names := echoPath(route.Path)
		r.Add(route.Method, path, echoHandler(route.Handler, names)).Name = route.Name
	}
}

// echoPath turns /users/{id} into /users/:id, and names the parameters.
func echoPath(pattern string) (path string, names []string) {
	segments := strings.Split(pattern, "/")
	for i, segment := range segments {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			name = strings.TrimSuffix(name, "}")
			segments[i] = ":" + name
			names = append(names, name)
		}
	}
	return strings.Join(segments, "/"), names
}

func echoHandler(h Handler, names []string) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		for _, name := range names {
			r.SetPathValue(name, c.Param(name))
		}
		if err := h(c.Response(), r); err != nil {
			return authn.EchoError(c, err)
		}
		return nil
	}
}

// ErrorHandler is an Echo error handler whose answers have the contract's
// body, {"detail": …}: for routes that don't exist, for errors of package
// authn that a handler of the application returns, and for all others.
//
//	e.HTTPErrorHandler = routes.ErrorHandler
func ErrorHandler(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	answer := AsHTTPError(err)
	if answer.Status >= http.StatusInternalServerError {
		c.Logger().Error(err)
	}
	authn.WriteError(c.Response(), answer)
}

// AsHTTPError returns the answer that an error deserves which reaches an Echo
// error handler, for one that writes it in a form of its own: Echo's errors
// have their code and message, and all others what [authn.AsHTTPError] says.
func AsHTTPError(err error) *authn.HTTPError {
	var known *echo.HTTPError
	if !errors.As(err, &known) {
		return authn.AsHTTPError(err)
	}
	answer := &authn.HTTPError{Status: known.Code, Detail: known.Message, Err: err}
	switch message := known.Message.(type) {
	case authn.ErrorBody:
		answer.Detail = message.Detail
	case error:
		answer.Detail = message.Error()
	}
	return answer
}
