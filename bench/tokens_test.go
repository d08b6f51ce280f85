package bench

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v4"
	goredis "github.com/redis/go-redis/v9"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/strategies/database"
	"github.com/echo-users/echo-users/strategies/redis"
	"github.com/echo-users/echo-users/userdb"
)

// BenchmarkTokens is the guard of a token that is looked up, in Postgres or in
// Redis, and of its user, who is one of 500 in Postgres.
func BenchmarkTokens(b *testing.B) {
	url := testdb.PostgresURL(b)
	db := widen(b, open(b, url))
	pool, err := pgxpool.New(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	store := newStore(b, db)
	ids := populate(b, store, people)
	single := prepare(b, db, `SELECT `+columns+` FROM "user" u WHERE u.id = $1`)

	b.Run("database", func(b *testing.B) {
		kept, err := userdb.NewTokens(store, userdb.TokensConfig{})
		if err != nil {
			b.Fatal(err)
		}
		if err := kept.Migrate(b.Context()); err != nil {
			b.Fatal(err)
		}
		strategy, err := database.New(kept, database.Config{})
		if err != nil {
			b.Fatal(err)
		}
		backend := backends.New("database", backends.Bearer{}, strategy)
		good := issue(b, strategy.ForBackend("database"), ids)
		join := prepare(b, db, `SELECT t.expires_at, t.generation, `+columns+` FROM user_access_token t JOIN "user" u ON u.id = t.user_id WHERE t.token_hash = $1`)
		session, sessions := scsOnPostgres(b, pool, single, ids)
		measureStored(b, ids, []stored{
			{"by-hand", storedByHand(twoQueries(pool)), good},
			{"by-hand-join", storedByHand(joined(join)), good},
			{"ours", guarded(b, store, authn.Config{}, backend), good},
			{"scs", session, sessions},
		})
	})
	b.Run("redis", func(b *testing.B) {
		options, err := goredis.ParseURL(testdb.RedisURL(b))
		if err != nil {
			b.Fatal("TEST_REDIS_URL is no URL of Redis")
		}
		options.ContextTimeoutEnabled = true
		client := goredis.NewClient(options)
		b.Cleanup(func() { client.Close() })
		strategy, err := redis.New(client, redis.Config{Lifetime: 10 * time.Minute})
		if err != nil {
			b.Fatal(err)
		}
		backend := backends.New("redis", backends.Bearer{}, strategy)
		good := issue(b, strategy.ForBackend("redis"), ids)
		session, sessions := scsOnRedis(b, client, single, ids)
		measureStored(b, ids, []stored{
			{"by-hand", storedByHand(got(client, single)), note(b, client, ids)},
			{"ours", guarded(b, store, authn.Config{}, backend), good},
			{"ours-cached", guarded(b, kept(b, store), authn.Config{}, backend), good},
			{"scs", session, sessions},
		})
	})
}

// stored is a server, and a credential of each user.
type stored struct {
	name    string
	handler http.Handler
	good    []credential
}

func measureStored(b *testing.B, ids []string, servers []stored) {
	var all []visited
	for _, server := range servers {
		bad := server.good[0]
		bad.value = bad.value[:len(bad.value)-43] + strings.Repeat("A", 43)
		prove(b, server.handler, server.good[7], bad, ids[7])
		warm(b, server.handler, server.good)
		all = append(all, visited{server.name, server.handler, http.StatusNoContent, server.good})
	}
	visit(b, all...)
}

func open(b testing.TB, url string) *gorm.DB {
	b.Helper()
	db, err := gorm.Open(postgres.Open(url), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		b.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { pool.Close() })
	return db
}

func prepare(b testing.TB, db *gorm.DB, query string) *sql.Stmt {
	b.Helper()
	pool, err := db.DB()
	if err != nil {
		b.Fatal(err)
	}
	prepared, err := pool.Prepare(query)
	if err != nil {
		b.Fatal(err)
	}
	return prepared
}

func issue(b testing.TB, strategy authn.Strategy, ids []string) []credential {
	b.Helper()
	var all []credential
	for _, id := range ids {
		token, err := strategy.Issue(b.Context(), authn.Identity{Subject: id, Methods: []string{"pwd"}, IssuedAt: time.Now(), AuthTime: time.Now()})
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, bearer(token.Value))
	}
	if revoker, ok := strategy.(authn.Revoker); ok { // others use the same Redis
		b.Cleanup(func() {
			for _, c := range all {
				_ = revoker.Revoke(context.Background(), strings.TrimPrefix(c.value, "Bearer "))
			}
		})
	}
	return all
}

