package bench

import (
	"net/http"
	"testing"

	echov4 "github.com/labstack/echo/v4"
	echov5 "github.com/labstack/echo/v5"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/adapters/echo5"
	"github.com/echo-users/echo-users/adapters/nethttp"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

// BenchmarkFronts is one guard over each web framework, whose user is kept in
// memory, and the framework without a guard.
func BenchmarkFronts(b *testing.B) {
	store, people := keptInMemory(b)
	users, err := authn.New(store, authn.Config{}, byJWT(b, jwt.Config{}))
	if err != nil {
		b.Fatal(err)
	}
	guard := users.CurrentUser(authn.Active)
	good, bad := token(b, secret, people[0]), token(b, anotherSecret, people[0])
	var all []visited
	for _, front := range []struct {
		name          string
		bare, guarded http.Handler
	}{
		{"echo4", onEcho4(nil), onEcho4(guard)},
		{"echo5", onEcho5(nil), onEcho5(guard)},
		{"nethttp", onNetHTTP(nil), onNetHTTP(guard)},
		{"nethttp.Handler", nethttp.Handler(onNetHTTP(nil)), nethttp.Handler(onNetHTTP(guard))},
	} {
		prove(b, front.guarded, good, bad, people[0])
		all = append(all,
			visited{"bare/" + front.name, front.bare, http.StatusNoContent, []credential{good}},
			visited{"good/" + front.name, front.guarded, http.StatusNoContent, []credential{good}},
			visited{"refused/" + front.name, front.guarded, http.StatusUnauthorized, []credential{bad}})
	}
	visit(b, all...)
}

type userGuard = *authn.Guard[*userdb.User]

func onEcho4(guard userGuard) *echov4.Echo {
	e := echov4.New()
	e.HTTPErrorHandler = echo4.ErrorHandler
	if guard == nil {
		e.GET("/", func(c echov4.Context) error { return c.NoContent(http.StatusNoContent) })
		return e
	}
	e.GET("/", func(c echov4.Context) error { return c.NoContent(http.StatusNoContent) }, echo4.Middleware(guard))
	e.GET("/who", echo4.Handle(guard, func(c echov4.Context, u *userdb.User) error { return c.String(http.StatusOK, u.AuthID()) }))
	return e
}

func onEcho5(guard userGuard) *echov5.Echo {
	e := echov5.New()
	e.HTTPErrorHandler = echo5.ErrorHandler
	if guard == nil {
		e.GET("/", func(c *echov5.Context) error { return c.NoContent(http.StatusNoContent) })
		return e
	}
	e.GET("/", func(c *echov5.Context) error { return c.NoContent(http.StatusNoContent) }, echo5.Middleware(guard))
	e.GET("/who", echo5.Handle(guard, func(c *echov5.Context, u *userdb.User) error { return c.String(http.StatusOK, u.AuthID()) }))
	return e
}

func onNetHTTP(guard userGuard) *http.ServeMux {
	mux := http.NewServeMux()
	noContent := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	if guard == nil {
		mux.Handle("GET /{$}", noContent)
		return mux
	}
	mux.Handle("GET /{$}", nethttp.Middleware(guard)(noContent))
	mux.Handle("GET /who", nethttp.Handle(guard, func(w http.ResponseWriter, _ *http.Request, u *userdb.User) error {
		_, err := w.Write([]byte(u.AuthID()))
		return err
	}))
	return mux
}
