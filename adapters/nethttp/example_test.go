package nethttp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/echo-users/echo-users/adapters/nethttp"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/routes"
)

// newUsers has one user, Ann, and who she is.
func newUsers() (*authn.Users[*authntest.User], *authntest.User) {
	users, err := authn.New(&authntest.Memory{}, authn.Config{}, authntest.Impersonator{}) // in life: userdb.New, backends.JWT
	if err != nil {
		panic(err)
	}
	ann, err := users.Register(context.Background(), "ann@example.com", "correct horse", nil)
	if err != nil {
		panic(err)
	}
	return users, ann
}

// visit shows how a path answers a user, or nobody.
func visit(h http.Handler, path string, u *authntest.User) {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if u != nil {
		r = authntest.As(r, u)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
}

func ExampleHandle() {
	users, ann := newUsers()
	active := users.CurrentUser(authn.Active)

	mux := http.NewServeMux()
	mux.Handle("GET /hello", nethttp.Handle(active, func(w http.ResponseWriter, r *http.Request, u *authntest.User) error {
		fmt.Fprintf(w, "Hello, %s", u.Email)
		return nil
	}))

	visit(mux, "/hello", ann)
	// Output:
	// 200 Hello, ann@example.com
}

func ExampleMiddleware() {
	users, ann := newUsers()
	active := users.CurrentUser(authn.Active)

	orders := http.NewServeMux()
	orders.HandleFunc("GET /orders/last", func(w http.ResponseWriter, r *http.Request) {
		u, _ := nethttp.User(active, r) // never nil here
		fmt.Fprintf(w, "The last order of %s", u.Email)
	})
	mux := http.NewServeMux()
	mux.Handle("/orders/", nethttp.Middleware(active)(orders))

	visit(mux, "/orders/last", ann)
	// Output:
	// 200 The last order of ann@example.com
}

func ExampleMount() {
	users, _ := newUsers()

	mux := http.NewServeMux()
	nethttp.Mount(mux, routes.All(users))

	visit(nethttp.Handler(mux), "/users/me", nil)
	visit(nethttp.Handler(mux), "/nowhere", nil)
	// Output:
	// 401 {"detail":"Unauthorized"}
	// 404 {"detail":"Not Found"}
}