// What follows is what a program does that is written by hand.

const columns = `u.id, u.email, u.hashed_password, u.is_active, u.is_superuser, u.is_verified, u.credential_generation`

func fields(u *userdb.User) []any {
	return []any{&u.ID, &u.Email, &u.HashedPassword, &u.IsActive, &u.IsSuperuser, &u.IsVerified, &u.Generation}
}

func hash(token string) []byte {
	sum := sha256.Sum256([]byte("database\x00" + token))
	return sum[:]
}

type load func(ctx context.Context, token string) (*userdb.User, error)

// twoQueries asks pgx itself, through pgxpool, which prepares each query once
// for each connection.
func twoQueries(pool *pgxpool.Pool) load {
	return func(ctx context.Context, token string) (*userdb.User, error) {
		var id uuid.UUID
		var expires, generation int64
		err := pool.QueryRow(ctx, `SELECT user_id, expires_at, generation FROM user_access_token WHERE token_hash = $1`, hash(token)).Scan(&id, &expires, &generation)
		if err != nil {
			return nil, err
		}
		var u userdb.User
		err = pool.QueryRow(ctx, `SELECT `+columns+` FROM "user" u WHERE u.id = $1`, id).Scan(fields(&u)...)
		if err == nil && (expires <= time.Now().UnixNano() || generation != u.Generation || !u.IsActive) {
			err = errRefused
		}
		return &u, err
	}
}

// joined asks once, through database/sql.
func joined(join *sql.Stmt) load {
	return func(ctx context.Context, token string) (*userdb.User, error) {
		var expires, generation int64
		var u userdb.User
		err := join.QueryRowContext(ctx, hash(token)).Scan(append([]any{&expires, &generation}, fields(&u)...)...)
		if err == nil && (expires <= time.Now().UnixNano() || generation != u.Generation || !u.IsActive) {
			err = errRefused
		}
		return &u, err
	}
}

// note is what is kept in Redis by hand: for got.
func note(b testing.TB, client *goredis.Client, ids []string) []credential {
	b.Helper()
	var all []credential
	var keys []string
	for _, id := range ids {
		token := randomToken()
		record, err := json.Marshal(map[string]any{"sub": id, "gen": 0, "exp": time.Now().Add(10 * time.Minute).UnixNano(), "iat": time.Now().UnixNano(), "amr": []string{"pwd"}})
		if err != nil {
			b.Fatal(err)
		}
		if err := client.Set(b.Context(), "by-hand:"+token, record, 10*time.Minute).Err(); err != nil {
			b.Fatal(err)
		}
		all, keys = append(all, bearer(token)), append(keys, "by-hand:"+token)
	}
	b.Cleanup(func() { client.Del(context.Background(), keys...) })
	return all
}

// got is one GET, and one prepared query of the user.
func got(client *goredis.Client, single *sql.Stmt) load {
	return func(ctx context.Context, token string) (*userdb.User, error) {
		stored, err := client.Get(ctx, "by-hand:"+token).Bytes()
		if err != nil {
			return nil, err
		}
		var r struct {
			Sub uuid.UUID `json:"sub"`
			Gen int64     `json:"gen"`
			Exp int64     `json:"exp"`
		}
		if err := json.Unmarshal(stored, &r); err != nil {
			return nil, err
		}
		var u userdb.User
		err = single.QueryRowContext(ctx, r.Sub).Scan(fields(&u)...)
		if err == nil && (r.Exp <= time.Now().UnixNano() || r.Gen != u.Generation || !u.IsActive) {
			err = errRefused
		}
		return &u, err
	}
}

func storedByHand(load load) http.Handler {
	return serve(func(next echo.HandlerFunc) echo.HandlerFunc {
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
	}, whoIsSet)
}
