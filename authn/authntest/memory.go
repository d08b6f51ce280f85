package authntest

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/echo-users/echo-users/authn"
)

// User is a user without fields of its own, for tests.
type User struct {
	ID string
	authn.Account
}

// AuthID returns the id.
func (u *User) AuthID() string { return u.ID }

// AuthAccount returns the account.
func (u *User) AuthAccount() *authn.Account { return &u.Account }

// Memory is a store of [User] without a database, for tests. Its zero value
// is empty. It passes [TestStore].
type Memory struct {
	mu    sync.Mutex
	next  int
	users map[string]User
}

// ByID returns a copy of the user with this id.
func (m *Memory) ByID(ctx context.Context, id string) (*User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	u, ok := m.users[id]
	if !ok {
		return nil, authn.ErrUserNotFound
	}
	return &u, nil
}

// ByEmail returns a copy of the user with this address.
func (m *Memory) ByEmail(ctx context.Context, email string) (*User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	u, ok := m.byEmail(email)
	if !ok {
		return nil, authn.ErrUserNotFound
	}
	return &u, nil
}

func (m *Memory) byEmail(email string) (User, bool) {
	for _, u := range m.users {
		if strings.EqualFold(u.Email, email) {
			return u, true
		}
	}
	return User{}, false
}

// Create adds a user.
func (m *Memory) Create(ctx context.Context, fill func(*User) error) (*User, error) {
	u := new(User)
	if err := fill(u); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, taken := m.byEmail(u.Email); taken {
		return nil, authn.ErrUserExists
	}
	if u.ID == "" {
		m.next++
		u.ID = "user-" + strconv.Itoa(m.next)
	}
	if _, taken := m.users[u.ID]; taken {
		return nil, authn.ErrConflict
	}
	if m.users == nil {
		m.users = map[string]User{}
	}
	m.users[u.ID] = *u
	return u, nil
}

// Update changes a user. change must not call the store.
func (m *Memory) Update(ctx context.Context, id string, change func(*User) error) (*User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	u, ok := m.users[id]
	if !ok {
		return nil, authn.ErrUserNotFound
	}
	if err := change(&u); err != nil {
		return nil, err
	}
	if other, taken := m.byEmail(u.Email); taken && other.ID != id {
		return nil, authn.ErrUserExists
	}
	m.users[id] = u
	return &u, nil
}

// Delete removes a user.
func (m *Memory) Delete(ctx context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, ok := m.users[id]; !ok {
		return authn.ErrUserNotFound
	}
	delete(m.users, id)
	return nil
}

// List returns copies of users in the order of their ids ([authn.Lister]).
func (m *Memory) List(ctx context.Context, q authn.Query) ([]*User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	is := func(want *bool, value bool) bool { return want == nil || *want == value }
	var found []*User
	for _, id := range slices.Sorted(maps.Keys(m.users)) {
		u := m.users[id]
		if id > q.After && len(found) < q.Limit &&
			strings.Contains(strings.ToLower(u.Email), strings.ToLower(q.Search)) &&
			is(q.Active, u.IsActive) && is(q.Superuser, u.IsSuperuser) && is(q.Verified, u.IsVerified) {
			found = append(found, &u)
		}
	}
	return found, nil
}
