package password

import (
	"context"
	"time"
)

type waitedKey struct{}

// WithWaited returns a context with which [Hasher.Hash] and [Hasher.Verify] tell
// how long they have waited in line, also where they were refused.
func WithWaited(ctx context.Context, tell func(waited time.Duration)) context.Context {
	return context.WithValue(ctx, waitedKey{}, tell)
}

// Queue returns how much is computed, and how much waits in line, in hashes of
// Params: one that needs several times their memory counts for as many.
func (h *Hasher) Queue() (running, waiting int) {
	if h.init() != nil {
		return 0, 0
	}
	h.gate.mu.Lock()
	defer h.gate.mu.Unlock()
	return h.gate.inside, h.gate.waiting
}
