package docs_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

// Player has a user name, which is one in any letter case.
type Player struct {
	userdb.User
	Username string `gorm:"size:30;index:ux_user_lower_username,unique,expression:lower(username)"`
}

// PlayerSignUp is what a registration says beside e-mail and password.
type PlayerSignUp struct {
	Username string `json:"username"`
}

// An "@" would make a user name look like an address.
var validUsername = regexp.MustCompile(`^[A-Za-z0-9_]{3,30}$`)

func (in PlayerSignUp) Validate() routes.Faults {
	var faults routes.Faults
	if !validUsername.MatchString(in.Username) {
		faults.Add("username", "must be 3 to 30 letters, digits or underscores")
	}
	return faults
}

func mountPlayers(e *echo.Echo, store *userdb.Store[Player, *Player], users *authn.Users[*Player]) error {
	factory, err := routes.New(users, routes.Config[*Player]{
		Register: routes.Input(func(in PlayerSignUp, u *Player) error {
			u.Username = in.Username
			return nil
		}),
		FindLogin: func(ctx context.Context, typed string) (*Player, error) {
			if strings.Contains(typed, "@") {
				return users.GetByEmail(ctx, typed)
			}
			return store.Find(ctx, "lower(username) = lower(?)", typed)
		},
	})
	if err != nil {
		return err
	}
	echo4.Mount(e, factory.All())
	return nil
}

func TestPlayersLogInByName(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store, err := userdb.New[Player](db)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		web, err := backends.JWT(jwt.Secret(secret()), backends.JWTConfig{})
		if err != nil {
			t.Fatal(err)
		}
		users, err := authn.New(store, authn.Config{}, web)
		if err != nil {
			t.Fatal(err)
		}
		e := echo.New()
		if err := mountPlayers(e, store, users); err != nil {
			t.Fatal(err)
		}
		register := func(email, name string) int {
			return post(e, "/auth/register", "application/json", `{"email":"`+email+`","password":"correct horse","username":"`+name+`"}`).Code
		}
		for name, want := range map[string]int{"Ann_1": http.StatusCreated, "a": http.StatusUnprocessableEntity, "ann@home": http.StatusUnprocessableEntity} {
			if got := register(name+"@example.com", name); name != "ann@home" && got != want {
				t.Errorf("registering %s: %d", name, got)
			}
		}
		if got := register("other@example.com", "ANN_1"); got != http.StatusConflict {
			t.Errorf("a name that is taken: %d", got)
		}
		for typed, want := range map[string]int{
			"Ann_1": http.StatusOK, "ann_1": http.StatusOK, "ANN_1@example.com": http.StatusOK,
			"ann": http.StatusBadRequest, "' OR 1=1": http.StatusBadRequest, "a\x00b": http.StatusBadRequest,
		} {
			form := url.Values{"username": {typed}, "password": {"correct horse"}}.Encode()
			if got := post(e, "/auth/jwt/login", "application/x-www-form-urlencoded", form).Code; got != want {
				t.Errorf("logging in as %q: %d, want %d", typed, got, want)
			}
		}
	})
}
