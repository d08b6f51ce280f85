// Package fronts serves the same routes and guards over each web framework
// that there is an adapter for, so that one test holds all of them.
package fronts

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"

	echov4 "github.com/labstack/echo/v4"
	echov5 "github.com/labstack/echo/v5"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/adapters/echo5"
	"github.com/echo-users/echo-users/adapters/nethttp"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/routes"
)

// Front is a framework with its adapter. It logs nothing.
type Front interface {
	http.Handler
	// Mount adds routes.
	Mount(lists ...routes.List)
}

// Names are those of [New].
var Names = []string{"echo4", "echo5", "nethttp"}

// New returns a front without routes, whose errors have the contract's body.
func New(name string) (Front, error) {
	front, err := Bare(name)
	switch f := front.(type) {
	case v4:
		f.HTTPErrorHandler = echo4.ErrorHandler
	case v5:
		f.HTTPErrorHandler = echo5.ErrorHandler
	case std:
		return std{nethttp.Handler(f.mux), f.mux}, nil
	}
	return front, err
}

// Bare returns a front without routes that answers errors of others than ours
// as its framework does.
func Bare(name string) (Front, error) {
	switch name {
	case "echo4":
		e := echov4.New()
		e.Logger.SetOutput(io.Discard)
		return v4{e}, nil
	case "echo5":
		e := echov5.New()
		e.Logger = slog.New(slog.DiscardHandler)
		return v5{e}, nil
	case "nethttp":
		mux := http.NewServeMux()
		return std{mux, mux}, nil
	}
	return nil, fmt.Errorf("fronts: %q is none of %q", name, Names)
}

// HandlerFunc answers a guarded request, or returns the error to answer it with.
type HandlerFunc[U authn.User] func(w http.ResponseWriter, r *http.Request, u U) error

// Handle guards GET path, which gets the user as a parameter.
func Handle[U authn.User](f Front, path string, g *authn.Guard[U], h HandlerFunc[U]) {
	switch f := f.(type) {
	case v4:
		f.GET(path, echo4.Handle(g, func(c echov4.Context, u U) error { return h(c.Response(), c.Request(), u) }))
	case v5:
		f.GET(path, echo5.Handle(g, func(c *echov5.Context, u U) error { return h(c.Response(), c.Request(), u) }))
	case std:
		f.mux.Handle("GET "+path, nethttp.Handle(g, h))
	}
}

// Middleware guards GET path by a middleware, behind which the user is asked
// for.
func Middleware[U authn.User](f Front, path string, g *authn.Guard[U], h HandlerFunc[U]) {
	switch f := f.(type) {
	case v4:
		f.GET(path, func(c echov4.Context) error {
			u, _ := echo4.User(g, c)
			return h(c.Response(), c.Request(), u)
		}, echo4.Middleware(g))
	case v5:
		f.GET(path, func(c *echov5.Context) error {
			u, _ := echo5.User(g, c)
			return h(c.Response(), c.Request(), u)
		}, echo5.Middleware(g))
	case std:
		f.mux.Handle("GET "+path, nethttp.Middleware(g)(routes.Handler(func(w http.ResponseWriter, r *http.Request) error {
			u, _ := nethttp.User(g, r)
			return h(w, r, u)
		})))
	}
}

type v4 struct{ *echov4.Echo }

func (f v4) Mount(lists ...routes.List) { echo4.Mount(f.Echo, lists...) }

type v5 struct{ *echov5.Echo }

func (f v5) Mount(lists ...routes.List) { echo5.Mount(f.Echo, lists...) }

type std struct {
	http.Handler
	mux *http.ServeMux
}

func (f std) Mount(lists ...routes.List) { nethttp.Mount(f.mux, lists...) }
