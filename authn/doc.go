// Package authn holds the words and the rules of echo-users: who a user is,
// what a credential says, and which requests a guard lets through.
//
// Start with two functions. [New] makes a [Users] manager from a store and one
// or more named backends; [Users.CurrentUser] makes a guard for routes.
//
//	users, err := authn.New(store, authn.Config{}, jwtBackend, partnerBackend)
//	active := users.CurrentUser(authn.Active)
//	e.GET("/hello", echo4.Handle(active, func(c echo.Context, u *AppUser) error { … }))
//
// A [Backend] is a [Transport] (how a token travels) bound to a [Strategy]
// (what a token is) under a unique name; package backends makes them. A
// [Store] keeps the users; package userdb implements it over GORM. The HTTP
// routes are in package routes.
//
// Everything speaks net/http, so that the rules hold under any router. Packages
// in adapters bind guards to Echo v4, Echo v5 and [net/http.ServeMux].
package authn
