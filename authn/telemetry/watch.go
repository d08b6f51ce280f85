package telemetry

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/echo-users/echo-users/authn"
)

// Watch has the counts of a manager read at each collection ([authn.Watcher]);
// authn.New calls it. Those of several managers are added up, also where they
// share a hasher or a cache.
func (t *Telemetry) Watch(stats func() authn.Stats) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.managers = append(t.managers, stats)
}

// sums are the counts of all managers.
type sums struct {
	authn.Stats
	cache    authn.CacheStats
	cached   bool
	channels int64
	up       int64
}

func (t *Telemetry) sum() sums {
	t.mu.Lock()
	managers := t.managers[:len(t.managers):len(t.managers)]
	t.mu.Unlock()
	var all sums
	for _, stats := range managers {
		s := stats()
		all.BackgroundWaiting += s.BackgroundWaiting
		all.BackgroundRunning += s.BackgroundRunning
		all.BackgroundFailed += s.BackgroundFailed
		all.BackgroundRefused += s.BackgroundRefused
		all.LoadQueries += s.LoadQueries
		all.LoadUsers += s.LoadUsers
		all.HashesRunning += s.HashesRunning
		all.HashesWaiting += s.HashesWaiting
		if s.Cache == nil {
			continue
		}
		all.cached = true
		all.cache.Hits += s.Cache.Hits
		all.cache.Misses += s.Cache.Misses
		all.cache.Bypassed += s.Cache.Bypassed
		all.cache.Users += s.Cache.Users
		if s.Cache.Channel {
			all.channels++
		}
		if s.Cache.ChannelUp {
			all.up++
		}
	}
	return all
}

// with is a measurement's one attribute.
func with(key attribute.Key, value string) metric.ObserveOption {
	return metric.WithAttributeSet(attribute.NewSet(key.String(value)))
}

// observe makes the instruments of what is read.
func (t *Telemetry) observe(meter metric.Meter) error {
	var made []metric.Observable
	var failed error
	counter := func(name, unit, description string) metric.Int64Observable {
		c, err := meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
		failed = errors.Join(failed, err)
		made = append(made, c)
		return c
	}
	level := func(name, unit, description string) metric.Int64Observable {
		l, err := meter.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
		failed = errors.Join(failed, err)
		made = append(made, l)
		return l
	}
	var (
		hashes    = level("echo_users.hash.queue", "{hash}", "Hashes of passwords that are computed, and that wait in line, by weight.")
		jobs      = level("echo_users.background.jobs", "{job}", "Pieces of work in the background that run, and that wait.")
		failures  = counter("echo_users.background.failures", "{job}", "Pieces of work in the background that failed.")
		refusals  = counter("echo_users.background.refusals", "{job}", "Pieces of work that the background had no room for.")
		queries   = counter("echo_users.load.queries", "{query}", "Queries that loaded users for guards.")
		loaded    = counter("echo_users.load.users", "{user}", "Users who were asked for by those queries.")
		lookups   = counter("echo_users.cache.lookups", "{lookup}", "Users who were asked of the cache.")
		kept      = level("echo_users.cache.users", "{user}", "Users who are kept in the cache.")
		channels  = level("echo_users.cache.channels", "{channel}", "Channels by which caches hear of changes elsewhere.")
		connected = level("echo_users.cache.channels_up", "{channel}", "Those channels that are up.")
	)
	if failed != nil {
		return failed
	}
	hit, miss, bypassed := with(ResultKey, "hit"), with(ResultKey, "miss"), with(ResultKey, "bypassed")
	running, waiting := with(StateKey, "running"), with(StateKey, "waiting")
	_, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := t.sum()
		o.ObserveInt64(hashes, int64(s.HashesRunning), running)
		o.ObserveInt64(hashes, int64(s.HashesWaiting), waiting)
		o.ObserveInt64(jobs, int64(s.BackgroundRunning), running)
		o.ObserveInt64(jobs, int64(s.BackgroundWaiting), waiting)
		o.ObserveInt64(failures, int64(s.BackgroundFailed))
		o.ObserveInt64(refusals, int64(s.BackgroundRefused))
		o.ObserveInt64(queries, int64(s.LoadQueries))
		o.ObserveInt64(loaded, int64(s.LoadUsers))
		if !s.cached {
			return nil
		}
		o.ObserveInt64(lookups, int64(s.cache.Hits), hit)
		o.ObserveInt64(lookups, int64(s.cache.Misses), miss)
		o.ObserveInt64(lookups, int64(s.cache.Bypassed), bypassed)
		o.ObserveInt64(kept, int64(s.cache.Users))
		o.ObserveInt64(channels, s.channels)
		o.ObserveInt64(connected, s.up)
		return nil
	}, made...)
	return err
}
