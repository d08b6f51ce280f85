package authn_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
)

const hidden = "eyJhbGciOi"

// printed is a value in every way that fmt has for texts.
func printed(value any) string {
	all := fmt.Sprintln(value)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X"} {
		all += fmt.Sprintf(verb+"\n", value)
	}
	return all
}

// logged is a value as slog writes it.
func logged(value any) string {
	var all strings.Builder
	for _, handler := range []slog.Handler{slog.NewTextHandler(&all, nil), slog.NewJSONHandler(&all, nil)} {
		slog.New(handler).Info("logged", "value", value, slog.Group("in", "value", value))
	}
	return all.String()
}

func TestTokensPrintNothing(t *testing.T) {
	token := authn.Token{Value: hidden, ExpiresAt: time.Unix(1, 0)}
	for what, text := range map[string]string{
		"token": printed(token), "pointer": printed(&token), "logged": logged(token), "logged pointer": logged(&token),
		"list": printed([]authn.Token{token}), "map": printed(map[string]authn.Token{"t": token}), "struct": printed(struct{ Token authn.Token }{token}),
	} {
		if strings.Contains(text, hidden) || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", hidden)) {
			t.Errorf("%s: the secret is in %s", what, text)
		}
		if !strings.Contains(text, "[token]") {
			t.Errorf("%s: %s", what, text)
		}
	}
}

// A hook gets the whole answer of a log-in; one that logs it logs no token.
func TestTheAnswerOfALoginPrintsNoToken(t *testing.T) {
	res, err := backends.Bearer{}.Carry(authn.Token{Value: hidden})
	if err != nil {
		t.Fatal(err)
	}
	res.Header = map[string][]string{"Set-Cookie": {"session=" + hidden}}
	for what, text := range map[string]string{"printed": printed(res), "by value": printed(*res), "logged": logged(res)} {
		if strings.Contains(text, hidden) {
			t.Errorf("%s: %s", what, text)
		}
	}
}
