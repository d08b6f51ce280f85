package main

import (
	"fmt"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"gorm.io/driver/postgres"

	"github.com/echo-users/echo-users/internal/testdb"
)

func redisClient(t *testing.T) *goredis.Client {
	t.Helper()
	options, err := goredis.ParseURL(testdb.RedisURL(t))
	if err != nil {
		t.Fatal("TEST_REDIS_URL is no URL of Redis")
	}
	client := goredis.NewClient(options)
	t.Cleanup(func() { client.Close() })
	return client
}

// A log-out ends the token and no other one; a new password ends them all.
func TestTokensThatAreStored(t *testing.T) {
	kinds{
		"memory": func(*testing.T) []string { return nil },
		"file, int": func(t *testing.T) []string {
			return []string{"DATABASE_URL=sqlite:" + testdb.SQLiteFile(t), "USER_KEY=int"}
		},
		"postgres":      func(t *testing.T) []string { return []string{"DATABASE_URL=" + testdb.PostgresURL(t)} },
		"postgres, int": func(t *testing.T) []string { return []string{"DATABASE_URL=" + testdb.PostgresURL(t), "USER_KEY=int"} },
	}.each(t, func(t *testing.T, env []string) {
		base := start(t, append(env, "REDIS_URL="+testdb.RedisURL(t))...)
		const email = "king.arthur@camelot.example.com"
		if status, answer := call(t, "POST", base+"/auth/register", "application/json", `{"email":"`+email+`","password":"abc"}`, ""); status != 201 {
			t.Fatal(status, answer)
		}
		for _, backend := range []string{"database", "redis"} {
			me := func(token string, want int) {
				t.Helper()
				status, answer := call(t, "GET", base+"/protected/active", "", "", token)
				if status != want || want == 200 && answer["email"] != email {
					t.Errorf("%s: %d %v, want %d", backend, status, answer, want)
				}
			}
			logout := func(at, token string, want int) {
				t.Helper()
				if status, _ := call(t, "POST", base+"/auth/"+at+"/logout", "", "", token); status != want {
					t.Errorf("log-out of %s at %s: %d, want %d", backend, at, status, want)
				}
			}
			status, one := login(t, base, backend, email, "abc")
			_, two := login(t, base, backend, email, "abc")
			if status != 200 || len(one) != 43 || one == two {
				t.Fatal(backend, status, one)
			}
			me(one, 200)
			me(one[1:]+"A", 401)
			for _, other := range []string{"database", "redis"} {
				if other != backend {
					logout(other, one, 401)
				}
			}
			logout("jwt", one, 404)
			me(one, 200)
			logout(backend, one, 204)
			me(one, 401)
			logout(backend, one, 401)
			me(two, 200)
			if status, _ := call(t, "PATCH", base+"/users/me", "application/json", `{"password":"abc"}`, two); status != 200 {
				t.Fatal(status)
			}
			me(two, 401)
		}
	})
}

// What fastapi-users stored in the clear goes on working, until it is ended.
func TestStoredTokensOfFastAPIUsers(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		for _, key := range []string{"uuid", "int"} {
			t.Run(engine+"/"+key, func(t *testing.T) {
				db, fixture := testdb.FastAPIUsers(t, engine, key)
				var url string
				if dialector, ok := db.Dialector.(*postgres.Dialector); ok {
					url = dialector.DSN
				} else if err := db.Raw("SELECT 'sqlite:' || file FROM pragma_database_list WHERE name = 'main'").Scan(&url).Error; err != nil {
					t.Fatal(err)
				}
				redis := redisClient(t)
				for _, user := range fixture.Users {
					if err := redis.Set(t.Context(), user.RedisKey, user.RedisValue, time.Minute).Err(); err != nil {
						t.Fatal(err)
					}
					defer redis.Del(t.Context(), user.RedisKey)
				}
				base := start(t, "DATABASE_URL="+url, "USER_KEY="+key, "REDIS_URL="+testdb.RedisURL(t), "TOKEN_LIFETIME=315360000")
				for email, user := range fixture.Users {
					for backend, token := range map[string]string{"database": user.DatabaseToken, "redis": user.RedisToken} {
						status, answer := call(t, "GET", base+"/protected/any", "", "", token)
						if status != 200 || answer["email"] != email {
							t.Errorf("%s of %s: %d %v", backend, email, status, answer)
						}
						want := 204
						if !user.IsActive {
							want = 401
						}
						if status, _ := call(t, "POST", base+"/auth/"+backend+"/logout", "", "", token); status != want {
							t.Errorf("%s of %s: log-out %d, want %d", backend, email, status, want)
						}
						if status, _ := call(t, "GET", base+"/protected/any", "", "", token); user.IsActive && status != 401 {
							t.Errorf("%s of %s, after the log-out: %d", backend, email, status)
						}
					}
				}
			})
		}
	}
}

// Whatever is stored, presented as a token, opens nothing.
func TestStoredValuesOpenNothing(t *testing.T) {
	db := testdb.SQLiteFile(t)
	redis := redisClient(t)
	base := start(t, "DATABASE_URL=sqlite:"+db, "REDIS_URL="+testdb.RedisURL(t))
	const email = "galahad@camelot.example.com"
	call(t, "POST", base+"/auth/register", "application/json", `{"email":"`+email+`","password":"abc"}`, "")
	for _, backend := range []string{"database", "redis"} {
		if status, _ := login(t, base, backend, email, "abc"); status != 200 {
			t.Fatal(backend, status)
		}
	}
	gdb, err := openDatabase("sqlite:" + db)
	if err != nil {
		t.Fatal(err)
	}
	var presented int
	present := func(value string) {
		presented++
		for _, token := range []string{value, fmt.Sprintf("%x", value)} {
			if status, _ := call(t, "GET", base+"/protected/any", "", "", headerSafe(token)); status != 401 {
				t.Errorf("%q: %d", token, status)
			}
		}
	}
	for _, table := range []string{"user", "user_access_token"} {
		rows, err := gdb.Raw(`SELECT * FROM "` + table + `"`).Rows()
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			row, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range row {
				into[i] = &row[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			for _, value := range row {
				present(fmt.Sprintf("%s", value))
			}
		}
		rows.Close()
	}
	keys, err := redis.Keys(t.Context(), "echo_users_token:*").Result()
	if err != nil || len(keys) == 0 {
		t.Fatal(keys, err)
	}
	for _, key := range keys {
		present(key)
		present(key[len("echo_users_token:"):])
		present(redis.Get(t.Context(), key).Val())
	}
	if presented < 15 {
		t.Errorf("presented %d values", presented)
	}
}

// headerSafe drops what no HTTP header can carry.
func headerSafe(text string) string {
	var safe []byte
	for i := range len(text) {
		if c := text[i]; c >= ' ' && c != 0x7f {
			safe = append(safe, c)
		}
	}
	return string(safe)
}
