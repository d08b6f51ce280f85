package authn_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
)

// slowToFind takes its time to find somebody, and none for nobody.
type slowToFind struct{ authntest.Memory }

func (s *slowToFind) ByEmail(ctx context.Context, email string) (*authntest.User, error) {
	u, err := s.Memory.ByEmail(ctx, email)
	if err == nil {
		<-time.After(5 * time.Millisecond)
	}
	return u, err
}

// Neither the search nor the mail is waited for, so that the time of the answer
// says nothing of who has an account.
func TestARequestForAMailTakesAsLongForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := new(mailed)
		users, err := authn.New(new(slowToFind), authn.Config{VerifyTokens: tokens, ResetTokens: tokens, Passwords: new(plainText)}, authntest.Impersonator{})
		if err != nil {
			t.Fatal(err)
		}
		var sent atomic.Int64
		send := func(context.Context, *authntest.User, authn.Token) error {
			<-time.After(time.Second)
			sent.Add(1)
			return nil
		}
		users.Use(authn.Hooks[*authntest.User]{AfterRequestVerify: send, AfterForgotPassword: send})
		if _, err := users.Register(t.Context(), "ann@example.com", "correct horse", nil); err != nil {
			t.Fatal(err)
		}
		for what, ask := range map[string]func(context.Context, string) error{"reset": users.ForgotPassword, "verify": users.RequestVerify} {
			for _, email := range []string{"ann@example.com", "nobody@example.com"} {
				begun := time.Now()
				if err := ask(t.Context(), email); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(begun); took != 0 {
					t.Errorf("%s for %s: the answer took %v", what, email, took)
				}
			}
		}
		if err := errors.Join(users.Flush(t.Context()), users.Shutdown(t.Context())); err != nil || sent.Load() != 2 {
			t.Errorf("%d mails, %v", sent.Load(), err)
		}
	})
}
