package redis_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/strategies/redis"
)

func TestLimits(t *testing.T) {
	client := newClient(t)
	p := prefix(t, client)
	limits, err := redis.NewLimits(client, redis.LimitsConfig{Prefix: p})
	if err != nil {
		t.Fatal(err)
	}
	authntest.TestLimits(t, func(*testing.T) authn.LimitStore { return limits })
	keys := keysOf(t, client, p)
	if len(keys) < 5 {
		t.Error(keys)
	}
	for _, key := range keys {
		if left := client.PTTL(t.Context(), key).Val(); left <= 0 || left > authn.LimitMemory {
			t.Errorf("%s expires in %v", key, left)
		}
	}
}

// A limit whose kind was changed in the configuration begins anew.
func TestLimitsOfAnotherKind(t *testing.T) {
	client := newClient(t)
	limits, err := redis.NewLimits(client, redis.LimitsConfig{Prefix: prefix(t, client)})
	if err != nil {
		t.Fatal(err)
	}
	key := authn.LimitKey{Name: "test", Of: [32]byte{1}}
	for range 2 {
		for _, most := range []time.Duration{0, time.Minute} {
			limit := authn.Limit{Burst: 2, Every: time.Minute, Most: most}
			if wait, err := limits.Take(t.Context(), key, limit, time.Now()); wait != 0 || err != nil {
				t.Error(wait, err)
			}
		}
	}
}

func TestLimitsThatAreAway(t *testing.T) {
	client := newClient(t)
	limits, err := redis.NewLimits(client, redis.LimitsConfig{Prefix: prefix(t, client)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	key, limit, now := authn.LimitKey{Name: "test"}, authn.Limit{Burst: 1, Every: time.Second}, time.Now()
	_, taken := limits.Take(ctx, key, limit, now)
	_, remembered := limits.Remembered(ctx, key, now)
	for what, err := range map[string]error{
		"Take": taken, "GiveBack": limits.GiveBack(ctx, key, limit, now), "Clear": limits.Clear(ctx, key),
		"Remember": limits.Remember(ctx, key, now.Add(time.Minute), now), "Remembered": remembered,
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if _, err := redis.NewLimits(nil, redis.LimitsConfig{}); err == nil || !strings.HasPrefix(err.Error(), "redis:") {
		t.Error(err)
	}
	if _, err := redis.NewLimits(client, redis.LimitsConfig{Timeout: -1}); err == nil {
		t.Error("a negative timeout")
	}
}
