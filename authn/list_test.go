package authn_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
)

func TestListGoesPageByPage(t *testing.T) {
	store := new(authntest.Memory)
	users, err := authn.New(store, authn.Config{}, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 600 {
		if _, err := store.Create(t.Context(), func(u *authntest.User) error { u.Email = fmt.Sprintf("user%d@example.com", i); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for limit, want := range map[int][]int{0: {50, 50}, -1: {50, 50}, 200: {200, 200, 200, 0}, 10_000: {500, 100, 0}, 600: {500, 100, 0}} {
		q := authn.Query{Limit: limit}
		for n, size := range want {
			page, err := users.List(t.Context(), q)
			if err != nil || len(page.Users) != size {
				t.Fatalf("limit %d, page %d: %d users, %v", limit, n, len(page.Users), err)
			}
			if q.After = page.Next; q.After == "" {
				if n+2 != len(want) {
					t.Errorf("limit %d ends after page %d", limit, n)
				}
				break
			}
		}
	}
}

func TestAStoreThatListsNobody(t *testing.T) {
	w := newWorld(t)
	if _, err := w.users.List(t.Context(), authn.Query{}); !errors.Is(err, authn.ErrNotSupported) {
		t.Errorf("%v", err)
	}
}
