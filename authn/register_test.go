package authn_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
)

// diskStore takes its time to write a new user, and none to find one.
type diskStore struct{ authntest.Memory }

func (s *diskStore) Create(ctx context.Context, fill func(*authntest.User) error) (*authntest.User, error) {
	u, err := s.Memory.Create(ctx, fill)
	if err == nil {
		<-time.After(3 * time.Millisecond)
	}
	return u, err
}

func TestATakenAddressTakesAsLongAsANewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		users, err := authn.New(new(diskStore), authn.Config{}, authntest.Impersonator{})
		if err != nil {
			t.Fatal(err)
		}
		register := func(email string, want error) time.Duration {
			begun := time.Now()
			if _, err := users.Register(t.Context(), email, "correct horse", nil); !errors.Is(err, want) {
				t.Fatal(err)
			}
			return time.Since(begun)
		}
		fresh := register("ann@example.com", nil)
		taken := register("Ann@example.com", authn.ErrUserExists)
		if fresh != taken {
			t.Errorf("a new address takes %v, a taken one %v", fresh, taken)
		}
	})
}
