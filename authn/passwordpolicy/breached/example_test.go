package breached_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/passwordpolicy/breached"
)

func ExampleNew() {
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.URL, r.Header["Add-Padding"])
		io.WriteString(w, "003D68EB55068C33ACE09247EE4C639306B:0\r\nAD6438836DBE526AA231ABDE2D0EEF74D42:217\r\n")
	}))
	policy, err := breached.New(breached.Config{
		URL: mirror.URL, InsecureHTTP: true, // without the two: Have I Been Pwned
		OnUnavailable: func(_ context.Context, err error) { fmt.Println("count it, and alert") },
		Logger:        slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	ctx, account := context.Background(), authn.Account{Email: "ann@example.com"}
	fmt.Println(policy.CheckPassword(ctx, "correct horse battery staple", account))
	fmt.Println(policy.CheckPassword(ctx, "queen of camelot", account))
	mirror.Close()
	fmt.Println(policy.CheckPassword(ctx, "correct horse battery staple", account))
	// Output:
	// GET /range/ABF7A [true]
	// authn: password refused: Password is known from a data breach: choose another, here and wherever you use it
	// GET /range/3E402 [true]
	// <nil>
	// count it, and alert
	// <nil>
}
