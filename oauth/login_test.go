package oauth_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"
)

func TestSignIn(t *testing.T) {
	p := newProvider(t)
	s := newSite(t, nil, p.openID())
	b := s.browser()

	address := b.authorize("/auth/op/authorize?scopes=email&scopes=profile")
	u, _ := url.Parse(address)
	q := u.Query()
	if q.Get("scope") != "openid email profile" || q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" ||
		q.Get("nonce") == "" || q.Get("response_type") != "code" || q.Get("redirect_uri") != s.URL+"/auth/op/callback" {
		t.Error(address)
	}
	got := b.do("GET", b.consent(address))
	s.wants("the bearer backend", got, 200, `"token_type":"bearer"`)
	if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Referrer-Policy") != "no-referrer" {
		t.Error(got.header)
	}
	me := b.do("GET", "/users/me", "Authorization", "Bearer "+token(t, got))
	s.wants("the new user", me, 200, `"email":"ann@example.com","is_active":true,"is_superuser":false,"is_verified":false`)
	ann := s.user("ann@example.com")
	if ann.HasPassword() {
		t.Error("a user without a password has one")
	}
	links, err := s.links.ByUser(t.Context(), ann.AuthID())
	if err != nil || len(links) != 1 || links[0].Provider != "op" || links[0].Issuer != p.URL || links[0].Subject != "subject-1" ||
		links[0].Tokens.Access != "the-access-token" || links[0].Tokens.Refresh != "the-refresh-token" || links[0].Tokens.ExpiresAt.IsZero() {
		t.Errorf("%+v, %v", links, err)
	}
	var kept string
	if err := s.db.Raw("SELECT access_token || coalesce(refresh_token, '') || sealed_access_token || sealed_refresh_token FROM oauth_account").Scan(&kept).Error; err != nil ||
		strings.Contains(kept, "the-access") || strings.Contains(kept, "the-refresh") {
		t.Errorf("tokens in the clear: %s, %v", kept, err)
	}

	p.claims["email"] = "ann@elsewhere.example"
	s.wants("again, with another address", s.browser().signIn("/auth/op/jwt/authorize"), 200, "access_token")
	if s.count("user") != 1 || s.count("oauth_account") != 1 {
		t.Errorf("%d users, %d links", s.count("user"), s.count("oauth_account"))
	}
	got = b.signIn("/auth/op/web/authorize")
	if got.status != http.StatusNoContent || !strings.HasPrefix(got.header.Get("Set-Cookie"), "fastapiusersauth=") {
		t.Errorf("the cookie backend: %d %v", got.status, got.header)
	}
	s.wants("with its cookie", b.do("GET", "/users/me"), 200, "ann@example.com")
	accounts := b.do("GET", "/users/me/oauth-accounts")
	s.wants("the list", accounts, 200, `"oauth_name":"op","account_id":"subject-1","account_email":"ann@elsewhere.example"`)

	ann.IsActive = false
	if err := s.db.Table("user").Where("1 = 1").Update("is_active", false).Error; err != nil {
		t.Fatal(err)
	}
	s.wants("inactive", s.browser().signIn("/auth/op/authorize"), 400, `{"detail":"LOGIN_BAD_CREDENTIALS"}`)
}

func TestTheCSRFCookie(t *testing.T) {
	p := newProvider(t)
	s := newSite(t, nil, p.openID())
	b := s.browser()
	got := b.do("GET", "/auth/op/authorize")
	cookie := got.header.Get("Set-Cookie")
	for _, part := range []string{"__Host-fastapiusersoauthcsrf=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax", "; Max-Age=900"} {
		if !strings.Contains(cookie, part) {
			t.Errorf("%q has no %q", cookie, part)
		}
	}
	// Several tabs go on side by side.
	first, second := b.authorize("/auth/op/authorize"), b.authorize("/auth/op/authorize")
	s.wants("the first tab", b.do("GET", b.consent(first)), 200, "access_token")
	s.wants("the second tab", b.do("GET", b.consent(second)), 200, "access_token")
}

