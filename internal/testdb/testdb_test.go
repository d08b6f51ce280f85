package testdb_test

import (
	"database/sql"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/internal/testdb"
)

func ask[T any](t testing.TB, db *gorm.DB, query string, vars ...any) T {
	t.Helper()
	var answer T
	if err := db.Raw(query, vars...).Scan(&answer).Error; err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestEachDatabaseIsFresh(t *testing.T) {
	for range 2 {
		testdb.Each(t, func(t *testing.T, db *gorm.DB) {
			if err := db.Exec("CREATE TABLE mark (id int)").Error; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSQLiteHasItsPragmasOnEveryConnection(t *testing.T) {
	pool, err := testdb.SQLite(t).DB()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		conn, err := pool.Conn(t.Context()) // kept, so that the next is another
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for pragma, want := range map[string]string{"journal_mode": "wal", "busy_timeout": "5000", "foreign_keys": "1"} {
			var got string
			if err := conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s is %q, want %q (%v)", pragma, got, want, err)
			}
		}
	}
}

// A transaction that reads first would fail with SQLITE_BUSY here, were it not immediate.
func TestSQLiteTransactionsWaitForEachOther(t *testing.T) {
	db := testdb.SQLite(t)
	if err := db.Exec("CREATE TABLE counter (n int)").Exec("INSERT INTO counter VALUES (0)").Error; err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			err := db.Transaction(func(tx *gorm.DB) error {
				var n int
				if err := tx.Raw("SELECT n FROM counter").Scan(&n).Error; err != nil {
					return err
				}
				return tx.Exec("UPDATE counter SET n = ?", n+1).Error
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := ask[int](t, db, "SELECT n FROM counter"); n != 8 {
		t.Errorf("counted to %d", n)
	}
}

func TestPostgresDropsWhatItMadeAndNothingElse(t *testing.T) {
	watcher := testdb.Postgres(t)
	exists := func(name string) bool {
		return ask[bool](t, watcher, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = ?)", name)
	}
	mine := ask[string](t, watcher, "SELECT current_database()")
	var theirs string
	t.Run("", func(t *testing.T) {
		theirs = ask[string](t, testdb.Postgres(t), "SELECT current_database()")
		if !exists(theirs) || theirs == mine || !strings.HasPrefix(theirs, "echo_users_test_") {
			t.Errorf("%q beside %q", theirs, mine)
		}
	})
	if exists(theirs) || !exists(mine) {
		t.Error("the wrong database is gone")
	}
}

func TestPostgresURLIsDroppedThoughAProgramIsConnected(t *testing.T) {
	var program *sql.DB
	t.Run("", func(t *testing.T) {
		var err error
		if program, err = sql.Open("pgx", testdb.PostgresURL(t)); err != nil {
			t.Fatal(err)
		}
		if err := program.PingContext(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	if program == nil {
		t.Skip("left out with its subtest")
	}
	defer program.Close()
	if program.PingContext(t.Context()) == nil {
		t.Error("the database is still there")
	}
}

func TestFastAPIUsers(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		for _, key := range []string{"uuid", "int"} {
			t.Run(engine+"/"+key, func(t *testing.T) {
				db, fixture := testdb.FastAPIUsers(t, engine, key)
				if fixture.Key != key || fixture.Secrets.JWT != "SECRET" || len(fixture.Users) != 6 {
					t.Fatalf("%+v", fixture)
				}
				if n := ask[int](t, db, `SELECT count(*) FROM "user"`); n != 6 {
					t.Errorf("%d users", n)
				}
				for email, u := range fixture.Users {
					id := ask[string](t, db, `SELECT CAST(u.id AS text) FROM "user" u JOIN accesstoken a ON a.user_id = u.id WHERE u.email = ? AND a.token = ?`, email, u.DatabaseToken)
					if strings.ReplaceAll(id, "-", "") != strings.ReplaceAll(u.ID, "-", "") {
						t.Errorf("%s has id %q, want %q", email, id, u.ID)
					}
					if u.Password == "" || u.Hash == "" || u.JWT == "" || u.CookieJWT == "" || u.RedisToken == "" || u.RedisKey == "" || u.RedisValue != u.ID {
						t.Errorf("%s: %+v", email, u)
					}
				}
			})
		}
	}
}

// TestWithoutPostgres runs this package's tests again, as somebody would who has no Postgres.
func TestWithoutPostgres(t *testing.T) {
	again := func(vars ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestEachDatabaseIsFresh$", "-test.v")
		cmd.Env = append(os.Environ(), append([]string{"TEST_DATABASE_URL=", "TEST_SERVICES_REQUIRED="}, vars...)...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := again(); err != nil || !strings.Contains(out, "left out: Postgres (set TEST_DATABASE_URL, or run make test)") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := again("TEST_SERVICES_REQUIRED=1"); err == nil || !strings.Contains(out, "run make test") {
		t.Errorf("%v\n%s", err, out)
	}
	secret := "TEST_DATABASE_URL=postgres://me:hush%zz@127.0.0.1/x"
	if out, err := again(secret); err == nil || strings.Contains(out, "hush") || !strings.Contains(out, "must be like") {
		t.Errorf("%v\n%s", err, out)
	}
}
