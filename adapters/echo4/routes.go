package echo4

import (
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/routes"
)

// Router is where routes are mounted: an [*echo.Echo] or an [*echo.Group].
type Router interface {
	Add(method, path string, handler echo.HandlerFunc, middleware ...echo.MiddlewareFunc) *echo.Route
}

// Mount adds routes to an Echo router or group.
func Mount(r Router, lists ...routes.List) {
	for _, list := range lists {
		for _, route := range list {
			path, names := echoPath(route.Path)
			r.Add(route.Method, path, echoHandler(route.Handler, names)).Name = route.Name
		}
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

func echoHandler(h routes.Handler, names []string) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		for _, name := range names {
			r.SetPathValue(name, c.Param(name))
		}
		if err := h(c.Response(), r); err != nil {
			return Error(c, err)
		}
		return nil
	}
}
