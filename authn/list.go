package authn

import (
	"context"
	"errors"
	"fmt"
)

// Lister is a [Store] that lists its users.
type Lister[U User] interface {
	// List returns the first q.Limit of the users that q names, in the order of
	// their keys, after the key q.After. [ErrUserNotFound] where that is no key.
	List(ctx context.Context, q Query) ([]U, error)
}

// Query says which users to list. Its zero value is all of them.
type Query struct {
	// Search is a part of the address, in any letter case. No letter of it
	// stands for others.
	Search string
	// Active, Superuser and Verified, where set, are what the users must be.
	Active, Superuser, Verified *bool
	// After is the id of the last user of the page before ([Page.Next]), also
	// of one who is gone by now. Empty for the first page.
	After string
	// Limit is how many users are on a page. Defaults to 50; at most 500.
	Limit int
}

const (
	defaultPage = 50
	maxPage     = 500
	maxSearch   = 1280 // bytes
)

// Page is a part of a list.
type Page[U User] struct {
	Users []U
	// Next is [Query.After] of the next page; empty on the last one.
	Next string
}

// List returns a page of the users that q names, in the order of their keys:
// integers and UUIDs of version 7 are in the order of registration. Whoever is
// there all the time is on exactly one page, whatever is added and deleted
// meanwhile. [ErrUserNotFound] where q.After is no id, [ErrNotSupported] where
// the store is no [Lister], [ErrUnavailable].
//
// A search by a part of the address reads the whole table.
func (m *Users[U]) List(ctx context.Context, q Query) (Page[U], error) {
	lister, ok := storeCan[Lister[U]](m.store)
	if !ok {
		return Page[U]{}, fmt.Errorf("%w: the store is no authn.Lister", ErrNotSupported)
	}
	if len(q.Search) > maxSearch { // longer than any address
		return Page[U]{}, nil
	}
	if q.Limit <= 0 {
		q.Limit = defaultPage
	}
	limit := min(q.Limit, maxPage)
	q.Limit = limit + 1 // to see whether there is another page
	users, err := lister.List(ctx, q)
	if err != nil {
		if !errors.Is(err, ErrUserNotFound) {
			err = unavailable(err)
		}
		return Page[U]{}, err
	}
	page := Page[U]{Users: users}
	if len(users) > limit {
		page.Users, page.Next = users[:limit], users[limit-1].AuthID()
	}
	return page, nil
}
