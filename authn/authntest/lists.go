package authntest

import (
	"context"
	"errors"
	"fmt"

	"github.com/echo-users/echo-users/authn"
)

func batches[U authn.User](ctx context.Context, p *problems, store authn.Store[U]) {
	batch, ok := store.(authn.BatchStore[U])
	if !ok || errors.Is(batch.ByIDs(ctx, nil, func(int, U) {}), authn.ErrNotSupported) {
		return
	}
	ids := []string{"nobody"}
	for i := range 5 {
		u, ok := create(ctx, p, store, fmt.Sprintf("user%d@example.com", i))
		if !ok {
			return
		}
		ids = append(ids, u.AuthID(), u.AuthID())
	}
	loaded := map[int]U{}
	if err := batch.ByIDs(ctx, ids, func(i int, u U) { loaded[i] = u }); err != nil {
		p.add("ByIDs: %v", err)
		return
	}
	for i, id := range ids {
		u, found := loaded[i]
		switch {
		case found != (i > 0):
			p.add("ByIDs: index %d was found: %t", i, found)
		case !found:
		case u.AuthID() != id || u.AuthAccount().IsSuperuser:
			p.add("ByIDs: index %d is another user, or shares memory with one", i)
		default:
			u.AuthAccount().IsSuperuser = true
		}
	}
}

func lists[U authn.User](ctx context.Context, p *problems, store authn.Store[U]) {
	lister, ok := store.(authn.Lister[U])
	if !ok {
		return
	}
	for i, email := range []string{"Ann@example.com", "a_n@example.com", "50%@example.com", "bob@example.com", `c\d@example.com`, "dan@example.com"} {
		_, err := store.Create(ctx, func(u U) error {
			*u.AuthAccount() = authn.Account{Email: email, HashedPassword: "h", IsActive: i%2 == 0, IsSuperuser: i == 0, IsVerified: i < 2}
			return nil
		})
		if err != nil {
			p.add("Create of %s: %v", email, err)
			return
		}
	}
	yes, no := true, false
	for what, c := range map[string]struct {
		query authn.Query
		want  int
	}{
		"everybody":             {authn.Query{}, 6},
		"part of an address":    {authn.Query{Search: "an"}, 2},
		"another letter case":   {authn.Query{Search: "ANN@EXAMPLE"}, 1},
		"a percent sign":        {authn.Query{Search: "%"}, 1},
		"an underscore":         {authn.Query{Search: "_"}, 1},
		"a backslash":           {authn.Query{Search: `\`}, 1},
		"a quote":               {authn.Query{Search: `'`}, 0},
		"NUL":                   {authn.Query{Search: "\x00"}, 0},
		"no UTF-8":              {authn.Query{Search: "\xff"}, 0},
		"active":                {authn.Query{Active: &yes}, 3},
		"inactive":              {authn.Query{Active: &no}, 3},
		"superusers":            {authn.Query{Superuser: &yes}, 1},
		"verified and inactive": {authn.Query{Verified: &yes, Active: &no}, 1},
		"unverified":            {authn.Query{Verified: &no}, 4},
	} {
		c.query.Limit = 100
		found, err := lister.List(ctx, c.query)
		if err != nil || len(found) != c.want {
			p.add("List of %s: %d users, want %d, %v", what, len(found), c.want, err)
		}
	}
	if found, err := lister.List(ctx, authn.Query{Limit: 2}); err != nil || len(found) != 2 {
		p.add("List of two: %d users, %v", len(found), err)
	}
}

// listsWhileOthersWrite goes through pages of two, and adds and deletes users
// between them.
func listsWhileOthersWrite[U authn.User](ctx context.Context, p *problems, store authn.Store[U]) {
	lister, ok := store.(authn.Lister[U])
	if !ok {
		return
	}
	stays := map[string]bool{}
	for i := range 9 {
		u, ok := create(ctx, p, store, fmt.Sprintf("user%d@example.com", i))
		if !ok {
			return
		}
		stays[u.AuthID()] = true
	}
	seen := map[string]int{}
	after := ""
	for page := range 20 {
		users, err := lister.List(ctx, authn.Query{After: after, Limit: 2})
		if err != nil {
			p.add("List after %q: %v", after, err)
			return
		}
		if len(users) == 0 {
			break
		}
		for _, u := range users {
			seen[u.AuthID()]++
		}
		after = users[len(users)-1].AuthID()
		if page < 2 { // also the one that the next page begins after is gone by then
			for _, u := range users {
				delete(stays, u.AuthID())
				if err := store.Delete(ctx, u.AuthID()); err != nil {
					p.add("Delete: %v", err)
				}
			}
			create(ctx, p, store, fmt.Sprintf("new%d@example.com", page))
		}
	}
	for id := range stays {
		if seen[id] != 1 {
			p.add("a user who was there all the time was listed %d times", seen[id])
		}
	}
}
