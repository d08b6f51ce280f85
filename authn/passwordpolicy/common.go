package passwordpolicy

import (
	"compress/gzip"
	_ "embed"
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

//go:generate go run ./internal/makecommon common.txt.gz package/src/passwords.json django/usr/lib/python3/dist-packages/django/contrib/auth/common-passwords.txt.gz

//go:embed common.txt.gz
var packedCommon string

// common has the common passwords as [fold] leaves them: sorted, each with its
// line's end. It is unpacked when the first password is judged.
var common = sync.OnceValue(unpack)

func unpack() string {
	var text strings.Builder
	text.Grow(int(binary.LittleEndian.Uint32([]byte(packedCommon[len(packedCommon)-4:])))) // RFC 1952 §2.3.1, ISIZE
	r, err := gzip.NewReader(strings.NewReader(packedCommon))
	if err == nil {
		_, err = io.Copy(&text, r)
	}
	if err != nil {
		panic("passwordpolicy: the embedded list: " + err.Error())
	}
	return text.String()
}

const (
	// maxDecoration is how many digits and signs at a password's end don't make
	// another one of it: a year and an exclamation mark.
	maxDecoration = 5
	// maxRepeated is of how few characters a password must not be made again
	// and again.
	maxRepeated = 3
	// minJoined is of how many letters and digits a common password has to be
	// for separators in it not to make another one of it.
	minJoined = 6
)

// fold has what people take for the same text be the same: lower case, NFKC,
// which knows full-width letters for the plain ones, and neither the marks of
// Latin, Greek and Cyrillic letters, such as accents, nor characters that nobody
// sees.
func fold(text string) string {
	accented := false // may the letter before be: elsewhere marks are vowels
	plain := strings.Map(func(r rune) rune {
		switch {
		case unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector):
			return -1
		case !unicode.In(r, unicode.Mn, unicode.Me):
			accented = unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic)
		case accented:
			return -1
		}
		return r
	}, norm.NFKD.String(text))
	return strings.ToLower(norm.NFKC.String(plain)) // a syllable of Hangul is one character
}

// isListed reports whether a folded text is one of the list, by bisection of
// the lines.
func isListed(folded string) bool {
	lines := common()
	for lines != "" {
		middle := strings.LastIndexByte(lines[:len(lines)/2], '\n') + 1
		line, rest, _ := strings.Cut(lines[middle:], "\n")
		switch {
		case folded == line:
			return true
		case folded < line:
			lines = lines[:middle]
		default:
			lines = rest
		}
	}
	return false
}

// isCommon reports whether a folded password is one of the list, or one with
// signs, or digits and signs, added at its end, or one typed several times, all
// of them with or without separators.
func isCommon(folded string) bool {
	folded = strings.TrimSpace(folded)
	words := []string{folded, trimmed(folded, isSign), trimmed(folded, isDigitOrSign)}
	for _, s := range []string{folded, joined(folded)} {
		if n := period(s); n <= len(s)/2 {
			words = append(words, s[:n])
		}
	}
	return slices.ContainsFunc(words, func(word string) bool { return isListed(word) || isListed(joined(word)) })
}

// trimmed is s without the characters at its end that decorate it, and s where
// they are too many.
func trimmed(s string, decorates func(rune) bool) string {
	word := strings.TrimRightFunc(s, decorates)
	if len(s)-len(word) > maxDecoration {
		return s
	}
	return word
}

// joined is s without its separators, and s where that is too short: signs typed
// at random have any word of four letters between them.
func joined(s string) string {
	word := letters(s)
	if utf8.RuneCountInString(word) < minJoined {
		return s
	}
	return word
}

func isSign(r rune) bool {
	return ' ' <= r && r <= '~' && !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
}

func isDigitOrSign(r rune) bool { return '0' <= r && r <= '9' || isSign(r) }

// isRepetitive reports whether a folded password is the same few characters
// again and again, or just these: what else was typed isn't seen.
func isRepetitive(folded string) bool {
	return utf8.RuneCountInString(folded[:period(folded)]) <= maxRepeated
}

// period is the least n, in bytes, for which s repeats its first n, the last
// time perhaps in part: s is as long as itself and n (the failure function of
// Knuth, Morris and Pratt).
func period(s string) int {
	border := make([]int, len(s)+1)
	border[0] = -1
	for i, b := 0, -1; i < len(s); i++ {
		for b >= 0 && s[i] != s[b] {
			b = border[b]
		}
		b++
		border[i+1] = b
	}
	return len(s) - max(border[len(s)], 0)
}
