package bench

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	goredis "github.com/redis/go-redis/v9"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/strategies/database"
	"github.com/echo-users/echo-users/strategies/redis"
	"github.com/echo-users/echo-users/userdb"
)

const columns = `u.id, u.email, u.hashed_password, u.is_active, u.is_superuser, u.is_verified, u.credential_generation`

// BenchmarkTokens is the guard of stored tokens on Postgres and Redis, beside
// the least that a program written by hand would do: one prepared join; one GET
// and one prepared query of the user.
func BenchmarkTokens(b *testing.B) {
	db := widen(b, testdb.Postgres(b))
	store, err := userdb.New[userdb.User](db)
	if err != nil {
		b.Fatal(err)
	}
	populate(b, store)
	kept, err := userdb.NewTokens(store, userdb.TokensConfig{})
	if err != nil {
		b.Fatal(err)
	}
	if err := kept.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	inDatabase, err := database.New(kept, database.Config{})
	if err != nil {
		b.Fatal(err)
	}
	options, err := goredis.ParseURL(testdb.RedisURL(b))
	if err != nil {
		b.Fatal("TEST_REDIS_URL is no URL of Redis")
	}
	options.ContextTimeoutEnabled = true
	client := goredis.NewClient(options)
	defer client.Close()
	inRedis, err := redis.New(client, redis.Config{Lifetime: 10 * time.Minute})
	if err != nil {
		b.Fatal(err)
	}

	pool, err := db.DB()
	if err != nil {
		b.Fatal(err)
	}
	join, err := pool.Prepare(`SELECT t.expires_at, t.generation, ` + columns + ` FROM user_access_token t JOIN "user" u ON u.id = t.user_id WHERE t.token_hash = $1`)
	if err != nil {
		b.Fatal(err)
	}
	single, err := pool.Prepare(`SELECT ` + columns + ` FROM "user" u WHERE u.id = $1`)
	if err != nil {
		b.Fatal(err)
	}
	hash := func(name, token string) [sha256.Size]byte { return sha256.Sum256([]byte(name + "\x00" + token)) }
	fields := func(u *userdb.User) []any {
		return []any{&u.ID, &u.Email, &u.HashedPassword, &u.IsActive, &u.IsSuperuser, &u.IsVerified, &u.Generation}
	}
	joined := func(ctx context.Context, token string) (*userdb.User, error) {
		var expires, generation int64
		var u userdb.User
		sum := hash("database", token)
		err := join.QueryRowContext(ctx, sum[:]).Scan(append([]any{&expires, &generation}, fields(&u)...)...)
		if err == nil && (expires <= time.Now().UnixNano() || generation != u.Generation || !u.IsActive) {
			err = errRefused
		}
		return &u, err
	}
	got := func(ctx context.Context, token string) (*userdb.User, error) {
		stored, err := client.Get(ctx, "by-hand:"+token).Bytes()
		if err != nil {
			return nil, err
		}
		var r struct {
			Sub string `json:"sub"`
			Gen int64  `json:"gen"`
			Exp int64  `json:"exp"`
		}
		if err := json.Unmarshal(stored, &r); err != nil {
			return nil, err
		}
		id, err := uuid.Parse(r.Sub)
		if err != nil {
			return nil, err
		}
		var u userdb.User
		err = single.QueryRowContext(ctx, id).Scan(fields(&u)...)
		if err == nil && (r.Exp <= time.Now().UnixNano() || r.Gen != u.Generation || !u.IsActive) {
			err = errRefused
		}
		return &u, err
	}

	for _, kind := range []struct {
		name     string
		strategy authn.Strategy
		hand     func(context.Context, string) (*userdb.User, error)
	}{{"database", inDatabase.ForBackend("database"), joined}, {"redis", inRedis.ForBackend("redis"), got}} {
		u, err := store.ByEmail(b.Context(), "user7@example.com")
		if err != nil {
			b.Fatal(err)
		}
		token, err := kind.strategy.Issue(b.Context(), authn.Identity{Subject: u.AuthID(), Methods: []string{"pwd"}, IssuedAt: time.Now(), AuthTime: time.Now()})
		if err != nil {
			b.Fatal(err)
		}
		record, err := json.Marshal(map[string]any{"sub": u.AuthID(), "gen": 0, "exp": token.ExpiresAt.UnixNano(), "iat": time.Now().UnixNano(), "amr": []string{"pwd"}})
		if err != nil {
			b.Fatal(err)
		}
		if err := client.Set(b.Context(), "by-hand:"+token.Value, record, time.Minute*10).Err(); err != nil {
			b.Fatal(err)
		}
		defer client.Del(context.Background(), "by-hand:"+token.Value)
		users, err := authn.New(store, authn.Config{}, backends.New(kind.name, backends.Bearer{}, kind.strategy))
		if err != nil {
			b.Fatal(err)
		}
		ours := echo.New()
		ours.GET("/", ok, users.CurrentUser(authn.Active).Middleware)
		for _, server := range []struct {
			name    string
			handler http.Handler
		}{{"by-hand", storedByHand(kind.hand)}, {"ours", ours}} {
			b.Run(kind.name+"/"+server.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					visit(b, server.handler, "Bearer "+token.Value)
				}
			})
		}
	}
}

func storedByHand(load func(context.Context, string) (*userdb.User, error)) http.Handler {
	e := echo.New()
	e.GET("/", ok, func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			token, ok := strings.CutPrefix(c.Request().Header.Get("Authorization"), "Bearer ")
			if !ok {
				return echo.ErrUnauthorized
			}
			u, err := load(c.Request().Context(), token)
			if err != nil {
				return echo.ErrUnauthorized
			}
			c.Set("user", u)
			return next(c)
		}
	})
	return e
}
