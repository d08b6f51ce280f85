package jwt_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/strategies/jwt"
)

func ExampleNew() {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	secret := []byte(strings.Repeat("k", 32)) // in life: openssl rand -hex 32, from a file or the environment
	strategy, err := jwt.New(jwt.Secret(secret), jwt.Config{
		Lifetime: 15 * time.Minute,
		Audience: []string{"my-api"},
		Now:      func() time.Time { return now },
	})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	token, err := strategy.Issue(ctx, authn.Identity{Subject: "ann"})
	if err != nil {
		panic(err)
	}
	fmt.Println(token, "until", token.ExpiresAt.Format(time.TimeOnly))

	identity, err := strategy.Read(ctx, token.Value)
	fmt.Println(identity.Subject, err)

	now = now.Add(15 * time.Minute)
	_, err = strategy.Read(ctx, token.Value)
	fmt.Println(errors.Is(err, authn.ErrInvalidToken), errors.Is(err, gojwt.ErrTokenExpired))
	// Output:
	// [token] until 12:15:00
	// ann <nil>
	// true true
}

// A secret shorter than its hash can be guessed from a single token.
func ExampleNew_shortSecret() {
	_, err := jwt.New(jwt.Secret([]byte("SECRET")), jwt.Config{})
	fmt.Println(err)
	// Output: jwt: the secret has 6 bytes and HS256 needs 32: make one with `openssl rand -hex 32` (InsecureShortSecret allows it, for tests)
}
