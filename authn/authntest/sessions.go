package authntest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// TestSessions runs the suite of [authn.SessionStore]. newStore returns an
// empty store and the ids of two users who are there; it is called once for
// each part.
func TestSessions(t *testing.T, newStore func(t *testing.T) (store authn.SessionStore, ann, bob string)) {
	for _, part := range sessionParts {
		t.Run(part.name, func(t *testing.T) {
			p := new(problems)
			store, ann, bob := newStore(t)
			part.run(t.Context(), &sessionSuite{problems: p, store: store, ann: ann, bob: bob, now: time.Now().Truncate(time.Microsecond)})
			p.report(t)
		})
	}
}

var sessionParts = []struct {
	name string
	run  func(ctx context.Context, s *sessionSuite)
}{
	{"keeps what it was given", keepsSessions},
	{"updates one version", updatesSessions},
	{"updates at once", updatesSessionsAtOnce},
	{"ends one", endsSessions},
	{"ends all but one", endsOtherSessions},
	{"holds the limit", limitsSessions},
	{"holds the limit at once", limitsSessionsAtOnce},
	{"ended contexts", sessionsOfEndedContexts},
}

type sessionSuite struct {
	*problems
	store    authn.SessionStore
	ann, bob string
	now      time.Time
}

func (s *sessionSuite) session(subject, id string) authn.Session {
	return authn.Session{
		ID: id, Subject: subject, Backend: "web", Generation: 3,
		CreatedAt: s.now.Add(-time.Minute), SeenAt: s.now, ExpiresAt: s.now.Add(time.Hour), AuthTime: s.now.Add(-2 * time.Minute),
		Methods: []string{"pwd", "otp"}, Scopes: []string{"read"},
		Client:  authn.Client{Address: "2001:db8::1", UserAgent: `Ünïcode "quoted"`},
		Refresh: []byte{0, 1, 0xff, '\n'},
	}
}

func (s *sessionSuite) insert(ctx context.Context, session authn.Session) {
	if err := s.store.InsertSession(ctx, session, s.now, authn.SessionLimit{}); err != nil {
		s.add("InsertSession: %v", err)
	}
}

// ids are those of a user's sessions.
func (s *sessionSuite) ids(ctx context.Context, subject string) []string {
	all, err := s.store.Sessions(ctx, subject)
	if err != nil {
		s.add("Sessions: %v", err)
	}
	ids := []string{}
	for _, session := range all {
		ids = append(ids, session.ID)
	}
	slices.Sort(ids)
	return ids
}

func (s *sessionSuite) wantIDs(ctx context.Context, when, subject string, want ...string) {
	if ids := s.ids(ctx, subject); !slices.Equal(ids, append([]string{}, want...)) {
		s.add("%s: sessions %q, want %q", when, ids, want)
	}
}

func (s *sessionSuite) wantMissing(ctx context.Context, when, subject, id string) {
	if _, err := s.store.Session(ctx, subject, id); !errors.Is(err, authn.ErrSessionNotFound) {
		s.add("%s: Session: %v, want ErrSessionNotFound", when, err)
	}
}

// same compares sessions, times as instants.
func same(a, b authn.Session) bool {
	for _, times := range [][2]*time.Time{{&a.CreatedAt, &b.CreatedAt}, {&a.SeenAt, &b.SeenAt}, {&a.ExpiresAt, &b.ExpiresAt}, {&a.AuthTime, &b.AuthTime}} {
		if !times[0].Equal(*times[1]) {
			return false
		}
		*times[0] = *times[1]
	}
	return reflect.DeepEqual(a, b)
}

func keepsSessions(ctx context.Context, s *sessionSuite) {
	s.wantIDs(ctx, "an empty store", s.ann)
	s.wantMissing(ctx, "an empty store", s.ann, "one")
	one, bare := s.session(s.ann, "one"), authn.Session{ID: "bare", Subject: s.ann, CreatedAt: s.now, SeenAt: s.now, ExpiresAt: s.now.Add(time.Hour)}
	s.insert(ctx, one)
	s.insert(ctx, bare)
	s.insert(ctx, s.session(s.bob, "bobs"))
	for _, want := range []authn.Session{one, bare} {
		kept, err := s.store.Session(ctx, s.ann, want.ID)
		if err != nil || !same(kept, want) {
			s.add("Session: %+v, %v, want %+v", kept, err, want)
		}
	}
	s.wantIDs(ctx, "two of hers", s.ann, "bare", "one")
	s.wantMissing(ctx, "somebody else's", s.bob, "one")
	for _, odd := range []string{"", "ONE", "one\x00", "\xff", "on", "*", strings.Repeat("x", 5000)} {
		s.wantMissing(ctx, fmt.Sprintf("%.20q", odd), s.ann, odd)
		s.wantMissing(ctx, fmt.Sprintf("of %.20q", odd), odd, "one")
	}
	if all, err := s.store.Sessions(ctx, "nobody"); err != nil || len(all) != 0 {
		s.add("Sessions of nobody: %v, %v", all, err)
	}
}

