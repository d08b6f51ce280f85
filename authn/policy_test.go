package authn_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/password"
)

// asked is a policy that notes what it is asked, and answers.
type asked struct {
	passwords []string
	accounts  []authn.Account
	answer    error
}

func (p *asked) CheckPassword(_ context.Context, password string, account authn.Account) error {
	p.passwords, p.accounts = append(p.passwords, password), append(p.accounts, account)
	return p.answer
}

func newPolicyWorld(t *testing.T, p authn.PasswordPolicy) (*authn.Users[*soul], *world) {
	t.Helper()
	w := newWorld(t)
	users, err := authn.New(w.store, authn.Config{Passwords: w.hasher, PasswordPolicy: p, Logger: slog.New(slog.DiscardHandler)}, w.backend)
	if err != nil {
		t.Fatal(err)
	}
	return users, w
}

// Every way that sets a password asks the policy, with the account as it will
// be, and never with the old hash.
func TestThePolicyIsAskedOnEveryWay(t *testing.T) {
	email, password := " New@EXAMPLE.com", "another1"
	for what, c := range map[string]struct {
		set  func(*authn.Users[*soul]) error
		want authn.Account
	}{
		"register": {func(users *authn.Users[*soul]) error {
			_, err := users.Register(t.Context(), email, password, func(u *soul) error { u.IsSuperuser = true; return nil })
			return err
		}, authn.Account{Email: "New@example.com", IsActive: true, IsSuperuser: true}},
		"update": {func(users *authn.Users[*soul]) error {
			_, err := users.Update(t.Context(), "ann", authn.Update[*soul]{Password: &password})
			return err
		}, authn.Account{Email: "Ann@example.com", IsActive: true, Generation: 3}},
		"update of both": {func(users *authn.Users[*soul]) error {
			_, err := users.Update(t.Context(), "ann", authn.Update[*soul]{Password: &password, Email: &email})
			return err
		}, authn.Account{Email: "New@example.com", IsActive: true, Generation: 3}},
	} {
		refusal := &authn.PasswordError{Reason: "Password should be less like your name"}
		for _, answer := range []error{nil, refusal} {
			p := &asked{answer: answer}
			users, w := newPolicyWorld(t, p)
			err := c.set(users)
			var why *authn.PasswordError
			if (answer == nil) != (err == nil) || err != nil && (!errors.As(err, &why) || why != refusal) {
				t.Errorf("%s: %v", what, err)
			}
			times := 1
			if what == "register" && answer == nil {
				times = 2 // before the hash, and of the flags that fill sets
			}
			last := len(p.accounts) - 1
			if len(p.passwords) != times || p.passwords[last] != password || answer == nil && p.accounts[last] != c.want {
				t.Errorf("%s: asked %q of %+v, want %+v", what, p.passwords, p.accounts, c.want)
			}
			if (w.hasher.hashed == 1) != (answer == nil) {
				t.Errorf("%s: %d hashes", what, w.hasher.hashed)
			}
			if answer != nil && (len(w.store.souls) != 4 || w.store.souls["ann"].HashedPassword != "h:secret") {
				t.Errorf("%s: a refused password changed the store", what)
			}
		}
	}
}

// A policy that can't decide, for want of a list of leaked passwords, is away.
func TestAPolicyThatCannotDecideIs503(t *testing.T) {
	cut := errors.New("dial tcp: connection refused")
	password := "another1"
	for what, set := range map[string]func(*authn.Users[*soul]) error{
		"register": func(users *authn.Users[*soul]) error {
			_, err := users.Register(t.Context(), "bob@example.com", password, nil)
			return err
		},
		"update": func(users *authn.Users[*soul]) error {
			_, err := users.Update(t.Context(), "ann", authn.Update[*soul]{Password: &password})
			return err
		},
	} {
		users, w := newPolicyWorld(t, &asked{answer: cut})
		if err := set(users); !errors.Is(err, authn.ErrUnavailable) || !errors.Is(err, cut) || w.hasher.hashed != 0 {
			t.Errorf("%s: %v, %d hashes", what, err, w.hasher.hashed)
		}
	}
}

