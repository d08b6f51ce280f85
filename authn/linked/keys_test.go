package linked_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn/linked"
)

func TestKeys(t *testing.T) {
	old, current := []byte(strings.Repeat("ab", 16)), []byte(strings.Repeat("cd", 16))
	before, err := linked.NewKeys(old)
	if err != nil {
		t.Fatal(err)
	}
	after, err := linked.NewKeys(current, old)
	if err != nil {
		t.Fatal(err)
	}
	text := before.Seal("purpose", []byte("secret"))
	if strings.Contains(text, "secret") || text == before.Seal("purpose", []byte("secret")) {
		t.Error(text)
	}
	if got, err := after.Open("purpose", text); err != nil || string(got) != "secret" {
		t.Errorf("after a rotation: %q, %v", got, err)
	}
	for what, open := range map[string]func() ([]byte, error){
		"another purpose":      func() ([]byte, error) { return before.Open("purpose2", text) },
		"a key of later":       func() ([]byte, error) { return before.Open("purpose", after.Seal("purpose", nil)) },
		"cut":                  func() ([]byte, error) { return before.Open("purpose", text[:len(text)-2]) },
		"empty":                func() ([]byte, error) { return before.Open("purpose", "") },
		"the prefix alone":     func() ([]byte, error) { return before.Open("purpose", "v1.") },
		"a flipped letter":     func() ([]byte, error) { return before.Open("purpose", text[:10]+string(text[10]^1)+text[11:]) },
		"spelt in another way": func() ([]byte, error) { return before.Open("purpose", text+"\n") },
		"without the version":  func() ([]byte, error) { return before.Open("purpose", text[3:]) },
		"in the clear":         func() ([]byte, error) { return before.Open("purpose", "secret") },
	} {
		if got, err := open(); !errors.Is(err, linked.ErrSealed) {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	for what, key := range map[string][]byte{"none": nil, "short": old[:31], "long": append(old[:32:32], 'x'), "zeros": make([]byte, 32)} {
		if _, err := linked.NewKeys(key); err == nil {
			t.Errorf("%s: no error", what)
		}
		if _, err := linked.NewKeys(old, key); err == nil {
			t.Errorf("%s among older ones: no error", what)
		}
	}
	encoded := base64.StdEncoding.EncodeToString
	if parsed, err := linked.ParseKeys(encoded(current) + ",\n" + encoded(old)); err != nil {
		t.Error(err)
	} else if got, err := parsed.Open("purpose", text); err != nil || string(got) != "secret" {
		t.Error(err)
	}
	for _, bad := range []string{"", " , ", "no base64!", encoded(old[:5]), encoded(old) + ",x"} {
		if _, err := linked.ParseKeys(bad); err == nil || len(bad) > 10 && strings.Contains(err.Error(), bad[:10]) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v %s %x", before, before, before, before, before); strings.Contains(text, "abab") || strings.Contains(text, "6162") {
		t.Error(text)
	}
}
