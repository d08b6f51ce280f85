package docs_test

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
)

func newBackends(webSecret, partnerSecret []byte) ([]authn.Backend, error) {
	web, err := backends.JWT(jwt.Secret(webSecret), backends.JWTConfig{Name: "web"})
	if err != nil {
		return nil, err
	}
	partner, err := backends.JWT(jwt.Secret(partnerSecret), backends.JWTConfig{
		Name:   "partner",
		Config: jwt.Config{Lifetime: 10 * time.Minute, Audience: []string{"partner-api"}},
	})
	if err != nil {
		return nil, err
	}
	return []authn.Backend{web, authn.RequireVerified(partner)}, nil
}

func Example_backends() {
	list, err := newBackends(secret(), secret())
	fmt.Println(len(list), err)
	_, err = newBackends(secret(), []byte("short"))
	fmt.Println(err != nil)
	// Output:
	// 2 <nil>
	// true
}

// Header is a transport of one's own: the token in a header of its own.
type Header struct{ Name string }

func (t Header) Extract(r *http.Request) (string, error) {
	token := r.Header.Get(t.Name)
	switch {
	case token == "":
		return "", authn.ErrNoCredential
	case len(token) > authn.MaxCredentialSize:
		return "", authn.ErrInvalidToken
	}
	return token, nil
}

func (t Header) Carry(token authn.Token) (*authn.Response, error) {
	res := &authn.Response{Status: http.StatusNoContent, Header: http.Header{}}
	res.Header.Set(t.Name, token.Value)
	return res, nil
}

func TestHeaderTransport(t *testing.T) {
	authntest.TestTransport(t, Header{"X-Device-Token"}, func(answer *http.Response) *http.Request {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("X-Device-Token", answer.Header.Get("X-Device-Token"))
		return r
	})
}

func Example_ownTransport() {
	strategy, err := jwt.New(jwt.Secret(secret()), jwt.Config{})
	device := backends.New("device", Header{"X-Device-Token"}, strategy)
	fmt.Println(device.Name(), err)
	// Output: device <nil>
}

func Example_singleRouters() {
	users, e := newApp()

	factory, err := routes.New(users, routes.Config[*AppUser]{})
	if err != nil {
		panic(err)
	}
	echo4.Mount(e.Group("/v1/session"), factory.Auth("jwt"))
	echo4.Mount(e.Group("/v1"), factory.Register())
	echo4.Mount(e.Group("/v1/people"), factory.Users())

	fmt.Println(e.Reverse("auth:jwt.login"), e.Reverse("users:user", 7))
	// Output: /v1/session/login /v1/people/7
}

func secret() []byte {
	return []byte(hex.EncodeToString([]byte(rand.Text())))
}

var _ echo.HTTPErrorHandler = echo4.ErrorHandler