func TestMinLengthCountsCodePoints(t *testing.T) {
	for _, c := range []struct {
		min      authn.MinLength
		password string
		ok       bool
	}{
		{8, "", false}, {0, "", true}, {1, "", false},
		{8, "1234567", false}, {8, "12345678", true},
		{8, "äöüäöüä", false}, {8, "äöüäöüäö", true}, // fourteen and sixteen bytes
		{8, strings.Repeat("a\u0308", 7), false}, {8, strings.Repeat("a\u0308", 8), true}, // sixteen code points as typed
		{3, "👩‍🚀", true}, {4, "👩‍🚀", false}, // three code points of one picture
		{3, "\xff\xfe", false},
	} {
		err := c.min.CheckPassword(t.Context(), c.password, authn.Account{})
		var why *authn.PasswordError
		if (err == nil) != c.ok || err != nil && (!errors.As(err, &why) || c.password != "" && strings.Contains(err.Error(), c.password)) {
			t.Errorf("%d, %q: %v", c.min, c.password, err)
		}
	}
}

// A password is as long as it is looked at: up to the limit it is hashed,
// beyond it nothing is, and nothing is looked up.
func TestTheLongestPasswords(t *testing.T) {
	for what, c := range map[string]struct {
		password string
		want     error
		verified int
	}{
		"4096 letters": {strings.Repeat("a", authn.MaxPasswordLength), authn.ErrBadCredentials, 1},
		"4096 umlauts": {strings.Repeat("ä", authn.MaxPasswordLength), authn.ErrBadCredentials, 1},
		"4097 letters": {strings.Repeat("a", authn.MaxPasswordLength+1), authn.ErrPasswordTooLong, 0},
		"4097 bytes":   {strings.Repeat("\xff", authn.MaxPasswordLength+1), authn.ErrPasswordTooLong, 0},
		"invalid":      {"\xff", authn.ErrBadCredentials, 1},
		"NUL":          {"secret\x00", authn.ErrBadCredentials, 1},
		"empty":        {"", authn.ErrBadCredentials, 1},
	} {
		w := newWorld(t)
		if _, err := w.users.Authenticate(t.Context(), "ann@example.com", c.password); !errors.Is(err, c.want) || w.hasher.verified != c.verified {
			t.Errorf("%s: %v after %d verifications", what, err, w.hasher.verified)
		}
		if c.want != authn.ErrPasswordTooLong {
			continue
		}
		w.store.err = errors.New("cut")
		if _, err := w.users.Authenticate(t.Context(), "ann@example.com", c.password); !errors.Is(err, c.want) {
			t.Errorf("%s: somebody was looked up: %v", what, err)
		}
		if _, err := w.users.Update(t.Context(), "ann", authn.Update[*soul]{Password: &c.password}); err == nil || w.hasher.hashed != 0 {
			t.Errorf("%s: %v after %d hashes", what, err, w.hasher.hashed)
		}
	}
}

func TestAPasswordThatBcryptCannotTakeIsRefusedWithAReason(t *testing.T) {
	w := newWorld(t)
	users, err := authn.New(w.store, authn.Config{Passwords: &password.Hasher{LegacyBcryptCost: 4}}, w.backend)
	if err != nil {
		t.Fatal(err)
	}
	var refused *authn.PasswordError
	if _, err := users.Register(t.Context(), "bors@example.com", strings.Repeat("x", 73), nil); !errors.As(err, &refused) || !strings.Contains(refused.Reason, "72 bytes") {
		t.Errorf("%v", err)
	}
}

// A hook sees the user as it will be, on every way that sets a password.
func TestThePasswordHookSeesTheUserAsItWillBe(t *testing.T) {
	w := newWorld(t)
	users, err := authn.New(w.store, authn.Config{Passwords: w.hasher}, w.backend)
	if err != nil {
		t.Fatal(err)
	}
	users.Use(authn.Hooks[*soul]{CheckPassword: func(_ context.Context, u *soul, password string) error {
		name, _, _ := strings.Cut(u.AuthAccount().Email, "@")
		if strings.Contains(strings.ToLower(password), strings.ToLower(name)) {
			return &authn.PasswordError{Reason: "Password should not contain your name"}
		}
		return nil
	}})
	email := "gawain@example.com"
	for what, set := range map[string]func(password string) error{
		"register": func(password string) error {
			_, err := users.Register(t.Context(), email, password, nil)
			return err
		},
		"update": func(password string) error {
			_, err := users.Update(t.Context(), "ann", authn.Update[*soul]{Email: &email, Password: &password})
			return err
		},
	} {
		var refused *authn.PasswordError
		if err := set("i-am-gawain"); !errors.As(err, &refused) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if u, err := users.Get(t.Context(), "ann"); err != nil || u.AuthAccount().Email == email {
		t.Errorf("something was written: %+v, %v", u, err)
	}
	if _, err := users.Register(t.Context(), email, "correct horse", nil); err != nil {
		t.Error(err)
	}
}
