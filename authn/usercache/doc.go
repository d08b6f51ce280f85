// Package usercache keeps users in memory for a few seconds, so that guards
// needn't load them on each request.
//
//	cached, err := usercache.New(store, usercache.Config{})
//	users, err := authn.New(cached, authn.Config{}, backend)
//
// It is around a store, any store, and answers guards alone ([authn.Recaller]):
// log-ins, changes and look-ups go to the store. A guard lets nobody in by what
// was read from the store longer than [Config.MaxAge] ago: that is how long a
// user who was deactivated, deleted or signed out everywhere may still pass,
// whatever fails. On the node that made the change it is no time at all, and
// with a [Channel] it is on others about as long as a message takes.
//
// Nobody is refused by a user who was kept for longer than a second: before
// that, the guard asks the store.
package usercache
