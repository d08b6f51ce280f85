package backends

import (
	"fmt"

	"github.com/echo-users/echo-users/strategies/jwt"
)

// JWTConfig has the options of [JWT]: those of the strategy, and a name.
type JWTConfig struct {
	// Name defaults to "jwt".
	Name string
	// TokenURL is where documentation pages log in, relative to the API's
	// root. Defaults to "auth/<name>/login".
	TokenURL string
	// Config has the token's options: lifetime (one hour by default),
	// audience, algorithm and so on.
	jwt.Config
}

// JWT returns a backend of bearer tokens that are JSON Web Tokens, or an
// error that names it and says what is wrong. Any number of them can stand
// side by side, each with a name and a key of its own.
func JWT(key jwt.Key, cfg JWTConfig) (*Backend, error) {
	if cfg.Name == "" {
		cfg.Name = "jwt"
	}
	if cfg.TokenURL == "" {
		cfg.TokenURL = "auth/" + cfg.Name + "/login"
	}
	strategy, err := jwt.New(key, cfg.Config)
	if err != nil {
		return nil, fmt.Errorf("backends: backend %q: %w", cfg.Name, err)
	}
	return New(cfg.Name, Bearer{TokenURL: cfg.TokenURL}, strategy), nil
}
