package main

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/internal/testdb"
)

// TestSignedOutOnBoth does what the page in docs does, at two nodes that hear of
// each other through Redis and through Postgres.
func TestSignedOutOnBoth(t *testing.T) {
	t.Run("redis", func(t *testing.T) { signOut(t, testdb.SQLite(t), testdb.RedisURL(t)) })
	t.Run("postgres", func(t *testing.T) { signOut(t, testdb.Postgres(t), "") })
}

func signOut(t *testing.T, db *gorm.DB, redisURL string) {
	var nodes [2]*node
	for i := range nodes {
		channel, err := newChannel(db, redisURL)
		if err != nil {
			t.Fatal(err)
		}
		if nodes[i], err = newNode(t.Context(), db, channel, bytes.Repeat([]byte("k"), 32)); err != nil {
			t.Fatal(err)
		}
		defer nodes[i].cached.Close()
	}
	ask := func(n *node, method, path, contentType, body, token string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		n.server.ServeHTTP(w, r)
		return w
	}
	if w := ask(nodes[0], "POST", "/auth/register", "application/json", `{"email":"ann@example.com","password":"correct horse"}`, ""); w.Code != 201 {
		t.Fatal(w.Code, w.Body)
	}
	form := url.Values{"username": {"ann@example.com"}, "password": {"correct horse"}}
	var token struct {
		Value string `json:"access_token"`
	}
	if w := ask(nodes[0], "POST", "/auth/jwt/login", "application/x-www-form-urlencoded", form.Encode(), ""); json.Unmarshal(w.Body.Bytes(), &token) != nil {
		t.Fatal(w.Code, w.Body)
	}
	hello := func(n *node) int { return ask(n, "GET", "/hello", "", "", token.Value).Code }
	for range 3 {
		if a, b := hello(nodes[0]), hello(nodes[1]); a != 200 || b != 200 {
			t.Fatal(a, b)
		}
	}
	if w := ask(nodes[0], "POST", "/leave", "", "", token.Value); w.Code != 200 {
		t.Fatal(w.Code, w.Body)
	}
	if code := hello(nodes[0]); code != 401 {
		t.Error("on the node that did it: ", code)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for late := time.After(4 * time.Second); hello(nodes[1]) != 401; {
		select {
		case <-late:
			t.Fatal("the other node hasn't heard of it")
		case <-tick.C:
		}
	}
}
