package usercache_test

import (
	"context"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/authn/usercache"
)

// silent is a channel that never gets ready.
type silent struct{}

func (silent) Publish(context.Context, string) error { return nil }
func (silent) Listen(ctx context.Context, _ func(), _ func(string)) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestCacheStatsCountLookUps(t *testing.T) {
	store := new(counting)
	u, err := store.Create(t.Context(), func(u *authntest.User) error { u.Email = "ann@example.com"; return nil })
	if err != nil {
		t.Fatal(err)
	}
	cached, err := usercache.New(store, usercache.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if _, _, err := cached.Recall(t.Context(), u.AuthID(), time.Hour, store.ByID); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := cached.CacheStats(), (authn.CacheStats{Hits: 3, Misses: 1, Users: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}

	down, err := usercache.New(store, usercache.Config{Channel: silent{}})
	if err != nil {
		t.Fatal(err)
	}
	defer down.Close()
	if _, _, err := down.Recall(t.Context(), u.AuthID(), time.Hour, store.ByID); err != nil {
		t.Fatal(err)
	}
	if got, want := down.CacheStats(), (authn.CacheStats{Bypassed: 1, Channel: true}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// BenchmarkHit is a guard's look-up of a user who is kept.
func BenchmarkHit(b *testing.B) {
	store := new(counting)
	u, err := store.Create(b.Context(), func(u *authntest.User) error { u.Email = "ann@example.com"; return nil })
	if err != nil {
		b.Fatal(err)
	}
	cached, err := usercache.New(store, usercache.Config{MaxAge: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, _, err := cached.Recall(context.Background(), u.AuthID(), time.Hour, store.ByID); err != nil {
				b.Fatal(err)
			}
		}
	})
}