func updatesSessions(ctx context.Context, s *sessionSuite) {
	first := s.session(s.ann, "one")
	s.insert(ctx, first)
	changed := first
	changed.Generation, changed.SeenAt, changed.ExpiresAt = 9, s.now.Add(time.Minute), s.now.Add(2*time.Hour)
	changed.Client, changed.Refresh = authn.Client{Address: "192.0.2.1"}, []byte("other")
	update := func(session authn.Session, want bool, what string) {
		if updated, err := s.store.UpdateSession(ctx, session, s.now); err != nil || updated != want {
			s.add("UpdateSession of %s: %t, %v, want %t", what, updated, err, want)
		}
	}
	foreign, missing := changed, changed
	foreign.Subject, missing.ID = s.bob, "two"
	update(foreign, false, "somebody else's")
	update(missing, false, "a session that isn't there")
	if kept, err := s.store.Session(ctx, s.ann, "one"); err != nil || !same(kept, first) {
		s.add("another's update changed it: %+v, %v", kept, err)
	}
	update(changed, true, "the first version")
	kept, err := s.store.Session(ctx, s.ann, "one")
	changed.Version = first.Version + 1
	if err != nil || !same(kept, changed) {
		s.add("after UpdateSession: %+v, %v, want %+v", kept, err, changed)
	}
	update(first, false, "a version that is over")
	if again, err := s.store.Session(ctx, s.ann, "one"); err != nil || !same(again, changed) {
		s.add("an update of a version that is over changed it: %+v, %v", again, err)
	}
	update(changed, true, "the second version")
	s.wantIDs(ctx, "after updates", s.ann, "one")
	s.wantIDs(ctx, "after updates", s.bob)
}

func updatesSessionsAtOnce(ctx context.Context, s *sessionSuite) {
	s.insert(ctx, s.session(s.ann, "one"))
	for round := range 3 {
		before, err := s.store.Session(ctx, s.ann, "one")
		if err != nil {
			s.add("Session: %v", err)
			return
		}
		var won atomic.Int32
		atOnce(many, func(i int) {
			mine := before
			mine.Refresh = fmt.Append(nil, round, i)
			updated, err := s.store.UpdateSession(ctx, mine, s.now)
			if err != nil {
				s.add("UpdateSession at once: %v", err)
			}
			if updated {
				won.Add(1)
			}
		})
		if n := won.Load(); n != 1 {
			s.add("%d updates of one version, want 1", n)
		}
	}
}

func endsSessions(ctx context.Context, s *sessionSuite) {
	one, two := s.session(s.ann, "one"), s.session(s.ann, "two")
	s.insert(ctx, one)
	s.insert(ctx, two)
	if err := s.store.DeleteSession(ctx, s.bob, "one"); !errors.Is(err, authn.ErrSessionNotFound) {
		s.add("DeleteSession of somebody else's: %v, want ErrSessionNotFound", err)
	}
	s.wantIDs(ctx, "somebody else has ended it", s.ann, "one", "two")
	var ended atomic.Int32
	atOnce(many, func(int) {
		switch err := s.store.DeleteSession(ctx, s.ann, "one"); {
		case err == nil:
			ended.Add(1)
		case !errors.Is(err, authn.ErrSessionNotFound):
			s.add("DeleteSession at once: %v", err)
		}
	})
	if n := ended.Load(); n != 1 {
		s.add("%d calls of DeleteSession ended one session", n)
	}
	s.wantIDs(ctx, "one has ended", s.ann, "two")
	if updated, err := s.store.UpdateSession(ctx, one, s.now); err != nil || updated {
		s.add("an update brought an ended session back: %t, %v", updated, err)
	}
	s.wantMissing(ctx, "it has ended", s.ann, "one")
}

func endsOtherSessions(ctx context.Context, s *sessionSuite) {
	for _, id := range []string{"one", "two", "three"} {
		s.insert(ctx, s.session(s.ann, id))
	}
	s.insert(ctx, s.session(s.bob, "bobs"))
	for _, c := range []struct {
		but  string
		want []string
	}{{"two", []string{"two"}}, {"", nil}, {"", nil}} {
		if err := s.store.DeleteSessions(ctx, s.ann, c.but); err != nil {
			s.add("DeleteSessions: %v", err)
		}
		s.wantIDs(ctx, "after DeleteSessions but "+c.but, s.ann, c.want...)
	}
	s.wantIDs(ctx, "she has ended hers", s.bob, "bobs")
	if err := s.store.DeleteSessions(ctx, "nobody", ""); err != nil {
		s.add("DeleteSessions of nobody: %v", err)
	}
}

