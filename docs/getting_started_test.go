package docs_test

import (
	"context"
	"fmt"

	"github.com/glebarez/sqlite"
	"github.com/labstack/echo/v4"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

// newUsers is the least that an application needs.
func newUsers(ctx context.Context, db *gorm.DB, secret []byte) (*authn.Users[*AppUser], error) {
	store, err := userdb.New[AppUser](db)
	if err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, err
	}
	web, err := backends.JWT(jwt.Secret(secret), backends.JWTConfig{})
	if err != nil {
		return nil, err
	}
	return authn.New(store, authn.Config{}, web)
}

func newServer(users *authn.Users[*AppUser]) *echo.Echo {
	e := echo.New()
	e.HTTPErrorHandler = echo4.ErrorHandler
	echo4.Mount(e, routes.All(users))
	return e
}

func makeSuperuser(ctx context.Context, users *authn.Users[*AppUser], email, password string) error {
	_, err := users.Register(ctx, email, password, func(u *AppUser) error {
		u.IsSuperuser, u.IsVerified = true, true
		return nil
	})
	return err
}

func vouchFor(ctx context.Context, users *authn.Users[*AppUser], id, firstName string) error {
	yes := true
	_, err := users.Update(ctx, id, authn.Update[*AppUser]{
		IsVerified: &yes,
		Own: func(u *AppUser) error {
			u.FirstName = firstName
			return nil
		},
	})
	return err
}

func addHooks(users *authn.Users[*AppUser]) {
	users.Use(authn.Hooks[*AppUser]{
		AfterRegister: func(ctx context.Context, u *AppUser) {
			fmt.Println("welcome,", u.Email)
		},
		AfterUpdate: func(ctx context.Context, u *AppUser, changed authn.Changed) {
			if changed.Email {
				fmt.Println("tell", changed.OldEmail, "that it was replaced")
			}
		},
	})
}

func Example_gettingStarted() {
	ctx := context.Background()
	users, err := newUsers(ctx, openDatabase(), secret())
	if err != nil {
		panic(err)
	}
	addHooks(users)
	if err := makeSuperuser(ctx, users, "root@example.com", "correct horse"); err != nil {
		panic(err)
	}
	email := "chief@example.com"
	u, err := users.GetByEmail(ctx, "ROOT@example.com")
	if err != nil {
		panic(err)
	}
	if _, err := users.Update(ctx, u.AuthID(), authn.Update[*AppUser]{Email: &email}); err != nil {
		panic(err)
	}
	if err := vouchFor(ctx, users, u.AuthID(), "Ann"); err != nil {
		panic(err)
	}
	if u, err = users.Get(ctx, u.AuthID()); err != nil {
		panic(err)
	}
	fmt.Println(u.Email, u.FirstName, u.IsVerified)
	fmt.Println(get(newServer(users), "/users/me", ""))
	// Output:
	// welcome, root@example.com
	// tell root@example.com that it was replaced
	// chief@example.com Ann true
	// 401 {"detail":"Unauthorized"}
}

func newApp() (*authn.Users[*AppUser], *echo.Echo) {
	users, err := newUsers(context.Background(), openDatabase(), secret())
	if err != nil {
		panic(err)
	}
	return users, echo.New()
}

func openDatabase() *gorm.DB {
	db, err := gorm.Open(sqlite.Open(":memory:"), &gorm.Config{})
	if err != nil {
		panic(err)
	}
	pool, err := db.DB()
	if err != nil {
		panic(err)
	}
	pool.SetMaxOpenConns(1)
	return db
}
