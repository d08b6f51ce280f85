package bench

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

const people = 500

func openPostgres(b *testing.B) *gorm.DB {
	b.Helper()
	url := os.Getenv("BENCH_DATABASE_URL")
	if url == "" {
		b.Skip("BENCH_DATABASE_URL names a database of the benchmark's own")
	}
	db, err := gorm.Open(postgres.Open(url), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		b.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		b.Fatal(err)
	}
	pool.SetMaxOpenConns(32)
	pool.SetMaxIdleConns(32)
	b.Cleanup(func() { pool.Close() })
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

func BenchmarkLoad(b *testing.B) {
	db := openPostgres(b)
	store, err := userdb.New[userdb.User](db)
	if err != nil {
		b.Fatal(err)
	}
	tokens := populate(b, store)
	for _, server := range []struct {
		name    string
		handler http.Handler
	}{
		{"floor", floor(b, db)},
		{"ours", guarded(b, store, authn.Config{})},
		{"ours-unjoined", guarded(b, store, authn.Config{SkipJoinedLoads: true})},
	} {
		for _, clients := range []int{1, 32} {
			b.Run(fmt.Sprintf("%s/%d", server.name, clients), func(b *testing.B) {
				var next atomic.Int64
				b.ReportAllocs()
				b.SetParallelism(max(1, clients/2))
				work := func() {
					r := httptest.NewRequest(http.MethodGet, "/", nil)
					r.Header.Set("Authorization", tokens[int(next.Add(7919))%people])
					w := httptest.NewRecorder()
					server.handler.ServeHTTP(w, r)
					if w.Code != http.StatusNoContent {
						b.Error(w.Code, w.Body)
					}
				}
				if clients == 1 {
					for b.Loop() {
						work()
					}
					return
				}
				b.RunParallel(func(p *testing.PB) {
					for p.Next() {
						work()
					}
				})
			})
		}
	}
}
