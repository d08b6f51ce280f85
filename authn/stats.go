package authn

// Watcher is an [Observer] that reads the manager's counts when it wants to.
// [New] tells it where; it may be told of several managers.
type Watcher interface {
	Watch(stats func() Stats)
}

// Stats are a manager's counts at a moment. Those that are uint64 only grow.
type Stats struct {
	// BackgroundWaiting is how many pieces of work wait in the background, and
	// BackgroundRunning how many run.
	BackgroundWaiting, BackgroundRunning int
	// BackgroundFailed counts those that failed, and BackgroundRefused those that
	// there was no room for.
	BackgroundFailed, BackgroundRefused uint64

	// LoadQueries counts the queries that loaded users for guards, and LoadUsers
	// the users who were asked for by them: where loads are joined ([BatchStore]),
	// they are more.
	LoadQueries, LoadUsers uint64

	// HashesRunning and HashesWaiting are how much is computed at the gate of the
	// hasher, and how much is in line, in hashes of its parameters. Zero for a
	// hasher without a method Queue() (running, waiting int), which
	// password.Hasher has.
	HashesRunning, HashesWaiting int

	// Cache is what the store says that keeps users for guards, or nil.
	Cache *CacheStats
}

// CacheStats are the counts of a [Recaller] that has a method CacheStats()
// CacheStats, as package usercache's has.
type CacheStats struct {
	// Hits are users who were kept, or known to be missing; Misses were loaded;
	// Bypassed were loaded because nothing could be kept: a channel was down, or
	// a transaction open.
	Hits, Misses, Bypassed uint64
	// Users is how many are kept, about.
	Users int
	// Channel is whether nodes tell each other of changes, and ChannelUp whether
	// they do so now.
	Channel, ChannelUp bool
}

// Stats returns the manager's counts.
func (m *Users[U]) Stats() Stats {
	var s Stats
	m.runner.count(&s)
	if m.joined != nil {
		m.joined.count(&s)
	}
	if m.queue != nil {
		s.HashesRunning, s.HashesWaiting = m.queue.Queue()
	}
	if m.cache != nil {
		cache := m.cache.CacheStats()
		s.Cache = &cache
	}
	return s
}

type queuer interface{ Queue() (running, waiting int) }

type cacheCounter interface{ CacheStats() CacheStats }

func (r *runner) count(s *Stats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.BackgroundWaiting, s.BackgroundRunning = len(r.queue), r.open-len(r.queue)
	s.BackgroundFailed, s.BackgroundRefused = r.failed, r.refused
}

func (j *joiner[U]) count(s *Stats) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s.LoadQueries, s.LoadUsers = j.queries, j.users
}
