package authn_test

import (
	"errors"
	"testing"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/authn/password"
)

// Who has no password logs in by none: not by an empty one, nor by what is
// stored in its place.
func TestAUserWithoutAPassword(t *testing.T) {
	hasher := &password.Hasher{Params: password.Params{Memory: 64, Time: 1}}
	users, err := authn.New(new(authntest.Memory), authn.Config{Passwords: hasher}, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	u, err := users.RegisterWithoutPassword(t.Context(), "ann@example.com", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if u.HasPassword() {
		t.Error("the user has a password")
	}
	for _, typed := range []string{"", " ", "!", u.HashedPassword, u.HashedPassword[1:]} {
		if _, err := users.Authenticate(t.Context(), "ann@example.com", typed); !errors.Is(err, authn.ErrBadCredentials) {
			t.Errorf("%q: %v", typed, err)
		}
	}
}
