package routes_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/authn/password"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
)

// FuzzMailedBodies holds that the routes of mailed tokens, and registration,
// answer every body with a success of theirs or a 4xx.
func FuzzMailedBodies(f *testing.F) {
	verify, err := jwt.NewVerifyTokens(jwt.Secret(verifySecret), jwt.MailedConfig{})
	if err != nil {
		f.Fatal(err)
	}
	reset, err := jwt.NewResetTokens(jwt.Secret(resetSecret), jwt.MailedConfig{})
	if err != nil {
		f.Fatal(err)
	}
	users, err := authn.New(new(authntest.Memory), authn.Config{
		Passwords:    &password.Hasher{Params: password.Params{Memory: 64, Time: 1}},
		VerifyTokens: verify, ResetTokens: reset,
	}, authntest.Impersonator{})
	if err != nil {
		f.Fatal(err)
	}
	factory, err := routes.New(users, routes.Config[*authntest.User]{Limits: routes.Limits{Skip: true}})
	if err != nil {
		f.Fatal(err)
	}
	list := append(factory.Verify(), factory.ResetPassword()...)
	list = append(list, factory.Register()...)
	for _, body := range []string{
		`{"email":"ann@example.com"}`, `{"token":"a.b.c"}`, `{"token":"","password":"x"}`, `{"token":null,"password":null}`,
		`{"email":"ann@example.com","password":"correct horse"}`, `{"email":["a"],"password":{}}`, `[]`, `{`, "", "{\"token\":\"\xff\"}",
	} {
		for i := range list {
			f.Add(i, body)
		}
	}
	f.Fuzz(func(t *testing.T, i int, body string) {
		route := list[uint(i)%uint(len(list))]
		w := httptest.NewRecorder()
		r := httptest.NewRequest(route.Method, route.Path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		route.Handler.ServeHTTP(w, r)
		if w.Code >= 500 || w.Code < 200 || w.Code >= 400 && !strings.HasPrefix(w.Body.String(), `{"detail":`) {
			t.Errorf("%s of %q: %d %s", route.Name, body, w.Code, w.Body)
		}
		if err := users.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
