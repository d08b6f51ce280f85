package authn_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
)

func newRecorder(t *testing.T, logger *slog.Logger) *authn.Users[*authntest.User] {
	t.Helper()
	users, err := authn.New(new(authntest.Memory), authn.Config{Logger: logger}, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	return users
}

// A sink that hangs, panics or fails hurts nobody: no request, no mail, and no
// other sink.
func TestSinksThatMisbehave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		users := newRecorder(t, slog.New(slog.NewTextHandler(&log, nil)))
		release := make(chan struct{})
		var hung, heard []authn.EventKind
		users.Use(authn.Hooks[*authntest.User]{OnEvent: func(_ context.Context, e authn.Event) error {
			<-release
			hung = append(hung, e.Kind)
			return nil
		}})
		users.Use(authn.Hooks[*authntest.User]{OnEvent: func(context.Context, authn.Event) error { panic("at the sink") }})
		users.Use(authn.Hooks[*authntest.User]{OnEvent: func(context.Context, authn.Event) error { return errors.New("the sink is away") }})
		users.Use(authn.Hooks[*authntest.User]{OnEvent: func(_ context.Context, e authn.Event) error {
			heard = append(heard, e.Kind)
			return nil
		}})
		const more = 10
		for range 4096 + more {
			users.Record(t.Context(), authn.Event{Kind: "tried"})
			synctest.Wait()
		}
		if err := users.Background(t.Context(), "a mail", func(context.Context) error { return nil }); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if len(heard) != 4096+more || len(hung) != 0 {
			t.Errorf("%d heard, %d by the sink that hangs", len(heard), len(hung))
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := users.Flush(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flush: %v, want that the events of one sink aren't told", err)
		}
		close(release)
		if err := users.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if want := 4096 + 1; len(hung) != want { // one was at the sink, the others waited
			t.Errorf("%d were told, want %d", len(hung), want)
		}
		users.Record(t.Context(), authn.Event{Kind: "last"})
		if err := users.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		users.Record(t.Context(), authn.Event{Kind: "too late"})
		if last := heard[len(heard)-1]; last != "last" {
			t.Errorf("heard %q", last)
		}
		for text, times := range map[string]int{"panic: at the sink": 4096 + more + 1, "the sink is away": 4096 + more + 1, "events were dropped": 1} {
			if n := strings.Count(log.String(), text); n != times {
				t.Errorf("%q is logged %d times, want %d", text, n, times)
			}
		}
		if !strings.Contains(log.String(), "count=9") {
			t.Error("the log doesn't say how many were dropped")
		}
	})
}

// Events reach a sink in their order, from wherever they come.
// Whoever is limited makes as many events as they like, and pushes out no others.
func TestAFloodOfLimitedEventsPushesOutNoOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		users := newRecorder(t, slog.New(slog.DiscardHandler))
		release := make(chan struct{})
		heard := map[authn.EventOutcome]int{}
		users.Use(authn.Hooks[*authntest.User]{OnEvent: func(_ context.Context, e authn.Event) error {
			<-release
			heard[e.Outcome]++
			return nil
		}})
		record := func(n int, outcome authn.EventOutcome) {
			for range n {
				users.Record(t.Context(), authn.Event{Kind: "tried", Outcome: outcome})
			}
		}
		record(5000, authn.Limited)
		record(3000, authn.Succeeded)
		close(release)
		synctest.Wait()
		record(1000, authn.Limited) // the others are through
		synctest.Wait()
		if heard[authn.Succeeded] != 3000 || heard[authn.Limited] != 1024+1000 && heard[authn.Limited] != 1025+1000 {
			t.Errorf("%v", heard)
		}
	})
}

func TestEventsAreToldInOrder(t *testing.T) {
	users := newRecorder(t, nil)
	seen := map[string][]string{}
	users.Use(authn.Hooks[*authntest.User]{OnEvent: func(_ context.Context, e authn.Event) error {
		seen[e.UserID] = append(seen[e.UserID], e.SessionID)
		return nil
	}})
	var group sync.WaitGroup
	for _, who := range []string{"a", "b", "c"} {
		group.Go(func() {
			for i := range 100 {
				users.Record(t.Context(), authn.Event{UserID: who, SessionID: string(rune('A' + i))})
			}
		})
	}
	group.Wait()
	if err := users.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for who, ids := range seen {
		for i, id := range ids {
			if id != string(rune('A'+i)) {
				t.Fatalf("of %s: %v", who, ids)
			}
		}
	}
}

