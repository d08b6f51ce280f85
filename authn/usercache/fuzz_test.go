package usercache

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

// FuzzHear holds that whatever a channel brings makes a node forget, and never
// trust: a beat counts that is the node's own, and was sent before now.
func FuzzHear(f *testing.F) {
	for _, message := range []string{
		"user 0 ann", "user 10000 ann", "user -1 ann", "user 9223372036854775807 ann", "user  ann", "user 1 ", "user",
		"beat NODE 1", "beat NODE -1", "beat NODE 9223372036854775807", "beat NODE x", "beat NODE", "beat OTHER 1", "beat", "all", "all 10000", "all -1", "all x", "all 9223372036854775807", "", " ", "later 1 2",
	} {
		f.Add(message)
	}
	f.Fuzz(func(t *testing.T, message string) {
		forgotten, everybody := "", false
		l := &link{
			logger: slog.New(slog.DiscardHandler), node: "NODE", every: time.Second, trust: 3 * time.Second, began: time.Now().Add(-time.Hour),
			forget: func(id string, hold time.Duration) {
				if forgotten = id; id == "" || hold < 0 || hold > maxHold {
					t.Errorf("%q is forgotten for %v", id, hold)
				}
			},
			forgetAll: func(hold time.Duration) {
				if everybody = true; hold < 0 || hold > maxHold {
					t.Errorf("everybody is forgotten for %v", hold)
				}
			},
		}
		own := l.hear(message)
		if beat := strings.HasPrefix(message, "beat "); own && !strings.HasPrefix(message, "beat NODE ") || !own && l.until.Load() != 0 {
			t.Errorf("%q counts as a beat: %v, until %v", message, beat, l.until.Load())
		}
		if time.Duration(l.until.Load()) > time.Since(l.began)+l.trust {
			t.Errorf("%q is trusted until %v", message, l.until.Load())
		}
		if !strings.HasPrefix(message, "beat") && forgotten == "" && !everybody {
			t.Errorf("%q makes nobody forgotten", message)
		}
	})
}
