package docs_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

func newRevocable(ctx context.Context, db *gorm.DB, secret []byte) (authn.Backend, error) {
	denied, err := userdb.NewDenylist(db)
	if err != nil {
		return nil, err
	}
	if err := denied.Migrate(ctx); err != nil {
		return nil, err
	}
	revocable, err := backends.JWT(jwt.Secret(secret), backends.JWTConfig{Denylist: denied})
	return revocable, err
}

func newRotating(ctx context.Context) (authn.Backend, error) {
	keys, err := jwt.NewKeySet(ctx, jwt.EnvKeys("JWT_KEY", "JWT_KEY_OLD"), jwt.KeySetConfig{})
	if err != nil {
		return nil, err
	}
	web, err := backends.JWT(keys, backends.JWTConfig{})
	return web, err
}

func TestRevocableBackendsLogOut(t *testing.T) {
	b, err := newRevocable(t.Context(), testdb.SQLite(t), []byte(strings.Repeat("s", 32)))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := authn.Can[authn.LogoutBackend](b); !ok {
		t.Error("no log-out")
	}
}

func TestKeysOfTheEnvironment(t *testing.T) {
	t.Setenv("JWT_KEY", strings.Repeat("k", 32))
	if _, err := newRotating(t.Context()); err != nil {
		t.Error(err)
	}
}

// reauthenticated is of fresh-log-ins.md.
func reauthenticated(users *authn.Users[*AppUser]) (*routes.Factory[*AppUser], error) {
	factory, err := routes.New(users, routes.Config[*AppUser]{
		Reauthenticate: routes.Reauthentication{Password: true, Fresh: 5 * time.Minute},
	})
	return factory, err
}

func TestReauthentication(t *testing.T) {
	if _, err := reauthenticated(newAppUsers(t)); err != nil {
		t.Error(err)
	}
}
