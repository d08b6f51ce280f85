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
