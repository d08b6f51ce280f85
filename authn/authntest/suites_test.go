package authntest

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
)

func TestMemory(t *testing.T) {
	TestStore(t, func(*testing.T) authn.Store[*User] { return new(Memory) })
}

// racing is Memory with one fault, each of a kind that was an advisory
// somewhere.
type racing struct {
	*Memory
	lookFirst, wholeRows, swallow, shared, caseMatters, notFound, twice bool
	wildcards, offsets                                                  bool

	pause  func()
	last   *User
	offset int
}

func (s *racing) List(ctx context.Context, q authn.Query) ([]*User, error) {
	if s.wildcards {
		q.Search = strings.ReplaceAll(q.Search, "%", "")
	}
	if !s.offsets {
		return s.Memory.List(ctx, q)
	}
	if q.After == "" {
		s.offset = 0
	}
	all, err := s.Memory.List(ctx, authn.Query{Limit: s.offset + q.Limit})
	all = all[min(s.offset, len(all)):]
	s.offset += len(all)
	return all, err
}

func (s *racing) Delete(ctx context.Context, id string) error {
	if !s.twice {
		return s.Memory.Delete(ctx, id)
	}
	if _, err := s.Memory.ByID(ctx, id); err != nil {
		return err
	}
	s.pause()
	_ = s.Memory.Delete(ctx, id)
	return nil
}

func (s *racing) Create(ctx context.Context, fill func(*User) error) (*User, error) {
	if !s.lookFirst {
		return s.Memory.Create(ctx, fill)
	}
	u := new(User)
	if err := fill(u); err != nil {
		return nil, err
	}
	if _, err := s.Memory.ByEmail(ctx, u.Email); err == nil {
		return nil, authn.ErrUserExists
	}
	s.pause() // the other one looks, too
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == nil {
		s.users = map[string]User{}
	}
	s.next++
	u.ID = strings.Repeat("i", s.next)
	s.users[u.ID] = *u
	return u, nil
}

