package passwordpolicy

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// minWord is the length of the shortest word that counts, in code points.
	minWord = 4
	// minBeside is how many letters and digits a password must have beside the
	// words in it.
	minBeside = 6
)

// letters is a folded text without all that isn't a letter or a digit.
func letters(folded string) string {
	return strings.Map(func(r rune) rune {
		if !isWordRune(r) {
			return -1
		}
		return r
	}, folded)
}

func isWordRune(r rune) bool { return unicode.In(r, unicode.L, unicode.M, unicode.N) }

// wordsOf are the words of a text that count: all of it as one, and each that
// stands alone.
func wordsOf(text string) []string {
	folded := fold(text)
	words := []string{letters(folded)}
	words = append(words, strings.FieldsFunc(folded, func(r rune) bool { return !isWordRune(r) })...)
	return slices.DeleteFunc(words, isShort)
}

func isShort(word string) bool { return utf8.RuneCountInString(word) < minWord }

// wordsOfEmail are those of an address, its local part and its domain, but for
// the top-level domain alone, which is many people's.
func wordsOfEmail(email string) []string {
	at := strings.LastIndexByte(email, '@')
	if at < 0 {
		return wordsOf(email)
	}
	words := wordsOf(email[:at])
	domain := email[at+1:]
	if dot := strings.LastIndexByte(domain, '.'); dot >= 0 {
		words = append(words, wordsOf(domain[:dot])...)
	}
	words = append(words, letters(fold(email)), letters(fold(domain)))
	return slices.DeleteFunc(words, isShort)
}

// isMadeOf reports whether a folded password has one of the words in it,
// forwards or backwards, and beside such words fewer than six letters and
// digits, or a common password.
func isMadeOf(folded string, words []string) bool {
	words = slices.Clone(words)
	for _, w := range words {
		backwards := []rune(w)
		slices.Reverse(backwards)
		words = append(words, string(backwards))
	}
	slices.SortFunc(words, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	const gap = "\x00" // so that what is beside a word doesn't make another
	before := letters(folded)
	rest := before
	for _, w := range words {
		rest = strings.ReplaceAll(rest, w, gap)
	}
	if rest == before {
		return false
	}
	rest = strings.ReplaceAll(rest, gap, "")
	return utf8.RuneCountInString(rest) < minBeside || isListed(rest)
}
