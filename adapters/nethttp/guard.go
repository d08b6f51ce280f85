// Package nethttp binds guards and routes to the standard library's
// [http.ServeMux].
//
//	active := users.CurrentUser(authn.Active)
//	mux.Handle("GET /hello", nethttp.Handle(active, func(w http.ResponseWriter, r *http.Request, u *AppUser) error { … }))
//	mux.Handle("/admin/", nethttp.Middleware(admins)(admin))
//	nethttp.Mount(mux, routes.All(users))
//	http.ListenAndServe(":8080", nethttp.Handler(mux))
//
// Routers with the standard library's handlers and middleware take the same
// [Middleware] and [Handle].
package nethttp

import (
	"net/http"

	"github.com/echo-users/echo-users/authn"
)

// Middleware guards the handlers behind it; they find the user with [User] or
// [authn.UserFrom].
func Middleware[U authn.User](g *authn.Guard[U]) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, checked, err := g.Check(r)
			if err != nil {
				Error(w, r, err)
				return
			}
			next.ServeHTTP(w, checked)
		})
	}
}

// Handle guards a handler that gets the user as a parameter: nil where the
// guard is optional and there is none. An error that the handler returns,
// before it has written anything, is answered with [Error].
func Handle[U authn.User](g *authn.Guard[U], h func(w http.ResponseWriter, r *http.Request, u U) error) http.Handler {
	return handler(func(w http.ResponseWriter, r *http.Request) error {
		u, r, err := g.Check(r)
		if err != nil {
			return err
		}
		return h(w, r, u)
	})
}

// User returns the user that a guard of these users found for the request,
// and whether there is one.
func User[U authn.User](_ *authn.Guard[U], r *http.Request) (U, bool) {
	return authn.UserFrom[U](r.Context())
}
