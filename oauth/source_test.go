package oauth

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// TestWhatAProviderWritesIsNotLogged: errors of a provider that is away are
// logged, and say little of what it wrote, in a line.
func TestWhatAProviderWritesIsNotLogged(t *testing.T) {
	for what, answer := range map[string]http.HandlerFunc{
		"a status": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "\nlevel=ERROR forged"+strings.Repeat("x", maxAnswer))
		},
		"garbage": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("\n", maxAnswer))
		},
		"another issuer": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"issuer":%q}`, strings.Repeat("\n", maxAnswer/4))
		},
	} {
		op := httptest.NewServer(answer)
		_, err := newSource(OpenID("op", op.URL, Client{}), nil, time.Now).discover(t.Context())
		op.Close()
		if !errors.Is(err, authn.ErrUnavailable) || len(err.Error()) > 500 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %d bytes, %.300q", what, len(err.Error()), err)
		}
	}
}

func TestAClientPrintsWithoutItsSecret(t *testing.T) {
	p := OpenID("op", "https://op.example", Client{ID: "the-id", Secret: "the-secret"})
	key := AppleKey{TeamID: "TEAM", KeyID: "KEY", PEM: []byte("the-secret")}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "client", p.Client, "key", key)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "client", p.Client, "key", key)
	text := fmt.Sprintf("%v %+v %#v %s %q %x %v %+v %#v %s %x", p, p, p, p.Client, p.Client, p.Client, key, key, key, key, key) + log.String()
	for _, secret := range []string{"the-secret", "7468652d736563726574", "116 104 101", "0x74, 0x68"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in %s", secret, text)
		}
	}
	if !strings.Contains(text, "the-id") {
		t.Error(text)
	}
}

// TestGetJSONRepeatsNoAddress: some APIs want a token in theirs.
func TestGetJSONRepeatsNoAddress(t *testing.T) {
	away := httptest.NewServer(http.RedirectHandler("https://evil.example/?token=the-secret", http.StatusFound))
	host := strings.TrimPrefix(away.URL, "http://")
	noRedirects := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("no") }}
	redirected := GetJSON(t.Context(), noRedirects, away.URL+"/me?access_token=the-secret", new(any))
	away.Close()
	for what, err := range map[string]error{
		"away":       GetJSON(t.Context(), http.DefaultClient, away.URL+"/me?access_token=the-secret", new(any)),
		"redirected": redirected,
		"no URL":     GetJSON(t.Context(), http.DefaultClient, "http://the-secret\x7f/", new(any)),
		"no scheme":  GetJSON(t.Context(), http.DefaultClient, "//"+host+"/the-secret", new(any)),
	} {
		if err == nil || strings.Contains(err.Error(), "the-secret") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
