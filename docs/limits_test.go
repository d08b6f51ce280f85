package docs_test

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	goredis "github.com/redis/go-redis/v9"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/authn/linked"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/routes/pages"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/strategies/redis"
)

func newShared(users *authn.Users[*AppUser], client goredis.UniversalClient) (*routes.Factory[*AppUser], error) {
	store, err := redis.NewLimits(client, redis.LimitsConfig{})
	if err != nil {
		return nil, err
	}
	keys, err := linked.ParseKeys(os.Getenv("DEVICE_KEYS")) // openssl rand -base64 32
	if err != nil {
		return nil, err
	}
	return routes.New(users, routes.Config[*AppUser]{
		Limits: routes.Limits{Store: store, Devices: routes.Devices{Keys: keys}},
	})
}

func newLimited(users *authn.Users[*AppUser]) (*routes.Factory[*AppUser], error) {
	return routes.New(users, routes.Config[*AppUser]{
		Limits: routes.Limits{
			LoginAccount:  routes.Limit{Burst: 10, Every: time.Minute, Most: time.Hour},
			ClientAddress: echo.ExtractIPFromXFFHeader(),
		},
	})
}

func limitedPages(users *authn.Users[*AppUser], factory *routes.Factory[*AppUser]) (routes.List, error) {
	return pages.New(users, pages.Config{Limit: factory.Limited})
}

func checkCode(factory *routes.Factory[*AppUser], r *http.Request, u *AppUser, right func(code string) bool) error {
	attempt, err := factory.Guess(r, "totp", u.AuthID())
	if err != nil {
		return err // 429
	}
	defer attempt.End()
	if !right(r.PostFormValue("code")) {
		return authn.ErrBadCredentials
	}
	attempt.Succeed()
	return nil
}

func logIn(factory *routes.Factory[*AppUser], r *http.Request, u *AppUser) (*authn.Response, error) {
	res, err := factory.Manager().Login(r.Context(), "web", u, "hwk", "user")
	if err != nil {
		return nil, routes.LoginError(err)
	}
	res.AddCookie(factory.LoggedIn(r, u))
	return res, nil
}

func TestLimitsOfThePage(t *testing.T) {
	users, err := authn.New(authn.Store[*AppUser](nilStore{}), authn.Config{}, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DEVICE_KEYS", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
	client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true})
	defer client.Close()
	if _, err := newShared(users, client); err != nil {
		t.Error(err)
	}
	factory, err := newLimited(users)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := limitedPages(users, factory); err != nil {
		t.Error(err)
	}
	u, wrong := new(AppUser), 0
	for range 20 {
		err := checkCode(factory, request("POST", "/", "code=1"), u, func(string) bool { return false })
		if err == authn.ErrBadCredentials {
			wrong++
		} else if !strings.Contains(err.Error(), "Too Many Requests") && authn.AsHTTPError(err).Status != http.StatusTooManyRequests {
			t.Error(err)
		}
	}
	if wrong != 10 {
		t.Errorf("%d codes were looked at, want 10", wrong)
	}
}

func TestALogInOfTheirOwn(t *testing.T) {
	web, err := backends.CookieJWT(jwt.Secret([]byte(strings.Repeat("s", 32))), backends.CookieJWTConfig{Name: "web"})
	if err != nil {
		t.Fatal(err)
	}
	users, err := authn.New(authn.Store[*AppUser](nilStore{}), authn.Config{}, web)
	if err != nil {
		t.Fatal(err)
	}
	factory, err := newLimited(users)
	if err != nil {
		t.Fatal(err)
	}
	u := new(AppUser)
	u.IsActive = true
	res, err := logIn(factory, request("POST", "/", ""), u)
	if err != nil {
		t.Fatal(err)
	}
	if cookies := res.Header["Set-Cookie"]; len(cookies) != 2 || !strings.HasPrefix(cookies[1], "__Host-device=") {
		t.Error(cookies)
	}
	u.IsActive = false
	if _, err := logIn(factory, request("POST", "/", ""), u); authn.AsHTTPError(err).Status != http.StatusBadRequest {
		t.Error(err)
	}
}

type nilStore struct{ authn.Store[*AppUser] }
