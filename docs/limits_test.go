package docs_test

import (
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/routes"
)

func newLimited(users *authn.Users[*AppUser]) (*routes.Factory[*AppUser], error) {
	return routes.New(users, routes.Config[*AppUser]{
		Limits: routes.Limits{
			LoginAccount:  routes.Limit{Burst: 5, Every: time.Minute},
			ClientAddress: echo.ExtractIPFromXFFHeader(),
		},
	})
}

func TestLimitsOfThePage(t *testing.T) {
	users, err := authn.New(authn.Store[*AppUser](nilStore{}), authn.Config{}, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newLimited(users); err != nil {
		t.Error(err)
	}
}

type nilStore struct{ authn.Store[*AppUser] }
