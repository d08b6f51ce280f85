package bench

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/strategies/jwt"
)

// BenchmarkGrowth is what a guard costs with more backends, and with more users.
func BenchmarkGrowth(b *testing.B) {
	b.Run("backends", growingBackends)
	b.Run("users", growingUsers)
}

// growingBackends are backends of JWT with a key each; the good token is of the
// last one, and the refused one of none.
func growingBackends(b *testing.B) {
	var all []visited
	bad := token(b, anotherSecret, subject)
	for _, cfg := range []struct {
		name string
		jwt  jwt.Config
	}{{"ours", jwt.Config{}}, {"ours-verified", jwt.Config{KeepVerified: true}}} {
		for _, n := range []int{1, 5} {
			var trying []authn.Backend
			var key []byte
			for i := range n {
				key = fmt.Appendf(nil, "the secret of backend %d, 32 bytes", i)
				backend, err := backends.JWT(jwt.Secret(key), backends.JWTConfig{Name: fmt.Sprint("jwt", i), Config: cfg.jwt})
				if err != nil {
					b.Fatal(err)
				}
				trying = append(trying, backend)
			}
			good := token(b, key, subject)
			h := guarded(b, inMemory{}, authn.Config{}, trying...)
			prove(b, h, good, bad, subject)
			all = append(all,
				visited{fmt.Sprintf("%s/good/%d", cfg.name, n), h, http.StatusNoContent, []credential{good}},
				visited{fmt.Sprintf("%s/refused/%d", cfg.name, n), h, http.StatusUnauthorized, []credential{bad}})
		}
	}
	visit(b, all...)
}

// growingUsers come in random order, up to a hundred thousand of them. The cache
// has its default size: it keeps a thousand users, and of a million one in a
// hundred.
func growingUsers(b *testing.B) {
	type server struct {
		name    string
		handler http.Handler
	}
	type size struct {
		users   int
		good    []credential
		servers []server
	}
	var sizes []size
	bad := token(b, anotherSecret, subject)
	for _, n := range []int{1_000, 1_000_000} {
		url := testdb.PostgresURL(b)
		ids := fill(b, url, n)
		rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		ids = ids[:min(n, 100_000)]
		read(b, url, ids)
		db := widen(b, open(b, url))
		store := newStore(b, db)
		s := size{n, tokens(b, ids), []server{
			{"by-hand", floor(b, db)},
			{"ours", guarded(b, store, authn.Config{}, byJWT(b, jwt.Config{}))},
			{"ours-cached", guarded(b, kept(b, store), authn.Config{}, byJWT(b, jwt.Config{}))},
		}}
		for _, server := range s.servers {
			prove(b, server.handler, s.good[7], bad, ids[7])
		}
		sizes = append(sizes, s)
	}
	var all []visited
	for i := range sizes[0].servers {
		for _, s := range sizes {
			warm(b, s.servers[i].handler, s.good[:1_000])
			all = append(all, visited{s.servers[i].name + "/" + strconv.Itoa(s.users), s.servers[i].handler, http.StatusNoContent, s.good})
		}
	}
	visit(b, all...)
}

// read has the database read these users once, by their index: what a page costs
// that nobody has asked for yet isn't the guard's.
func read(b testing.TB, url string, ids []string) {
	b.Helper()
	connection, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer connection.Close(b.Context())
	var n int
	if _, err := connection.Exec(b.Context(), `SET enable_seqscan = off`); err != nil {
		b.Fatal(err)
	}
	if err := connection.QueryRow(b.Context(), `SELECT count(u.email) FROM "user" u WHERE u.id = ANY($1::uuid[])`, ids).Scan(&n); err != nil || n != len(ids) {
		b.Fatal(n, err)
	}
}

// fill makes n users by COPY, and returns their ids.
func fill(b testing.TB, url string, n int) []string {
	b.Helper()
	if err := newStore(b, open(b, url)).Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	connection, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer connection.Close(b.Context())
	ids := make([]string, 0, n)
	copied, err := connection.CopyFrom(b.Context(), pgx.Identifier{"user"},
		[]string{"id", "email", "hashed_password", "is_active", "is_superuser", "is_verified", "credential_generation"},
		pgx.CopyFromSlice(n, func(i int) ([]any, error) {
			id, err := uuid.NewV7() // as the store makes them
			ids = append(ids, id.String())
			return []any{id, fmt.Sprintf("user%d@example.com", i), "x", true, false, false, int64(0)}, err
		}))
	if err != nil || copied != int64(n) {
		b.Fatal(copied, err)
	}
	for _, settle := range []string{`VACUUM (ANALYZE) "user"`, `CHECKPOINT`} { // else it is written out while guards read
		if _, err := connection.Exec(b.Context(), settle); err != nil {
			b.Fatal(err)
		}
	}
	return ids
}
