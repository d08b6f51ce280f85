package strength_test

import (
	"context"
	"fmt"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/passwordpolicy/strength"
)

func ExampleMinScore() {
	policy := strength.MinScore(3)
	for _, password := range []string{"P@ssw0rd1!", "qwertyuiop[]", "queen of camelot"} {
		fmt.Println(policy.CheckPassword(context.Background(), password, authn.Account{Email: "ann@example.com"}))
	}
	// Output:
	// authn: password refused: Password is too easy to guess: add unrelated words
	// authn: password refused: Password is too easy to guess: add unrelated words
	// <nil>
}
