package oauth_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/linked"
	"github.com/echo-users/echo-users/oauth"
	"github.com/echo-users/echo-users/userdb"
)

func (s *site) register(email string, verified bool) {
	s.t.Helper()
	u, err := s.users.Register(s.t.Context(), email, "correct horse", nil)
	if err == nil && verified {
		_, err = s.users.Update(s.t.Context(), u.AuthID(), authn.Update[*userdb.User]{IsVerified: &verified})
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// passwordLogin returns a token, or "" where the password doesn't open.
func (s *site) passwordLogin(email string) string {
	s.t.Helper()
	res, err := s.Client().PostForm(s.URL+"/auth/jwt/login", url.Values{"username": {email}, "password": {"correct horse"}})
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var body struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		s.t.Fatal(err)
	}
	return body.Token
}

func TestAnExistingAddress(t *testing.T) {
	for what, c := range map[string]struct {
		associate bool
		local     bool // verified here
		verified  any  // by the provider's word
		email     string
		code      string // or "" for a log-in
	}{
		"by default":                        {false, true, true, "ann@example.com", "OAUTH_USER_ALREADY_EXISTS"},
		"unverified there":                  {true, true, false, "ann@example.com", "OAUTH_USER_ALREADY_EXISTS"},
		"nothing is said":                   {true, true, nil, "ann@example.com", "OAUTH_USER_ALREADY_EXISTS"},
		"a text that is not true":           {true, true, "false", "ann@example.com", "OAUTH_USER_ALREADY_EXISTS"},
		"verified":                          {true, true, true, "ann@example.com", ""},
		"verified, as a text":               {true, true, "true", "ann@example.com", ""},
		"verified, in other letters":        {true, true, true, "ANN@Example.com", ""},
		"a mailbox that looks the same":     {true, true, true, "ann\u200b@example.com", "OAUTH_NOT_AVAILABLE_EMAIL"},
		"verified, and not verified here":   {true, false, true, "ann@example.com", ""},
		"unverified on both sides":          {true, false, false, "ann@example.com", "OAUTH_USER_ALREADY_EXISTS"},
		"not verified here, not said there": {true, false, nil, "ann@example.com", "OAUTH_USER_ALREADY_EXISTS"},
	} {
		t.Run(what, func(t *testing.T) {
			p := newProvider(t)
			op := p.openID()
			op.AssociateByEmail = c.associate
			s := newSite(t, nil, op)
			s.register("ann@example.com", c.local)
			before := s.passwordLogin("ann@example.com")
			p.claims["email"], p.claims["email_verified"] = c.email, c.verified
			got := s.browser().signIn("/auth/op/authorize")
			if c.code != "" {
				s.wants(what, got, 400, `{"detail":"`+c.code+`"}`)
				if s.count("oauth_account") != 0 || s.passwordLogin("ann@example.com") == "" {
					t.Error("something has changed")
				}
				return
			}
			s.wants(what, got, 200, "access_token")
			if n := s.count("user"); n != 1 {
				t.Errorf("%d users", n)
			}
			ann := s.user("ann@example.com")
			if !ann.IsVerified || ann.HasPassword() != c.local {
				t.Errorf("%+v", ann)
			}
			if opens := s.browser().do("GET", "/users/me", "Authorization", "Bearer "+before).status == 200; opens != c.local {
				t.Errorf("a credential of before opens: %t", opens)
			}
			if opens := s.passwordLogin("ann@example.com") != ""; opens != c.local {
				t.Errorf("the password of before opens: %t", opens)
			}
		})
	}
}

// TestPreHijack: somebody registers another's address, links an account of their
// own, and waits for its owner (CVE-2024-38351, CVE-2026-44166).
func TestPreHijack(t *testing.T) {
	p := newProvider(t)
	op := p.openID()
	op.AssociateByEmail = true
	s := newSite(t, nil, op)
	s.register("victim@example.com", false)
	thief := s.browser()
	credential := s.passwordLogin("victim@example.com")
	p.claims["sub"], p.claims["email"] = "thief", "thief@example.com"
	linking := thief.consent(thief.authorize("/auth/associate/op/authorize", "Authorization", "Bearer "+credential))
	s.wants("the thief links an account", thief.do("GET", linking, "Authorization", "Bearer "+credential), 200, "victim@example.com")

	p.claims["sub"], p.claims["email"] = "victim", "victim@example.com"
	victim := token(t, s.browser().signIn("/auth/op/authorize"))
	s.wants("the owner is in", s.browser().do("GET", "/users/me", "Authorization", "Bearer "+victim), 200, `"is_verified":true`)

	s.wants("the thief's credential", s.browser().do("GET", "/users/me", "Authorization", "Bearer "+credential), 401, "")
	if s.passwordLogin("victim@example.com") != "" {
		t.Error("the thief's password opens")
	}
	p.claims["sub"], p.claims["email"] = "thief", "thief@example.com"
	in := token(t, s.browser().signIn("/auth/op/authorize"))
	s.wants("the thief's account at the provider", s.browser().do("GET", "/users/me", "Authorization", "Bearer "+in), 200, "thief@example.com")
}

func TestIsVerifiedByDefault(t *testing.T) {
	for verified, want := range map[any]bool{true: true, false: false, nil: false} {
		p := newProvider(t)
		op := p.openID()
		op.IsVerifiedByDefault = true
		s := newSite(t, nil, op)
		p.claims["email_verified"] = verified
		s.wants("sign in", s.browser().signIn("/auth/op/authorize"), 200, "access_token")
		if got := s.user("ann@example.com").IsVerified; got != want {
			t.Errorf("the provider says %v: verified is %t", verified, got)
		}
	}
}

// TestPreHijackByAnotherProvider: somebody waits with an account at a provider
// that doesn't say whether an address is theirs.
func TestPreHijackByAnotherProvider(t *testing.T) {
	silent, other := newProvider(t), newProvider(t)
	first, second := silent.openID(), other.openID()
	first.Name, first.IsVerifiedByDefault = "silent", true
	second.Name, second.AssociateByEmail = "other", true
	s := newSite(t, nil, first, second)
	silent.claims["sub"], silent.claims["email"], silent.claims["email_verified"] = "thief", "victim@example.com", nil
	thief := token(t, s.browser().signIn("/auth/silent/authorize"))
	other.claims["sub"], other.claims["email"] = "victim", "victim@example.com"
	s.wants("the owner is in", s.browser().signIn("/auth/other/authorize"), 200, "access_token")
	s.wants("the thief's credential", s.browser().do("GET", "/users/me", "Authorization", "Bearer "+thief), 401, "")
	s.wants("the thief's account", s.browser().signIn("/auth/silent/authorize"), 400, "OAUTH_USER_ALREADY_EXISTS")
}

func TestLinkAndUnlink(t *testing.T) {
	p := newProvider(t)
	s := newSite(t, nil, p.openID())
	s.register("bob@example.com", true)
	s.register("eve@example.com", true)
	b, bob, eve := s.browser(), "Bearer "+s.passwordLogin("bob@example.com"), "Bearer "+s.passwordLogin("eve@example.com")
	link := func(credential string) answer {
		return b.do("GET", b.consent(b.authorize("/auth/associate/op/authorize", "Authorization", credential)), "Authorization", credential)
	}
	s.wants("nobody", b.do("GET", "/auth/associate/op/authorize"), 401, "Unauthorized")
	s.wants("link", link(bob), 200, `"email":"bob@example.com"`)
	s.wants("once more", link(bob), 200, `"email":"bob@example.com"`)
	s.wants("somebody else", link(eve), 400, "OAUTH_ACCOUNT_ALREADY_LINKED")
	begun := b.consent(b.authorize("/auth/associate/op/authorize", "Authorization", bob))
	s.wants("another user ends it", b.do("GET", begun, "Authorization", eve), 400, "OAUTH_INVALID_STATE")
	begun = b.consent(b.authorize("/auth/associate/op/authorize", "Authorization", bob))
	s.wants("nobody ends it", b.do("GET", begun), 401, "Unauthorized")
	in := token(t, b.signIn("/auth/op/authorize"))
	s.wants("log in by it", b.do("GET", "/users/me", "Authorization", "Bearer "+in), 200, "bob@example.com")

	var accounts []oauth.AccountRead
	list := b.do("GET", "/users/me/oauth-accounts", "Authorization", bob)
	if err := json.Unmarshal([]byte(list.body), &accounts); err != nil || len(accounts) != 1 || accounts[0].OAuthName != "op" || strings.Contains(list.body, "token") {
		t.Fatal(list.body, err)
	}
	path := "/users/me/oauth-accounts/" + accounts[0].ID
	s.wants("eve's list", b.do("GET", "/users/me/oauth-accounts", "Authorization", eve), 200, "[]")
	s.wants("eve unlinks it", b.do("DELETE", path, "Authorization", eve), 404, "Not Found")
	s.wants("no id", b.do("DELETE", "/users/me/oauth-accounts/x%00", "Authorization", bob), 404, "Not Found")
	s.wants("unlink", b.do("DELETE", path, "Authorization", bob), 204, "")
	s.wants("again", b.do("DELETE", path, "Authorization", bob), 404, "Not Found")
}

func TestTheLastWayIn(t *testing.T) {
	p, q := newProvider(t), newProvider(t)
	second := q.openID()
	second.Name = "second"
	s := newSite(t, nil, p.openID(), second)
	b := s.browser()
	bearer := "Bearer " + token(t, b.signIn("/auth/op/authorize"))
	ids := func() (ids []string) {
		var accounts []oauth.AccountRead
		if err := json.Unmarshal([]byte(b.do("GET", "/users/me/oauth-accounts", "Authorization", bearer).body), &accounts); err != nil {
			t.Fatal(err)
		}
		for _, a := range accounts {
			ids = append(ids, a.ID)
		}
		return ids
	}
	unlink := func(id string) answer { return b.do("DELETE", "/users/me/oauth-accounts/"+id, "Authorization", bearer) }
	s.wants("the last one", unlink(ids()[0]), 400, `{"detail":"OAUTH_LAST_WAY_IN"}`)
	// A link of a provider that is gone is no way in.
	if err := s.db.Exec("INSERT INTO oauth_account (id, user_id, oauth_name, access_token, account_id, account_email) SELECT '00000000-0000-4000-8000-000000000001', id, 'gone', '', '1', '' FROM user").Error; err != nil {
		t.Fatal(err)
	}
	for _, id := range ids() {
		if id != "00000000-0000-4000-8000-000000000001" {
			s.wants("beside one of a provider that is gone", unlink(id), 400, "OAUTH_LAST_WAY_IN")
		}
	}
	s.wants("the one that is gone", unlink("00000000-0000-4000-8000-000000000001"), 204, "")

	linking := b.consent(b.authorize("/auth/associate/second/authorize", "Authorization", bearer))
	s.wants("a second one", b.do("GET", linking, "Authorization", bearer), 200, "")
	both := ids()
	done := make(chan int, 2)
	for _, id := range both {
		go func() { done <- unlink(id).status }()
	}
	got := []int{<-done, <-done}
	if slices.Sort(got); !slices.Equal(got, []int{204, 400}) {
		t.Errorf("both at once: %v", got)
	}
	password := "a password of her own"
	ann := s.user("ann@example.com")
	if _, err := s.users.Update(t.Context(), ann.AuthID(), authn.Update[*userdb.User]{Password: &password}); err != nil {
		t.Fatal(err)
	}
	bearer = "Bearer " + token(t, b.signIn("/auth/"+map[bool]string{true: "op", false: "second"}[ids0(s, ann.AuthID()) == "op"]+"/authorize"))
	s.wants("with a password", unlink(ids()[0]), 204, "")
}

// ids0 returns the provider of a user's first link.
func ids0(s *site, userID string) string {
	s.t.Helper()
	links, err := s.links.ByUser(s.t.Context(), userID)
	if err != nil || len(links) == 0 {
		s.t.Fatal(links, err)
	}
	return links[0].Provider
}

func TestRedirectMode(t *testing.T) {
	p := newProvider(t)
	s := newSite(t, nil, p.openID())
	b := s.browser()
	got := b.do("GET", "/auth/op/web/authorize?redirect_to=%2Fapp%2Fpage%3Fa%3Db")
	if got.status != http.StatusSeeOther || !strings.HasPrefix(got.header.Get("Location"), p.URL+"/authorize?") || !strings.HasPrefix(got.header.Get("Set-Cookie"), "__Host-") {
		t.Fatal(got)
	}
	got = b.do("GET", b.consent(got.header.Get("Location")))
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/app/page?a=b" || !strings.HasPrefix(got.header.Get("Set-Cookie"), "fastapiusersauth=") || got.body != "" {
		t.Fatal(got)
	}
	s.wants("logged in", b.do("GET", "/users/me"), 200, "ann@example.com")

	for _, letter := range []string{"&", "<", `"`, "x", "%26"} {
		to := "/app?" + strings.Repeat(letter, 1<<10/len(letter)-5)
		got = b.do("GET", b.consent(b.do("GET", "/auth/op/web/authorize?redirect_to="+url.QueryEscape(to)).header.Get("Location")))
		if got.status != http.StatusSeeOther || got.header.Get("Location") != to {
			t.Errorf("as long as may be, of %s: %d %s", letter, got.status, got.body)
		}
	}

	p.claims["sub"] = "another"
	got = b.do("GET", b.consent(b.do("GET", "/auth/op/web/authorize?redirect_to=https://front.example.com/done?x=y").header.Get("Location")))
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "https://front.example.com/done?error=OAUTH_USER_ALREADY_EXISTS&x=y" {
		t.Error("an error:", got)
	}
	s.wants("a bearer backend", b.do("GET", "/auth/op/jwt/authorize?redirect_to=/app"), 400, "OAUTH_INVALID_REDIRECT")

	for _, to := range []string{
		"", "/", "/apple", "//evil.example", "//evil.example/app", `/\evil.example`, `\\evil.example`, "/app//evil.example", "/%2Fevil.example", "/app/%2F..", "/app/%2e%2e/admin", "/app/../admin",
		"/app/%5cevil", "/app/%09", "/\t/evil.example", "/%09/evil.example", " /app", "/app ", "/app#x", "/app/%252e%252e/admin", "app", "?x", "https:/app", "https:evil.example",
		"http://front.example.com/done", "https://front.example.com", "https://front.example.com/done/", "https://front.example.com:444/done", "https://front.example.com@evil.example/done",
		"https://user@front.example.com/done", "https://front.example.com.evil.example/done", "https://FRONT.example.com.evil/done", "javascript:alert(1)", "data:text/html,x", "//front.example.com/done",
		s.URL + "/app", "/app/" + strings.Repeat("x", 2000), "/app/\u2028", "/app\x00",
	} {
		s.wants("redirect_to "+to, b.do("GET", "/auth/op/web/authorize?redirect_to="+url.QueryEscape(to)), 400, `{"detail":"OAUTH_INVALID_REDIRECT"}`)
	}
	s.wants("two of them", b.do("GET", "/auth/op/web/authorize?redirect_to=/app&redirect_to=//evil.example"), 400, "OAUTH_INVALID_REQUEST")
}