func (s *racing) Update(ctx context.Context, id string, change func(*User) error) (*User, error) {
	if s.swallow {
		u, _ := s.Memory.Update(ctx, id, change)
		if u == nil {
			u = &User{ID: id}
		}
		return u, nil
	}
	if !s.wholeRows {
		return s.Memory.Update(ctx, id, change)
	}
	u, err := s.Memory.ByID(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := change(u); err != nil {
		return nil, err
	}
	s.pause()
	changed := *u
	return s.Memory.Update(ctx, id, func(stored *User) error { *stored = changed; return nil })
}

func (s *racing) ByID(ctx context.Context, id string) (*User, error) {
	u, err := s.Memory.ByID(ctx, id)
	if s.notFound && err != nil {
		return nil, authn.ErrUserNotFound
	}
	if s.shared && err == nil {
		if s.last == nil || s.last.ID != id {
			s.last = u
		}
		return s.last, nil
	}
	return u, err
}

func (s *racing) ByEmail(ctx context.Context, email string) (*User, error) {
	u, err := s.Memory.ByEmail(ctx, email)
	if s.caseMatters && err == nil && u.Email != email {
		return nil, authn.ErrUserNotFound
	}
	return u, err
}

// TestStoreSuiteFindsFaults shows each part to fail on a store that is broken
// in its way.
func TestStoreSuiteFindsFaults(t *testing.T) {
	meet := make(chan struct{})
	for what, c := range map[string]struct {
		store racing
		part  string
		says  string
	}{
		"look-up before insert": {racing{lookFirst: true}, "one address at once", "let a unique index decide"},
		"whole rows":            {racing{wholeRows: true}, "updates at once", "an update was lost"},
		"non-atomic consume":    {racing{twice: true}, "deletes", "one user was deleted"},
		"swallowed error":       {racing{swallow: true}, "updates refuse", "error became <nil>"},
		"shared user":           {racing{shared: true}, "copies", "reached the store, or another caller"},
		"letter case":           {racing{caseMatters: true}, "finds what was created", "letter case must not count"},
		"wildcards":             {racing{wildcards: true}, "lists", "List of a percent sign"},
		"pages by number":       {racing{offsets: true}, "lists while others write", "was listed"},
		"failed is not found":   {racing{notFound: true}, "ended contexts", "says that there is no such user"},
	} {
		t.Run(what, func(t *testing.T) {
			c.store.Memory = new(Memory)
			c.store.pause = func() { // let two goroutines be there at once, if there are two
				select {
				case meet <- struct{}{}:
				case <-meet:
				case <-time.After(time.Millisecond):
				}
			}
			p := new(problems)
			for _, part := range storeParts[*User]() {
				if part.name == c.part {
					part.run(t.Context(), p, &c.store)
				}
			}
			wantsProblem(t, p, c.says)
		})
	}
}

func wantsProblem(t *testing.T, p *problems, says string) {
	t.Helper()
	for _, problem := range p.texts() {
		if strings.Contains(problem, says) {
			return
		}
	}
	t.Errorf("the suite found %q, and nothing that says %q", p.texts(), says)
}

// plain is a strategy whose token is its identity in the clear, with faults.
type plain struct {
	revoked               map[string]bool
	stale, gullible, away bool
}

func (s *plain) Issue(_ context.Context, id authn.Identity) (authn.Token, error) {
	generation := string(rune('0' + id.Generation%10))
	if s.stale {
		generation = "0"
	}
	return authn.Token{Value: "v1:" + generation + ":" + id.Subject}, nil
}

func (s *plain) Read(_ context.Context, token string) (authn.Identity, error) {
	rest, ok := strings.CutPrefix(token, "v1:")
	if generation, subject, cut := strings.Cut(rest, ":"); ok && cut && len(generation) == 1 && !s.revoked[token] {
		return authn.Identity{Subject: subject, Generation: int64(generation[0] - '0')}, nil
	}
	if s.gullible {
		return authn.Identity{Subject: token}, nil
	}
	if s.away {
		return authn.Identity{}, errors.New("connection refused")
	}
	return authn.Identity{}, authn.ErrInvalidToken
}

func TestStrategySuiteFindsFaults(t *testing.T) {
	for what, c := range map[string]struct {
		strategy authn.Strategy
		part     string
		says     string
	}{
		"stale generation":          {&plain{stale: true}, "reads what it issued", "must die with the password"},
		"kept user":                 {&named{keeps: true}, "reads what it issued", "User is set"},
		"guessable":                 {&named{}, "is more than its subject", "can guess their token"},
		"guessable base64":          {&named{encode: base64.RawURLEncoding.EncodeToString}, "is more than its subject", "can guess their token"},
		"guessable hex":             {&named{encode: hex.EncodeToString}, "is more than its subject", "can guess their token"},
		"gullible":                  {&plain{gullible: true}, "refuses what it did not issue", "accepted a token that was not issued"},
		"unsigned":                  {&plain{}, "refuses what it did not issue", "accepted a token that was not issued"},
		"away":                      {&plain{away: true}, "refuses what it did not issue", "any other error is 503"},
		"one token for two log-ins": {revocable{&plain{}}, "revokes", "can't be revoked alone"},
		"swallowed":                 {&forgetful{}, "revokes", "says that it didn't"},
	} {
		p := new(problems)
		for _, part := range strategyParts {
			if part.name == c.part {
				part.run(t.Context(), p, c.strategy)
			}
		}
		if t.Run(what, func(t *testing.T) { wantsProblem(t, p, c.says) }); t.Failed() {
			return
		}
	}
}

// named gives out tokens that anybody can make of a user's id, or keeps users
// with random ones.
type named struct {
	keeps  bool
	encode func([]byte) string
	issued map[string]authn.Identity
}

func (s *named) Issue(_ context.Context, id authn.Identity) (authn.Token, error) {
	token := "session-" + id.Subject
	if s.encode != nil {
		token = "session-" + s.encode([]byte(id.Subject))
	}
	if s.keeps {
		token = rand.Text()
	}
	if s.issued == nil {
		s.issued = map[string]authn.Identity{}
	}
	s.issued[token] = id
	return authn.Token{Value: token}, nil
}

func (s *named) Read(_ context.Context, token string) (authn.Identity, error) {
	id, ok := s.issued[token]
	if !ok {
		return authn.Identity{}, authn.ErrInvalidToken
	}
	if !s.keeps {
		id.User = nil
	}
	return id, nil
}

// signed is a strategy whose tokens hold the subject in the clear, and are
// equal for equal log-ins, and can't be guessed.
type signed struct{ key [32]byte }

func (s signed) sign(text string) string {
	mac := hmac.New(sha256.New, s.key[:])
	mac.Write([]byte(text))
	return text + ":" + hex.EncodeToString(mac.Sum(nil))
}

func (s signed) Issue(_ context.Context, id authn.Identity) (authn.Token, error) {
	return authn.Token{Value: s.sign(fmt.Sprint(id.Generation, ":", id.Subject))}, nil
}

func (s signed) Read(_ context.Context, token string) (authn.Identity, error) {
	end := strings.LastIndex(token, ":")
	if end < 0 || !hmac.Equal([]byte(s.sign(token[:end])), []byte(token)) {
		return authn.Identity{}, authn.ErrInvalidToken
	}
	number, subject, _ := strings.Cut(token[:end], ":")
	generation, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return authn.Identity{}, authn.ErrInvalidToken
	}
	return authn.Identity{Subject: subject, Generation: generation}, nil
}

