package authn_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// Very many keys don't have one forgotten that is in use, nor one of another
// name.
func TestMemoryLimitsAreBounded(t *testing.T) {
	var limits authn.MemoryLimits
	limit, now := authn.Limit{Burst: 1, Every: time.Hour}, time.Now()
	take := func(name string, n int) time.Duration {
		key := authn.LimitKey{Name: name}
		binary.BigEndian.PutUint64(key.Of[:], uint64(n))
		wait, err := limits.Take(t.Context(), key, limit, now)
		if err != nil {
			t.Fatal(err)
		}
		return wait
	}
	take("used", 0)
	take("other", 0)
	take("unused", 0)
	for i := range 200_000 {
		take("used", 1+i)
		take("unused", 1+i)
		if i%1000 == 0 && take("used", 0) == 0 {
			t.Fatalf("what is in use was forgotten after %d others", i)
		}
	}
	if take("unused", 0) != 0 {
		t.Error("what isn't in use is kept for ever")
	}
	if take("other", 0) == 0 {
		t.Error("what has another name was forgotten")
	}
}

func TestAGrowingDelayIsForgotten(t *testing.T) {
	var limits authn.MemoryLimits
	limit, now := authn.Limit{Burst: 1, Every: time.Second, Most: time.Minute}, time.Now()
	for i, want := range []time.Duration{0, time.Second} {
		if wait, _ := limits.Take(t.Context(), authn.LimitKey{}, limit, now); wait != want {
			t.Errorf("%d: %v", i, wait)
		}
	}
	for _, want := range []time.Duration{0, time.Second} { // and so the first of its burst again
		if wait, _ := limits.Take(t.Context(), authn.LimitKey{}, limit, now.Add(authn.LimitMemory+time.Second)); wait != want {
			t.Error(wait)
		}
	}
}