func TestAnotherSiteBeginsNoLink(t *testing.T) {
	p := newProvider(t)
	s := newSite(t, nil, p.openID())
	b := s.browser()
	if got := b.signIn("/auth/op/web/authorize"); got.status != 204 {
		t.Fatal(got)
	}
	const path = "/auth/associate/op/authorize?redirect_to=/app"
	for site, status := range map[string]int{"same-origin": 303, "none": 303, "cross-site": 403, "same-site": 403} {
		if got := b.do("GET", path, "Sec-Fetch-Site", site); got.status != status {
			t.Errorf("%s: %d %s", site, got.status, got.body)
		}
	}
	s.wants("a browser that doesn't say", b.do("GET", path), 403, "Forbidden")
	s.wants("a program", b.do("GET", "/auth/associate/op/authorize"), 200, "authorization_url")
	s.wants("scopes", b.do("GET", "/auth/op/authorize?scopes="+url.QueryEscape("a b")), 400, "OAUTH_INVALID_REQUEST")
}

// TestALinkThatComesLate was begun with a credential that is void when the
// provider answers: the address's owner has come meanwhile, or the password was
// changed because of the thief.
func TestALinkThatComesLate(t *testing.T) {
	for what, meanwhile := range map[string]func(s *site, u *userdb.User) error{
		"the owner claims the account": func(s *site, u *userdb.User) error {
			_, err := s.users.Claim(s.t.Context(), u.AuthID(), u.Email, nil)
			return err
		},
		"the password is changed": func(s *site, u *userdb.User) error {
			password := "another horse"
			_, err := s.users.Update(s.t.Context(), u.AuthID(), authn.Update[*userdb.User]{Password: &password})
			return err
		},
		"the user is deleted": func(s *site, u *userdb.User) error { return s.users.Delete(s.t.Context(), u.AuthID()) },
	} {
		t.Run(what, func(t *testing.T) {
			p := newProvider(t)
			s := newSite(t, nil, p.openID())
			s.register("victim@example.com", false)
			victim := s.user("victim@example.com")
			thief, credential := s.browser(), "Bearer "+s.passwordLogin("victim@example.com")
			linking := thief.consent(thief.authorize("/auth/associate/op/authorize", "Authorization", credential))
			p.token = func(http.ResponseWriter, *http.Request) bool {
				if err := meanwhile(s, victim); err != nil {
					t.Error(err)
				}
				return false
			}
			s.wants(what, thief.do("GET", linking, "Authorization", credential), 401, "Unauthorized")
			if n := s.count("oauth_account"); n != 0 {
				t.Errorf("%d accounts are linked", n)
			}
		})
	}
}

