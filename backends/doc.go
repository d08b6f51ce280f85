// Package backends makes the named ways to log in: it binds a transport to a
// strategy, and has the presets that most applications need.
//
//	web, err := backends.JWT(jwt.Secret(secret), backends.JWTConfig{Name: "web"})
//	own := backends.New("own", backends.Bearer{}, myStrategy)
package backends
