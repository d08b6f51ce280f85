package oauth_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/linked"
	"github.com/echo-users/echo-users/userdb"
)

// Linked accounts are told of, and by whom; what a transaction undoes is not.
func TestEventsOfLinkedAccounts(t *testing.T) {
	p := newProvider(t)
	p.claims["email_verified"] = true
	op := p.openID()
	op.AssociateByEmail = true
	s := newSite(t, nil, op)
	var heard []authn.Event
	s.users.Use(authn.Hooks[*userdb.User]{OnEvent: func(_ context.Context, e authn.Event) error {
		heard = append(heard, e)
		return nil
	}})
	told := func() string {
		t.Helper()
		if err := s.users.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, e := range heard {
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", e.Kind, e.Backend, e.Provider, e.Reason)))
			if e.UserID == "" || e.ActorID != "" {
				t.Errorf("%+v", e)
			}
		}
		heard = nil
		return strings.Join(lines, ", ")
	}
	notices := func() (kinds string) {
		for _, e := range s.mails.Events() {
			if strings.HasPrefix(e.Kind, "account-") {
				kinds += e.Kind + " " + e.Email + ";"
			}
		}
		return kinds
	}
	b := s.browser()
	token(t, b.signIn("/auth/op/authorize"))
	if got := told(); got != "registered, linked  op, login jwt op" {
		t.Errorf("signing up: %s", got)
	}
	s.wants("again", b.signIn("/auth/op/authorize"), 200, "access_token")
	if got := told(); got != "login jwt op" {
		t.Errorf("signing in: %s", got)
	}
	setActive := func(active bool) {
		t.Helper()
		if _, err := s.users.Update(t.Context(), s.user("ann@example.com").AuthID(), authn.Update[*userdb.User]{IsActive: &active}); err != nil {
			t.Fatal(err)
		}
	}
	setActive(false)
	s.wants("inactive", b.signIn("/auth/op/authorize"), 400, "LOGIN_BAD_CREDENTIALS")
	if got := told(); got != "deactivated, login  op inactive" {
		t.Errorf("inactive: %s", got)
	}
	setActive(true)
	credential := "Bearer " + token(t, b.signIn("/auth/op/authorize"))
	told()
	p.claims["sub"], p.claims["email"] = "second", "work@example.com"
	linking := b.consent(b.authorize("/auth/associate/op/authorize", "Authorization", credential))
	s.wants("linking", b.do("GET", linking, "Authorization", credential), 200, "")
	if got := told(); got != "linked jwt op" {
		t.Errorf("linking: %s", got)
	}
	if got := notices(); got != "" {
		t.Errorf("notices to an address that nobody has verified: %s", got)
	}
	ann := s.user("ann@example.com")
	links, err := s.accounts.Of(t.Context(), ann.AuthID())
	if err != nil || len(links) != 2 {
		t.Fatal(links, err)
	}
	if err := s.accounts.Unlink(t.Context(), ann, "987654321"); err == nil {
		t.Error("unlinked what isn't there")
	}
	for _, link := range links {
		if link.Subject == "second" {
			continue
		}
		if err := s.accounts.Unlink(t.Context(), ann, link.ID); err != nil {
			t.Fatal(err)
		}
	}
	if got := told(); got != "unlinked  op" {
		t.Errorf("unlinking: %s", got)
	}
	s.reset("ann@example.com")
	if got := told(); got != "password-reset-requested, unlinked  op reset, password-reset" {
		t.Errorf("a reset: %s", got)
	}
	s.register("bob@example.com", false)
	p.claims["sub"], p.claims["email"] = "bob", "bob@example.com"
	told()
	s.wants("claiming", s.browser().signIn("/auth/op/authorize"), 200, "access_token")
	if got := told(); got != "claimed, linked  op, login jwt op" {
		t.Errorf("claiming: %s", got)
	}

	// Verified by now, bob is told of what comes.
	p.claims["sub"], p.claims["email"] = "bob's second", "BOB@example.com"
	s.wants("another account of the same address", s.browser().signIn("/auth/op/authorize"), 200, "access_token")
	bob := s.user("bob@example.com")
	if err := s.accounts.Link(t.Context(), bob, linked.Profile{Provider: "op", Issuer: p.URL, Subject: "bob's third"}); err != nil {
		t.Fatal(err)
	}
	if links, err = s.accounts.Of(t.Context(), bob.AuthID()); err != nil {
		t.Fatal(err)
	}
	if err := s.accounts.Unlink(t.Context(), bob, links[0].ID); err != nil {
		t.Fatal(err)
	}
	told()
	if got := notices(); strings.Count(got, "account-linked bob@example.com;") != 2 || strings.Count(got, "account-unlinked bob@example.com;") != 1 || strings.Count(got, ";") != 3 {
		t.Errorf("notices: %s", got)
	}
}
