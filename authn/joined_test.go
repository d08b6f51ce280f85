package authn_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/echo-users/echo-users/authn"
)

// soul is a user with something that copies could share.
type soul struct {
	authn.Account
	id   string
	tags []string
}

func (s *soul) AuthID() string              { return s.id }
func (s *soul) AuthAccount() *authn.Account { return &s.Account }

// blocking is a store whose queries wait for a word, and are counted.
type blocking struct {
	authn.Store[*soul]
	answer  chan error
	queries []string
}

func (s *blocking) ask(ctx context.Context, query string) error {
	s.queries = append(s.queries, query)
	select {
	case err := <-s.answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *blocking) ByID(ctx context.Context, id string) (*soul, error) {
	if err := s.ask(ctx, id); err != nil {
		return nil, err
	}
	return newSoul(id)
}

func (s *blocking) ByIDs(ctx context.Context, ids []string, found func(int, *soul)) error {
	if len(ids) == 0 {
		return nil
	}
	if err := s.ask(ctx, strings.Join(ids, "+")); err != nil {
		return err
	}
	for i, id := range ids {
		if u, err := newSoul(id); err == nil {
			found(i, u)
		}
	}
	return nil
}

func newSoul(id string) (*soul, error) {
	if id == "nobody" {
		return nil, authn.ErrUserNotFound
	}
	return &soul{authn.Account{IsActive: true}, id, []string{"mine"}}, nil
}

// bySubject recognises whoever the request says it is.
type bySubject struct{}

func (bySubject) Name() string { return "subject" }
func (bySubject) Authenticate(r *http.Request) (authn.Identity, error) {
	return authn.Identity{Subject: r.Header.Get("Subject")}, nil
}

// load is a guarded request in the background.
type load struct {
	user *soul
	err  error
	done bool
}

func startLoad(ctx context.Context, g *authn.Guard[*soul], id string) *load {
	l := new(load)
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	r.Header.Set("Subject", id)
	go func() {
		l.user, _, l.err = g.Check(r)
		l.done = true
	}()
	synctest.Wait()
	return l
}

// busyGuard returns a guard all of whose queries are busy with loads that the
// store doesn't answer yet.
func busyGuard(t *testing.T) (*blocking, *authn.Guard[*soul], []*load) {
	t.Helper()
	store := &blocking{answer: make(chan error)}
	users, err := authn.New(store, authn.Config{}, bySubject{})
	if err != nil {
		t.Fatal(err)
	}
	g := users.CurrentUser(authn.Active)
	var first []*load
	for i := range max(2, runtime.GOMAXPROCS(0)) {
		first = append(first, startLoad(t.Context(), g, fmt.Sprint("first", i)))
	}
	return store, g, first
}

func (s *blocking) let(err error) {
	s.answer <- err
	synctest.Wait()
}

func TestLoadsThatWaitAreJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, g, first := busyGuard(t)
		sent := len(store.queries)
		var waiting []*load
		for _, id := range []string{"ann", "ann", "bob", "nobody", "ann"} {
			waiting = append(waiting, startLoad(t.Context(), g, id))
		}
		if len(store.queries) != sent {
			t.Fatalf("queries %v", store.queries)
		}
		store.let(nil) // one of the first lands, and the others take off together
		if got := store.queries[sent:]; len(got) != 1 || got[0] != "ann+ann+bob+nobody+ann" {
			t.Fatalf("queries %v", got)
		}
		late := startLoad(t.Context(), g, "ann")
		for range first { // the other firsts, and the joined one
			store.let(nil)
		}
		for i, l := range waiting {
			if id := []string{"ann", "ann", "bob", "", "ann"}[i]; id == "" {
				if !errors.Is(l.err, authn.ErrUnauthorized) {
					t.Errorf("nobody: %v", l.err)
				}
			} else if l.err != nil || l.user.id != id {
				t.Errorf("%s: %v", id, l.err)
			}
		}
		waiting[0].user.tags[0] = "yours"
		if waiting[1].user.tags[0] != "mine" {
			t.Error("two requests share a user")
		}
		if late.done {
			t.Error("a load joined a query that was sent before it")
		}
		store.let(nil)
		if late.err != nil || late.user.id != "ann" {
			t.Errorf("%v", late.err)
		}
	})
}

func TestAWaiterWhoGivesUpLeavesTheOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, g, first := busyGuard(t)
		ctx, giveUp := context.WithCancel(t.Context())
		impatient := startLoad(ctx, g, "ann")
		patient := startLoad(t.Context(), g, "ann")
		giveUp()
		synctest.Wait()
		if !errors.Is(impatient.err, context.Canceled) || patient.done {
			t.Fatalf("%v, %v", impatient.err, patient.done)
		}
		for range len(first) + 1 {
			store.let(nil)
		}
		if patient.err != nil || patient.user.id != "ann" {
			t.Errorf("%v", patient.err)
		}
	})
}

func TestALoadEndsWithItsLastWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, g, first := busyGuard(t)
		ctx, giveUp := context.WithCancel(t.Context())
		a, b := startLoad(ctx, g, "ann"), startLoad(ctx, g, "bob")
		store.let(nil) // the joined query is sent
		before, giveUpBefore := context.WithCancel(t.Context())
		queued := startLoad(before, g, "cid")
		giveUpBefore()
		synctest.Wait()
		giveUp()
		synctest.Wait() // and ends by itself
		if !a.done || !b.done || !queued.done {
			t.Error("a load outlives its waiters")
		}
		for range len(first) - 1 {
			store.let(nil)
		}
		fresh := startLoad(t.Context(), g, "dan")
		store.let(nil)
		if fresh.err != nil || fresh.user.id != "dan" {
			t.Errorf("%v", fresh.err)
		}
		for _, query := range store.queries {
			if query == "cid" {
				t.Error("a query that nobody waits for was sent")
			}
		}
	})
}

func TestAnErrorReachesEveryWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, g, first := busyGuard(t)
		a, b := startLoad(t.Context(), g, "ann"), startLoad(t.Context(), g, "bob")
		for range first {
			store.let(nil)
		}
		store.let(errors.New("cut"))
		for _, l := range []*load{a, b} {
			if !errors.Is(l.err, authn.ErrUnavailable) || l.user != nil {
				t.Errorf("%v, %v", l.user, l.err)
			}
		}
	})
}

// Who hangs up while waiting must not take along who comes after.
func TestNobodyBoardsAnAbandonedFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, g, first := busyGuard(t)
		ctx, giveUp := context.WithCancel(t.Context())
		startLoad(ctx, g, "impatient")
		giveUp()
		synctest.Wait()
		var later []*load
		for range 63 {
			later = append(later, startLoad(t.Context(), g, "patient"))
		}
		for range first {
			store.let(nil)
		}
		if !later[0].done {
			store.let(nil)
		}
		for _, l := range later {
			if l.err != nil {
				t.Fatalf("%v", l.err)
			}
		}
	})
}
