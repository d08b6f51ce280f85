package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/echo-users/echo-users/authn"
)

// SessionsConfig has the options of [NewSessions].
type SessionsConfig struct {
	// Prefix is what keys begin with; the user's id follows it. Defaults to
	// "echo_users_session:".
	Prefix string
	// Timeout is how long a call may take. Defaults to three seconds.
	Timeout time.Duration
}

const defaultSessionsPrefix = "echo_users_session:"

// Sessions keeps the sessions of each user in one hash, and so in one slot of a
// Cluster ([authn.SessionStore]). The hash expires with the last of them. Safe
// for concurrent use.
type Sessions struct {
	client goredis.UniversalClient
	cfg    SessionsConfig
}

// NewSessions returns sessions over the client, or an error that says what is
// wrong with it ([New]).
func NewSessions(client goredis.UniversalClient, cfg SessionsConfig) (*Sessions, error) {
	if err := checkClient(client); err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	if cfg.Timeout < 0 {
		return nil, errors.New("redis: Timeout must not be negative")
	}
	if cfg.Prefix == "" {
		cfg.Prefix = defaultSessionsPrefix
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	return &Sessions{client: client, cfg: cfg}, nil
}

// sessionRecord is what is stored of a session, as JSON. Times are in Unix
// nanoseconds; in milliseconds, which a script compares, where the name ends in
// "_ms": its numbers have 53 bits.
type sessionRecord struct {
	Backend    string   `json:"backend"`
	Generation int64    `json:"gen"`
	CreatedAt  int64    `json:"created"`
	SeenAt     int64    `json:"seen"`
	ExpiresAt  int64    `json:"exp"`
	AuthTime   int64    `json:"auth_time,omitempty"`
	Methods    []string `json:"amr,omitempty"`
	Scopes     []string `json:"scope,omitempty"`
	Address    string   `json:"address,omitempty"`
	UserAgent  string   `json:"user_agent,omitempty"`
	Refresh    []byte   `json:"refresh,omitempty"`

	CreatedMS int64 `json:"created_ms"`
	ExpiresMS int64 `json:"exp_ms"`
	Version   int64 `json:"version"`
}

func encodeSession(s authn.Session) ([]byte, error) {
	return json.Marshal(sessionRecord{
		Backend: s.Backend, Generation: s.Generation,
		CreatedAt: toNanos(s.CreatedAt), SeenAt: toNanos(s.SeenAt), ExpiresAt: toNanos(s.ExpiresAt), AuthTime: toNanos(s.AuthTime),
		Methods: s.Methods, Scopes: s.Scopes,
		Address: s.Client.Address, UserAgent: s.Client.UserAgent,
		Refresh:   s.Refresh,
		CreatedMS: s.CreatedAt.UnixMilli(), ExpiresMS: s.ExpiresAt.UnixMilli(), Version: s.Version,
	})
}

func decodeSession(subject, id string, stored []byte) (authn.Session, error) {
	var r sessionRecord
	if err := json.Unmarshal(stored, &r); err != nil {
		return authn.Session{}, errors.New("redis: what is stored of a session can't be read")
	}
	return authn.Session{
		ID: id, Subject: subject, Backend: r.Backend, Generation: r.Generation,
		CreatedAt: fromNanos(r.CreatedAt), SeenAt: fromNanos(r.SeenAt), ExpiresAt: fromNanos(r.ExpiresAt), AuthTime: fromNanos(r.AuthTime),
		Methods: r.Methods, Scopes: r.Scopes,
		Client:  authn.Client{Address: r.Address, UserAgent: r.UserAgent},
		Refresh: r.Refresh, Version: r.Version,
	}, nil
}

func (s *Sessions) key(subject string) string { return s.cfg.Prefix + subject }

func (s *Sessions) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.cfg.Timeout)
}

// insertSession removes what has expired, holds the limit, and keeps the
// session: 0 where it is refused. The key lives as long as its longest session.
// KEYS: the user's. ARGV: id, session, now in ms, time to live in ms, limit,
// whether to refuse, the generation before which sessions are over.
var insertSession = goredis.NewScript(`
local all = redis.call('HGETALL', KEYS[1])
local live = {}
for i = 1, #all, 2 do
	local ok, session = pcall(cjson.decode, all[i + 1])
	if all[i] == ARGV[1] then
		-- kept by this call already, and its answer was lost
	elseif not ok or session.exp_ms <= tonumber(ARGV[3]) or session.gen < tonumber(ARGV[7]) then
		redis.call('HDEL', KEYS[1], all[i])
	else
		live[#live + 1] = {all[i], session.created_ms}
	end
end
local limit = tonumber(ARGV[5])
if limit > 0 and #live >= limit then
	if ARGV[6] == '1' then
		return 0
	end
	table.sort(live, function(a, b) return a[2] < b[2] or a[2] == b[2] and a[1] < b[1] end)
	for i = 1, #live - limit + 1 do
		redis.call('HDEL', KEYS[1], live[i][1])
	end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then
	redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return 1`)

