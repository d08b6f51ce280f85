package authn_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/echo-users/echo-users/authn"
)

func TestNormalizeEmail(t *testing.T) {
	for typed, want := range map[string]string{
		"king.arthur@camelot.example.com":       "king.arthur@camelot.example.com",
		" King.Arthur@Camelot.EXAMPLE.com\t":    "King.Arthur@camelot.example.com",
		"a+tag_1-2!#$%&'*/=?^`{|}~@b.co":        "a+tag_1-2!#$%&'*/=?^`{|}~@b.co",
		"a\u0308@b\u00dcCHER.example":           "\u00e4@b\u00fccher.example",
		"用户@例子.公司":                              "用户@例子.公司",
		"a@xn--bcher-kva.example":               "a@xn--bcher-kva.example",
		"a@1.2.3.4":                             "",
		"a@example.123":                         "",
		"a@example.c0":                          "a@example.c0",
		strings.Repeat("a", 64) + "@b.co":       strings.Repeat("a", 64) + "@b.co",
		"":                                      "",
		"king.arthur":                           "",
		"@b.co":                                 "",
		"a@":                                    "",
		"a@b":                                   "",
		"a@b..co":                               "",
		"a@.co":                                 "",
		"a@b.co.":                               "",
		"a@-b.co":                               "",
		"a@b-.co":                               "",
		".a@b.co":                               "",
		"a.@b.co":                               "",
		"a..b@c.co":                             "",
		"a b@c.co":                              "",
		"a@b c.co":                              "",
		"a@b@c.co":                              "",
		`"a b"@c.co`:                            "",
		"a@[127.0.0.1]":                         "",
		"Ann <a@b.co>":                          "",
		"a@b.co, c@d.co":                        "",
		"a\x00@b.co":                            "",
		"a@b.co\r\nBcc: c@d.co":                 "",
		"a\u200b@b.co":                          "",
		"a\u202e@b.co":                          "",
		"\uff41@b.co":                           "",
		"a@\uff42.co":                           "",
		"\ufb01@b.co":                           "",
		"a\xff@b.co":                            "",
		strings.Repeat("a", 65) + "@b.co":       "",
		"a@" + strings.Repeat("b", 64) + ".co":  "",
		"a@" + strings.Repeat("bcd.", 64) + "e": "",
	} {
		got, err := authn.NormalizeEmail(typed)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", typed, got, err, want)
		}
	}
}

func FuzzNormalizeEmail(f *testing.F) {
	for _, seed := range []string{"a@b.co", " A@B.CO ", "ä@ü.de", "a\u0308@b.co", "\u0130@\u0130.co", "a@b.co\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		email, err := authn.NormalizeEmail(typed)
		if err != nil {
			return
		}
		if again, err := authn.NormalizeEmail(email); err != nil || again != email {
			t.Errorf("%q became %q, and that %q, %v", typed, email, again, err)
		}
		for _, r := range email {
			if unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || strings.ContainsRune(`<>,;:"()[]\`, r) {
				t.Errorf("%q has %q", email, r)
			}
		}
		if strings.Count(email, "@") != 1 {
			t.Errorf("%q", email)
		}
	})
}
