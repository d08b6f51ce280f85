package redis

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// DenylistConfig has the options of [NewDenylist].
type DenylistConfig struct {
	// Prefix is what keys begin with; the hash of a token follows it. Defaults
	// to "echo_users_denied:".
	Prefix string
	// Timeout is how long a call may take. Defaults to three seconds.
	Timeout time.Duration
}

const defaultDenylistPrefix = "echo_users_denied:"

// Denylist remembers revoked tokens, each in a key that expires with it
// ([authn.Denylist]). Safe for concurrent use. A server that drops keys when
// memory is short (maxmemory-policy other than noeviction) lets revoked tokens
// in again.
//
// [authn.Denylist]: https://pkg.go.dev/github.com/echo-users/echo-users/authn#Denylist
type Denylist struct {
	client goredis.UniversalClient
	cfg    DenylistConfig
}

// NewDenylist returns a denylist over the client, or an error that says what is
// wrong with it ([New]).
func NewDenylist(client goredis.UniversalClient, cfg DenylistConfig) (*Denylist, error) {
	if err := checkClient(client); err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	if cfg.Timeout < 0 {
		return nil, errors.New("redis: Timeout must not be negative")
	}
	if cfg.Prefix == "" {
		cfg.Prefix = defaultDenylistPrefix
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	return &Denylist{client: client, cfg: cfg}, nil
}

func (d *Denylist) key(id [32]byte) string {
	return d.cfg.Prefix + base64.RawURLEncoding.EncodeToString(id[:])
}

// Deny adds a token.
func (d *Denylist) Deny(ctx context.Context, id [32]byte, until, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	var life time.Duration // for ever
	if !until.IsZero() {
		if life = until.Sub(now); life <= 0 {
			return nil
		}
		life = max(life, time.Millisecond)
	}
	return away(ctx, d.client, d.client.Set(ctx, d.key(id), 1, life).Err())
}

// Denied reports whether a token was added.
func (d *Denylist) Denied(ctx context.Context, id [32]byte) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	found, err := d.client.Exists(ctx, d.key(id)).Result()
	return found > 0, away(ctx, d.client, err)
}
