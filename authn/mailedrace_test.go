package authn_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn"
)

// mailed opens every token as what it is.
type mailed authn.Mailed

func (m mailed) Make(context.Context, authn.Mailed) (authn.Token, error) {
	return authn.Token{Value: "token"}, nil
}

func (m mailed) Open(context.Context, string) (authn.Mailed, error) { return authn.Mailed(m), nil }

// A token proves the address that it was mailed to, also where the account gets
// another one between the look and the write.
func TestAMailedTokenThatRacesANewAddress(t *testing.T) {
	for what, c := range map[string]struct {
		meanwhile func(u *soul)
		use       func(users *authn.Users[*soul]) error
	}{
		"verify, another address": {func(u *soul) { u.Email = "eve@example.com" }, func(users *authn.Users[*soul]) error {
			_, err := users.Verify(t.Context(), "token")
			return err
		}},
		"reset, another address": {func(u *soul) { u.Email = "eve@example.com" }, func(users *authn.Users[*soul]) error {
			_, err := users.ResetPassword(t.Context(), "token", "another1")
			return err
		}},
		"reset, another password": {func(u *soul) { u.Generation++ }, func(users *authn.Users[*soul]) error {
			_, err := users.ResetPassword(t.Context(), "token", "another1")
			return err
		}},
		"reset, inactive": {func(u *soul) { u.IsActive = false }, func(users *authn.Users[*soul]) error {
			_, err := users.ResetPassword(t.Context(), "token", "another1")
			return err
		}},
	} {
		w := newWorld(t)
		tokens := mailed{Subject: "ann", Email: "Ann@example.com", Generation: 3}
		users, err := authn.New(w.store, authn.Config{Passwords: w.hasher, VerifyTokens: tokens, ResetTokens: tokens, Logger: slog.New(slog.DiscardHandler)}, w.backend)
		if err != nil {
			t.Fatal(err)
		}
		w.store.before = func() { // after the look, before the write
			now := *w.store.souls["ann"]
			c.meanwhile(&now)
			w.store.souls["ann"] = &now
		}
		if err := c.use(users); !errors.Is(err, authn.ErrInvalidToken) {
			t.Errorf("%s: %v", what, err)
		}
		if ann := w.store.souls["ann"]; ann.IsVerified || ann.HashedPassword != "h:secret" {
			t.Errorf("%s: %+v", what, ann)
		}
		w.store.before = nil
		w.store.souls["ann"] = &soul{id: "ann", Account: authn.Account{Email: "Ann@example.com", HashedPassword: "h:secret", IsActive: true, Generation: 3}}
		if err := c.use(users); err != nil {
			t.Errorf("%s, control: %v", what, err)
		}
	}
}

// Nothing, and what is too long, is no token, before anybody is asked what it
// means: a store of tokens might find a row that has none.
func TestNoTokenIsNeverOpened(t *testing.T) {
	w := newWorld(t)
	tokens := mailed{Subject: "ann", Email: "Ann@example.com", Generation: 3} // opens everything
	users, err := authn.New(w.store, authn.Config{Passwords: w.hasher, VerifyTokens: tokens, ResetTokens: tokens}, w.backend)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"", strings.Repeat("a", authn.MaxCredentialSize+1)} {
		if _, err := users.Verify(t.Context(), token); !errors.Is(err, authn.ErrInvalidToken) {
			t.Errorf("%d bytes verify: %v", len(token), err)
		}
		if _, err := users.ResetPassword(t.Context(), token, "another1"); !errors.Is(err, authn.ErrInvalidToken) {
			t.Errorf("%d bytes reset: %v", len(token), err)
		}
	}
	if ann := w.store.souls["ann"]; ann.IsVerified || ann.HashedPassword != "h:secret" {
		t.Errorf("%+v", ann)
	}
}
