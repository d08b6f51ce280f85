package passwordpolicy_test

import (
	"context"
	"fmt"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/authn/passwordpolicy"
	"github.com/echo-users/echo-users/authn/passwordpolicy/strength"
)

func Example_refuseCommonPasswords() {
	ctx := context.Background()
	policy, err := passwordpolicy.New(passwordpolicy.Config{Words: []string{"Acme Shop"}})
	if err != nil {
		panic(err)
	}
	users, err := authn.New(new(authntest.Memory), authn.Config{PasswordPolicy: policy}, authntest.Impersonator{})
	if err != nil {
		panic(err)
	}
	for _, password := range []string{"dragon", "Dragon2026!", "violets@acme-shop", "acme-shop-1", "12121212", "queen of camelot"} {
		_, err := users.Register(ctx, "ann@violets.example", password, nil)
		fmt.Println(err)
	}
	// Output:
	// authn: password refused: Password should be at least 8 characters
	// authn: password refused: Password is too common: use unrelated words
	// authn: password refused: Password should have more in it than your e-mail address or this site's name: add unrelated words
	// authn: password refused: Password should have more in it than your e-mail address or this site's name: add unrelated words
	// authn: password refused: Password should not repeat a few characters: use unrelated words
	// <nil>
}

func ExampleConfig_askFor15() {
	policy, err := passwordpolicy.New(passwordpolicy.Config{
		MinLength: 15,
		More:      []authn.PasswordPolicy{strength.MinScore(3)},
	})
	if err != nil {
		panic(err)
	}
	for _, password := range []string{"battery staple", "1984-john-smith-1984", "battery staple window"} {
		fmt.Println(policy.CheckPassword(context.Background(), password, authn.Account{Email: "ann@example.com"}))
	}
	// Output:
	// authn: password refused: Password should be at least 15 characters
	// authn: password refused: Password is too easy to guess: add unrelated words
	// <nil>
}
