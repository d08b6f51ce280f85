// Package jwks publishes the public keys of JWT backends as a JSON Web Key Set
// (RFC 7517), and takes another service's: tokens are then verified by who
// never had the key that signs.
//
//	e.GET("/.well-known/jwks.json", echo.WrapHandler(handler))     // where they are issued
//	keys, err := jwt.NewKeySet(ctx, jwks.Source(url, jwks.Config{}), jwt.KeySetConfig{}) // and elsewhere
package jwks
