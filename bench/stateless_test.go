package bench

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"
	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

var secret = []byte("0123456789abcdef0123456789abcdef")

const subject = "01a209c3-dadb-747c-9e50-9cb4cf1ba330"

// account is a user that is in memory already.
type account struct{ authn.Account }

func (*account) AuthID() string                { return subject }
func (a *account) AuthAccount() *authn.Account { return &a.Account }

// inMemory is a store of one user: what is measured is everything but a store.
type inMemory struct{ authn.Store[*account] }

var one = &account{authn.Account{Email: "ann@example.com", IsActive: true}}

func (inMemory) ByID(context.Context, string) (*account, error) { return one, nil }

// token is a good one, if it is signed with secret.
func token(b testing.TB, key []byte, subject string) credential {
	b.Helper()
	signed, err := gojwt.NewWithClaims(gojwt.SigningMethodHS256, gojwt.MapClaims{
		"sub": subject,
		"aud": []string{jwt.DefaultAudience},
		"iat": time.Now().Unix(),
		"exp": time.Now().Add(time.Hour).Unix(),
		"amr": []string{"pwd"},
	}).SignedString(key)
	if err != nil {
		b.Fatal(err)
	}
	return bearer(signed)
}

var anotherSecret = []byte("another secret of 32 bytes......")

func bare(testing.TB) http.Handler {
	return serve(func(next echo.HandlerFunc) echo.HandlerFunc { return next }, func(echo.Context) string { return "" })
}

func ours(b testing.TB) http.Handler {
	return guarded(b, inMemory{}, authn.Config{}, byJWT(b, jwt.Config{}))
}

func oursVerified(b testing.TB) http.Handler {
	return guarded(b, inMemory{}, authn.Config{}, byJWT(b, jwt.Config{KeepVerified: true}))
}

func byJWT(b testing.TB, cfg jwt.Config) authn.Backend {
	backend, err := backends.JWT(jwt.Secret(secret), backends.JWTConfig{Config: cfg})
	if err != nil {
		b.Fatal(err)
	}
	return backend
}

func guarded[U authn.User](b testing.TB, store authn.Store[U], cfg authn.Config, backends ...authn.Backend) http.Handler {
	users, err := authn.New(store, cfg, backends...)
	if err != nil {
		b.Fatal(err)
	}
	guard := users.CurrentUser(authn.Active)
	return serve(echo4.Middleware(guard), func(c echo.Context) string {
		u, _ := echo4.User(guard, c)
		return u.AuthID()
	})
}

var errRefused = errors.New("refused")

// byHand is the least: HMAC, and JSON into a struct.
func byHand(testing.TB) http.Handler {
	return handChecked(func(context.Context, string) (*account, error) { return one, nil })
}

func handChecked[U authn.User](load func(ctx context.Context, subject string) (U, error)) http.Handler {
	type claims struct {
		Sub string   `json:"sub"`
		Aud []string `json:"aud"`
		Exp int64    `json:"exp"`
	}
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))
	check := func(r *http.Request) (*claims, error) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			return nil, errRefused
		}
		parts := strings.Split(token, ".")
		if len(parts) != 3 || parts[0] != header {
			return nil, errRefused
		}
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(token[:len(parts[0])+1+len(parts[1])]))
		signature, err := base64.RawURLEncoding.DecodeString(parts[2])
		if err != nil || !hmac.Equal(signature, mac.Sum(nil)) {
			return nil, errRefused
		}
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			return nil, err
		}
		var c claims
		if err := json.Unmarshal(payload, &c); err != nil {
			return nil, err
		}
		if c.Exp <= time.Now().Unix() || !slices.Contains(c.Aud, jwt.DefaultAudience) {
			return nil, errRefused
		}
		return &c, nil
	}
	return serve(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			claims, err := check(c.Request())
			if err != nil {
				return echo.ErrUnauthorized
			}
			u, err := load(c.Request().Context(), claims.Sub)
			if err != nil {
				return echo.ErrUnauthorized
			}
			c.Set("user", u)
			return next(c)
		}
	}, whoIsSet)
}

// whoIsSet is whom a middleware set that was written by hand.
func whoIsSet(c echo.Context) string { return c.Get("user").(authn.User).AuthID() }

// BenchmarkStateless is the guard of a user who is in memory: because the store
// says so, or because one that keeps users is around SQLite.
func BenchmarkStateless(b *testing.B) {
	kept, people := keptInMemory(b)
	var all []visited
	for _, server := range []struct {
		name    string
		make    func(testing.TB) http.Handler
		subject string
		token   func(b testing.TB, key []byte, subject string) credential
	}{
		{"bare", bare, "", token},
		{"by-hand", byHand, subject, token},
		{"ours", ours, subject, token},
		{"ours-verified", oursVerified, subject, token},
		{"ours-cached", func(b testing.TB) http.Handler {
			return guarded(b, kept, authn.Config{}, byJWT(b, jwt.Config{}))
		}, people[0], token},
		{"ours-verified-cached", func(b testing.TB) http.Handler {
			return guarded(b, kept, authn.Config{}, byJWT(b, jwt.Config{KeepVerified: true}))
		}, people[0], token},
		{"echo-jwt", echoJWT, subject, token},
		{"echo-jwt+aud", echoJWTWithAudience, subject, token},
		{"gin-jwt", ginJWT, subject, token},
		{"jwtauth", chiJWT, subject, token},
		{"go-pkgz-auth", pkgzAuth, subject, pkgzToken},
	} {
		good, bad := server.token(b, secret, server.subject), server.token(b, anotherSecret, server.subject)
		h := server.make(b)
		all = append(all, visited{server.name + "/good", h, http.StatusNoContent, []credential{good}})
		if server.name != "bare" {
			prove(b, h, good, bad, server.subject)
			all = append(all, visited{server.name + "/refused", h, http.StatusUnauthorized, []credential{bad}})
		}
	}
	visit(b, all...)
}

// keptInMemory is a store that keeps users, around one of a few of them.
func keptInMemory(b *testing.B) (authn.Store[*userdb.User], []string) {
	b.Helper()
	store := newStore(b, testdb.SQLite(b))
	return kept(b, store), populate(b, store, 8)
}
