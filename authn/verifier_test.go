package authn_test

import (
	"errors"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
)

func TestVerifier(t *testing.T) {
	now := time.Now()
	b := aged{authn.Identity{Subject: "ann", Generation: 7, Scopes: []string{"read"}, AuthTime: now, Claims: "c"}}
	services, err := authn.NewVerifier(authn.Config{}, b)
	if err != nil {
		t.Fatal(err)
	}
	s, r, err := services.CurrentUser(authn.Active, authn.Fresh(time.Minute)).Check(request())
	if err != nil || s.AuthID() != "ann" || s.Identity.Claims != "c" || s.Identity.Backend != "aged" {
		t.Fatalf("%+v, %v", s, err)
	}
	if found, ok := authn.UserFrom[*authn.Subject](r.Context()); !ok || found != s {
		t.Error("the context has another one")
	}
	for _, rule := range []authn.Rule{authn.Verified, authn.Superuser} {
		if _, _, err := services.CurrentUser(authn.Active, rule).Check(request()); !errors.Is(err, authn.ErrForbidden) {
			t.Error(err)
		}
	}
	refusal := errors.New("no scope")
	needsWrite := services.CurrentUser(authn.Active).Require(func(s *authn.Subject) error {
		if len(s.Identity.Scopes) == 1 {
			return refusal
		}
		return nil
	})
	if _, _, err := needsWrite.Check(request()); !errors.Is(err, refusal) {
		t.Error(err)
	}
	if _, err := services.Login(t.Context(), "aged", s); !errors.Is(err, authn.ErrNotSupported) {
		t.Error(err)
	}
	if _, err := services.Register(t.Context(), "ann@example.com", "correct horse", nil); err == nil {
		t.Error("a verifier registers")
	}
	nameless, err := authn.NewVerifier(authn.Config{}, aged{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := nameless.CurrentUser(authn.AnyStatus).Check(request()); !errors.Is(err, authn.ErrUnauthorized) {
		t.Errorf("a credential without a subject: %v", err)
	}
	if _, err := authn.NewVerifier(authn.Config{}, nil); err == nil {
		t.Error("a nil backend")
	}
	if _, err := authn.NewVerifier(authn.Config{}); err == nil {
		t.Error("no backend")
	}
}
