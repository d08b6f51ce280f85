package backends

import (
	"fmt"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/strategies/jwt"
)

// JWTConfig has the options of [JWT]: those of the strategy, and a name.
type JWTConfig struct {
	// Name defaults to "jwt".
	Name string
	// TokenURL is where documentation pages log in, relative to the API's
	// root. Defaults to "auth/<name>/login".
	TokenURL string
	// Denylist remembers tokens that were logged out, and gives the backend a
	// log-out. Defaults to none: tokens are valid until they expire.
	Denylist authn.Denylist
	// Config has the token's options: lifetime (one hour by default),
	// audience, algorithm and so on.
	jwt.Config
}

// JWT returns a backend of bearer tokens that are JSON Web Tokens, or an
// error that names it and says what is wrong. Any number of them can stand
// side by side, each with a name and a key of its own.
func JWT(keys jwt.Keys, cfg JWTConfig) (*Backend, error) {
	if cfg.Name == "" {
		cfg.Name = "jwt"
	}
	if cfg.TokenURL == "" {
		cfg.TokenURL = "auth/" + cfg.Name + "/login"
	}
	strategy, err := newJWT(keys, cfg.Config, cfg.Denylist)
	if err != nil {
		return nil, fmt.Errorf("backends: backend %q: %w", cfg.Name, err)
	}
	return New(cfg.Name, Bearer{TokenURL: cfg.TokenURL}, strategy), nil
}

// CookieJWTConfig has the options of [CookieJWT]: those of the cookie and of
// the token, and a name.
type CookieJWTConfig struct {
	// Name defaults to "cookie".
	Name string
	// Cookie has the cookie's options.
	Cookie CookieConfig
	// Denylist remembers tokens that were logged out. Defaults to none.
	Denylist authn.Denylist
	// Config has the token's.
	jwt.Config
}

// CookieJWT returns a backend of cookies that hold JSON Web Tokens, or an error
// that names it and says what is wrong. A log-out takes the cookie from the
// browser; without a Denylist the token itself is valid until it expires, so
// that a copy of it still is a credential.
func CookieJWT(keys jwt.Keys, cfg CookieJWTConfig) (*Backend, error) {
	if cfg.Name == "" {
		cfg.Name = "cookie"
	}
	if cfg.Cookie.Now == nil {
		cfg.Cookie.Now = cfg.Now
	}
	strategy, err := newJWT(keys, cfg.Config, cfg.Denylist)
	if err != nil {
		return nil, fmt.Errorf("backends: backend %q: %w", cfg.Name, err)
	}
	cookie, err := NewCookie(cfg.Cookie)
	if err != nil {
		return nil, fmt.Errorf("backends: backend %q: %w", cfg.Name, err)
	}
	return New(cfg.Name, cookie, strategy), nil
}

func newJWT(keys jwt.Keys, cfg jwt.Config, denylist authn.Denylist) (authn.Strategy, error) {
	if denylist == nil {
		return jwt.New(keys, cfg)
	}
	return jwt.NewRevocable(keys, cfg, denylist)
}
