// Package adapters has no code: the packages in it bind guards and routes to a
// web framework. Take the one of yours.
//
//   - echo4, for Echo v4
//   - echo5, for Echo v5
//   - nethttp, for the standard library's ServeMux
//
// Each has the same functions: Mount adds routes, Middleware and Handle guard
// routes of the application's own, and User is who was let in. They are a thin
// layer over [authn.Guard.Check] and [routes.Handler], which know net/http
// alone; an adapter for another framework needs nothing else.
//
// [authn.Guard.Check]: https://pkg.go.dev/github.com/echo-users/echo-users/authn#Guard.Check
// [routes.Handler]: https://pkg.go.dev/github.com/echo-users/echo-users/routes#Handler
package adapters
