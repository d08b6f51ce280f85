package authntest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/echo-users/echo-users/authn"
)

// many is how many goroutines are fired at an atomic verb.
const many = 32

// TestStore runs the suite of [authn.Store], and of [authn.BatchStore] and
// [authn.Lister] where the store is one. newStore returns an empty store, and is called once for
// each part.
func TestStore[U authn.User](t *testing.T, newStore func(t *testing.T) authn.Store[U]) {
	for _, part := range storeParts[U]() {
		t.Run(part.name, func(t *testing.T) {
			p := new(problems)
			part.run(t.Context(), p, newStore(t))
			p.report(t)
		})
	}
}

// storePart is one rule of the contract.
type storePart[U authn.User] struct {
	name string
	run  func(ctx context.Context, p *problems, store authn.Store[U])
}

func storeParts[U authn.User]() []storePart[U] {
	return []storePart[U]{
		{"finds what was created", findsWhatWasCreated[U]},
		{"finds nobody else", findsNobodyElse[U]},
		{"one address, one account", oneAddress[U]},
		{"one address at once", oneAddressAtOnce[U]},
		{"updates write zero values", updatesWriteZeroValues[U]},
		{"updates refuse", updatesRefuse[U]},
		{"updates at once", updatesAtOnce[U]},
		{"one address of updates at once", oneAddressOfUpdatesAtOnce[U]},
		{"copies", copies[U]},
		{"deletes", deletes[U]},
		{"ended contexts", endedContexts[U]},
		{"batches", batches[U]},
		{"lists", lists[U]},
		{"lists while others write", listsWhileOthersWrite[U]},
	}
}

// create makes an active user of that address, or notes a problem.
func create[U authn.User](ctx context.Context, p *problems, store authn.Store[U], email string) (U, bool) {
	u, err := store.Create(ctx, func(u U) error {
		*u.AuthAccount() = authn.Account{Email: email, HashedPassword: "hash of " + email, IsActive: true, Generation: 5}
		return nil
	})
	if err != nil {
		p.add("Create of %s: %v", email, err)
		return u, false
	}
	if u.AuthID() == "" {
		p.add("Create of %s: the user has no id", email)
	}
	return u, true
}

// load returns the stored account, or notes a problem.
func load[U authn.User](ctx context.Context, p *problems, store authn.Store[U], id string) authn.Account {
	u, err := store.ByID(ctx, id)
	if err != nil {
		p.add("ByID of a user who is there: %v", err)
		return authn.Account{}
	}
	return *u.AuthAccount()
}

func findsWhatWasCreated[U authn.User](ctx context.Context, p *problems, store authn.Store[U]) {
	const email = "King.Arthur@camelot.example.com"
	want := authn.Account{Email: email, HashedPassword: "h", IsSuperuser: true, Generation: 1 << 40}
	u, err := store.Create(ctx, func(u U) error { *u.AuthAccount() = want; return nil })
	if err != nil {
		p.add("Create: %v", err)
		return
	}
	if _, ok := create(ctx, p, store, "another@camelot.example.com"); !ok {
		return
	}
	if got := load(ctx, p, store, u.AuthID()); got != want {
		p.add("ByID: %+v was created, and is %+v", want, got)
	}
	for _, typed := range []string{email, strings.ToLower(email), strings.ToUpper(email)} {
		found, err := store.ByEmail(ctx, typed)
		if err != nil {
			p.add("ByEmail(%q): %v, and letter case must not count", typed, err)
		} else if found.AuthID() != u.AuthID() || *found.AuthAccount() != want {
			p.add("ByEmail(%q): another user was found", typed)
		}
	}
}

func findsNobodyElse[U authn.User](ctx context.Context, p *problems, store authn.Store[U]) {
	if _, ok := create(ctx, p, store, "ann@example.com"); !ok {
		return
	}
	for _, text := range []string{"", " ", "nobody", "%", "_", "*", "' OR ''='", "\x00", "\xff", "0", "-1", strings.Repeat("9", 300)} {
		if _, err := store.ByID(ctx, text); !errors.Is(err, authn.ErrUserNotFound) {
			p.add("ByID(%q): %v, want ErrUserNotFound", text, err)
		}
		if _, err := store.ByEmail(ctx, text); !errors.Is(err, authn.ErrUserNotFound) {
			p.add("ByEmail(%q): %v, want ErrUserNotFound", text, err)
		}
		if err := store.Delete(ctx, text); !errors.Is(err, authn.ErrUserNotFound) {
			p.add("Delete(%q): %v, want ErrUserNotFound", text, err)
		}
		if _, err := store.Update(ctx, text, func(U) error { return nil }); !errors.Is(err, authn.ErrUserNotFound) {
			p.add("Update(%q): %v, want ErrUserNotFound", text, err)
		}
	}
}

