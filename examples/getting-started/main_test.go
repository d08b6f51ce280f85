package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"
)

func TestRegisterAndLogIn(t *testing.T) {
	db, err := gorm.Open(sqlite.Open(filepath.Join(t.TempDir(), "app.db")), &gorm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	users, err := newUsers(t.Context(), db, []byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	e := newServer(users)
	addRoutes(e, users)
	do := func(r *http.Request) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		return w
	}

	register := httptest.NewRequest(http.MethodPost, "/auth/register", strings.NewReader(`{"email": "ann@example.com", "password": "correct horse"}`))
	register.Header.Set("Content-Type", "application/json")
	if w := do(register); w.Code != http.StatusCreated {
		t.Fatal(w.Code, w.Body)
	}
	form := url.Values{"username": {"ann@example.com"}, "password": {"correct horse"}}
	login := httptest.NewRequest(http.MethodPost, "/auth/jwt/login", strings.NewReader(form.Encode()))
	login.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(do(login).Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	hello := httptest.NewRequest(http.MethodGet, "/hello", nil)
	if w := do(hello); w.Code != http.StatusUnauthorized {
		t.Error(w.Code, w.Body)
	}
	hello.Header.Set("Authorization", "Bearer "+answer.Token)
	if w := do(hello); w.Code != http.StatusOK || w.Body.String() != "Hello, ann@example.com" {
		t.Error(w.Code, w.Body)
	}
}
