package bench

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"
	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/strategies/jwt"
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

func token(b testing.TB, key []byte) string {
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
	return signed
}

func ok(c echo.Context) error { return c.NoContent(http.StatusNoContent) }

func bare(testing.TB) http.Handler {
	e := echo.New()
	e.GET("/", ok)
	return e
}

func ours(b testing.TB) http.Handler     { return oursWith(b, jwt.Config{}) }
func oursFast(b testing.TB) http.Handler { return oursWith(b, jwt.Config{FastHMAC: true}) }

func oursWith(b testing.TB, cfg jwt.Config) http.Handler {
	backend, err := backends.JWT(jwt.Secret(secret), backends.JWTConfig{Config: cfg})
	if err != nil {
		b.Fatal(err)
	}
	users, err := authn.New(inMemory{}, authn.Config{}, backend)
	if err != nil {
		b.Fatal(err)
	}
	e := echo.New()
	e.GET("/", ok, users.CurrentUser(authn.Active).Middleware)
	return e
}

var errRefused = errors.New("refused")

// byHand is the least: HMAC, and JSON into a struct.
func byHand(testing.TB) http.Handler {
	return handChecked(func(context.Context, string) (*account, error) { return one, nil })
}

func handChecked[U any](load func(ctx context.Context, subject string) (U, error)) http.Handler {
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
	e := echo.New()
	e.GET("/", ok, func(next echo.HandlerFunc) echo.HandlerFunc {
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
	})
	return e
}

func BenchmarkStateless(b *testing.B) {
	for _, server := range []struct {
		name string
		make func(testing.TB) http.Handler
	}{{"bare", bare}, {"by-hand", byHand}, {"ours", ours}, {"ours-fast", oursFast}, {"echo-jwt", echoJWT}, {"echo-jwt+aud", echoJWTWithAudience}, {"gin-jwt", ginJWT}, {"jwtauth", chiJWT}} {
		for _, credential := range []struct {
			name string
			key  []byte
			want int
		}{{"good", secret, 204}, {"refused", []byte("another secret of 32 bytes......"), 401}} {
			b.Run(server.name+"/"+credential.name, func(b *testing.B) {
				h := server.make(b)
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.Header.Set("Authorization", "Bearer "+token(b, credential.key))
				b.ReportAllocs()
				for b.Loop() {
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					if w.Code != credential.want && server.name != "bare" {
						b.Fatal(w.Code, w.Body)
					}
				}
			})
		}
	}
}
