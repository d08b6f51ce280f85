package docs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/authn/passwordpolicy"
	"github.com/echo-users/echo-users/authn/passwordpolicy/breached"
	"github.com/echo-users/echo-users/authn/passwordpolicy/strength"
	"github.com/echo-users/echo-users/routes"
)

func withPolicy() (authn.Config, error) {
	policy, err := passwordpolicy.New(passwordpolicy.Config{Words: []string{"Acme Shop"}})
	return authn.Config{PasswordPolicy: policy}, err
}

func withStrictPolicy(missed func(error)) (authn.Config, error) {
	known, err := breached.New(breached.Config{
		UserAgent:     "Acme Shop",
		OnUnavailable: func(_ context.Context, err error) { missed(err) },
	})
	if err != nil {
		return authn.Config{}, err
	}
	policy, err := passwordpolicy.New(passwordpolicy.Config{
		MinLength: 15,
		Words:     []string{"Acme Shop"},
		More:      []authn.PasswordPolicy{strength.MinScore(3), known},
	})
	return authn.Config{PasswordPolicy: policy}, err
}

func notThePhone() authn.Hooks[*AppUser] {
	return authn.Hooks[*AppUser]{
		CheckPassword: func(_ context.Context, u *AppUser, password string) error {
			if u.Phone != nil && strings.Contains(password, *u.Phone) {
				return &authn.PasswordError{Reason: "Password should not have your telephone number in it"}
			}
			return nil
		},
	}
}

// Every reason that the page has is an answer's.
func TestReasonsOfThePage(t *testing.T) {
	cfg, err := withPolicy()
	if err != nil {
		t.Fatal(err)
	}
	users, err := authn.New(newAppStore(t), cfg, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	echo4.Mount(e, routes.All(users))
	page := read(t, "passwords.md")
	reasons := map[string]bool{}
	for _, password := range []string{"dragon", "12312312", "Summer2026!", "Violets-2026", "acmeshop"} {
		answer := post(e, "/auth/register", "application/json", fmt.Sprintf(`{"email":"ann@violets.example","password":%q}`, password))
		_, rest, _ := strings.Cut(answer.Body.String(), `"reason":"`)
		reason, _, _ := strings.Cut(rest, `"}`)
		if answer.Code != 400 || reason == "" || !strings.Contains(page, "| `"+reason+"` |") {
			t.Errorf("%s: %d %s", password, answer.Code, answer.Body)
		}
		reasons[reason] = true
	}
	if rows := strings.Count(page, "| `Password "); rows != len(reasons) {
		t.Errorf("the page has %d reasons, and there are %d", rows, len(reasons))
	}
	if answer := post(e, "/auth/register", "application/json", `{"email":"ann@violets.example","password":"correct horse"}`); answer.Code != 201 {
		t.Error(answer.Code, answer.Body)
	}
}

func TestStrictPolicyOfThePage(t *testing.T) {
	cfg, err := withStrictPolicy(func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	for _, weak := range []string{"correct horse", "acme shop acme shop", "1984-john-smith-1984"} { // none of which is looked up
		var refused *authn.PasswordError
		if err := cfg.PasswordPolicy.CheckPassword(t.Context(), weak, authn.Account{}); !errors.As(err, &refused) {
			t.Errorf("%s: %v", weak, err)
		}
	}
}

func TestThePhoneIsNoPassword(t *testing.T) {
	users := newAppUsers(t)
	users.Use(notThePhone())
	phone := "+49 30 1234567"
	_, err := users.Register(t.Context(), "ann@example.com", "my phone "+phone, func(u *AppUser) error {
		u.Phone = &phone
		return nil
	})
	var refused *authn.PasswordError
	if !errors.As(err, &refused) {
		t.Error(err)
	}
}
