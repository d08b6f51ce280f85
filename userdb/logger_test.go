package userdb_test

import (
	"bytes"
	"log"
	"strings"
	"testing"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/echo-users/echo-users/internal/testdb"
)

func TestNoValueOfAStatementIsLogged(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		var logged bytes.Buffer
		loud := logger.New(log.New(&logged, "", 0), logger.Config{LogLevel: logger.Info})
		store := newStore[knight](t, db.Session(&gorm.Session{Logger: loud}))
		u := create(t, store, newKnight("secretive"))
		if _, err := store.Update(t.Context(), u.AuthID(), func(k *knight) error { k.HashedPassword = "secretive, too"; return nil }); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Create(t.Context(), newKnight("secretive")); err == nil {
			t.Fatal("two of one address")
		}
		if text := logged.String(); !strings.Contains(text, "INSERT") || strings.Contains(text, "secretive") {
			t.Error(text)
		}
	})
}
