package authn

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxEmailLength is the longest address that SMTP carries, in bytes
// (RFC 5321 §4.5.3.1.3 less the angle brackets).
const maxEmailLength = 254

// dottedI is the one letter whose lower case is another letter's too: where a
// database folds it, an address with it would be somebody else's.
const dottedI = '\u0130'

// NormalizeEmail returns the address as it is stored: trimmed, in NFC, its
// domain in lower case, its local part as typed. [ErrInvalidEmail] where that
// is no address of RFC 5321 §4.1.2 (dot-string form) or RFC 6531, where its
// domain has no dot or ends in a number, or where it has letters that merely look
// like others (compatibility forms, invisible characters, İ). A domain in "xn--"
// stays as it is: mail programs need it so.
func NormalizeEmail(typed string) (string, error) {
	email := canonicalEmail(typed)
	if len(email) > maxEmailLength || !utf8.ValidString(email) {
		return "", ErrInvalidEmail
	}
	if strings.ContainsRune(norm.NFC.String(typed), dottedI) {
		return "", ErrInvalidEmail
	}
	at := strings.LastIndexByte(email, '@')
	if at < 0 || !isLocalPart(email[:at]) || !isDomain(email[at+1:]) {
		return "", ErrInvalidEmail
	}
	if norm.NFKC.String(email) != email {
		return "", ErrInvalidEmail
	}
	return email, nil
}

// canonicalEmail is what a look-up tries first. It accepts anything.
func canonicalEmail(typed string) string {
	email := norm.NFC.String(strings.TrimSpace(typed))
	if at := strings.LastIndexByte(email, '@'); at >= 0 {
		email = email[:at] + strings.ToLower(email[at:])
	}
	return email
}

func isLocalPart(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
		for _, r := range atom {
			if !isWordRune(r) && !strings.ContainsRune("!#$%&'*+/=?^_`{|}~-", r) {
				return false
			}
		}
	}
	return true
}

func isDomain(s string) bool {
	if last := strings.LastIndexByte(s, '.'); last < 0 || strings.Trim(s[last+1:], "0123456789") == "" {
		return false // an IPv4 address, say
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if !isWordRune(r) && r != '-' {
				return false
			}
		}
	}
	return true
}

func isWordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	}
	return unicode.In(r, unicode.L, unicode.M, unicode.N) &&
		!unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