func oneAddress[U authn.User](ctx context.Context, p *problems, store authn.Store[U]) {
	if _, ok := create(ctx, p, store, "ann@example.com"); !ok {
		return
	}
	for _, email := range []string{"ann@example.com", "ANN@example.com"} {
		if _, err := store.Create(ctx, func(u U) error { u.AuthAccount().Email = email; return nil }); !errors.Is(err, authn.ErrUserExists) {
			p.add("Create of %s a second time: %v, want ErrUserExists", email, err)
		}
	}
	refused := errors.New("refused")
	if _, err := store.Create(ctx, func(u U) error { u.AuthAccount().Email = "bob@example.com"; return refused }); !errors.Is(err, refused) {
		p.add("Create: fill's error became %v", err)
	}
	if _, err := store.ByEmail(ctx, "bob@example.com"); !errors.Is(err, authn.ErrUserNotFound) {
		p.add("Create stored what fill refused")
	}
}

func oneAddressAtOnce[U authn.User](ctx context.Context, p *problems, store authn.Store[U]) {
	var made atomic.Int64
	atOnce(many, func(i int) {
		email := "galahad@example.com"
		if i%2 == 1 {
			email = "Galahad@Example.com"
		}
		_, err := store.Create(ctx, func(u U) error { u.AuthAccount().Email = email; return nil })
		switch {
		case err == nil:
			made.Add(1)
		case !errors.Is(err, authn.ErrUserExists):
			p.add("Create at once: %v, want ErrUserExists", err)
		}
	})
	if n := made.Load(); n != 1 {
		p.add("%d goroutines created %d accounts of one address: let a unique index decide, not a look-up", many, n)
	}
}

func updatesWriteZeroValues[U authn.User](ctx context.Context, p *problems, store authn.Store[U]) {
	u, ok := create(ctx, p, store, "ann@example.com")
	if !ok {
		return
	}
	want := authn.Account{Email: "anna@example.com"}
	updated, err := store.Update(ctx, u.AuthID(), func(u U) error { *u.AuthAccount() = want; return nil })
	if err != nil {
		p.add("Update: %v", err)
		return
	}
	if *updated.AuthAccount() != want || updated.AuthID() != u.AuthID() {
		p.add("Update returned %+v", *updated.AuthAccount())
	}
	if got := load(ctx, p, store, u.AuthID()); got != want {
		p.add("Update to zero values stored %+v", got)
	}
}

func updatesRefuse[U authn.User](ctx context.Context, p *problems, store authn.Store[U]) {
	ann, ok := create(ctx, p, store, "ann@example.com")
	if _, also := create(ctx, p, store, "bob@example.com"); !ok || !also {
		return
	}
	refused := errors.New("refused")
	if _, err := store.Update(ctx, ann.AuthID(), func(u U) error { u.AuthAccount().IsSuperuser = true; return refused }); !errors.Is(err, refused) {
		p.add("Update: change's error became %v", err)
	}
	if load(ctx, p, store, ann.AuthID()).IsSuperuser {
		p.add("Update stored what change refused")
	}
	if _, err := store.Update(ctx, ann.AuthID(), func(u U) error { u.AuthAccount().Email = "BOB@example.com"; return nil }); !errors.Is(err, authn.ErrUserExists) {
		p.add("Update to a taken address: %v, want ErrUserExists", err)
	}
	if _, err := store.Update(ctx, ann.AuthID(), func(u U) error { u.AuthAccount().Email = "ANN@example.com"; return nil }); err != nil {
		p.add("Update of one's own address in letter case alone: %v", err)
	}
}