func TestStrategySuitePassesSignedTokens(t *testing.T) {
	var s signed
	_, _ = rand.Read(s.key[:])
	TestStrategy(t, func(*testing.T) authn.Strategy { return s })
}

type revocable struct{ *plain }

func (s revocable) Revoke(context.Context, string) error { return nil }

// forgetful revokes unless its context has ended, and never says so.
type forgetful struct {
	tokens Tokens
}

func (s *forgetful) Issue(ctx context.Context, id authn.Identity) (authn.Token, error) {
	return s.tokens.Issue(ctx, id)
}

func (s *forgetful) Read(ctx context.Context, token string) (authn.Identity, error) {
	return s.tokens.Read(ctx, token)
}

func (s *forgetful) Revoke(ctx context.Context, token string) error {
	_ = s.tokens.Revoke(ctx, token)
	return nil
}

func TestTokens(t *testing.T) {
	TestStrategy(t, func(*testing.T) authn.Strategy { return new(Tokens) })
}

// leaky is a transport with faults.
type leaky struct{ query, large bool }

func (l leaky) Extract(r *http.Request) (string, error) {
	if token := r.FormValue("token"); l.query && token != "" {
		return token, nil
	}
	token := r.Header.Get("X-Token")
	if token == "" {
		return "", authn.ErrNoCredential
	}
	if len(token) > authn.MaxCredentialSize && !l.large {
		return "", authn.ErrInvalidToken
	}
	return token, nil
}

func (leaky) Carry(token authn.Token) (*authn.Response, error) {
	return &authn.Response{Status: 204, Header: http.Header{"X-Token": {token.Value}}}, nil
}

func headerClient(answer *http.Response) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-Token", answer.Header.Get("X-Token"))
	return r
}

func TestTransportSuite(t *testing.T) {
	TestTransport(t, leaky{}, headerClient)
	for says, transport := range map[string]authn.Transport{
		"query string":            leaky{query: true},
		"more than MaxCredential": leaky{large: true},
	} {
		p := new(problems)
		checkTransport(p, transport, headerClient)
		wantsProblem(t, p, says)
	}
	p := new(problems)
	checkTransport(p, leaky{}, CommonClient) // which doesn't know this header
	wantsProblem(t, p, "came back as 0 bytes")
	p = new(problems)
	checkTransport(p, leaky{}, nil)
	wantsProblem(t, p, "pass TestTransport a Client of your own")
	if len(p.list) != 1 {
		t.Errorf("%q, and one says it", p.texts())
	}
}

// crumbs is a transport of cookies that lets other sites in, or only their
// WebSockets.
type crumbs struct{}

func (crumbs) Extract(r *http.Request) (string, error) {
	cookie, err := r.Cookie("c")
	if err != nil || cookie.Value == "" {
		return "", authn.ErrNoCredential
	}
	if len(cookie.Value) > authn.MaxCredentialSize {
		return "", authn.ErrInvalidToken
	}
	return cookie.Value, nil
}

func (crumbs) Carry(token authn.Token) (*authn.Response, error) {
	return &authn.Response{Status: 204, Header: http.Header{"Set-Cookie": {"c=" + token.Value}}}, nil
}

// checkedCrumbs look at the method and at the header, as they should, and not
// at upgrades.
type checkedCrumbs struct {
	crumbs
	protection *http.CrossOriginProtection
}

func (c checkedCrumbs) CheckOrigin(r *http.Request) error {
	if c.protection.Check(r) != nil {
		return authn.ErrCrossSite
	}
	return nil
}

// lenient takes every origin for its own.
type lenient struct{ crumbs }

func (lenient) CheckOrigin(*http.Request) error { return nil }

