package authn_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/echo-users/echo-users/authn"
)

// mailed opens every token as the last that was made.
type mailed struct{ said atomic.Pointer[authn.Mailed] }

func (m *mailed) Make(_ context.Context, said authn.Mailed) (authn.Token, error) {
	m.said.Store(&said)
	return authn.Token{Value: "token"}, nil
}

func (m *mailed) Open(context.Context, string) (authn.Mailed, error) { return *m.said.Load(), nil }

// ask has a token made for a reset of Ann's password.
func (m *mailed) ask(t *testing.T, users *authn.Users[*soul]) {
	t.Helper()
	if err := errors.Join(users.ForgotPassword(t.Context(), "Ann@example.com"), users.Flush(t.Context())); err != nil || m.said.Load().PasswordDigest == "" {
		t.Fatal(m.said.Load(), err)
	}
}

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
		"reset, another password": {func(u *soul) { u.HashedPassword, u.Generation = "h:others", u.Generation+1 }, func(users *authn.Users[*soul]) error {
			_, err := users.ResetPassword(t.Context(), "token", "another1")
			return err
		}},
		"reset, off and on again": {func(u *soul) { u.Generation += 1 << 32 }, func(users *authn.Users[*soul]) error {
			_, err := users.ResetPassword(t.Context(), "token", "another1")
			return err
		}},
		"reset, inactive": {func(u *soul) { u.IsActive = false }, func(users *authn.Users[*soul]) error {
			_, err := users.ResetPassword(t.Context(), "token", "another1")
			return err
		}},
	} {
		w := newWorld(t)
		tokens := new(mailed)
		users, err := authn.New(w.store, authn.Config{Passwords: w.hasher, VerifyTokens: tokens, ResetTokens: tokens, Logger: slog.New(slog.DiscardHandler)}, w.backend)
		if err != nil {
			t.Fatal(err)
		}
		tokens.ask(t, users)
		w.store.before = func() { // after the look, before the write
			now := *w.store.souls["ann"]
			c.meanwhile(&now)
			w.store.souls["ann"] = &now
		}
		if err := c.use(users); !errors.Is(err, authn.ErrInvalidToken) {
			t.Errorf("%s: %v", what, err)
		}
		if ann := w.store.souls["ann"]; ann.IsVerified || ann.HashedPassword == "h:another1" {
			t.Errorf("%s: %+v", what, ann)
		}
		w.store.before = nil
		w.store.souls["ann"] = &soul{id: "ann", Account: authn.Account{Email: "Ann@example.com", HashedPassword: "h:secret", IsActive: true, Generation: 3}}
		if err := c.use(users); err != nil {
			t.Errorf("%s, control: %v", what, err)
		}
	}
}

// Whoever has a credential of somebody's can sign them out as often as they like,
// and keep them from no reset.
func TestSigningOutVoidsNoReset(t *testing.T) {
	w := newWorld(t)
	tokens := new(mailed)
	users, err := authn.New(w.store, authn.Config{Passwords: w.hasher, ResetTokens: tokens}, w.backend)
	if err != nil {
		t.Fatal(err)
	}
	tokens.ask(t, users)
	if err := users.SignOutEverywhere(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	w.store.before = func() { // after the look, before the write
		now := *w.store.souls["ann"]
		now.Generation++
		w.store.souls["ann"] = &now
	}
	before := w.store.souls["ann"].Generation
	if _, err := users.ResetPassword(t.Context(), "token", "another1"); err != nil {
		t.Fatal(err)
	}
	if ann := w.store.souls["ann"]; ann.HashedPassword != "h:another1" || ann.Generation != before+2 {
		t.Errorf("%+v", ann)
	}
	w.store.before = nil
	if _, err := users.ResetPassword(t.Context(), "token", "another2"); !errors.Is(err, authn.ErrInvalidToken) {
		t.Errorf("a second time: %v", err)
	}
}

// Nothing, and what is too long, is no token, before anybody is asked what it
// means: a store of tokens might find a row that has none.
func TestNoTokenIsNeverOpened(t *testing.T) {
	w := newWorld(t)
	tokens := new(mailed) // opens everything
	users, err := authn.New(w.store, authn.Config{Passwords: w.hasher, VerifyTokens: tokens, ResetTokens: tokens}, w.backend)
	if err != nil {
		t.Fatal(err)
	}
	tokens.ask(t, users)
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
