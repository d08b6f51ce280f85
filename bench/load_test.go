package bench

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	echojwt "github.com/labstack/echo-jwt/v4"
	"github.com/labstack/echo/v4"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

const people = 500

// widen gives each of 32 clients a connection.
func widen(b *testing.B, db *gorm.DB) *gorm.DB {
	b.Helper()
	pool, err := db.DB()
	if err != nil {
		b.Fatal(err)
	}
	pool.SetMaxOpenConns(32)
	pool.SetMaxIdleConns(32)
	return db
}

func populate(b *testing.B, store *userdb.Store[userdb.User, *userdb.User]) []string {
	b.Helper()
	if err := store.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	var tokens []string
	for i := range people {
		email := fmt.Sprintf("user%d@example.com", i)
		u, err := store.ByEmail(b.Context(), email)
		if err != nil {
			u, err = store.Create(b.Context(), func(u *userdb.User) error {
				u.Account = authn.Account{Email: email, HashedPassword: "x", IsActive: true}
				return nil
			})
		}
		if err != nil {
			b.Fatal(err)
		}
		signed, err := gojwt.NewWithClaims(gojwt.SigningMethodHS256, gojwt.MapClaims{
			"sub": u.AuthID(), "aud": []string{jwt.DefaultAudience}, "exp": time.Now().Add(time.Hour).Unix(),
		}).SignedString(secret)
		if err != nil {
			b.Fatal(err)
		}
		tokens = append(tokens, "Bearer "+signed)
	}
	return tokens
}

func guarded(b *testing.B, store authn.Store[*userdb.User], cfg authn.Config) http.Handler {
	backend, err := backends.JWT(jwt.Secret(secret), backends.JWTConfig{})
	if err != nil {
		b.Fatal(err)
	}
	users, err := authn.New(store, cfg, backend)
	if err != nil {
		b.Fatal(err)
	}
	e := echo.New()
	e.GET("/", ok, users.CurrentUser(authn.Active).Middleware)
	return e
}

// floor is the check by hand and one prepared query.
func floor(b *testing.B, db *gorm.DB) http.Handler {
	pool, err := db.DB()
	if err != nil {
		b.Fatal(err)
	}
	query, err := pool.Prepare(`SELECT id, email, hashed_password, is_active, is_superuser, is_verified, credential_generation FROM "user" WHERE id = $1`)
	if err != nil {
		b.Fatal(err)
	}
	return handChecked(func(ctx context.Context, subject string) (*userdb.User, error) {
		id, err := uuid.Parse(subject)
		if err != nil {
			return nil, err
		}
		var u userdb.User
		err = query.QueryRowContext(ctx, id).Scan(&u.ID, &u.Email, &u.HashedPassword, &u.IsActive, &u.IsSuperuser, &u.IsVerified, &u.Generation)
		if err == nil && !u.IsActive {
			err = sql.ErrNoRows
		}
		return &u, err
	})
}

// BenchmarkLoad is the guard that loads one of 500 users, for one client and
// for 32 at once.
func BenchmarkLoad(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { benchmarkLoad(b, testdb.SQLite(b)) })
	b.Run("postgres", func(b *testing.B) { benchmarkLoad(b, widen(b, testdb.Postgres(b))) })
}

func benchmarkLoad(b *testing.B, db *gorm.DB) {
	store, err := userdb.New[userdb.User](db)
	if err != nil {
		b.Fatal(err)
	}
	tokens := populate(b, store)
	for _, server := range []struct {
		name    string
		handler http.Handler
	}{
		{"by-hand", floor(b, db)},
		{"ours", guarded(b, store, authn.Config{})},
		{"ours-unjoined", guarded(b, store, authn.Config{SkipJoinedLoads: true})},
		{"echo-jwt+First", echoJWTWithFirst(db)},
	} {
		b.Run(server.name+"/1", func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i += 7919 {
				visit(b, server.handler, tokens[i%people])
			}
		})
		b.Run(server.name+"/32", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(32 / runtime.GOMAXPROCS(0))
			var next atomic.Int64
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					visit(b, server.handler, tokens[int(next.Add(7919))%people])
				}
			})
		})
	}
}

func visit(b *testing.B, h http.Handler, token string) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusNoContent {
		b.Error(w.Code, w.Body)
	}
}

// echoJWTWithFirst is what people write who use echo-jwt and GORM.
func echoJWTWithFirst(db *gorm.DB) http.Handler {
	e := echo.New()
	e.GET("/", ok, echojwt.WithConfig(echojwt.Config{SigningKey: secret}), func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			subject, err := c.Get("user").(*gojwt.Token).Claims.GetSubject()
			if err != nil {
				return echo.ErrUnauthorized
			}
			var u userdb.User
			if err := db.WithContext(c.Request().Context()).First(&u, "id = ?", subject).Error; err != nil || !u.IsActive {
				return echo.ErrUnauthorized
			}
			c.Set("current", &u)
			return next(c)
		}
	})
	return e
}
