package authntest

import (
	"context"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
)

func TestSessionsPassTheirSuite(t *testing.T) {
	TestSessions(t, func(*testing.T) (authn.SessionStore, string, string) { return new(MemorySessions), "ann", "bob" })
}

// sloppy is a store of sessions with faults.
type sloppy struct {
	MemorySessions
	lastWins, foreign, twice, unlimited, looksFirst, allOthers, rigid, failedIsMissing bool

	meet chan struct{}
}

func (s *sloppy) InsertSession(ctx context.Context, session authn.Session, now time.Time, limit authn.SessionLimit) error {
	if s.unlimited {
		limit.Refuse = false
	}
	if s.looksFirst {
		all, err := s.MemorySessions.Sessions(ctx, session.Subject)
		if err != nil {
			return err
		}
		for _, other := range all {
			if limit.Max > 0 && len(all) >= limit.Max && now.Before(other.ExpiresAt) {
				if limit.Refuse {
					return authn.ErrTooManySessions
				}
				_ = s.MemorySessions.DeleteSession(ctx, session.Subject, other.ID)
				break
			}
		}
		limit = authn.SessionLimit{}
		select { // let two log-ins be there at once, if there are two
		case s.meet <- struct{}{}:
		case <-s.meet:
		case <-time.After(time.Millisecond):
		}
	}
	return s.MemorySessions.InsertSession(ctx, session, now, limit)
}

func (s *sloppy) Session(ctx context.Context, subject, id string) (authn.Session, error) {
	if s.foreign {
		for _, kept := range s.kept {
			if kept.ID == id {
				return kept, nil
			}
		}
	}
	session, err := s.MemorySessions.Session(ctx, subject, id)
	if s.failedIsMissing && err != nil {
		err = authn.ErrSessionNotFound
	}
	return session, err
}

func (s *sloppy) UpdateSession(ctx context.Context, session authn.Session, now time.Time) (bool, error) {
	if s.lastWins {
		if now, err := s.MemorySessions.Session(ctx, session.Subject, session.ID); err == nil {
			session.Version = now.Version
		}
	}
	if s.rigid {
		session.Generation = 3
	}
	return s.MemorySessions.UpdateSession(ctx, session, now)
}

func (s *sloppy) DeleteSession(ctx context.Context, subject, id string) error {
	err := s.MemorySessions.DeleteSession(ctx, subject, id)
	if s.twice && ctx.Err() == nil {
		return nil
	}
	return err
}

func (s *sloppy) DeleteSessions(ctx context.Context, subject, but string) error {
	if s.allOthers {
		but = ""
	}
	return s.MemorySessions.DeleteSessions(ctx, subject, but)
}

func TestSessionsSuiteFindsFaults(t *testing.T) {
	for what, c := range map[string]struct {
		store *sloppy
		part  string
		says  string
	}{
		"last update wins":        {&sloppy{lastWins: true}, "updates one version", "a version that is over"},
		"last update wins, races": {&sloppy{lastWins: true}, "updates at once", "updates of one version"},
		"another's session":       {&sloppy{foreign: true}, "keeps what it was given", "somebody else's"},
		"ended twice":             {&sloppy{twice: true}, "ends one", "want ErrSessionNotFound"},
		"no refusal":              {&sloppy{unlimited: true}, "holds the limit", "want ErrTooManySessions"},
		"look-up before insert":   {&sloppy{looksFirst: true}, "holds the limit at once", "sessions after log-ins at once"},
		"all but none":            {&sloppy{allOthers: true}, "ends all but one", "after DeleteSessions but two"},
		"generation is kept":      {&sloppy{rigid: true}, "updates one version", "after UpdateSession"},
		"failed is not found":     {&sloppy{failedIsMissing: true}, "ended contexts", "with a context that has ended"},
	} {
		t.Run(what, func(t *testing.T) {
			c.store.meet = make(chan struct{})
			p := new(problems)
			for _, part := range sessionParts {
				if part.name == c.part {
					part.run(t.Context(), &sessionSuite{problems: p, store: c.store, ann: "ann", bob: "bob", now: time.Now()})
				}
			}
			wantsProblem(t, p, c.says)
		})
	}
}