// TestALookAlikeAddress is one that becomes another's when it is normalised: the
// Kelvin sign is a K to NFC. A provider that has verified it has verified another
// mailbox, or none.
func TestALookAlikeAddress(t *testing.T) {
	const kelvin = "mi\u212ae@example.com"
	p := newProvider(t)
	op := p.openID()
	op.AssociateByEmail, op.IsVerifiedByDefault = true, true
	s := newSite(t, nil, op)
	p.claims["email"] = kelvin
	s.wants("a new user", s.browser().signIn("/auth/op/authorize"), 200, "access_token")
	if squatter := s.user("miKe@example.com"); squatter.IsVerified {
		t.Error("the address counts as verified")
	}
	p.claims["sub"], p.claims["email"] = "mike", "mike@example.com"
	mike := token(t, s.browser().signIn("/auth/op/authorize"))
	p.claims["sub"], p.claims["email"] = "another squatter", kelvin
	s.wants("an existing user", s.browser().signIn("/auth/op/authorize"), 400, "OAUTH_USER_ALREADY_EXISTS")
	p.claims["sub"] = "subject-1"
	s.wants("whom the owner has displaced", s.browser().signIn("/auth/op/authorize"), 400, "OAUTH_USER_ALREADY_EXISTS")
	s.wants("mike", s.browser().do("GET", "/users/me", "Authorization", "Bearer "+mike), 200, `"is_verified":true`)
}

