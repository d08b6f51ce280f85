package bench

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/maypok86/otter/v2"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/internal/deepcopy"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

// BenchmarkParts is what a guard with KeepVerified and a user who is kept is made
// of, beside the parts of the check that package jwt measures itself.
func BenchmarkParts(b *testing.B) {
	store := newStore(b, testdb.SQLite(b))
	id := populate(b, store, 8)[0]
	cached := kept(b, store)
	recaller := cached.(authn.Recaller[*userdb.User])
	u, err := store.ByID(b.Context(), id)
	if err != nil {
		b.Fatal(err)
	}
	copier, err := deepcopy.NewCopier[userdb.User]()
	if err != nil {
		b.Fatal(err)
	}
	entries, err := otter.New(&otter.Options[string, *userdb.User]{MaximumSize: 10_000})
	if err != nil {
		b.Fatal(err)
	}
	entries.Set(id, u)

	good := token(b, secret, id)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set(good.header, good.value)
	text := strings.TrimPrefix(good.value, "Bearer ")
	strategy, err := jwt.New(jwt.Secret(secret), jwt.Config{KeepVerified: true})
	if err != nil {
		b.Fatal(err)
	}
	backend := byJWT(b, jwt.Config{KeepVerified: true})
	users, err := authn.New(cached, authn.Config{}, backend)
	if err != nil {
		b.Fatal(err)
	}
	guard := users.CurrentUser(authn.Active)
	route := guarded(b, cached, authn.Config{}, backend)
	unguarded := bare(b)
	e := echo.New()
	c := e.NewContext(r, httptest.NewRecorder())
	visitor := newClient(b)

	type carried struct {
		context.Context
		user     *userdb.User
		identity authn.Identity
	}
	for _, part := range []struct {
		name string
		run  func() bool
	}{
		{"the whole: guarded route", func() bool { return visitor.get(route, good) == http.StatusNoContent }},
		{"Echo: bare route", func() bool { return visitor.get(unguarded, good) == http.StatusNoContent }},
		{"guard", func() bool { _, _, err := guard.Check(r); return err == nil }},
		{"extract the token", func() bool { _, err := (backends.Bearer{}).Extract(r); return err == nil }},
		{"read the token", func() bool { _, err := strategy.Read(b.Context(), text); return err == nil }},
		{"recall the user", func() bool {
			_, kept, err := recaller.Recall(b.Context(), id, time.Minute, store.ByID)
			return kept || err == nil // once in a minute it isn't
		}},
		{"look up in the cache", func() bool { _, ok := entries.GetIfPresent(id); return ok }},
		{"copy the user", func() bool { return copier.Copy(u).ID == u.ID }},
		{"context and request", func() bool {
			c.SetRequest(r.WithContext(&carried{Context: r.Context(), user: u}))
			return true
		}},
		{"the time", func() bool { return !time.Now().IsZero() }},
	} {
		b.Run(strings.ReplaceAll(part.name, " ", "_"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !part.run() {
					b.Fatal("refused")
				}
			}
		})
	}
}
