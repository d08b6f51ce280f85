package userdb_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/userdb"
)

// The statements that fastapi-users' SQLAlchemy adapter sends, as SQLAlchemy
// 1.4.46 logged them for its models with linked accounts and database tokens.
const (
	pythonUser = `SELECT "user".id, "user".email, "user".hashed_password, "user".is_active, "user".is_superuser, "user".is_verified, "user".first_name, oauth_account_1.id AS id_1, oauth_account_1.oauth_name, oauth_account_1.access_token, oauth_account_1.expires_at, oauth_account_1.refresh_token, oauth_account_1.account_id, oauth_account_1.account_email, oauth_account_1.user_id
		FROM "user" LEFT OUTER JOIN oauth_account AS oauth_account_1 ON "user".id = oauth_account_1.user_id `
	pythonByID    = pythonUser + `WHERE "user".id = ?`
	pythonByEmail = pythonUser + `WHERE lower("user".email) = lower(?)`
	pythonByOAuth = `SELECT "user".id, "user".email, "user".hashed_password, "user".is_active, "user".is_superuser, "user".is_verified, "user".first_name
		FROM "user" JOIN oauth_account ON "user".id = oauth_account.user_id WHERE oauth_account.oauth_name = ? AND oauth_account.account_id = ?`
	pythonToken = `SELECT accesstoken.token, accesstoken.created_at, accesstoken.user_id
		FROM accesstoken WHERE accesstoken.token = ? AND accesstoken.created_at >= ?`
)

// inserting is an INSERT as SQLAlchemy writes it: a UUID comes from Python, an
// integer from the database.
func inserting(table, columns, key string) string {
	if key == "uuid" {
		columns = "id, " + columns
	}
	marks := strings.Repeat("?, ", strings.Count(columns, ",")) + "?"
	statement := `INSERT INTO "` + table + `" (` + columns + ") VALUES (" + marks + ")"
	if key == "int" {
		statement += " RETURNING id"
	}
	return statement
}

// pythonInsert runs it, and returns the new key.
func pythonInsert(t *testing.T, db *gorm.DB, key, table, columns string, values ...any) any {
	t.Helper()
	if key == "int" {
		var id int64
		if err := db.Raw(inserting(table, columns, key), values...).Scan(&id).Error; err != nil {
			t.Fatal(err)
		}
		return id
	}
	id := uuid.New().String()
	mustExec(t, db, inserting(table, columns, key), append([]any{id}, values...)...)
	return id
}

// one runs a SELECT of the Python side's and returns its only row.
func one(t *testing.T, db *gorm.DB, statement string, values ...any) map[string]any {
	t.Helper()
	var rows []map[string]any
	if err := db.Raw(statement, values...).Scan(&rows).Error; err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 {
		t.Fatalf("%d rows for %v", len(rows), values)
	}
	return rows[0]
}

func TestThePythonSideGoesOnBesideUs(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine+"/uuid", func(t *testing.T) { besidePython[uuid.UUID](t, engine, "uuid") })
		t.Run(engine+"/int", func(t *testing.T) { besidePython[int64](t, engine, "int") })
	}
}

func besidePython[K userdb.Key](t *testing.T, engine, key string) {
	db, fixture := testdb.FastAPIUsers(t, engine, key)
	store := newStore[legacy[K]](t, db)
	tokens, err := userdb.NewTokens(store, userdb.TokensConfig{PlainTable: userdb.PlainTokenTable})
	if err != nil {
		t.Fatal(err)
	}
	if err := tokens.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	outbox, err := userdb.NewOutbox(db)
	if err != nil {
		t.Fatal(err)
	}
	if err := outbox.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}

	// Registered there, found here.
	id := pythonInsert(t, db, key, "user", "email, hashed_password, is_active, is_superuser, is_verified, first_name",
		"pellinore@camelot.example.com", "$2b$12$x", true, false, false, "Pellinore")
	one(t, db, pythonByID, id)
	one(t, db, pythonByEmail, "Pellinore@Camelot.example.com")
	mustExec(t, db, `UPDATE "user" SET hashed_password=?, is_verified=? WHERE "user".id = ?`, "$2b$12$y", true, id)
	u, err := store.ByEmail(t.Context(), "PELLINORE@camelot.example.com")
	if err != nil || u.HashedPassword != "$2b$12$y" || !u.IsVerified || u.Generation != 0 || *u.FirstName != "Pellinore" {
		t.Fatalf("%+v, %v", u, err)
	}

	// Changed here, seen there.
	if _, err := store.Update(t.Context(), u.AuthID(), func(u *legacy[K]) error {
		u.Email, u.HashedPassword = "sir.pellinore@camelot.example.com", "$argon2id$x"
		u.Generation++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if row := one(t, db, pythonByEmail, "Sir.Pellinore@camelot.example.com"); row["hashed_password"] != "$argon2id$x" {
		t.Errorf("%v", row)
	}

	// Registered here, found and changed there.
	fresh := create(t, store, func(u *legacy[K]) error { u.Account = account("lamorak@camelot.example.com"); return nil })
	one(t, db, pythonByEmail, "lamorak@camelot.example.com")
	mustExec(t, db, `UPDATE "user" SET email=?, is_active=? WHERE "user".id = ?`, "sir.lamorak@camelot.example.com", false, fresh.AuthID())
	if u, err := store.ByID(t.Context(), fresh.AuthID()); err != nil || u.Email != "sir.lamorak@camelot.example.com" || u.IsActive {
		t.Errorf("%+v, %v", u, err)
	}

	// Accounts elsewhere.
	account := pythonInsert(t, db, key, "oauth_account", "oauth_name, access_token, expires_at, refresh_token, account_id, account_email, user_id",
		"google", "T", 123, nil, "acc-pellinore", "g@example.com", id)
	mustExec(t, db, `UPDATE oauth_account SET access_token=? WHERE oauth_account.id = ?`, "T2", account)
	one(t, db, pythonByOAuth, "google", "acc-pellinore")
	linked := 0
	for email, user := range fixture.Users {
		for _, link := range user.OAuth {
			linked++
			if row := one(t, db, pythonByOAuth, link.Name, link.AccountID); row["email"] != email {
				t.Errorf("%s of %s is linked to %v", link.AccountID, email, row["email"])
			}
		}
	}
	if linked == 0 {
		t.Error("the fixture has no linked account")
	}

	// Tokens.
	token := strings.Repeat("x", 43)
	mustExec(t, db, `INSERT INTO accesstoken (token, created_at, user_id) VALUES (?, ?, ?)`, token, time.Now().UTC(), id)
	one(t, db, pythonToken, token, time.Now().UTC().Add(-time.Hour))
	mustExec(t, db, `DELETE FROM accesstoken WHERE accesstoken.token = ?`, token)

	// Deleted there, gone here, with what belonged to it.
	mustExec(t, db, `DELETE FROM oauth_account WHERE oauth_account.id = ?`, account)
	mustExec(t, db, `DELETE FROM "user" WHERE "user".id = ?`, id)
	for email, user := range fixture.Users { // deleted here
		if err := store.Delete(t.Context(), user.ID); err != nil {
			t.Errorf("%s: %v", email, err)
		}
	}
	for _, table := range []string{"oauth_account", "accesstoken"} {
		var rows int64
		if err := db.Table(table).Count(&rows).Error; err != nil || rows != 0 {
			t.Errorf("%d rows of %s outlived their users, %v", rows, table, err)
		}
	}
}
