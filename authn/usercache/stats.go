package usercache

import (
	"math/rand/v2"
	"sync/atomic"

	"github.com/echo-users/echo-users/authn"
)

// counter counts on several cache lines, so that processors don't wait for each
// other.
type counter [8]struct {
	n atomic.Uint64
	_ [120]byte
}

func (c *counter) add() { c[rand.Uint32()%uint32(len(c))].n.Add(1) }

func (c *counter) sum() (n uint64) {
	for i := range c {
		n += c[i].n.Load()
	}
	return n
}

// CacheStats returns the counts of the users who were asked for, and whether the
// channel is up.
func (s *Store[U]) CacheStats() authn.CacheStats {
	return authn.CacheStats{
		Hits:      s.hits.sum(),
		Misses:    s.misses.sum(),
		Bypassed:  s.bypassed.sum(),
		Users:     s.entries.EstimatedSize(),
		Channel:   s.link != nil,
		ChannelUp: s.link != nil && s.link.isUp(),
	}
}
