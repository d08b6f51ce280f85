package docs_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/command"
)

func createEditor(ctx context.Context, users *authn.Users[*AppUser], email, password string) (*AppUser, error) {
	return users.Register(ctx, email, password, func(u *AppUser) error {
		u.Role = "editor"
		u.IsVerified = true
		return nil
	})
}

func changeUser(ctx context.Context, users *authn.Users[*AppUser], email, password string) error {
	u, err := users.GetByEmail(ctx, email) // authn.ErrUserNotFound
	if err != nil {
		return err
	}
	yes, no := true, false
	for _, up := range []authn.Update[*AppUser]{
		{IsSuperuser: &yes},
		{IsActive: &no}, // ends every log-in
		{IsActive: &yes},
		{Password: &password}, // ends every log-in
		{Own: func(u *AppUser) error { u.Role = "reader"; return nil }},
	} {
		if _, err := users.Update(ctx, u.AuthID(), up); err != nil {
			return err
		}
	}
	return nil
}

func eachSuperuser(ctx context.Context, users *authn.Users[*AppUser], f func(u *AppUser)) error {
	yes := true
	q := authn.Query{Superuser: &yes, Search: "@example.com", Limit: 100}
	for {
		page, err := users.List(ctx, q)
		if err != nil {
			return err
		}
		for _, u := range page.Users {
			f(u)
		}
		if page.Next == "" {
			return nil
		}
		q.After = page.Next
	}
}

func manageUsers(ctx context.Context, users *authn.Users[*AppUser], args []string) error {
	return command.Run(ctx, users, args, command.Config[*AppUser]{
		Name: "shop users",
		New:  func(u *AppUser) error { u.Role = "reader"; return nil },
	})
}

func TestUsersByProgram(t *testing.T) {
	users := newAppUsers(t)
	for _, email := range []string{"ann@example.com", "bob@example.com"} {
		if _, err := createEditor(t.Context(), users, email, "correct horse"); err != nil {
			t.Fatal(err)
		}
	}
	if err := changeUser(t.Context(), users, "ann@example.com", "battery staple"); err != nil {
		t.Fatal(err)
	}
	if u, err := users.Authenticate(t.Context(), "ann@example.com", "battery staple"); err != nil || u.Role != "reader" || !u.IsSuperuser {
		t.Errorf("%+v, %v", u, err)
	}
	var found []string
	if err := eachSuperuser(t.Context(), users, func(u *AppUser) { found = append(found, u.Email) }); err != nil || fmt.Sprint(found) != "[ann@example.com]" {
		t.Errorf("%v, %v", found, err)
	}
	if err := manageUsers(t.Context(), users, strings.Fields("promote bob@example.com")); err != nil {
		t.Error(err)
	}
}
