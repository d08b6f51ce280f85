package docs_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/labstack/echo/v4"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/userdb"
)

// Team is what a member belongs to.
type Team struct {
	ID   int64 `gorm:"primaryKey"`
	Name string
}

// TeamMember is a user with a team.
type TeamMember struct {
	userdb.User
	TeamID *int64
	Team   *Team
}

func newTeamStore(ctx context.Context, db *gorm.DB) (*userdb.Store[TeamMember, *TeamMember], error) {
	if err := db.AutoMigrate(&Team{}); err != nil { // never of the users
		return nil, err
	}
	store, err := userdb.New[TeamMember](db.Joins("Team")) // or db.Preload("Team"), in a query of its own
	if err != nil {
		return nil, err
	}
	return store, store.Migrate(ctx)
}

func showTeam(c echo.Context, u *TeamMember) error {
	if u.Team == nil {
		return c.String(http.StatusOK, "no team")
	}
	return c.String(http.StatusOK, u.Team.Name)
}

func TestTheGuardsUserHasATeam(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store, err := newTeamStore(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		team := Team{Name: "Round Table"}
		if err := db.Create(&team).Error; err != nil {
			t.Fatal(err)
		}
		preloading, err := userdb.New[TeamMember](db.Preload("Team"))
		if err != nil {
			t.Fatal(err)
		}
		for what, store := range map[string]*userdb.Store[TeamMember, *TeamMember]{"joins": store, "preload": preloading} {
			users, err := authn.New(store, authn.Config{}, authntest.Impersonator{})
			if err != nil {
				t.Fatal(err)
			}
			e := echo.New()
			e.GET("/team", echo4.Handle(users.CurrentUser(authn.Active), showTeam))
			for email, id := range map[string]*int64{what + "@example.com": &team.ID, what + "-alone@example.com": nil} {
				u, err := users.Register(t.Context(), email, "correct horse", func(u *TeamMember) error { u.TeamID = id; return nil })
				if err != nil {
					t.Fatal(err)
				}
				want := "no team"
				if id != nil {
					want = team.Name
				}
				if w := serve(e, authntest.As(request(http.MethodGet, "/team", ""), u)); w.Body.String() != want {
					t.Errorf("%s: %d %s", email, w.Code, w.Body)
				}
				// A new password leaves the team alone.
				password := "battery staple"
				if u, err = users.Update(t.Context(), u.AuthID(), authn.Update[*TeamMember]{Password: &password}); err != nil || (u.Team == nil) != (id == nil) {
					t.Errorf("%s: %+v, %v", email, u, err)
				}
				if _, err := users.Authenticate(t.Context(), email, password); err != nil {
					t.Errorf("%s: %v", email, err)
				}
			}
		}
	})
}
