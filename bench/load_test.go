package bench

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
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
	"github.com/echo-users/echo-users/authn/usercache"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

const people = 500

// widen gives each of 32 clients a connection.
func widen(b testing.TB, db *gorm.DB) *gorm.DB {
	b.Helper()
	pool, err := db.DB()
	if err != nil {
		b.Fatal(err)
	}
	pool.SetMaxOpenConns(32)
	pool.SetMaxIdleConns(32)
	return db
}

type userStore = userdb.Store[userdb.User, *userdb.User]

func newStore(b testing.TB, db *gorm.DB) *userStore {
	b.Helper()
	store, err := userdb.New[userdb.User](db)
	if err != nil {
		b.Fatal(err)
	}
	return store
}

// kept keeps the users of a store in memory, for as long as usercache does at
// most: its default would be over before a server's next turn.
func kept(b testing.TB, store authn.Store[*userdb.User]) authn.Store[*userdb.User] {
	b.Helper()
	cached, err := usercache.New(store, usercache.Config{MaxAge: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	return cached
}

// populate makes as many users, and returns their ids.
func populate(b testing.TB, store *userStore, n int) []string {
	b.Helper()
	if err := store.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	var ids []string
	for i := range n {
		u, err := store.Create(b.Context(), func(u *userdb.User) error {
			u.Account = authn.Account{Email: fmt.Sprintf("user%d@example.com", i), HashedPassword: "x", IsActive: true}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		ids = append(ids, u.AuthID())
	}
	return ids
}

func tokens(b testing.TB, ids []string) []credential {
	b.Helper()
	var all []credential
	for _, id := range ids {
		all = append(all, token(b, secret, id))
	}
	return all
}

// floor is the check by hand and one prepared query.
func floor(b testing.TB, db *gorm.DB) http.Handler {
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
	store := newStore(b, db)
	ids := populate(b, store, people)
	good, bad := tokens(b, ids), token(b, anotherSecret, ids[7])
	cached := kept(b, store)
	plain, verified := byJWT(b, jwt.Config{}), byJWT(b, jwt.Config{KeepVerified: true})
	servers := []struct {
		name    string
		handler http.Handler
	}{
		{"by-hand", floor(b, db)},
		{"ours", guarded(b, store, authn.Config{}, plain)},
		{"ours-unjoined", guarded(b, store, authn.Config{SkipJoinedLoads: true}, plain)},
		{"ours-verified", guarded(b, store, authn.Config{}, verified)},
		{"ours-cached", guarded(b, cached, authn.Config{}, plain)},
		{"ours-verified-cached", guarded(b, cached, authn.Config{}, verified)},
		{"echo-jwt+First", echoJWTWithFirst(db)},
	}
	var alone []visited
	for _, server := range servers {
		prove(b, server.handler, good[7], bad, ids[7])
		warm(b, server.handler, good)
		alone = append(alone, visited{server.name + "/1", server.handler, http.StatusNoContent, good})
	}
	visit(b, alone...)
	for _, server := range servers {
		b.Run(server.name+"/32", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(32 / runtime.GOMAXPROCS(0))
			var next atomic.Int64
			b.RunParallel(func(p *testing.PB) {
				c := newClient(b)
				for p.Next() {
					if got := c.get(server.handler, good[int(next.Add(7919))%len(good)]); got != http.StatusNoContent {
						b.Error(got)
					}
				}
			})
		})
	}
}

// echoJWTWithFirst is what people write who use echo-jwt and GORM.
func echoJWTWithFirst(db *gorm.DB) http.Handler {
	check := echojwt.WithConfig(echojwt.Config{SigningKey: secret, ContextKey: "token"})
	return serve(func(next echo.HandlerFunc) echo.HandlerFunc {
		return check(func(c echo.Context) error {
			subject, err := c.Get("token").(*gojwt.Token).Claims.GetSubject()
			if err != nil {
				return echo.ErrUnauthorized
			}
			var u userdb.User
			if err := db.WithContext(c.Request().Context()).First(&u, "id = ?", subject).Error; err != nil || !u.IsActive {
				return echo.ErrUnauthorized
			}
			c.Set("user", &u)
			return next(c)
		})
	}, whoIsSet)
}
