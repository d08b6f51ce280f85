package docs_test

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/userdb"
)

// The application's user.
type AppUser struct {
	userdb.User // a UUID key
	FirstName   string
	Role        Role
	Phone       *string
	Address     Address `gorm:"serializer:json"`
}

func (u AppUser) String() string       { return "user " + u.AuthID() }
func (u AppUser) LogValue() slog.Value { return slog.StringValue(u.String()) }

type Address struct {
	Street string `json:"street"`
	City   string `json:"city"`
}

// Role is an enum: another text is refused with 422.
type Role string

func (r *Role) UnmarshalText(text []byte) error {
	switch Role(text) {
	case "reader", "editor":
		*r = Role(text)
		return nil
	}
	return routes.Faults{{Msg: `must be "reader" or "editor"`}}
}

// SignUp is what a registration says beside e-mail and password.
type SignUp struct {
	FirstName string  `json:"first_name"`        // required
	Phone     *string `json:"phone"`             // absent or null is nil
	Address   Address `json:"address,omitempty"` // absent is zero
}

// ProfileUpdate is what people change at PATCH /users/me.
type ProfileUpdate struct {
	FirstName routes.Optional[string]  `json:"first_name"` // absent or a value
	Phone     routes.Nullable[string]  `json:"phone"`      // absent, null or a value
	Address   routes.Optional[Address] `json:"address"`
}

// RoleUpdate is what superusers change at PATCH /users/{id}.
type RoleUpdate struct {
	Role routes.Optional[Role] `json:"role"`
}

// Validate joins the faults of the fields.
func (in ProfileUpdate) Validate() routes.Faults {
	var faults routes.Faults
	if in.FirstName.Present && in.FirstName.Value == "" {
		faults.Add("first_name", "must not be empty")
	}
	return faults
}

// Profile is what answers show.
type Profile struct {
	routes.UserRead
	FirstName string  `json:"first_name"`
	Role      Role    `json:"role"`
	Phone     *string `json:"phone"`
	Address   Address `json:"address"`
}

func mountRoutes(e *echo.Echo, users *authn.Users[*AppUser]) error {
	factory, err := routes.New(users, routes.Config[*AppUser]{
		Register: routes.Input(func(in SignUp, u *AppUser) error {
			u.FirstName, u.Phone, u.Address, u.Role = in.FirstName, in.Phone, in.Address, "reader"
			return nil
		}),
		Update: routes.Input(func(in ProfileUpdate, u *AppUser) error {
			in.FirstName.Apply(&u.FirstName)
			in.Phone.Apply(&u.Phone)
			in.Address.Apply(&u.Address)
			return nil
		}),
		AdminUpdate: routes.Input(func(in RoleUpdate, u *AppUser) error {
			in.Role.Apply(&u.Role)
			return nil
		}),
		Read: routes.Output(func(u *AppUser) Profile {
			return Profile{routes.NewUserRead(u), u.FirstName, u.Role, u.Phone, u.Address}
		}),
	})
	if err != nil {
		return err
	}
	echo4.Mount(e, factory.All()) // instead of echo4.Mount(e, routes.All(users))
	return nil
}

// Member is a user in a table that was there before.
type Member struct {
	Number  int64         `gorm:"primaryKey;column:member_no"`
	Account memberAccount `gorm:"embedded"`
}

// memberAccount has the fields of authn.Account under columns of its own.
type memberAccount struct {
	Email          string `gorm:"column:mail"`
	HashedPassword string `gorm:"column:pw_hash"`
	IsActive       bool   `gorm:"column:enabled"`
	IsSuperuser    bool   `gorm:"column:is_root"`
	IsVerified     bool   `gorm:"column:confirmed"`
	Generation     int64  `gorm:"column:pw_generation"`
}

func (Member) TableName() string              { return "club_members" }
func (m *Member) AuthID() string              { return strconv.FormatInt(m.Number, 10) }
func (m *Member) AuthKey() any                { return m.Number }
func (m *Member) AuthAccount() *authn.Account { return (*authn.Account)(&m.Account) }

func newMembers(db *gorm.DB) (authn.Store[*Member], error) {
	return userdb.New[Member](db)
}

func Example_ownFields() {
	users, e := newApp()
	err := mountRoutes(e, users)
	fmt.Println(len(e.Routes()), err)
	// Output: 9 <nil>
}

func Example_ownNames() {
	_, err := newMembers(openDatabase())
	fmt.Println(err)
	// Output: <nil>
}

func TestUsersDoNotPrintTheirHashes(t *testing.T) {
	u := &AppUser{FirstName: "Ann"}
	u.HashedPassword = "$argon2id$secret"
	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).Info("in", "user", u, "value", *u)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("in", "user", u, "value", *u)
	fmt.Fprintf(&out, "%v %+v %s %v %+v", u, u, u, *u, *u)
	if strings.Contains(out.String(), "secret") || !strings.Contains(out.String(), u.AuthID()) {
		t.Error(out.String())
	}
}
