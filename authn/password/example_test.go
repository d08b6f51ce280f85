package password_test

import (
	"context"
	"fmt"

	"github.com/echo-users/echo-users/authn/password"
)

func Example() {
	var hasher password.Hasher // one for the whole program
	ctx := context.Background()

	hash, err := hasher.Hash(ctx, "joyous-gard")
	if err != nil {
		fmt.Println(err)
		return
	}
	match, outdated, err := hasher.Verify(ctx, "joyous-gard", hash)
	fmt.Println(match, outdated, err)

	match, outdated, err = hasher.Verify(ctx, "guinevere", hash)
	fmt.Println(match, outdated, err)
	// Output:
	// true false <nil>
	// false false <nil>
}

// A hash that an older program left behind is replaced when its owner logs in.
func ExampleHasher_Verify_outdated() {
	var hasher password.Hasher
	ctx := context.Background()
	stored := "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"

	match, outdated, err := hasher.Verify(ctx, "U*U", stored)
	fmt.Println(match, outdated, err)
	if match && outdated {
		stored, err = hasher.Hash(ctx, "U*U")
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	match, outdated, err = hasher.Verify(ctx, "U*U", stored)
	fmt.Println(match, outdated, err)
	// Output:
	// true true <nil>
	// true false <nil>
}

// An unknown user costs as much as a wrong password.
func ExampleHasher_Verify_unknownUser() {
	var hasher password.Hasher
	match, _, err := hasher.Verify(context.Background(), "joyous-gard", "")
	fmt.Println(match, err)
	// Output: false <nil>
}
