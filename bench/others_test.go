package bench

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	ginjwt "github.com/appleboy/gin-jwt/v2"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/jwtauth/v5"
	"github.com/go-pkgz/auth/v2"
	pkgz "github.com/go-pkgz/auth/v2/token"
	gojwt "github.com/golang-jwt/jwt/v5"
	echojwt "github.com/labstack/echo-jwt/v4"
	"github.com/labstack/echo/v4"
	lestrrat "github.com/lestrrat-go/jwx/v2/jwt"

	"github.com/echo-users/echo-users/strategies/jwt"
)

// The others are set up as their READMEs show, with the same algorithm and
// token, and aud is checked where they can.

// echoJWT is labstack/echo-jwt. It has no option for aud but a parser of one's
// own, as its README shows.
func echoJWT(testing.TB) http.Handler {
	return serve(echojwt.WithConfig(echojwt.Config{SigningKey: secret}), whoIsClaimed)
}

func echoJWTWithAudience(testing.TB) http.Handler {
	return serve(echojwt.WithConfig(echojwt.Config{
		ParseTokenFunc: func(_ echo.Context, auth string) (any, error) {
			return gojwt.Parse(auth, func(*gojwt.Token) (any, error) { return secret, nil },
				gojwt.WithValidMethods([]string{"HS256"}), gojwt.WithAudience(jwt.DefaultAudience), gojwt.WithExpirationRequired())
		},
	}), whoIsClaimed)
}

func whoIsClaimed(c echo.Context) string {
	subject, _ := c.Get("user").(*gojwt.Token).Claims.GetSubject()
	return subject
}

// ginJWT is appleboy/gin-jwt; it doesn't check aud.
func ginJWT(b testing.TB) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	middleware, err := ginjwt.New(&ginjwt.GinJWTMiddleware{
		Realm: "test zone", Key: secret, Timeout: time.Hour, MaxRefresh: time.Hour, IdentityKey: "sub",
		IdentityHandler: func(c *gin.Context) any { return ginjwt.ExtractClaims(c)["sub"] },
		TokenLookup:     "header: Authorization",
		TokenHeadName:   "Bearer",
	})
	if err != nil {
		b.Fatal(err)
	}
	engine := gin.New()
	engine.GET("/", middleware.MiddlewareFunc(), func(c *gin.Context) { c.Status(http.StatusNoContent) })
	engine.GET("/who", middleware.MiddlewareFunc(), func(c *gin.Context) { c.String(http.StatusOK, c.GetString("sub")) })
	return engine
}

// chiJWT is go-chi/jwtauth, with aud as a validation option.
func chiJWT(testing.TB) http.Handler {
	auth := jwtauth.New("HS256", secret, nil, lestrrat.WithAudience(jwt.DefaultAudience))
	r := chi.NewRouter()
	r.Use(jwtauth.Verifier(auth), jwtauth.Authenticator(auth))
	r.Get("/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	r.Get("/who", func(w http.ResponseWriter, r *http.Request) {
		token, _, _ := jwtauth.FromContext(r.Context())
		fmt.Fprint(w, token.Subject())
	})
	return r
}

const pkgzIssuer, pkgzProvider = "bench", "local"

// pkgzAuth is go-pkgz/auth with a direct provider, and the route is Echo's. Its
// claims are its own, and hold the whole user.
func pkgzAuth(testing.TB) http.Handler {
	service := auth.NewService(auth.Opts{
		SecretReader:   pkgz.SecretFunc(func(string) (string, error) { return string(secret), nil }),
		AudienceReader: pkgz.AudienceFunc(func() ([]string, error) { return []string{jwt.DefaultAudience}, nil }),
		Issuer:         pkgzIssuer,
	})
	service.AddDirectProvider(pkgzProvider, nil)
	middleware := service.Middleware()
	return serve(echo.WrapMiddleware(middleware.Auth), func(c echo.Context) string {
		u, _ := pkgz.GetUserInfo(c.Request())
		return u.ID
	})
}

// pkgzToken is one that go-pkgz/auth makes after a log-in, in its own header.
func pkgzToken(b testing.TB, key []byte, subject string) credential {
	b.Helper()
	service := pkgz.NewService(pkgz.Opts{SecretReader: pkgz.SecretFunc(func(string) (string, error) { return string(key), nil })})
	signed, err := service.Token(pkgz.Claims{
		RegisteredClaims: gojwt.RegisteredClaims{
			ID:        "4d3c1f9a2b7e4c0d8a6f5e1b3c9d7a2e4f6b8c0d",
			Issuer:    pkgzIssuer,
			Audience:  []string{jwt.DefaultAudience},
			IssuedAt:  gojwt.NewNumericDate(time.Now()),
			ExpiresAt: gojwt.NewNumericDate(time.Now().Add(time.Hour)),
		},
		User:         &pkgz.User{ID: subject, Name: "ann@example.com"},
		AuthProvider: &pkgz.AuthProvider{Name: pkgzProvider},
	})
	if err != nil {
		b.Fatal(err)
	}
	return credential{"X-Jwt", signed} // as net/http spells it
}
