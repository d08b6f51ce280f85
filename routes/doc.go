// Package routes is the router factory: it makes the HTTP routes of a
// manager and of each of its backends, as fastapi-users has them.
//
//	routes.Mount(e, users) // /auth/<name>/login for each backend, /auth/register, /users/me, …
//
// With own fields, prefixes or single routers, make the factory yourself:
//
//	factory, err := routes.New(users, routes.Config[*AppUser]{Read: …, Register: …})
//	factory.All().Mount(e)
//	factory.Auth("partner").Mount(e.Group("/partners/session"))
//
// Everything but echo.go speaks net/http. The handlers decode, call a method
// of the manager, and translate its errors; every rule is in package authn.
package routes
