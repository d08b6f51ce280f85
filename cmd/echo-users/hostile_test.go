package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/echo-users/echo-users/userdb"
)

func TestNoPasswordOfAURLIsPrinted(t *testing.T) {
	for _, url := range []string{
		"host=127.0.0.1 user=gorm password=hunter2 dbname=gorm port=1 sslmode=disable", // as GORM's documentation writes it
		"user=u password=hunter2",
		"postgres://u:hun%zzhunter2@127.0.0.1:1/x",
		"postgres://u:hunter2%@127.0.0.1:1/x",
		"postgres://u:hunter2#a:b@127.0.0.1:1/x",
		"postgres://u:hunter2:b@127.0.0.1:1/x",
		"postgres://u:hunter2:b%zz@127.0.0.1:1/x",
		"postgres://u:hunter2/b@127.0.0.1:1/x",
		"postgres://u:hunter2?b@127.0.0.1:1/x",
		"postgres://u:hunter2@b@127.0.0.1:1/x",
		"postgres://u:hunter2 b@127.0.0.1:1/x",
		"postgres://127.0.0.1:1/x?user=u&password=hunter2",
		"postgres://127.0.0.1:1/x?user=u&password=hunter2&sslmode=bogus",
		"postgres://127.0.0.1:port/x?user=u&password=hunter2",
		"POSTGRES://u:hunter2@127.0.0.1:1/x",
		"postgres:u:hunter2@127.0.0.1/x",
		"postgresql+asyncpg://u:hunter2@h/x",
	} {
		cmd := commandFor(t.Context(), url, "list")
		cmd.Dir = t.TempDir()
		out, _ := cmd.CombinedOutput()
		if bytes.Contains(out, []byte("hunter")) {
			t.Errorf("DATABASE_URL=%s\n\tprints %s", url, out)
		}
		cmd = commandFor(t.Context(), url, "migrate")
		cmd.Dir = t.TempDir()
		out, _ = cmd.CombinedOutput()
		if bytes.Contains(out, []byte("hunter")) {
			t.Errorf("migrate, DATABASE_URL=%s\n\tprints %s", url, out)
		}
		files, _ := filepath.Glob(cmd.Dir + "/*")
		for _, f := range files {
			t.Errorf("migrate, DATABASE_URL=%s\n\tmakes the file %q", url, filepath.Base(f))
		}
	}
}

func TestTheCommandTellsDuplicatesApart(t *testing.T) {
	eachDatabase(t, func(t *testing.T, database string) {
		if out, ok := tell(t, database, "", "migrate"); !ok {
			t.Fatal(out)
		}
		db, err := open(database, true)
		if err != nil {
			t.Fatal(err)
		}
		// as fastapi-users left it
		db.Exec(`DROP INDEX ux_user__lower_email`)
		for _, email := range []string{"ann@example.com", "ANN@example.com"} {
			if err := db.Exec(`INSERT INTO "user" (id, email, hashed_password, is_active, is_superuser, is_verified) VALUES (?, ?, '', true, false, false)`, uuid.New(), email).Error; err != nil {
				t.Fatal(err)
			}
		}
		store, _ := userdb.New[userdb.User](db)
		if err := store.AllowLegacyDuplicates().Migrate(context.Background()); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"promote", "ANN@example.com"}, {"password", "ANN@example.com"}, {"verify", "Ann@example.com"}} {
			out, ok := tell(t, database, correct, args...)
			if ok && !strings.HasPrefix(out, args[1]) {
				t.Errorf("%v: %s", args, out)
			}
		}
		pool, _ := db.DB()
		pool.Close()
	})
}

func TestMigrateWritesNoControlCharacters(t *testing.T) {
	eachDatabase(t, func(t *testing.T, database string) {
		tell(t, database, "", "migrate")
		db, err := open(database, true)
		if err != nil {
			t.Fatal(err)
		}
		db.Exec(`DROP INDEX ux_user__lower_email`)
		for _, email := range []string{"\x1b]0;owned\x07ann@example.com", "\x1b]0;owned\x07ANN@example.com"} {
			if err := db.Exec(`INSERT INTO "user" (id, email, hashed_password, is_active, is_superuser, is_verified) VALUES (?, ?, '', true, false, false)`, uuid.New(), email).Error; err != nil {
				t.Fatal(err)
			}
		}
		pool, _ := db.DB()
		pool.Close()
		if out, ok := tell(t, database, "", "migrate"); ok || strings.ContainsAny(out, "\x1b\x07") {
			t.Errorf("%v %q", ok, out)
		}
	})
}

func TestANewFileIsItsOwnersAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users.db")
	if out, ok := tell(t, file, "", "migrate"); !ok {
		t.Fatal(out)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestSQLiteURLsOfPython(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "test.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"sqlite:///./test.db", "sqlite:///test.db", "sqlite:test.db", "test.db"} {
		cmd := commandFor(t.Context(), url, "list")
		cmd.Dir = dir
		out, _ := cmd.CombinedOutput()
		if !strings.Contains(string(out), "there is no table") { // the file was found
			t.Errorf("%s: %s", url, out)
		}
	}
}
