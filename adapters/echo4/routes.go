package echo4

import (
	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/adapters/internal/echos"
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
			path, names := echos.Path(route.Path)
			r.Add(route.Method, path, echoHandler(route.Handler, names)).Name = route.Name
		}
	}
}

func echoHandler(h routes.Handler, names []string) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		for _, name := range names {
			r.SetPathValue(name, echos.Param(r.URL, c.Param(name)))
		}
		if err := h(c.Response(), r); err != nil {
			return Error(c, err)
		}
		return nil
	}
}
