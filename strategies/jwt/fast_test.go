package jwt_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/strategies/jwt"
)

// twin returns a strategy with FastHMAC and the same one without.
func twin(t *testing.T, keys jwt.Keys, cfg jwt.Config) (fast, plain *jwt.Strategy) {
	t.Helper()
	plain, err := jwt.New(keys, cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.FastHMAC = true
	if fast, err = jwt.New(keys, cfg); err != nil {
		t.Fatal(err)
	}
	return fast, plain
}

func issue(t *testing.T, s *jwt.Strategy, id authn.Identity) string {
	t.Helper()
	token, err := s.Issue(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return token.Value
}

// What is remembered of a token says nothing else than the token, and belongs to
// whoever reads it.
func TestRememberedTokensReadAlike(t *testing.T) {
	for _, algorithm := range []jwt.Algorithm{jwt.HS256, jwt.HS384, jwt.HS512} {
		fast, plain := twin(t, jwt.Secret([]byte(strings.Repeat("k", 64))), jwt.Config{Algorithm: algorithm})
		token := issue(t, fast, authn.Identity{
			Subject: "ann", Generation: 3, SessionID: "s", AuthTime: time.Now(), Methods: []string{"pwd", "otp"}, Scopes: []string{"a", "b"},
		})
		want, err := plain.Read(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			got, err := fast.Read(t.Context(), token)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %+v, %v, want %+v", algorithm, got, err, want)
			}
			got.Methods[0], got.Scopes[0] = "changed", "changed"
		}
	}
}

// A signature that is remembered opens no other token.
func TestARememberedSignatureVouchesForNothing(t *testing.T) {
	fast, _ := twin(t, jwt.Secret([]byte(strings.Repeat("k", 32))), jwt.Config{})
	ann, bob := issue(t, fast, authn.Identity{Subject: "ann"}), issue(t, fast, authn.Identity{Subject: "bob"})
	for range 2 {
		for _, token := range []string{ann, bob} {
			if _, err := fast.Read(t.Context(), token); err != nil {
				t.Fatal(err)
			}
		}
	}
	forged := bob[:strings.LastIndexByte(bob, '.')] + ann[strings.LastIndexByte(ann, '.'):]
	if id, err := fast.Read(t.Context(), forged); !errors.Is(err, authn.ErrInvalidToken) {
		t.Errorf("bob's claims under ann's signature: %+v, %v", id, err)
	}
}

func TestRememberedTokensExpire(t *testing.T) {
	clock := authntest.NewClock(time.Now())
	fast, _ := twin(t, jwt.Secret([]byte(strings.Repeat("k", 32))), jwt.Config{Lifetime: time.Minute, Now: clock.Now})
	token := issue(t, fast, authn.Identity{Subject: "ann"})
	for range 2 {
		if _, err := fast.Read(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	clock.Advance(time.Minute)
	if _, err := fast.Read(t.Context(), token); !errors.Is(err, authn.ErrInvalidToken) {
		t.Errorf("expired: %v", err)
	}
}

// What was signed by a key that is retired is refused, remembered or not.
func TestRememberedTokensEndWithTheirKey(t *testing.T) {
	old, next := jwt.Secret([]byte(strings.Repeat("o", 32))).WithID("old"), jwt.Secret([]byte(strings.Repeat("n", 32))).WithID("next")
	now := []jwt.Key{old}
	keys, err := jwt.NewKeySet(t.Context(), func(context.Context) ([]jwt.Key, error) { return now, nil }, jwt.KeySetConfig{})
	if err != nil {
		t.Fatal(err)
	}
	fast, _ := twin(t, keys, jwt.Config{})
	token := issue(t, fast, authn.Identity{Subject: "ann"})
	for _, step := range []struct {
		keys []jwt.Key
		good bool
	}{{[]jwt.Key{old}, true}, {[]jwt.Key{next, old}, true}, {[]jwt.Key{next}, false}, {[]jwt.Key{next, old}, true}} {
		now = step.keys
		if err := keys.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := fast.Read(t.Context(), token); (err == nil) != step.good || err != nil && !errors.Is(err, authn.ErrInvalidToken) {
				t.Errorf("%v: %v", step.keys, err)
			}
		}
	}
}

// More tokens than there are places for push each other out, and are read all the
// same, also at once.
func TestMoreTokensThanAreRemembered(t *testing.T) {
	fast, _ := twin(t, jwt.Secret([]byte(strings.Repeat("k", 32))), jwt.Config{})
	tokens := map[string]string{}
	for i := range 6000 {
		name := fmt.Sprint("user", i)
		tokens[name] = issue(t, fast, authn.Identity{Subject: name})
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for name, token := range tokens {
				if id, err := fast.Read(t.Context(), token); err != nil || id.Subject != name {
					t.Errorf("%s: %+v, %v", name, id, err)
					return
				}
			}
		})
	}
	group.Wait()
}
