// Package routes is the router factory: it makes the HTTP routes of a
// manager and of each of its backends, as fastapi-users has them.
//
//	echo4.Mount(e, routes.All(users)) // /auth/<name>/login for each backend, /auth/register, /users/me, …
//
// With own fields, prefixes or single routers, make the factory yourself:
//
//	factory, err := routes.New(users, routes.Config[*AppUser]{Read: …, Register: …})
//	echo4.Mount(e, factory.All())
//	echo4.Mount(e.Group("/partners/session"), factory.Auth("partner"))
//
// The handlers speak net/http, and packages in adapters mount them. They decode,
// call a method of the manager, and translate its errors; every rule is in
// package authn.
package routes
