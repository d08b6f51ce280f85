// Package strength refuses passwords that are guessed with little work, as
// zxcvbn estimates it: by words, names, dates, and rows of a keyboard in them.
//
// Start with [MinScore], one of a passwordpolicy.Config's More. A program that
// imports this package reads zxcvbn's lists when it starts, which takes some
// 50 ms and keeps 6 MiB, whether or not a password is ever judged.
package strength

import (
	"context"
	"strings"

	"github.com/ccojocar/zxcvbn-go"
	"github.com/ccojocar/zxcvbn-go/match"
	"github.com/ccojocar/zxcvbn-go/matching"
	"golang.org/x/text/unicode/norm"

	"github.com/echo-users/echo-users/authn"
)

const (
	// maxEstimated is how many code points of a password are looked at. The
	// work grows with the square of them.
	maxEstimated = 32
	// maxSubstitutes is how many kinds of characters that stand for letters a
	// password may have to be read with those letters. Every choice of letters
	// is tried, and each kind more may double them.
	maxSubstitutes = 6
	// substitutes are zxcvbn's.
	substitutes = "48@({[<3691!|70$5+%2"
)

// MinScore is an [authn.PasswordPolicy] of one rule: at least this score of
// zxcvbn's, from 0 to 4. For 3, some 10^10 guesses are expected, which takes
// years at a stolen table of slow hashes; for 4, 10^12. 0 lets everything
// pass, and 5 nothing.
//
// The first 32 code points count, and the person's e-mail address is among the
// words that are guessed first. The words are English. An estimate takes 0.1
// to 0.3 ms, and 10 ms for what is made to take long.
type MinScore int

var errWeak = &authn.PasswordError{Reason: "Password is too easy to guess: add unrelated words"}

// CheckPassword refuses a password of a lower score with an
// [*authn.PasswordError]. It is safe for concurrent use.
func (n MinScore) CheckPassword(_ context.Context, password string, account authn.Account) error {
	if score(password, account.Email) < int(n) {
		return errWeak
	}
	return nil
}

func score(password, email string) int {
	password = first(norm.NFC.String(strings.ToValidUTF8(password, "\ufffd")), maxEstimated)
	var leaveOut []func(match.Matcher) bool
	if kindsOfSubstitutes(password) > maxSubstitutes {
		leaveOut = append(leaveOut, matching.FilterL33tMatcher)
	}
	words := append(strings.FieldsFunc(email, func(r rune) bool { return strings.ContainsRune("@.+-_", r) }), email)
	return zxcvbn.PasswordStrength(password, words, leaveOut...).Score
}

func kindsOfSubstitutes(password string) int {
	kinds := 0
	for _, r := range substitutes {
		if strings.ContainsRune(password, r) {
			kinds++
		}
	}
	return kinds
}

// first cuts s to n code points.
func first(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
