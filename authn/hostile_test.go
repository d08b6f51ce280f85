package authn_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/authn/password"
)

func TestUnfitPasswordsOnEveryWay(t *testing.T) {
	h := &password.Hasher{LegacyBcryptCost: 4}
	users, err := authn.New(new(authntest.Memory), authn.Config{Passwords: h}, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	var weak *authn.PasswordError
	u, err := users.Register(t.Context(), "ann@example.com", strings.Repeat("x", 72), nil)
	if err != nil {
		t.Fatal(err)
	}
	for what, pw := range map[string]string{"73": strings.Repeat("x", 73), "NUL": "correct\x00horse", "NUL at the end": "correct horse\x00", "NFC is longer": strings.Repeat("\u0958", 24), "24 code points": strings.Repeat("\U0001d160", 8)} {
		_, err := users.Register(t.Context(), "bob@example.com", pw, nil)
		if !errors.As(err, &weak) || strings.Contains(err.Error(), pw) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := users.Update(t.Context(), u.AuthID(), authn.Update[*authntest.User]{Password: &pw}); !errors.As(err, &weak) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := users.Authenticate(t.Context(), "ann@example.com", pw); err != nil && !errors.Is(err, authn.ErrBadCredentials) {
			t.Errorf("%s: %v", what, err)
		} else if err == nil {
			t.Logf("%s logs in where 72 x are stored (documented: first 72 bytes)", what)
		}
	}
}

func TestAPasswordHookThatCannotDecide(t *testing.T) {
	users, err := authn.New(new(authntest.Memory), authn.Config{Passwords: &password.Hasher{LegacyBcryptCost: 4}}, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	users.Use(authn.Hooks[*authntest.User]{CheckPassword: func(context.Context, *authntest.User, string) error {
		return errors.New("breach list: connection refused")
	}})
	_, err = users.Register(t.Context(), "ann@example.com", "correct horse", nil)
	if answer := authn.AsHTTPError(err); answer.Status != 503 {
		t.Errorf("%d: %v", answer.Status, err)
	}
}

func TestAuthenticateWithStrangeFinders(t *testing.T) {
	users, _ := authn.New(new(authntest.Memory), authn.Config{Passwords: &password.Hasher{LegacyBcryptCost: 4}}, authntest.Impersonator{})
	u, _ := users.Register(t.Context(), "ann@example.com", "correct horse", nil)
	for what, c := range map[string]struct {
		u    *authntest.User
		err  error
		want error
	}{
		"both":      {u, authn.ErrUserNotFound, authn.ErrBadCredentials},
		"other":     {u, errors.New("x"), authn.ErrUnavailable},
		"neither":   {nil, nil, authn.ErrUnavailable},
		"bad creds": {u, authn.ErrBadCredentials, authn.ErrUnavailable},
		"no hash":   {&authntest.User{ID: "x", Account: authn.Account{IsActive: true}}, nil, authn.ErrBadCredentials},
		"bad hash":  {&authntest.User{ID: "x", Account: authn.Account{IsActive: true, HashedPassword: "$2b$04$" + strings.Repeat(".", 53)}}, nil, authn.ErrBadCredentials},
		"inactive":  {&authntest.User{ID: "x", Account: authn.Account{HashedPassword: u.HashedPassword}}, nil, authn.ErrBadCredentials},
	} {
		got, err := users.AuthenticateWith(t.Context(), func(context.Context) (*authntest.User, error) { return c.u, c.err }, "correct horse")
		if got != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: %v %v", what, got, err)
		}
	}
}