// updatesAtOnce mixes two kinds of change, so that one that writes a whole
// row, or a stale generation, undoes the other.
func updatesAtOnce[U authn.User](ctx context.Context, p *problems, store authn.Store[U]) {
	u, ok := create(ctx, p, store, "ann@example.com")
	if !ok {
		return
	}
	const writers, turns = 4, 8
	var flips atomic.Int64
	atOnce(writers, func(i int) {
		for range turns {
			_, err := store.Update(ctx, u.AuthID(), func(u U) error {
				a := u.AuthAccount()
				if i%2 == 0 {
					a.Generation++
				} else {
					a.HashedPassword += "."
				}
				return nil
			})
			if err != nil {
				p.add("Update at once: %v", err)
			}
			flips.Add(1)
		}
	})
	got := load(ctx, p, store, u.AuthID())
	if want := int64(5 + writers/2*turns); got.Generation != want {
		p.add("after %d increments at once the generation is %d, want %d: an update was lost", writers/2*turns, got.Generation, want)
	}
	if dots := strings.Count(got.HashedPassword, ".") - strings.Count("hash of ann@example.com", "."); dots != writers/2*turns {
		p.add("of %d changes of the hash at once %d are left: an update was lost", writers/2*turns, dots)
	}
}

func oneAddressOfUpdatesAtOnce[U authn.User](ctx context.Context, p *problems, store authn.Store[U]) {
	var ids []string
	for i := range 8 {
		u, ok := create(ctx, p, store, fmt.Sprintf("user%d@example.com", i))
		if !ok {
			return
		}
		ids = append(ids, u.AuthID())
	}
	var moved atomic.Int64
	atOnce(len(ids), func(i int) {
		_, err := store.Update(ctx, ids[i], func(u U) error { u.AuthAccount().Email = "new@example.com"; return nil })
		switch {
		case err == nil:
			moved.Add(1)
		case !errors.Is(err, authn.ErrUserExists):
			p.add("Update at once: %v, want ErrUserExists", err)
		}
	})
	if n := moved.Load(); n != 1 {
		p.add("%d users moved to one address", n)
	}
}

func copies[U authn.User](ctx context.Context, p *problems, store authn.Store[U]) {
	u, ok := create(ctx, p, store, "ann@example.com")
	if !ok {
		return
	}
	want := *u.AuthAccount()
	u.AuthAccount().IsSuperuser = true
	for range 2 {
		found, err := store.ByID(ctx, u.AuthID())
		if err != nil {
			p.add("ByID: %v", err)
			return
		}
		if *found.AuthAccount() != want {
			p.add("a change of a returned user reached the store, or another caller")
		}
		found.AuthAccount().IsSuperuser = true
	}
}

func deletes[U authn.User](ctx context.Context, p *problems, store authn.Store[U]) {
	u, ok := create(ctx, p, store, "ann@example.com")
	if !ok {
		return
	}
	var gone atomic.Int64
	atOnce(many, func(int) {
		switch err := store.Delete(ctx, u.AuthID()); {
		case err == nil:
			gone.Add(1)
		case !errors.Is(err, authn.ErrUserNotFound):
			p.add("Delete at once: %v, want ErrUserNotFound", err)
		}
	})
	if n := gone.Load(); n != 1 {
		p.add("one user was deleted %d times", n)
	}
	if _, err := store.ByID(ctx, u.AuthID()); !errors.Is(err, authn.ErrUserNotFound) {
		p.add("ByID of a deleted user: %v, want ErrUserNotFound", err)
	}
	if _, err := store.ByEmail(ctx, "ann@example.com"); !errors.Is(err, authn.ErrUserNotFound) {
		p.add("ByEmail of a deleted user: %v, want ErrUserNotFound", err)
	}
	if again, ok := create(ctx, p, store, "ann@example.com"); ok && again.AuthID() == u.AuthID() && again.AuthAccount().Generation <= 5 {
		p.add("a new user has the id of a deleted one, and a generation at which that one's credentials are valid")
	}
}

// endedContexts are the nearest thing to a store that is away: a look-up that
// couldn't be made must not look like one that found nobody.
func endedContexts[U authn.User](ctx context.Context, p *problems, store authn.Store[U]) {
	u, ok := create(ctx, p, store, "ann@example.com")
	if !ok {
		return
	}
	ended, end := context.WithCancel(ctx)
	end()
	if _, err := store.ByID(ended, u.AuthID()); errors.Is(err, authn.ErrUserNotFound) {
		p.add("ByID that failed says that there is no such user")
	}
	if _, err := store.ByEmail(ended, "ann@example.com"); errors.Is(err, authn.ErrUserNotFound) {
		p.add("ByEmail that failed says that there is no such user")
	}
	if _, err := store.Update(ended, u.AuthID(), func(U) error { return nil }); errors.Is(err, authn.ErrUserNotFound) {
		p.add("Update that failed says that there is no such user")
	}
}
