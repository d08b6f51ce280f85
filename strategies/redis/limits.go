package redis

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/echo-users/echo-users/authn"
)

// LimitsConfig has the options of [NewLimits].
type LimitsConfig struct {
	// Prefix is what keys begin with; the name of a limit and a hash follow it.
	// Defaults to "echo_users_limit:".
	Prefix string
	// Timeout is how long a call may take. Defaults to half a second: meanwhile
	// a log-in waits.
	Timeout time.Duration
}

const (
	defaultLimitsPrefix  = "echo_users_limit:"
	defaultLimitsTimeout = 500 * time.Millisecond
)

// Limits counts what is taken from limits, for all processes together
// ([authn.LimitStore]). Each call is about one key, which expires; it has a hash
// of whom it counts, from which an e-mail or IP address can be guessed by who
// reads Redis, no more. Safe for concurrent use. A server that drops keys when
// memory is short (maxmemory-policy other than noeviction) forgets failures.
//
// [authn.LimitStore]: https://pkg.go.dev/github.com/echo-users/echo-users/authn#LimitStore
type Limits struct {
	client goredis.UniversalClient
	cfg    LimitsConfig
}

// NewLimits returns limits over the client, or an error that says what is wrong
// with it ([New]).
func NewLimits(client goredis.UniversalClient, cfg LimitsConfig) (*Limits, error) {
	if err := checkClient(client); err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	if cfg.Timeout < 0 {
		return nil, errors.New("redis: Timeout must not be negative")
	}
	if cfg.Prefix == "" {
		cfg.Prefix = defaultLimitsPrefix
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultLimitsTimeout
	}
	return &Limits{client: client, cfg: cfg}, nil
}

// countLimit takes one, or gives one back, and returns how long to wait. It is
// what authn.MemoryLimits does. A key has when all is there again (the generic
// cell rate algorithm), or, of a growing delay, "count:until". KEYS: one. ARGV:
// now, 1 or -1, burst, every, most, how long a growing delay is remembered;
// times in ms.
var countLimit = goredis.NewScript(`
local now, n, burst, every, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local stored = redis.call('GET', KEYS[1]) or ''
local function keep(value, life)
	redis.call('SET', KEYS[1], value, 'PX', string.format('%.0f', life))
	return 0
end
if most == 0 then
	local full = math.max(tonumber(stored) or 0, now) + n * every
	if n > 0 and full - burst * every > now then
		return full - burst * every - now
	end
	if full <= now then
		redis.call('DEL', KEYS[1])
		return 0
	end
	return keep(string.format('%.0f', full), full - now)
end
local count, till = string.match(stored, '^(%d+):(%d+)$')
count, till = tonumber(count) or 0, tonumber(till) or 0
if n < 0 then
	if count <= 1 then
		redis.call('DEL', KEYS[1])
		return 0
	end
	return keep(string.format('%d:0', count - 1), ARGV[6])
end
if till > now then
	return till - now
end
count, till = count + 1, 0
if count >= burst then
	till = now + math.min(every * 2 ^ (count - burst), most)
end
return keep(string.format('%d:%.0f', count, till), ARGV[6])`)

func (l *Limits) key(key authn.LimitKey) string {
	return l.cfg.Prefix + key.Name + ":" + base64.RawURLEncoding.EncodeToString(key.Of[:])
}

func (l *Limits) count(ctx context.Context, key authn.LimitKey, n int, limit authn.Limit, now time.Time) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	every := max(limit.Every.Milliseconds(), 1)
	var most int64
	if limit.Most > 0 {
		most = max(limit.Most.Milliseconds(), every)
	}
	wait, err := countLimit.Run(ctx, l.client, []string{l.key(key)},
		now.UnixMilli(), n, limit.Burst, every, most, authn.LimitMemory.Milliseconds()).Int64()
	if err != nil {
		return 0, away(ctx, l.client, err)
	}
	return time.Duration(wait) * time.Millisecond, nil
}

// Take takes one, or returns how long to wait.
func (l *Limits) Take(ctx context.Context, key authn.LimitKey, limit authn.Limit, now time.Time) (time.Duration, error) {
	return l.count(ctx, key, 1, limit, now)
}

// GiveBack gives back one.
func (l *Limits) GiveBack(ctx context.Context, key authn.LimitKey, limit authn.Limit, now time.Time) error {
	_, err := l.count(ctx, key, -1, limit, now)
	return err
}

// Clear gives back all.
func (l *Limits) Clear(ctx context.Context, key authn.LimitKey) error {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	return away(ctx, l.client, l.client.Del(ctx, l.key(key)).Err())
}

// Remember keeps a key until then.
func (l *Limits) Remember(ctx context.Context, key authn.LimitKey, until, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	life := max(until.Sub(now), time.Millisecond)
	return away(ctx, l.client, l.client.Set(ctx, l.key(key), until.UnixMilli(), life).Err())
}

// Remembered reports whether a key is kept.
func (l *Limits) Remembered(ctx context.Context, key authn.LimitKey, now time.Time) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	text, err := l.client.Get(ctx, l.key(key)).Result()
	if errors.Is(err, goredis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, away(ctx, l.client, err)
	}
	until, err := strconv.ParseInt(text, 10, 64)
	return err == nil && until > now.UnixMilli(), nil
}
