package testdb

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"gorm.io/gorm"
)

// A Fixture says what is in a database that fastapi-users wrote.
type Fixture struct {
	MadeBy  string                 `json:"made_by"`
	Key     string                 `json:"key"` // "uuid" or "int"
	Secrets Secrets                `json:"secrets"`
	Users   map[string]FixtureUser `json:"users"` // by e-mail
}

// Secrets are the keys that a Fixture's tokens are signed with.
type Secrets struct {
	JWT    string `json:"jwt"`
	Cookie string `json:"cookie"`
	Reset  string `json:"reset"`
	Verify string `json:"verify"`
}

// A FixtureUser is a user in a Fixture, and the credentials that open it.
type FixtureUser struct {
	ID            string         `json:"id"`
	Password      string         `json:"password"`
	Hash          string         `json:"hash"` // "bcrypt" or "argon2"
	IsActive      bool           `json:"is_active"`
	IsSuperuser   bool           `json:"is_superuser"`
	IsVerified    bool           `json:"is_verified"`
	FirstName     *string        `json:"first_name"` // the application's own column
	JWT           string         `json:"jwt"`
	CookieJWT     string         `json:"cookie_jwt"`
	DatabaseToken string         `json:"database_token"`
	RedisToken    string         `json:"redis_token"`
	RedisKey      string         `json:"redis_key"`
	RedisValue    string         `json:"redis_value"`
	ResetToken    string         `json:"reset_token"`  // empty if none was issued
	VerifyToken   string         `json:"verify_token"` // empty if none was issued
	OAuth         []FixtureOAuth `json:"oauth"`
}

// A FixtureOAuth is an account elsewhere that a FixtureUser is linked to.
type FixtureOAuth struct {
	Name      string `json:"oauth_name"`
	AccountID string `json:"account_id"`
}

// FastAPIUsers opens the test's own copy of a database that a real
// fastapi-users wrote, and says what is in it. The engine is "sqlite" or
// "postgres", the key is "uuid" or "int".
func FastAPIUsers(t testing.TB, engine, key string) (*gorm.DB, Fixture) {
	t.Helper()
	var db *gorm.DB
	switch engine {
	case "sqlite":
		file := SQLiteFile(t)
		if err := os.WriteFile(file, read(t, key+".sqlite"), 0o600); err != nil {
			t.Fatal(err)
		}
		db = openSQLite(t, file)
	case "postgres":
		url := PostgresURL(t)
		serve(t, url, string(read(t, key+".postgres.sql"))) // the dump empties its connection's search_path
		db = openPostgres(t, url)
	default:
		t.Fatalf("no engine %q", engine)
	}
	var fixture Fixture
	if err := json.Unmarshal(read(t, key+"."+engine+".json"), &fixture); err != nil {
		t.Fatal(err)
	}
	return db, fixture
}

// read is a file of userdb/testdata/fastapi-users, wherever in the module the test runs.
func read(t testing.TB, name string) []byte {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "userdb", "testdata", "fastapi-users", name))
		parent := filepath.Dir(dir)
		switch {
		case err == nil:
			return text
		case !os.IsNotExist(err) || parent == dir:
			t.Fatal(err)
		}
		dir = parent
	}
}
