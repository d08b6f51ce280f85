package passwordpolicy_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/passwordpolicy"
)

// Passwords and addresses come from outside. Letter case, white space
// around it and what nobody sees make no common password another one, and a
// reason tells nothing.
func FuzzCheckPassword(f *testing.F) {
	for _, password := range []string{"", "password1", "12121212", "ann@example.com", "  dragon  ", "İıſK\u0345", "ﷺﷺ", "\xff\x00", "a\u0308a\u0308a\u0308"} {
		f.Add(password, "ann@example.com", "Acme Shop")
	}
	f.Fuzz(func(t *testing.T, password, email, word string) {
		p := newPolicy(t, passwordpolicy.Config{MinLength: 1, Words: []string{word}})
		account := authn.Account{Email: email}
		err := p.CheckPassword(t.Context(), password, account)
		var refused *authn.PasswordError
		if err != nil && !errors.As(err, &refused) {
			t.Fatal(err)
		}
		if isASCII(password) && strings.TrimSpace(password) != "" && err != nil && refused.Reason == common {
			for _, alike := range []string{strings.ToUpper(password), strings.ToLower(password), " " + password + " ", password + "\u200b"} {
				if p.CheckPassword(t.Context(), alike, account) == nil {
					t.Errorf("%q is let pass, and %q isn't", alike, password)
				}
			}
		}
	})
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}
