package password_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-users/echo-users/authn/password"
)

func TestAHashTellsHowLongItWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &password.Hasher{Params: password.Params{Memory: 64, Time: 1}, Concurrent: 1}
		release := make(chan struct{})
		first := password.WithWaited(t.Context(), func(waited time.Duration) {
			if waited != 0 {
				t.Errorf("the first one waited %v", waited)
			}
			<-release // inside, and not yet computing
		})
		var told time.Duration
		second := password.WithWaited(t.Context(), func(waited time.Duration) { told = waited })
		go func() { _, _ = h.Hash(first, "password") }()
		synctest.Wait()
		go func() { _, _, _ = h.Verify(second, "password", "") }()
		synctest.Wait()
		if running, waiting := h.Queue(); running != 1 || waiting != 1 {
			t.Errorf("%d run and %d wait", running, waiting)
		}
		<-time.After(time.Second) // by the bubble's clock
		close(release)
		synctest.Wait()
		if told != time.Second {
			t.Errorf("the second one waited %v", told)
		}
		if running, waiting := h.Queue(); running != 0 || waiting != 0 {
			t.Errorf("%d run and %d wait, of none", running, waiting)
		}
	})
	if running, waiting := (&password.Hasher{Params: password.Params{Memory: 1}}).Queue(); running != 0 || waiting != 0 {
		t.Errorf("%d run and %d wait at a gate that isn't there", running, waiting)
	}
}
