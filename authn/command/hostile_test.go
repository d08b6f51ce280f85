package command_test

import (
	"context"
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/authn/command"
)

// An id may be any text, where the keys are text (-key text).
func TestIDsHaveNoControlCharacters(t *testing.T) {
	users, store := newUsers(t)
	for _, id := range []string{"\x1b]0;owned\x07", "\x1b[2J"} {
		if _, err := store.Create(t.Context(), func(u *authntest.User) error {
			u.ID, u.Email, u.IsActive = id, strings.Trim(id, "\x1b\x07[];")+"@example.com", true
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"list"}, {"list", "-limit", "1"}, {"promote", "2J@example.com"}} {
		out, screen, err := run(t, users, command.Config[*authntest.User]{}, args...)
		if text := out + screen; err != nil || strings.ContainsAny(text, "\x1b\x07") {
			t.Errorf("%q prints %q, %v", args, text, err)
		}
	}
}

// strict wants long passwords of superusers.
type strict struct{}

func (strict) CheckPassword(_ context.Context, password string, account authn.Account) error {
	if n := 8; account.IsSuperuser && len(password) < 16 || len(password) < n {
		return &authn.PasswordError{Reason: "too short for this account"}
	}
	return nil
}

func TestThePolicySeesASuperuser(t *testing.T) {
	store := new(authntest.Memory)
	users, err := authn.New(store, authn.Config{PasswordPolicy: strict{}}, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := run(t, users, command.Config[*authntest.User]{In: strings.NewReader("8letters\n")}, "create", "root@example.com", "-superuser"); err == nil {
		t.Error("create -superuser: a superuser has a password that the policy refuses for superusers")
	}
	if _, err := users.Register(t.Context(), "r@example.com", "8letters", func(u *authntest.User) error { u.IsSuperuser = true; return nil }); err == nil {
		t.Error("Register")
	}
	u, err := users.Register(t.Context(), "ann@example.com", "8letters", nil)
	if err != nil {
		t.Fatal(err)
	}
	yes, pw := true, "9letters!"
	if _, err := users.Update(t.Context(), u.AuthID(), authn.Update[*authntest.User]{IsSuperuser: &yes, Password: &pw}); err == nil {
		t.Error("Update: both in one")
	}
}

func TestNoErrorRepeatsAPassword(t *testing.T) {
	for what, in := range map[string]string{
		"NUL": "correct\x00horse\n", "invalid": "correct\xffhorse\n", "long": strings.Repeat("x", 5000) + "\n", "longer than the limit": strings.Repeat("x", 70<<10) + "\n",
		"1025": strings.Repeat("x", 1025), "blank": "\n", "CRLF": "\r\n", "second line": "\ncorrect horse\n",
	} {
		users, _ := newUsers(t)
		_, _, err := run(t, users, command.Config[*authntest.User]{In: strings.NewReader(in)}, "create", "ann@example.com")
		if err != nil && (strings.Contains(err.Error(), "xxxx") || strings.Contains(err.Error(), "horse")) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// U+009B is CSI in one character.
func TestJSONHasNoControlCharacters(t *testing.T) {
	users, store := newUsers(t)
	if _, err := store.Create(t.Context(), func(u *authntest.User) error { u.Email = "\u009b2Jann@example.com"; return nil }); err != nil {
		t.Fatal(err)
	}
	out, _, err := run(t, users, command.Config[*authntest.User]{}, "list", "-json")
	if err != nil || strings.Contains(out, "\u009b") {
		t.Errorf("%q %v", out, err)
	}
}
