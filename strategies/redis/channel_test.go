package redis_test

import (
	"crypto/rand"
	"testing"

	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/strategies/redis"
)

func TestChannel(t *testing.T) {
	name := "test_" + rand.Text()
	authntest.TestChannel(t, func(t *testing.T) authntest.Channel {
		channel, err := redis.NewChannel(newClient(t), redis.ChannelConfig{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		return channel
	})
	if _, err := redis.NewChannel(nil, redis.ChannelConfig{}); err == nil {
		t.Error("no client")
	}
	if _, err := redis.NewChannel(newClient(t), redis.ChannelConfig{Timeout: -1}); err == nil {
		t.Error("a negative timeout")
	}
}
