package authn_test

import (
	"errors"
	"testing"
	"unicode"

	"github.com/echo-users/echo-users/authn"
)

// An address with a character that nobody sees looks like another's, so that
// there are none, of whatever category: letters and marks too.
func TestNoAddressHasWhatNobodySees(t *testing.T) {
	for what, table := range map[string]*unicode.RangeTable{
		"control": unicode.Cc, "format": unicode.Cf, "surrogate": unicode.Cs, "private": unicode.Co, "space": unicode.White_Space,
		"default ignorable": unicode.Other_Default_Ignorable_Code_Point, "variation selector": unicode.Variation_Selector,
		"noncharacter": unicode.Noncharacter_Code_Point,
	} {
		var passed []rune
		try := func(lo, hi, stride rune) {
			for r := lo; r <= min(hi, lo+300*stride); r += stride {
				if passesAnywhere(t, r) {
					passed = append(passed, r)
				}
			}
		}
		for _, r := range table.R16 {
			try(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
		for _, r := range table.R32 {
			try(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
		if len(passed) > 0 {
			t.Errorf("%s: %d code points pass, as %U", what, len(passed), passed[0])
		}
	}
}

// passesAnywhere tries a character in each part of an address.
func passesAnywhere(t *testing.T, r rune) (passes bool) {
	t.Helper()
	c := string(r)
	for _, typed := range []string{"a" + c + "b@example.com", "ab@exa" + c + "mple.com", "ab@example.c" + c + "om"} {
		_, err := authn.NormalizeEmail(typed)
		if err != nil && !errors.Is(err, authn.ErrInvalidEmail) {
			t.Errorf("%q: %v", typed, err)
		}
		passes = passes || err == nil
	}
	return passes
}

// A domain in lower case is the same domain, and never one of other letters.
func TestLowerCaseIsTheSameDomain(t *testing.T) {
	for typed, want := range map[string]string{
		"a@EXAMPLE.COM": "a@example.com", "a@\u00dcBER.example": "a@\u00fcber.example", "a@\u212a.example": "a@k.example", // the Kelvin sign is K in NFC
		"a@\u0130bm.example": "", "a@I\u0307bm.example": "", // İ is no capital of i: lower case would be another's domain
		"A@example.com": "A@example.com", "\u0130@example.com": "", "I\u0307van@example.com": "", // Postgres folds it to i
	} {
		got, err := authn.NormalizeEmail(typed)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", typed, got, err, want)
		}
	}
}
