package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/linked"
	"github.com/echo-users/echo-users/userdb"
)

// resetToken returns what is mailed to who has forgotten their password.
func (s *site) resetToken(email string) string {
	s.t.Helper()
	if err := errors.Join(s.users.ForgotPassword(s.t.Context(), email), s.users.Flush(s.t.Context())); err != nil {
		s.t.Fatal(err)
	}
	token := ""
	for _, e := range s.mails.Events() { // a welcome may come after it
		if e.Kind == "forgot-password" {
			token = e.Token.Value
		}
	}
	if token == "" {
		s.t.Fatal("no token was mailed")
	}
	return token
}

func (s *site) reset(email string) {
	s.t.Helper()
	if _, err := s.users.ResetPassword(s.t.Context(), s.resetToken(email), "the owner's own"); err != nil {
		s.t.Fatal(err)
	}
}

// TestPreHijackThenReset: somebody registers another's address, links an account
// of their own, and stays when the address's owner has a new password mailed.
func TestPreHijackThenReset(t *testing.T) {
	for what, c := range map[string]struct {
		email    any // of the account that is linked, as its provider says
		verified any
		mine     bool // verified here
		stays    bool
	}{
		"a stranger's account":                        {"thief@example.com", true, false, false},
		"a stranger's, who says the owner's address":  {"victim@example.com", false, false, false},
		"the same, of a provider that says nothing":   {"victim@example.com", nil, false, false},
		"an account without an address":               {nil, nil, false, false},
		"a mailbox that only looks the same":          {"\u212Aictim@example.com", true, false, false},
		"the owner's account":                         {"Victim@Example.com", true, false, true},
		"another account, of who has verified before": {"work@example.com", true, true, true},
	} {
		t.Run(what, func(t *testing.T) {
			p := newProvider(t)
			s := newSite(t, nil, p.openID())
			address := "victim@example.com"
			if c.email == "\u212Aictim@example.com" {
				address = "kictim@example.com"
			}
			s.register(address, c.mine)
			thief := s.browser()
			credential := "Bearer " + s.passwordLogin(address)
			p.claims["sub"], p.claims["email_verified"] = "linked", c.verified
			if p.claims["email"] = c.email; c.email == nil {
				delete(p.claims, "email")
			}
			linking := thief.consent(thief.authorize("/auth/associate/op/authorize", "Authorization", credential))
			s.wants("linking", thief.do("GET", linking, "Authorization", credential), 200, address)
			s.wants("before", s.browser().signIn("/auth/op/authorize"), 200, "access_token")

			s.reset(address)

			got := s.browser().signIn("/auth/op/authorize")
			if in := got.status == http.StatusOK && s.user(address).AuthID() == s.whoIs(got); in != c.stays {
				t.Errorf("after the reset the account opens: %t; %d %s", in, got.status, got.body)
			}
			if links, err := s.accounts.Of(t.Context(), s.user(address).AuthID()); err != nil || (len(links) == 1) != c.stays {
				t.Errorf("%d links, %v", len(links), err)
			}
			s.wants("the credential of before", s.browser().do("GET", "/users/me", "Authorization", credential), 401, "")
		})
	}
}

// whoIs returns the id of whom an answer logs in.
func (s *site) whoIs(got answer) string {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "/", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token(s.t, got))
	u, _, err := s.users.CurrentUser(authn.Active).Check(r)
	if err != nil {
		s.t.Fatal(err)
	}
	return u.AuthID()
}

// TestWhoSignedUpAtAProviderResets: an honest person, whom nothing has verified
// here, keeps the account that they signed up with.
func TestWhoSignedUpAtAProviderResets(t *testing.T) {
	p := newProvider(t)
	p.claims["email_verified"] = true
	s := newSite(t, nil, p.openID())
	s.wants("signing up", s.browser().signIn("/auth/op/authorize"), 200, "access_token")
	if s.user("ann@example.com").IsVerified {
		t.Fatal("verified, and the test proves nothing")
	}
	s.reset("ann@example.com")
	s.wants("signing in", s.browser().signIn("/auth/op/authorize"), 200, "access_token")
	if n := s.count("user"); n != 1 {
		t.Errorf("%d users", n)
	}
}

// awayLinks is a store of links that may be away.
type awayLinks struct {
	*userdb.LinkedAccounts[userdb.User, *userdb.User]
	err error
}

func (l *awayLinks) ByUser(ctx context.Context, id string) ([]linked.Account, error) {
	if l.err != nil {
		return nil, l.err
	}
	return l.LinkedAccounts.ByUser(ctx, id)
}

// A reset that can't unlink changes nothing, and its token is good for another
// try.
func TestAResetUnlinksOrFails(t *testing.T) {
	p := newProvider(t)
	s := newSite(t, nil, p.openID())
	s.register("victim@example.com", false)
	thief := linked.Profile{Provider: "op", Issuer: p.URL, Subject: "thief", Email: "thief@example.com", Verification: linked.Verified}
	if err := s.accounts.Link(t.Context(), s.user("victim@example.com"), thief); err != nil {
		t.Fatal(err)
	}
	links := &awayLinks{s.links, errors.New("away")}
	if _, err := linked.New(s.users, links, "op"); err != nil { // its hook fails when the site's has unlinked
		t.Fatal(err)
	}
	token := s.resetToken("victim@example.com")
	if _, err := s.users.ResetPassword(t.Context(), token, "the owner's own"); !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("%v, want ErrUnavailable", err)
	}
	if s.passwordLogin("victim@example.com") == "" || s.count("oauth_account") != 1 {
		t.Error("a reset that failed has changed something")
	}
	links.err = nil
	if _, err := s.users.ResetPassword(t.Context(), token, "the owner's own"); err != nil {
		t.Errorf("again: %v", err)
	}
	if s.passwordLogin("victim@example.com") != "" || s.count("oauth_account") != 0 {
		t.Error("the reset did not happen")
	}
}
