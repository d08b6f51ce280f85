package redis_test

import (
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/strategies/redis"
)

func TestDenylist(t *testing.T) {
	client := newClient(t)
	p := prefix(t, client)
	list, err := redis.NewDenylist(client, redis.DenylistConfig{Prefix: p})
	if err != nil {
		t.Fatal(err)
	}
	authntest.TestDenylist(t, func(*testing.T) authn.Denylist { return list })
	now := time.Now()
	if err := list.Deny(t.Context(), [32]byte{42}, now.Add(time.Minute), now); err != nil {
		t.Fatal(err)
	}
	expiring := 0
	for _, key := range keysOf(t, client, p) {
		if left := client.PTTL(t.Context(), key).Val(); left > 0 && left <= time.Hour {
			expiring++
		}
	}
	if expiring != 2 {
		t.Errorf("%d keys expire", expiring)
	}
	if _, err := redis.NewDenylist(nil, redis.DenylistConfig{}); err == nil {
		t.Error("no client")
	}
	if _, err := redis.NewDenylist(client, redis.DenylistConfig{Timeout: -1}); err == nil {
		t.Error("a negative timeout")
	}
}
