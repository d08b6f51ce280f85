package backends_test

import (
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/strategies/jwt"
)

func TestTheSuites(t *testing.T) {
	key := jwt.Secret([]byte(strings.Repeat("k", 32)))
	t.Run("bearer", func(t *testing.T) { authntest.TestTransport(t, backends.Bearer{}, nil) })
	t.Run("JWT", func(t *testing.T) {
		authntest.TestStrategy(t, func(t *testing.T) authn.Strategy { return newJWT(t, key) })
	})
	t.Run("JWT backend", func(t *testing.T) {
		b, err := backends.JWT(key, backends.JWTConfig{})
		if err != nil {
			t.Fatal(err)
		}
		authntest.TestBackend(t, b, nil)
		authntest.TestBackend(t, authn.RequireVerified(b), nil)
	})
	t.Run("revocable backend", func(t *testing.T) {
		authntest.TestBackend(t, backends.New("tokens", backends.Bearer{}, new(authntest.Tokens)), nil)
	})
}
