// Package jwt is the strategy whose tokens are JSON Web Tokens (RFC 7519),
// made and read by golang-jwt under the rules of RFC 8725.
//
//	strategy, err := jwt.New(jwt.Secret(secret), jwt.Config{Lifetime: time.Hour})
//
// The algorithm and the key are the strategy's, never the token's: headers
// that name a key (jwk, jku, x5u, kid) are not obeyed, and critical
// extensions (crit, b64) are refused. By default the tokens are those of
// fastapi-users' JWTStrategy, in both directions.
package jwt