// meanwhile has something happen after the first look for an identity.
type meanwhile struct {
	linked.Store
	happen func()
}

func (m *meanwhile) ByIdentity(ctx context.Context, provider, issuer, subject string) (linked.Account, error) {
	a, err := m.Store.ByIdentity(ctx, provider, issuer, subject)
	if happen := m.happen; happen != nil {
		m.happen = nil
		happen()
	}
	return a, err
}

// TestTwoFirstSignInsAtOnce of one person: the second one doesn't take the user
// whom the first one made for somebody else's who waits.
func TestTwoFirstSignInsAtOnce(t *testing.T) {
	s := newSite(t, nil, newProvider(t).openID())
	store := &meanwhile{Store: s.links}
	accounts, err := linked.New(s.users, store, "op")
	if err != nil {
		t.Fatal(err)
	}
	signIn := func() *userdb.User {
		u, err := accounts.SignIn(t.Context(), linked.Profile{Provider: "op", Issuer: "i", Subject: "s", Email: "ann@example.com", Verification: linked.Verified},
			linked.Options{AssociateByEmail: true})
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	var first *userdb.User
	store.happen = func() { first = signIn() }
	second := signIn()
	if now := s.user("ann@example.com"); *first != *now || *second != *now || s.count("oauth_account") != 1 {
		t.Errorf("%+v, then %+v; now %+v", first, second, now)
	}
}

// TestAccountsOfOneAddressAtOnce: whoever comes second is associated with the user
// whom the first one made, and isn't told that there is one.
func TestAccountsOfOneAddressAtOnce(t *testing.T) {
	const many = 16
	s := newSite(t, nil, newProvider(t).openID())
	errs := make(chan error, many)
	for i := range many {
		go func() {
			_, err := s.accounts.SignIn(t.Context(), linked.Profile{Provider: "op", Issuer: "i", Subject: "s" + strconv.Itoa(i), Email: "ann@example.com", Verification: linked.Verified},
				linked.Options{AssociateByEmail: true})
			errs <- err
		}()
	}
	for range many {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if n := s.count("user"); n != 1 {
		t.Errorf("%d users", n)
	}
}