func TestTransportSuiteOnCookies(t *testing.T) {
	for says, transport := range map[string]authn.Transport{
		"without CheckOrigin": crumbs{},
		"of POST with":        lenient{},
		"WebSocket":           checkedCrumbs{protection: http.NewCrossOriginProtection()},
	} {
		p := new(problems)
		checkTransport(p, transport, CommonClient)
		wantsProblem(t, p, says)
	}
}

func TestReportsAreShort(t *testing.T) {
	p := new(problems)
	for i := range 30 {
		p.add("number %d", i)
	}
	p.add("another")
	if got := p.texts(); len(got) != 5 || got[3] != "and 27 more like that" || got[4] != "another" {
		t.Error(got)
	}
}

// careless is a backend with faults.
type careless struct{ anybody, mixed bool }

func (careless) Name() string { return "careless" }

func (c careless) Authenticate(r *http.Request) (authn.Identity, error) {
	subject := r.Header.Get("Subject")
	if subject == "" && !c.anybody {
		return authn.Identity{}, authn.ErrNoCredential
	}
	if c.mixed {
		subject = "ann"
	}
	return authn.Identity{Subject: subject}, nil
}

func TestBackendSuite(t *testing.T) {
	present := func(r *http.Request, subject string) { r.Header.Set("Subject", subject) }
	TestBackend(t, careless{}, present)
	for says, b := range map[string]authn.Backend{
		"without a credential":  careless{anybody: true},
		`request: "ann", <nil>`: careless{mixed: true}, // bob's, or another's
	} {
		p := new(problems)
		checkBackend(t, p, b, present)
		wantsProblem(t, p, says)
	}
}

func TestBackendSuiteNamesItsClient(t *testing.T) {
	p := new(problems)
	checkBackend(t, p, headerBackend{}, nil)
	wantsProblem(t, p, "pass TestBackend a present of your own")
}

// headerBackend logs people in with an answer that CommonClient doesn't know.
type headerBackend struct{ careless }

func (headerBackend) Login(_ context.Context, id authn.Identity) (*authn.Response, error) {
	return &authn.Response{Status: 204, Header: http.Header{"Subject": {id.Subject}}}, nil
}

func TestImpersonation(t *testing.T) {
	store := new(Memory)
	users, err := authn.New(store, authn.Config{}, Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	u, err := store.Create(t.Context(), func(u *User) error { u.Email, u.IsActive = "ann@example.com", true; return nil })
	if err != nil {
		t.Fatal(err)
	}
	guard := users.CurrentUser(authn.Active)
	if got, _, err := guard.Check(As(httptest.NewRequest("GET", "/", nil), u)); err != nil || got.Email != "ann@example.com" {
		t.Errorf("%v, %v", got, err)
	}
	if _, _, err := guard.Check(httptest.NewRequest("GET", "/", nil)); !errors.Is(err, authn.ErrUnauthorized) {
		t.Error(err)
	}
}

func TestOutboxNotesWhatHappens(t *testing.T) {
	store := new(Memory)
	users, err := authn.New(store, authn.Config{}, Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	var outbox Outbox[*User]
	users.Use(outbox.Hooks())
	u, err := users.Register(t.Context(), "ann@example.com", "correct horse", nil)
	if err != nil {
		t.Fatal(err)
	}
	flush := func() { // what is mailed
		t.Helper()
		if err := users.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	flush()
	email := "anna@example.com"
	if _, err := users.Update(t.Context(), u.ID, authn.Update[*User]{Email: &email}); err != nil {
		t.Fatal(err)
	}
	flush()
	if err := users.Delete(t.Context(), u.ID); err != nil {
		t.Fatal(err)
	}
	// What is mailed is noted beside what is heard, in no order between the two.
	var heard, mailed []string
	for _, event := range outbox.Events() {
		line := event.Kind + " " + event.Email + " " + event.Changed.OldEmail
		switch event.Kind {
		case "welcome", "email-changed":
			mailed = append(mailed, line)
		default:
			heard = append(heard, line)
		}
	}
	if got := strings.Join(heard, ", "); got != "register ann@example.com , update anna@example.com ann@example.com, delete anna@example.com " {
		t.Error(got)
	}
	if got := strings.Join(mailed, ", "); got != "welcome ann@example.com , email-changed ann@example.com " {
		t.Error(got)
	}
}

func TestClock(t *testing.T) {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	clock := NewClock(noon)
	clock.Advance(time.Hour)
	if got := clock.Now(); !got.Equal(noon.Add(time.Hour)) {
		t.Error(got)
	}
}
