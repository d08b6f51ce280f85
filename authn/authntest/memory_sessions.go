package authntest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// MemorySessions is a store of sessions in memory, for tests. Its zero value is
// empty. It passes [TestSessions].
type MemorySessions struct {
	mu   sync.Mutex
	kept []authn.Session // in the order of log-ins
}

func (s *MemorySessions) index(subject, id string) int {
	return slices.IndexFunc(s.kept, func(kept authn.Session) bool { return kept.Subject == subject && kept.ID == id })
}

// InsertSession keeps a session.
func (s *MemorySessions) InsertSession(ctx context.Context, session authn.Session, now time.Time, limit authn.SessionLimit) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.index(session.Subject, session.ID) >= 0 {
		return fmt.Errorf("authntest: there is a session %s", session.ID)
	}
	s.kept = slices.DeleteFunc(s.kept, func(kept authn.Session) bool {
		return kept.Subject == session.Subject && (!now.Before(kept.ExpiresAt) || kept.Generation < session.Generation)
	})
	var others []string
	for _, kept := range s.kept {
		if kept.Subject == session.Subject {
			others = append(others, kept.ID)
		}
	}
	if over := len(others) + 1 - limit.Max; limit.Max > 0 && over > 0 {
		if limit.Refuse {
			return authn.ErrTooManySessions
		}
		s.kept = slices.DeleteFunc(s.kept, func(kept authn.Session) bool {
			return kept.Subject == session.Subject && slices.Contains(others[:over], kept.ID)
		})
	}
	s.kept = append(s.kept, copyOf(session))
	return nil
}

// copyOf shares no memory with a session.
func copyOf(s authn.Session) authn.Session {
	s.Methods, s.Scopes, s.Refresh = slices.Clone(s.Methods), slices.Clone(s.Scopes), slices.Clone(s.Refresh)
	return s
}

// Session returns a session.
func (s *MemorySessions) Session(ctx context.Context, subject, id string) (authn.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return authn.Session{}, err
	}
	i := s.index(subject, id)
	if i < 0 {
		return authn.Session{}, authn.ErrSessionNotFound
	}
	return copyOf(s.kept[i]), nil
}

// Sessions returns all sessions of a user.
func (s *MemorySessions) Sessions(ctx context.Context, subject string) ([]authn.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []authn.Session
	for _, kept := range s.kept {
		if kept.Subject == subject {
			all = append(all, copyOf(kept))
		}
	}
	return all, ctx.Err()
}

// UpdateSession writes what may change of a session.
func (s *MemorySessions) UpdateSession(ctx context.Context, session authn.Session, _ time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return false, err
	}
	i := s.index(session.Subject, session.ID)
	if i < 0 || s.kept[i].Version != session.Version {
		return false, nil
	}
	kept := &s.kept[i]
	kept.Generation, kept.SeenAt, kept.ExpiresAt, kept.Client = session.Generation, session.SeenAt, session.ExpiresAt, session.Client
	kept.Refresh = slices.Clone(session.Refresh)
	kept.Version++
	return true, nil
}

// DeleteSession ends a session.
func (s *MemorySessions) DeleteSession(ctx context.Context, subject, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	i := s.index(subject, id)
	if i < 0 {
		return authn.ErrSessionNotFound
	}
	s.kept = slices.Delete(s.kept, i, i+1)
	return nil
}

// DeleteSessions ends all sessions of a user but one.
func (s *MemorySessions) DeleteSessions(ctx context.Context, subject, but string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	s.kept = slices.DeleteFunc(s.kept, func(kept authn.Session) bool { return kept.Subject == subject && kept.ID != but })
	return nil
}