func limitsSessions(ctx context.Context, s *sessionSuite) {
	insert := func(subject, id string, created time.Duration, limit authn.SessionLimit) error {
		session := s.session(subject, id)
		session.CreatedAt = s.now.Add(created)
		return s.store.InsertSession(ctx, session, s.now, limit)
	}
	two := authn.SessionLimit{Max: 2}
	for i, id := range []string{"b", "a", "c"} {
		if err := insert(s.ann, id, time.Duration(i)*time.Second, two); err != nil {
			s.add("InsertSession: %v", err)
		}
	}
	s.wantIDs(ctx, "the oldest has ended", s.ann, "a", "c")
	if err := insert(s.ann, "d", time.Minute, authn.SessionLimit{Max: 2, Refuse: true}); !errors.Is(err, authn.ErrTooManySessions) {
		s.add("InsertSession beyond the limit: %v, want ErrTooManySessions", err)
	}
	s.wantIDs(ctx, "one was refused", s.ann, "a", "c")
	if err := insert(s.bob, "bobs", 0, two); err != nil {
		s.add("InsertSession of another user: %v", err)
	}
	s.wantIDs(ctx, "another user logged in", s.ann, "a", "c")

	expired := s.session(s.ann, "a")
	expired.ExpiresAt = s.now
	if updated, err := s.store.UpdateSession(ctx, expired, s.now); err != nil || !updated {
		s.add("UpdateSession: %t, %v", updated, err)
	}
	if err := insert(s.ann, "e", time.Minute, authn.SessionLimit{Max: 2, Refuse: true}); err != nil {
		s.add("InsertSession beside an expired session: %v", err)
	}
	s.wantIDs(ctx, "one had expired", s.ann, "c", "e")

	later := s.session(s.ann, "f")
	later.Generation++ // a new password has ended the others
	if err := s.store.InsertSession(ctx, later, s.now, authn.SessionLimit{Max: 2, Refuse: true}); err != nil {
		s.add("InsertSession beside sessions of an earlier generation: %v", err)
	}
	if ids := s.ids(ctx, s.ann); !slices.Contains(ids, "f") {
		s.add("the session of the new generation isn't there: %v", ids)
	}
}

func limitsSessionsAtOnce(ctx context.Context, s *sessionSuite) {
	const most = 3
	for _, limit := range []authn.SessionLimit{{Max: most}, {Max: most, Refuse: true}} {
		if err := s.store.DeleteSessions(ctx, s.ann, ""); err != nil {
			s.add("DeleteSessions: %v", err)
		}
		atOnce(many, func(i int) {
			err := s.store.InsertSession(ctx, s.session(s.ann, fmt.Sprint("s", i)), s.now, limit)
			if err != nil && !(limit.Refuse && errors.Is(err, authn.ErrTooManySessions)) {
				s.add("InsertSession at once: %v", err)
			}
		})
		if ids := s.ids(ctx, s.ann); len(ids) != most {
			s.add("%d sessions after log-ins at once, want %d (refuse %t)", len(ids), most, limit.Refuse)
		}
	}
}

func sessionsOfEndedContexts(ctx context.Context, s *sessionSuite) {
	s.insert(ctx, s.session(s.ann, "one"))
	ended, cancel := context.WithCancel(ctx)
	cancel()
	one := s.session(s.ann, "one")
	_, lookUp := s.store.Session(ended, s.ann, "one")
	_, list := s.store.Sessions(ended, s.ann)
	_, update := s.store.UpdateSession(ended, one, s.now)
	for verb, err := range map[string]error{
		"InsertSession":  s.store.InsertSession(ended, s.session(s.ann, "two"), s.now, authn.SessionLimit{}),
		"Session":        lookUp,
		"Sessions":       list,
		"UpdateSession":  update,
		"DeleteSession":  s.store.DeleteSession(ended, s.ann, "one"),
		"DeleteSessions": s.store.DeleteSessions(ended, s.ann, ""),
	} {
		if err == nil || errors.Is(err, authn.ErrSessionNotFound) {
			s.add("%s with a context that has ended: %v", verb, err)
		}
	}
	s.wantIDs(ctx, "whoever asked was gone", s.ann, "one")
}
