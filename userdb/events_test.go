package userdb_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/userdb"
)

var _ authn.EventStore = (*userdb.Events)(nil)

func newEvents(t *testing.T, db *gorm.DB, cfg userdb.EventsConfig) *userdb.Events {
	t.Helper()
	events, err := userdb.NewEvents(db.Where("1 = 0"), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := events.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return events
}

func TestEvents(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		early, err := userdb.NewEvents(db, userdb.EventsConfig{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := early.Events(t.Context(), authn.EventQuery{}); !errors.Is(err, userdb.ErrNotMigrated) {
			t.Error(err)
		}
		if err := early.Append(t.Context(), authn.Event{}); !errors.Is(err, userdb.ErrNotMigrated) {
			t.Error(err)
		}
		events := newEvents(t, db, userdb.EventsConfig{Retention: -1})
		day := time.Date(2026, 1, 1, 12, 0, 0, 1, time.UTC)
		full := authn.Event{
			Kind: authn.EventLogin, Time: day, Outcome: authn.Refused, Reason: authn.ReasonHook, UserID: "7", ActorID: "1", Backend: "web",
			SessionID: "s", Methods: []string{"pwd", "otp"}, Provider: "google", Client: authn.Client{Address: "2001:db8::1", UserAgent: `Ünïcode "q'`},
		}
		if err := events.Append(t.Context(), full); err != nil {
			t.Fatal(err)
		}
		if err := events.Append(t.Context(), authn.Event{Kind: authn.EventLogin, Outcome: authn.Limited, Time: day}); err != nil {
			t.Error(err)
		}
		got, err := events.Events(t.Context(), authn.EventQuery{})
		if err != nil || len(got) != 1 || got[0].ID <= 0 {
			t.Fatal(got, err)
		}
		got[0].Time = got[0].Time.UTC()
		if full.ID = got[0].ID; !reflect.DeepEqual(got[0], full) {
			t.Errorf("%+v, want %+v", got[0], full)
		}
		for i := range 9 {
			kind := []authn.EventKind{authn.EventLogin, authn.EventLogout}[i%2]
			if err := events.Append(t.Context(), authn.Event{Kind: kind, Outcome: authn.Succeeded, UserID: fmt.Sprint(i % 3), SessionID: fmt.Sprint(i), Time: day.AddDate(0, 0, i+1)}); err != nil {
				t.Fatal(err)
			}
		}
		for what, c := range map[string]struct {
			q    authn.EventQuery
			want []string
		}{
			"all":            {authn.EventQuery{}, []string{"8", "7", "6", "5", "4", "3", "2", "1", "0", "s"}},
			"of a user":      {authn.EventQuery{UserID: "1"}, []string{"7", "4", "1"}},
			"of a kind":      {authn.EventQuery{Kind: authn.EventLogout}, []string{"7", "5", "3", "1"}},
			"of both":        {authn.EventQuery{UserID: "1", Kind: authn.EventLogout}, []string{"7", "1"}},
			"since":          {authn.EventQuery{Since: day.AddDate(0, 0, 8)}, []string{"8", "7"}},
			"until":          {authn.EventQuery{Until: day.AddDate(0, 0, 2)}, []string{"0", "s"}},
			"of nobody":      {authn.EventQuery{UserID: "' OR 1=1 --"}, nil},
			"not storable":   {authn.EventQuery{UserID: "\x00"}, nil},
			"no kind":        {authn.EventQuery{Kind: "\xff"}, nil},
			"before nothing": {authn.EventQuery{Before: -1}, nil},
		} {
			found, err := events.Events(t.Context(), c.q)
			var ids []string
			for _, e := range found {
				ids = append(ids, e.SessionID)
			}
			if err != nil || !slices.Equal(ids, c.want) {
				t.Errorf("%s: %v, %v, want %v", what, ids, err, c.want)
			}
		}
		var paged []string
		for q := (authn.EventQuery{Limit: 4}); ; {
			page, err := events.Events(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, e := range page {
				paged = append(paged, e.SessionID)
			}
			q.Before = page[len(page)-1].ID
			// What comes meanwhile is on no page that follows.
			if err := events.Append(t.Context(), authn.Event{Kind: "late", SessionID: "late", Time: day}); err != nil {
				t.Fatal(err)
			}
		}
		if want := []string{"8", "7", "6", "5", "4", "3", "2", "1", "0", "s"}; !slices.Equal(paged, want) {
			t.Errorf("paged %v, want %v", paged, want)
		}
	})
}

func TestEventsAreKeptForATime(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		clock := authntest.NewClock(time.Now())
		events := newEvents(t, db, userdb.EventsConfig{Retention: time.Hour, Now: clock.Now})
		add := func(ctx context.Context) error {
			return events.Append(ctx, authn.Event{Kind: authn.EventLogin, Time: clock.Now()})
		}
		count := func() int {
			t.Helper()
			all, err := events.Events(t.Context(), authn.EventQuery{Limit: 500})
			if err != nil {
				t.Fatal(err)
			}
			return len(all)
		}
		for range 20 {
			if err := add(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		last, err := events.Events(t.Context(), authn.EventQuery{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Hour + time.Second)
		if n, err := events.DeleteBefore(t.Context(), clock.Now().Add(-time.Hour), 7); n != 7 || err != nil || count() != 13 {
			t.Errorf("%d removed, %v, %d left", n, err, count())
		}
		var group sync.WaitGroup
		for range 6 {
			group.Go(func() {
				if err := add(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		for range 4 { // those who sweep at the same time may find less
			if err := add(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n := count(); n != 10 {
			t.Errorf("%d left, want those of the last hour", n)
		}
		// A transaction that is rolled back keeps nothing, where one is given.
		if err := db.Transaction(func(tx *gorm.DB) error {
			return errors.Join(add(userdb.WithTx(t.Context(), tx)), errUndo)
		}); !errors.Is(err, errUndo) || count() != 10 {
			t.Errorf("%v, %d left", err, count())
		}
		if _, err := events.DeleteBefore(t.Context(), clock.Now().Add(time.Hour), 100); err != nil || count() != 0 {
			t.Error(count(), err)
		}
		if err := add(t.Context()); err != nil {
			t.Fatal(err)
		}
		if now, err := events.Events(t.Context(), authn.EventQuery{}); err != nil || len(now) != 1 || now[0].ID <= last[0].ID {
			t.Errorf("%+v, %v: an id was used again", now, err)
		}
	})
}