func TestHeldEvents(t *testing.T) {
	users := newRecorder(t, nil)
	var heard []authn.EventKind
	users.Use(authn.Hooks[*authntest.User]{OnEvent: func(_ context.Context, e authn.Event) error {
		heard = append(heard, e.Kind)
		return nil
	}})
	outer, tellOuter := authn.HoldEvents(t.Context())
	users.Record(outer, authn.Event{Kind: "1"})
	inner, tellInner := authn.HoldEvents(outer)
	users.Record(inner, authn.Event{Kind: "2"})
	undone, _ := authn.HoldEvents(outer)
	users.Record(undone, authn.Event{Kind: "of a savepoint that was rolled back"})
	tellInner()
	users.Record(t.Context(), authn.Event{Kind: "0"})
	if err := users.Flush(t.Context()); err != nil || len(heard) != 1 {
		t.Errorf("%v heard before the commit, %v", heard, err)
	}
	tellOuter()
	users.Record(inner, authn.Event{Kind: "3"}) // with a context that outlived it
	if err := users.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if got, _ := json.Marshal(heard); string(got) != `["0","1","2","3"]` {
		t.Errorf("heard %s", got)
	}
}

// What a client calls itself is bounded, and forges no line of a log.
func TestClientsInEventsAreBounded(t *testing.T) {
	for typed, want := range map[string]string{
		"Mozilla/5.0":                        "Mozilla/5.0",
		"a\nlevel=ERROR\x00\r\u2028\x1b[31m": "a level=ERROR    [31m",
		"\xff\xfe":                           "\ufffd",
		strings.Repeat("x", 300):             strings.Repeat("x", 256),
		strings.Repeat("€", 100):             strings.Repeat("€", 85),
	} {
		users := newRecorder(t, nil)
		var got authn.Event
		users.Use(authn.Hooks[*authntest.User]{OnEvent: func(_ context.Context, e authn.Event) error { got = e; return nil }})
		users.Record(authn.WithClient(t.Context(), authn.Client{Address: "192.0.2.1", UserAgent: typed}), authn.Event{Kind: "tried"})
		if err := users.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got.Client.UserAgent != want || got.Client.Address != "192.0.2.1" || got.Outcome != authn.Succeeded || got.Time.IsZero() {
			t.Errorf("%q: %+v", typed, got)
		}
	}
}

func FuzzClientsInEvents(f *testing.F) {
	f.Add("Mozilla/5.0 (X11)")
	f.Add(strings.Repeat("€", 100) + "\xe2")
	f.Fuzz(func(t *testing.T, typed string) {
		users := newRecorder(t, nil)
		var got authn.Event
		users.Use(authn.Hooks[*authntest.User]{OnEvent: func(_ context.Context, e authn.Event) error { got = e; return nil }})
		users.Record(authn.WithClient(t.Context(), authn.Client{UserAgent: typed}), authn.Event{})
		if err := users.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		// What isn't UTF-8 becomes U+FFFD, of three bytes.
		if ua := got.Client.UserAgent; len(ua) > 3*256 || !utf8.ValidString(ua) || strings.ContainsAny(ua, "\x00\n\r\u2028") {
			t.Errorf("%q", ua)
		}
	})
}

func TestLogEvents(t *testing.T) {
	var log bytes.Buffer
	hear := authn.LogEvents(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})))
	for _, e := range []authn.Event{
		{
			Kind: authn.EventLogin, Outcome: authn.Succeeded, UserID: "7", Backend: "web", Methods: []string{"pwd", "otp"}, SessionID: "s",
			Client: authn.Client{Address: "192.0.2.1", UserAgent: "curl"},
		},
		{Kind: authn.EventLogin, Outcome: authn.Failed, Reason: authn.ReasonUnknownUser},
		{Kind: authn.EventUnlinked, Outcome: authn.Succeeded, UserID: "7", ActorID: "1", Provider: "google"},
		{Kind: authn.EventTokenReused, Outcome: authn.Succeeded, UserID: "7"},
	} {
		if err := hear(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	const want = `level=INFO msg="auth event" event.kind=login event.outcome=succeeded event.user=7 event.backend=web event.session=s event.methods="pwd otp" event.address=192.0.2.1 event.user_agent=curl
level=WARN msg="auth event" event.kind=login event.outcome=failed event.reason=unknown-user
level=INFO msg="auth event" event.kind=unlinked event.outcome=succeeded event.user=7 event.actor=1 event.provider=google
level=WARN msg="auth event" event.kind=token-reused event.outcome=succeeded event.user=7
`
	if log.String() != want {
		t.Errorf("%s\nwant\n%s", &log, want)
	}
}
