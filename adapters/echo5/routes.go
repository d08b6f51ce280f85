package echo5

import (
	"github.com/labstack/echo/v5"

	"github.com/echo-users/echo-users/adapters/internal/echos"
	"github.com/echo-users/echo-users/routes"
)

// Router is where routes are mounted: an [*echo.Echo] or an [*echo.Group].
type Router interface {
	AddRoute(route echo.Route) (echo.RouteInfo, error)
}

// Mount adds routes to an Echo router or group. It panics where Echo refuses
// one, as Echo's own methods do.
func Mount(r Router, lists ...routes.List) {
	for _, list := range lists {
		for _, route := range list {
			path, names := echos.Path(route.Path)
			_, err := r.AddRoute(echo.Route{
				Method: route.Method, Path: path, Name: route.Name, Handler: echoHandler(route.Handler, names),
			})
			if err != nil {
				panic(err)
			}
		}
	}
}

func echoHandler(h routes.Handler, names []string) echo.HandlerFunc {
	return func(c *echo.Context) error {
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
