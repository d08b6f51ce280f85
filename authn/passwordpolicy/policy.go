// Package passwordpolicy refuses the passwords that are guessed first: those
// of a list of 55,767 common ones, those made of the person's e-mail address
// or the application's name, and the same few characters again and again.
//
// Start with [New], whose result is an [authn.Config]'s PasswordPolicy, and so
// is asked on every way that sets a password. Packages strength and breached,
// below this one, are further rules for Config.More.
//
// The list is embedded as 158 KiB, and unpacked to 438 KiB of memory when the
// first password is judged (4 ms). It is the list itself and no digest of it,
// so that it has no false positives: what isn't on it is never taken to be. The
// rules about what is added to a common word, and about words of four letters,
// refuse one in some 20,000 random passwords of eight letters, and none of
// twelve. Beside this file, NOTICE says whence the list comes.
//
// The rules are those of NIST SP 800-63B-4 §3.1.1.2 and OWASP ASVS 5.0, 6.2:
// no kind of character is demanded, and every kind is allowed.
package passwordpolicy

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/echo-users/echo-users/authn"
)

// Config has the options of [New]. Its zero value works.
type Config struct {
	// MinLength is how many characters a password has at least, in Unicode code
	// points of its composed form (NFC). Defaults to 8; where a password is all
	// that it takes to log in, NIST SP 800-63B-4 and ASVS 6.2.1 ask for 15.
	MinLength int
	// Words are the application's own, of which a password must not consist: its
	// name, its company's, its product's. Those of a text count together and
	// each alone, from four letters on. Defaults to none; the words of the
	// person's e-mail address always count.
	Words []string
	// More are further policies, asked in turn about a password that these rules
	// let pass: cheap ones first, then those that ask somebody else.
	More []authn.PasswordPolicy
}

// Policy is an [authn.PasswordPolicy] of these rules, in this order:
//
//   - at least [Config.MinLength] characters;
//   - not three characters or fewer, once or again and again;
//   - not on the list of common passwords; nor a password of the list with
//     signs, or digits and signs, at its end, five of them at most, nor one
//     typed several times, nor one of six letters and digits or more with
//     separators in it, however many;
//   - not made of the e-mail address and [Config.Words]: a password with such a
//     word in it, forwards or backwards, has at least six letters and digits
//     beside, which aren't a common password themselves;
//   - then Config.More.
//
// All but the first and More are blind to letter case, width, accents and
// characters that nobody sees, such as the zero-width space.
//
// The first that refuses gives the reason. It is safe for concurrent use.
type Policy struct {
	minLength authn.MinLength
	words     []string
	more      []authn.PasswordPolicy
}

// New returns a policy. It is an error if MinLength is negative or more than
// [authn.MaxNewPasswordSize], or if one of More is nil.
func New(cfg Config) (*Policy, error) {
	if cfg.MinLength == 0 {
		cfg.MinLength = 8
	}
	if cfg.MinLength < 0 || cfg.MinLength > authn.MaxNewPasswordSize {
		return nil, fmt.Errorf("passwordpolicy: MinLength %d", cfg.MinLength)
	}
	if slices.Contains(cfg.More, nil) {
		return nil, errors.New("passwordpolicy: a policy of More is nil")
	}
	p := &Policy{minLength: authn.MinLength(cfg.MinLength), more: slices.Clone(cfg.More)}
	for _, text := range cfg.Words {
		p.words = append(p.words, wordsOf(text)...)
	}
	return p, nil
}

// What a person is told.
var (
	errRepetitive = &authn.PasswordError{Reason: "Password should not repeat a few characters: use unrelated words"}
	errCommon     = &authn.PasswordError{Reason: "Password is too common: use unrelated words"}
	errMadeOf     = &authn.PasswordError{Reason: "Password should have more in it than your e-mail address or this site's name: add unrelated words"}
)

// CheckPassword refuses with an [*authn.PasswordError], or with the error of
// one of More.
func (p *Policy) CheckPassword(ctx context.Context, password string, account authn.Account) error {
	if err := p.minLength.CheckPassword(ctx, password, account); err != nil {
		return err
	}
	folded := fold(password)
	switch {
	case isRepetitive(folded):
		return errRepetitive
	case isCommon(folded):
		return errCommon
	case isMadeOf(folded, slices.Concat(p.words, wordsOfEmail(account.Email))):
		return errMadeOf
	}
	for _, policy := range p.more {
		if err := policy.CheckPassword(ctx, password, account); err != nil {
			return err
		}
	}
	return nil
}