func TestHostileStates(t *testing.T) {
	p, other := newProvider(t), newProvider(t)
	second := other.openID()
	second.Name = "other"
	s := newSite(t, nil, p.openID(), second)
	ann := s.browser()
	back := func(b *browser) string { return b.consent(b.authorize("/auth/op/authorize")) }
	state := func(address string) string { u, _ := url.Parse(address); return u.Query().Get("state") }

	stolen := back(ann)
	const invalid = `{"detail":"OAUTH_INVALID_STATE"}`
	s.wants("another browser without a cookie", s.browser().do("GET", stolen), 400, invalid)
	victim := s.browser()
	own := back(victim)
	s.wants("another browser with its own cookie", victim.do("GET", stolen), 400, invalid)
	s.wants("control: it still works where it began", ann.do("GET", stolen), 200, "access_token")
	s.wants("used again", ann.do("GET", stolen), 400, invalid)
	s.wants("another's state with one's own code", victim.do("GET", with(t, own, func(q url.Values) { q.Set("state", state(stolen)) })), 400, invalid)
	s.wants("at another provider", ann.do("GET", strings.Replace(back(ann), "/auth/op/", "/auth/other/", 1)), 400, invalid)

	for what, bent := range map[string]string{
		"none": "", "no state": "x", "no base64": "v1.!!!", "cut": state(back(ann))[:40], "of another kind": newKeys(t).Seal("another purpose", []byte(`{}`)),
		"long": strings.Repeat("A", 5000),
	} {
		got := ann.do("GET", with(t, back(ann), func(q url.Values) { q.Set("state", bent) }))
		if got.status != 400 || !strings.Contains(got.body, "ACCESS_TOKEN_DECODE_ERROR") && !strings.Contains(got.body, "OAUTH_INVALID_REQUEST") {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	late := back(ann)
	s.clock.Advance(15 * time.Minute)
	s.wants("late", ann.do("GET", late), 400, `{"detail":"ACCESS_TOKEN_ALREADY_EXPIRED"}`)
	s.clock.Advance(-15 * time.Minute)
	s.wants("a state twice", ann.do("GET", back(ann)+"&state=x"), 400, `{"detail":"OAUTH_INVALID_REQUEST"}`)

	login := token(t, ann.signIn("/auth/op/authorize"))
	link := "/auth/associate/op/callback"
	s.wants("a log-in's state to link", ann.do("GET", strings.Replace(back(ann), "/auth/op/callback", link, 1), "Authorization", "Bearer "+login), 400, invalid)
	linking := ann.consent(ann.authorize("/auth/associate/op/authorize", "Authorization", "Bearer "+login))
	s.wants("a link's state to log in", ann.do("GET", strings.Replace(linking, link, "/auth/op/callback", 1)), 400, invalid)
}

func TestHostileAnswers(t *testing.T) {
	const invalidToken = "OAUTH_INVALID_ID_TOKEN"
	hour := time.Hour
	for what, c := range map[string]struct {
		bend   func(p *provider)
		status int
		code   string
	}{
		"missing nonce":     {func(p *provider) { p.claims["nonce"] = nil }, 400, invalidToken},
		"foreign nonce":     {func(p *provider) { p.claims["nonce"] = "foreign" }, 400, invalidToken},
		"other issuer":      {func(p *provider) { p.claims["iss"] = "https://evil.example" }, 400, invalidToken},
		"issuer and slash":  {func(p *provider) { p.claims["iss"] = p.URL + "/" }, 400, invalidToken},
		"other audience":    {func(p *provider) { p.claims["aud"] = "another" }, 400, invalidToken},
		"two audiences":     {func(p *provider) { p.claims["aud"] = []string{clientID, "another"} }, 400, invalidToken},
		"other party":       {func(p *provider) { p.claims["azp"] = "another" }, 400, invalidToken},
		"expired":           {func(p *provider) { p.claims["exp"] = time.Now().Add(-hour).Unix() }, 400, invalidToken},
		"from the future":   {func(p *provider) { p.claims["iat"] = time.Now().Add(hour).Unix() }, 400, invalidToken},
		"without its time":  {func(p *provider) { p.claims["iat"] = nil }, 400, invalidToken},
		"time as a text":    {func(p *provider) { p.claims["iat"] = "now" }, 400, invalidToken},
		"time as a list":    {func(p *provider) { p.claims["exp"] = []int{1 << 40} }, 400, invalidToken},
		"no expiry":         {func(p *provider) { p.claims["exp"] = nil }, 400, invalidToken},
		"not yet":           {func(p *provider) { p.claims["nbf"] = time.Now().Add(hour).Unix() }, 400, invalidToken},
		"not yet, a text":   {func(p *provider) { p.claims["nbf"] = "later" }, 400, invalidToken},
		"nonce as a list":   {func(p *provider) { p.claims["nonce"] = []string{"x"} }, 400, invalidToken},
		"no audience":       {func(p *provider) { p.claims["aud"] = nil }, 400, invalidToken},
		"audience a number": {func(p *provider) { p.claims["aud"] = 7 }, 400, invalidToken},
		"of another token":  {func(p *provider) { p.claims["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" }, 400, invalidToken},
		"empty subject":     {func(p *provider) { p.claims["sub"] = "" }, 400, "OAUTH_INVALID_SUBJECT"},
		"no subject":        {func(p *provider) { p.claims["sub"] = nil }, 400, "OAUTH_INVALID_SUBJECT"},
		"constant subject":  {func(p *provider) { p.claims["sub"] = "undefined" }, 400, "OAUTH_INVALID_SUBJECT"},
		"subject 0":         {func(p *provider) { p.claims["sub"] = "0" }, 400, "OAUTH_INVALID_SUBJECT"},
		"a UUID of zeros":   {func(p *provider) { p.claims["sub"] = "00000000-0000-0000-0000-000000000000" }, 400, "OAUTH_INVALID_SUBJECT"},
		"an empty object":   {func(p *provider) { p.claims["sub"] = "{}" }, 400, "OAUTH_INVALID_SUBJECT"},
		"long subject":      {func(p *provider) { p.claims["sub"] = strings.Repeat("x", 256) }, 400, "OAUTH_INVALID_SUBJECT"},
		"a numeric subject": {func(p *provider) { p.claims["sub"] = 7 }, 400, invalidToken},
		"no e-mail":         {func(p *provider) { p.claims["email"] = nil; p.info = map[string]any{"sub": "subject-1"} }, 400, "OAUTH_NOT_AVAILABLE_EMAIL"},
		"no address":        {func(p *provider) { p.claims["email"] = "nobody" }, 400, "OAUTH_NOT_AVAILABLE_EMAIL"},
		"another's e-mail": {func(p *provider) {
			p.claims["email"] = nil
			p.info = map[string]any{"sub": "x", "email": "x@example.com"}
		}, 400, invalidToken},
		"no ID token": {func(p *provider) { p.sign = func(gojwt.MapClaims) string { return "" } }, 400, invalidToken},
		"no JWT":      {func(p *provider) { p.sign = func(gojwt.MapClaims) string { return "x.y.z" } }, 400, invalidToken},
		"unsigned": {func(p *provider) {
			p.sign = func(c gojwt.MapClaims) string {
				return p.signedBy(gojwt.SigningMethodNone, gojwt.UnsafeAllowNoneSignatureType, c)
			}
		}, 400, invalidToken},
		"signed with the secret": {func(p *provider) {
			p.sign = func(c gojwt.MapClaims) string { return p.signedBy(gojwt.SigningMethodHS256, []byte(clientSecret), c) }
		}, 400, invalidToken},
		"signed by another": {func(p *provider) {
			another := newProvider(p.t)
			p.sign = func(c gojwt.MapClaims) string { return another.signed(c) }
		}, 400, invalidToken},
		"another issuer answers": {func(p *provider) { p.back = func(q url.Values) { q.Set("iss", "https://evil.example") } }, 400, "OAUTH_INVALID_ISSUER"},
		"no issuer answers":      {func(p *provider) { p.back = func(q url.Values) { q.Del("iss") } }, 400, "OAUTH_INVALID_ISSUER"},
		"no code":                {func(p *provider) { p.back = func(q url.Values) { q.Del("code") } }, 400, "OAUTH_INVALID_CODE"},
		"a made-up code":         {func(p *provider) { p.back = func(q url.Values) { q.Set("code", "made up") } }, 400, "OAUTH_INVALID_CODE"},
		"denied":                 {func(p *provider) { p.back = func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") } }, 400, `{"detail":"access_denied"}`},
		"denied with a code":     {func(p *provider) { p.back = func(q url.Values) { q.Set("error", "access_denied") } }, 400, `{"detail":"access_denied"}`},
		"an error of its own":    {func(p *provider) { p.back = func(q url.Values) { q.Set("error", "<script>") } }, 400, `{"detail":"provider_error"}`},
		"an unknown client": {func(p *provider) {
			p.token = func(w http.ResponseWriter, _ *http.Request) bool { p.refuse(w, "invalid_client"); return true }
		}, 503, "Service Unavailable"},
		"a broken token endpoint": {func(p *provider) {
			p.token = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(500); return true }
		}, 503, "Service Unavailable"},
		"garbage of the token endpoint": {func(p *provider) {
			p.token = func(w http.ResponseWriter, _ *http.Request) bool { _, _ = w.Write([]byte("<html>")); return true }
		}, 503, "Service Unavailable"},
	} {
		t.Run(what, func(t *testing.T) {
			p := newProvider(t)
			s := newSite(t, nil, p.openID())
			c.bend(p)
			s.wants(what, s.browser().signIn("/auth/op/authorize"), c.status, c.code)
			if n := s.count("user"); n != 0 {
				t.Errorf("%d users were made", n)
			}
			if n := s.count("oauth_account"); n != 0 {
				t.Errorf("%d links were made", n)
			}
		})
	}
}

func TestAReplayedCode(t *testing.T) {
	p := newProvider(t)
	s := newSite(t, nil, p.openID())
	b := s.browser()
	first := b.consent(b.authorize("/auth/op/authorize"))
	code := func(address string) string { u, _ := url.Parse(address); return u.Query().Get("code") }
	s.wants("control", b.do("GET", first), 200, "access_token")
	replayed := with(t, b.consent(b.authorize("/auth/op/authorize")), func(q url.Values) { q.Set("code", code(first)) })
	s.wants("with a new state", b.do("GET", replayed), 400, "OAUTH_INVALID_CODE")
	// A code that somebody else got is bound to the verifier of their flow.
	thief := s.browser()
	stolen := code(b.consent(b.authorize("/auth/op/authorize")))
	s.wants("of another flow", thief.do("GET", with(t, thief.consent(thief.authorize("/auth/op/authorize")), func(q url.Values) { q.Set("code", stolen) })), 400, "OAUTH_INVALID_CODE")
}

func TestAStateIsUsedOnceAtOnce(t *testing.T) {
	p := newProvider(t)
	s := newSite(t, nil, p.openID())
	b := s.browser()
	back := b.consent(b.authorize("/auth/op/authorize"))
	const many = 8
	done := make(chan answer, many)
	for range many {
		go func() { done <- b.do("GET", back) }()
	}
	in := 0
	for range many {
		if got := <-done; got.status == 200 {
			in++
		} else if got.status != 400 {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	if in != 1 {
		t.Errorf("%d of %d callbacks logged in", in, many)
	}
}

// Each visit to these routes asks the provider something.
func TestVisitsAreLimited(t *testing.T) {
	p := newProvider(t)
	s := newSite(t, nil, p.openID())
	b := s.browser()
	for range 100 {
		s.wants("begun", b.do("GET", "/auth/op/authorize"), 200, "authorization_url")
	}
	late := b.do("GET", "/auth/op/authorize")
	s.wants("too often", late, 429, "Too Many Requests")
	if late.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	s.wants("another route", b.do("GET", "/auth/op/web/authorize"), 200, "authorization_url")
}

// What ties a flow to its browser, and where the provider sends it back to, is
// ours: nothing of that is taken from the request.
func TestNothingOfAFlowIsTheRequests(t *testing.T) {
	p := newProvider(t)
	s := newSite(t, nil, p.openID())
	for _, path := range []string{"/auth/op/authorize", "/auth/op/web/authorize"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path+"?state=chosen&nonce=chosen&code_challenge=chosen&code_challenge_method=plain&code_verifier=chosen"+
			"&redirect_uri=https://chosen.example/&response_type=token&response_mode=fragment&client_id=chosen&prompt=chosen", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "chosen.example"
		for _, name := range []string{"X-Forwarded-Host", "X-Original-Host", "Origin", "Referer"} {
			r.Header.Set(name, "http://chosen.example")
		}
		r.Header.Set("X-Forwarded-Proto", "http")
		r.Header.Set("Forwarded", "host=chosen.example;proto=http")
		r.AddCookie(&http.Cookie{Name: "__Host-fastapiusersoauthcsrf", Value: "chosen"})
		res, err := s.browser().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var body struct {
			URL string `json:"authorization_url"`
		}
		if err := json.NewDecoder(res.Body).Decode(&body); err != nil || res.StatusCode != http.StatusOK {
			t.Fatal(res.StatusCode, err)
		}
		u, err := url.Parse(body.URL)
		if err != nil {
			t.Fatal(err)
		}
		if q := u.Query(); strings.Contains(body.URL, "chosen") || q.Get("redirect_uri") != s.URL+"/auth/op/callback" || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" {
			t.Error(body.URL)
		}
		if cookie := res.Header.Get("Set-Cookie"); strings.Contains(cookie, "chosen") || !strings.HasPrefix(cookie, "__Host-fastapiusersoauthcsrf=") {
			t.Error(cookie)
		}
	}
}
