package command_test

import (
	"context"
	"errors"
	"flag"
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/authn/command"
)

func newUsers(t *testing.T) (*authn.Users[*authntest.User], *authntest.Memory) {
	t.Helper()
	store := new(authntest.Memory)
	users, err := authn.New(store, authn.Config{}, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	return users, store
}

// run returns what was printed to Out and to Err.
func run(t *testing.T, users *authn.Users[*authntest.User], cfg command.Config[*authntest.User], args ...string) (string, string, error) {
	t.Helper()
	var out, screen strings.Builder
	cfg.Out, cfg.Err = &out, &screen
	err := command.Run(t.Context(), users, args, cfg)
	return out.String(), screen.String(), err
}

func TestTheApplicationSetsItsOwnFields(t *testing.T) {
	users, _ := newUsers(t)
	for name, c := range map[string]struct{ err error }{"ann": {nil}, "bob": {errors.New("no first name")}} {
		cfg := command.Config[*authntest.User]{
			In:  strings.NewReader("correct horse\r\n"),
			New: func(u *authntest.User) error { u.ID = "id-of-" + name; return c.err },
		}
		out, _, err := run(t, users, cfg, "create", name+"@example.com")
		if !errors.Is(err, c.err) || c.err == nil && !strings.Contains(out, "id-of-"+name) {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
	if _, err := users.Authenticate(t.Context(), "ann@example.com", "correct horse"); err != nil {
		t.Errorf("the line's end is a part of the password: %v", err)
	}
}

func TestMailsAreSentBeforeItReturns(t *testing.T) {
	users, _ := newUsers(t)
	sent := false
	users.Use(authn.Hooks[*authntest.User]{AfterRegister: func(ctx context.Context, _ *authntest.User) {
		_ = users.Background(ctx, "welcome", func(context.Context) error { sent = true; return nil })
	}})
	if _, _, err := run(t, users, command.Config[*authntest.User]{In: strings.NewReader("correct horse")}, "create", "ann@example.com"); err != nil || !sent {
		t.Errorf("sent: %v, %v", sent, err)
	}
}

// An address that a legacy table has may hold anything.
func TestNoControlCharacterReachesTheTerminal(t *testing.T) {
	users, store := newUsers(t)
	const hostile = "\x1b]0;owned\x07\u202eann@example.com"
	if _, err := store.Create(t.Context(), func(u *authntest.User) error { u.Email = hostile; u.IsActive = true; return nil }); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"list"}, {"list", "-json"}, {"promote", hostile}, {"promote", "nobody" + hostile}, {"create", hostile}} {
		out, screen, err := run(t, users, command.Config[*authntest.User]{In: strings.NewReader("correct horse")}, args...)
		text := out + screen
		if err != nil {
			text += err.Error()
		}
		if strings.ContainsAny(text, "\x1b\x07\u202e") && args[len(args)-1] != "-json" || strings.ContainsAny(text, "\x1b\x07") {
			t.Errorf("%q prints %q", args, text)
		}
	}
}

func TestHelp(t *testing.T) {
	users, _ := newUsers(t)
	for _, args := range [][]string{nil, {"help"}, {"-h"}, {"--help"}, {"create", "-help"}} {
		if out, screen, err := run(t, users, command.Config[*authntest.User]{Name: "shop users"}, args...); !errors.Is(err, flag.ErrHelp) || out != "" || !strings.Contains(screen, "Usage: shop users") {
			t.Errorf("%q: %q, %q, %v", args, out, screen, err)
		}
	}
}
