package bench

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"net/http"
	"testing"

	"github.com/alexedwards/scs/goredisstore"
	"github.com/alexedwards/scs/pgxstore"
	"github.com/alexedwards/scs/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v4"
	goredis "github.com/redis/go-redis/v9"

	"github.com/echo-users/echo-users/userdb"
)

// alexedwards/scs keeps sessions and no users: beside its middleware, set up as
// its README shows, a program asks for the user by one prepared query.

func scsOnPostgres(b testing.TB, pool *pgxpool.Pool, single *sql.Stmt, ids []string) (http.Handler, []credential) {
	_, err := pool.Exec(b.Context(), `
		CREATE TABLE sessions (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL);
		CREATE INDEX sessions_expiry_idx ON sessions (expiry)`)
	if err != nil {
		b.Fatal(err)
	}
	return scsOn(b, pgxstore.NewWithCleanupInterval(pool, 0), single, ids)
}

func scsOnRedis(b testing.TB, client *goredis.Client, single *sql.Stmt, ids []string) (http.Handler, []credential) {
	prefix := "bench:" + rand.Text() + ":"
	h, all := scsOn(b, goredisstore.NewWithPrefix(client, prefix), single, ids)
	var keys []string
	for _, c := range all {
		keys = append(keys, prefix+c.value[len("session="):])
	}
	b.Cleanup(func() { client.Del(context.Background(), keys...) })
	return h, all
}

func scsOn(b testing.TB, store scs.Store, single *sql.Stmt, ids []string) (http.Handler, []credential) {
	sessions := scs.New()
	sessions.Store = store
	loaded := echo.WrapMiddleware(sessions.LoadAndSave)
	h := serve(func(next echo.HandlerFunc) echo.HandlerFunc {
		return loaded(func(c echo.Context) error {
			id, err := uuid.Parse(sessions.GetString(c.Request().Context(), "user"))
			if err != nil {
				return echo.ErrUnauthorized
			}
			var u userdb.User
			if err := single.QueryRowContext(c.Request().Context(), id).Scan(fields(&u)...); err != nil || !u.IsActive {
				return echo.ErrUnauthorized
			}
			c.Set("user", &u)
			return next(c)
		})
	}, whoIsSet)
	var all []credential
	for _, id := range ids {
		ctx, err := sessions.Load(b.Context(), "")
		if err != nil {
			b.Fatal(err)
		}
		sessions.Put(ctx, "user", id)
		token, _, err := sessions.Commit(ctx)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, credential{"Cookie", "session=" + token})
	}
	return h, all
}

func randomToken() string {
	var random [32]byte
	rand.Read(random[:])
	return base64.RawURLEncoding.EncodeToString(random[:])
}
