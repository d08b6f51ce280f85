package authn

import (
	"context"
	"sync"
	"time"
)

// MemoryLimits is a [LimitStore] in this process. Its zero value is empty. It
// remembers the last 65,536 keys of a name at least and twice as many at most,
// so that nobody fills the memory by using very many. Safe for concurrent use;
// its errors are nil.
type MemoryLimits struct {
	mu    sync.Mutex
	names map[string]*halves
}

// maxKeys is how many keys of a name are remembered at least.
const maxKeys = 1 << 16

// halves has what was used lately: when the newer half is full, the older half
// is forgotten.
type halves struct{ newer, older map[[32]byte]taken }

// taken is what was taken of a limit. Times are in Unix milliseconds.
type taken struct {
	// until is when all is there again; of a limit with a growing delay, when
	// there is one again.
	until int64
	// count and last are of a limit with a growing delay.
	count int
	last  int64
}

func (h *halves) get(key [32]byte) taken {
	if t, ok := h.newer[key]; ok {
		return t
	}
	return h.older[key]
}

func (h *halves) set(key [32]byte, t taken) {
	if t == (taken{}) {
		delete(h.newer, key)
		delete(h.older, key)
		return
	}
	if _, ok := h.newer[key]; !ok && len(h.newer) >= maxKeys {
		h.older, h.newer = h.newer, nil
	}
	if h.newer == nil {
		h.newer = map[[32]byte]taken{}
	}
	h.newer[key] = t
}

// of returns the keys of a name, with the lock held.
func (m *MemoryLimits) of(name string) *halves {
	if m.names == nil {
		m.names = map[string]*halves{}
	}
	if m.names[name] == nil {
		m.names[name] = new(halves)
	}
	return m.names[name]
}

// Take takes one, or returns how long to wait.
func (m *MemoryLimits) Take(_ context.Context, key LimitKey, limit Limit, now time.Time) (time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := m.of(key.Name)
	t, wait := keys.get(key.Of).take(limit, now.UnixMilli())
	keys.set(key.Of, t) // those that are refused are in use, too
	return time.Duration(wait) * time.Millisecond, nil
}

// GiveBack gives back one.
func (m *MemoryLimits) GiveBack(_ context.Context, key LimitKey, limit Limit, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := m.of(key.Name)
	keys.set(key.Of, keys.get(key.Of).giveBack(limit, now.UnixMilli()))
	return nil
}

// Clear gives back all.
func (m *MemoryLimits) Clear(_ context.Context, key LimitKey) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(key.Name).set(key.Of, taken{})
	return nil
}

// Remember keeps a key until then.
func (m *MemoryLimits) Remember(_ context.Context, key LimitKey, until, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(key.Name).set(key.Of, taken{until: until.UnixMilli()})
	return nil
}

// Remembered reports whether a key is kept.
func (m *MemoryLimits) Remembered(_ context.Context, key LimitKey, now time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of(key.Name).get(key.Of).until > now.UnixMilli(), nil
}

// take is the generic cell rate algorithm (ITU-T I.371), or the growing delay.
// The Redis script of package strategies/redis says the same.
func (t taken) take(limit Limit, now int64) (_ taken, wait int64) {
	every := max(limit.Every.Milliseconds(), 1)
	if limit.Most <= 0 {
		full := max(t.until, now) + every
		if wait := full - int64(limit.Burst)*every - now; wait > 0 {
			return t, wait
		}
		return taken{until: full}, 0
	}
	if now-t.last > LimitMemory.Milliseconds() {
		t = taken{}
	}
	if t.until > now {
		return t, t.until - now
	}
	t.count++
	t.last, t.until = now, 0
	if beyond := t.count - limit.Burst; beyond >= 0 {
		t.until = now + min(every<<min(beyond, 20), max(limit.Most.Milliseconds(), every))
	}
	return t, 0
}

func (t taken) giveBack(limit Limit, now int64) taken {
	if limit.Most <= 0 {
		if t.until -= max(limit.Every.Milliseconds(), 1); t.until <= now {
			return taken{}
		}
		return t
	}
	if t.count <= 1 {
		return taken{}
	}
	t.count--
	t.until = 0 // it was allowed, so that nothing was locked
	return t
}
