package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// ChannelConfig has the options of [NewChannel].
type ChannelConfig struct {
	// Name is the channel's in Redis. Defaults to "echo_users".
	Name string
	// Timeout is how long sending a message, or beginning to listen, may take.
	// Defaults to three seconds.
	Timeout time.Duration
}

const defaultChannel = "echo_users"

// Channel carries messages between nodes by Redis' publish and subscribe, and
// by its sharded kind in a Cluster (Redis 7), where the other one keeps no order.
// It is a channel of package usercache. Safe for concurrent use.
type Channel struct {
	client  goredis.UniversalClient
	cfg     ChannelConfig
	sharded bool
}

// NewChannel returns a channel over the client, or an error that says what is
// wrong with it ([New]).
func NewChannel(client goredis.UniversalClient, cfg ChannelConfig) (*Channel, error) {
	if err := checkClient(client); err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	if cfg.Timeout < 0 {
		return nil, errors.New("redis: Timeout must not be negative")
	}
	if cfg.Name == "" {
		cfg.Name = defaultChannel
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	_, sharded := client.(*goredis.ClusterClient)
	return &Channel{client: client, cfg: cfg, sharded: sharded}, nil
}

// Publish sends a message to all who listen.
func (c *Channel) Publish(ctx context.Context, message string) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	publish := c.client.Publish
	if c.sharded {
		publish = c.client.SPublish
	}
	return away(ctx, c.client, publish(ctx, c.cfg.Name, message).Err())
}

var errLost = errors.New("redis: the subscription was lost")

// Listen calls ready once it hears everything, and hear with each message, until
// ctx ends or the connection does: go-redis would connect again by itself, and
// not say what was missed.
func (c *Channel) Listen(ctx context.Context, ready func(), hear func(message string)) error {
	subscribe := c.client.Subscribe
	if c.sharded {
		subscribe = c.client.SSubscribe
	}
	subscription := subscribe(ctx) // of nothing yet: it connects nowhere
	defer subscription.Close()
	defer context.AfterFunc(ctx, func() { subscription.Close() })()
	begin := subscription.Subscribe
	if c.sharded {
		begin = subscription.SSubscribe
	}
	begun, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	if err := begin(begun, c.cfg.Name); err != nil {
		return away(ctx, c.client, err)
	}
	listening := false
	for {
		var timeout time.Duration // none
		if !listening {
			timeout = c.cfg.Timeout
		}
		message, err := subscription.ReceiveTimeout(ctx, timeout)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return away(ctx, c.client, err)
		}
		switch message := message.(type) {
		case *goredis.Message:
			hear(message.Payload)
		case *goredis.Subscription:
			if listening {
				return errLost
			}
			listening = true
			ready()
		}
	}
}