// updateSession replaces a session of this version, and tells whether it did.
// KEYS: the user's. ARGV: id, session, version, time to live in ms.
var updateSession = goredis.NewScript(`
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if not stored or cjson.decode(stored).version ~= tonumber(ARGV[3]) then
	return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then
	redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return 1`)

// removeOthers removes all of a user's sessions but one. KEYS: the user's. ARGV:
// its id.
var removeOthers = goredis.NewScript(`
for _, id in ipairs(redis.call('HKEYS', KEYS[1])) do
	if id ~= ARGV[1] then
		redis.call('HDEL', KEYS[1], id)
	end
end
return 1`)

// timeToLive is how long Redis keeps a session by its own clock, in ms.
func timeToLive(session authn.Session, now time.Time) int64 {
	return max(session.ExpiresAt.Sub(now).Milliseconds(), 1)
}

// InsertSession keeps a session, and holds the user to the limit:
// [authn.ErrTooManySessions].
func (s *Sessions) InsertSession(ctx context.Context, session authn.Session, now time.Time, limit authn.SessionLimit) error {
	if session.Subject == "" || session.ID == "" {
		return errors.New("redis: the session has no subject or no id")
	}
	stored, err := encodeSession(session)
	if err != nil {
		return err
	}
	refuse := 0
	if limit.Refuse {
		refuse = 1
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	kept, err := insertSession.Run(ctx, s.client, []string{s.key(session.Subject)},
		session.ID, stored, now.UnixMilli(), timeToLive(session, now), limit.Max, refuse, session.Generation).Bool()
	if err != nil {
		return s.away(ctx, err)
	}
	if !kept {
		return authn.ErrTooManySessions
	}
	return nil
}

// Session returns a session: [authn.ErrSessionNotFound].
func (s *Sessions) Session(ctx context.Context, subject, id string) (authn.Session, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	stored, err := s.client.HGet(ctx, s.key(subject), id).Bytes()
	if errors.Is(err, goredis.Nil) {
		return authn.Session{}, authn.ErrSessionNotFound
	}
	if err != nil {
		return authn.Session{}, s.away(ctx, err)
	}
	return decodeSession(subject, id, stored)
}

// Sessions returns all sessions of a user.
func (s *Sessions) Sessions(ctx context.Context, subject string) ([]authn.Session, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	stored, err := s.client.HGetAll(ctx, s.key(subject)).Result()
	if err != nil {
		return nil, s.away(ctx, err)
	}
	all := make([]authn.Session, 0, len(stored))
	for id, text := range stored {
		session, err := decodeSession(subject, id, []byte(text))
		if err != nil {
			return nil, err
		}
		all = append(all, session)
	}
	return all, nil
}

// UpdateSession replaces a session, if its version is this one still.
func (s *Sessions) UpdateSession(ctx context.Context, session authn.Session, now time.Time) (bool, error) {
	version := session.Version
	session.Version++
	stored, err := encodeSession(session)
	if err != nil {
		return false, err
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	updated, err := updateSession.Run(ctx, s.client, []string{s.key(session.Subject)},
		session.ID, stored, version, timeToLive(session, now)).Bool()
	return updated, s.away(ctx, err)
}

// DeleteSession ends a session: [authn.ErrSessionNotFound].
func (s *Sessions) DeleteSession(ctx context.Context, subject, id string) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	removed, err := s.client.HDel(ctx, s.key(subject), id).Result()
	if err != nil {
		return s.away(ctx, err)
	}
	if removed == 0 {
		return authn.ErrSessionNotFound
	}
	return nil
}

// DeleteSessions ends all sessions of a user but one.
func (s *Sessions) DeleteSessions(ctx context.Context, subject, but string) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if but == "" {
		return s.away(ctx, s.client.Del(ctx, s.key(subject)).Err())
	}
	return s.away(ctx, removeOthers.Run(ctx, s.client, []string{s.key(subject)}, but).Err())
}

func (s *Sessions) away(ctx context.Context, err error) error { return away(ctx, s.client, err) }
