package backends_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/strategies/jwt"
)

// fastapi signs a token as fastapi-users does: sub, aud, exp, and no iat.
func fastapi(t *testing.T, h *house, key string, more gojwt.MapClaims) string {
	c := gojwt.MapClaims{"sub": h.ann.ID, "aud": []string{"fastapi-users:auth"}, "exp": h.clock.Now().Add(time.Hour).Unix()}
	for k, v := range more {
		c[k] = v
	}
	s, err := gojwt.NewWithClaims(gojwt.SigningMethodHS256, c).SignedString([]byte(strings.Repeat(key, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSigningOutElsewhereMakesNothingFresh(t *testing.T) {
	for _, key := range []string{"p", "s"} { // the plain backend, the one with sessions
		h := newHouse(t)
		fresh := h.users.CurrentUser(authn.Active, authn.Fresh(5*time.Minute))
		old := fastapi(t, h, key, nil)
		if _, _, err := fresh.Check(withHeader("Bearer " + old)); !errors.Is(err, authn.ErrUnauthorized) {
			t.Fatal("control:", err)
		}
		u, r, err := h.guard.Check(withHeader("Bearer " + old))
		if err != nil {
			t.Fatal(err)
		}
		res, err := h.users.SignOutElsewhere(r, u) // DELETE /auth/sessions
		if err != nil {
			t.Fatal(err)
		}
		p := read(t, res)
		if _, _, err := fresh.Check(withHeader("Bearer " + p.Access)); err == nil {
			t.Errorf("key %s: the new credential is fresh, and nobody has logged in", key)
		}
		t.Logf("key %s: refresh token: %t", key, p.Refresh != "")
		if p.Refresh != "" {
			for range 20 { // days later
				h.clock.Advance(24 * time.Hour)
				p = h.mustRefresh(p.Refresh)
			}
			if _, _, err := fresh.Check(withHeader("Bearer " + p.Access)); err == nil {
				t.Error("20 days later, a refreshed one is fresh")
			}
		}
	}
}

// A token of another issuer with iat and without auth_time.
func TestATimeOfIssueIsNoTimeOfAuthentication(t *testing.T) {
	h := newHouse(t)
	fresh := h.users.CurrentUser(authn.Active, authn.Fresh(5*time.Minute))
	tok := fastapi(t, h, "p", gojwt.MapClaims{"iat": h.clock.Now().Unix()})
	if _, _, err := fresh.Check(withHeader("Bearer " + tok)); err == nil {
		t.Error("a token that says when it was issued, and not when anybody authenticated, is fresh")
	}
}

func TestSessionsThatANewPasswordEndedDontCount(t *testing.T) {
	h := newHouse(t, func(_ *jwt.Config, cfg *backends.SessionConfig) { cfg.Limit = authn.SessionLimit{Max: 2, Refuse: true} })
	h.login() // the thief's
	h.login()
	pw := "a new password"
	u, err := h.users.Update(t.Context(), h.ann.ID, authn.Update[*authntest.User]{Password: &pw})
	if err != nil {
		t.Fatal(err)
	}
	t.Log("sessions that live:", len(h.sessions()))
	h.clock.Advance(13 * 24 * time.Hour)
	if _, err := h.users.Login(t.Context(), "session", u); err != nil {
		t.Errorf("13 days after a new password ended all sessions: %v", err)
	}
}

// A credential that was revoked after the guard looked.
func TestARevokedCredentialIsNotReissued(t *testing.T) {
	clock := authntest.NewClock(time.Unix(1_700_000_000, 0))
	b, err := backends.JWT(jwt.Secret([]byte(strings.Repeat("p", 32))), backends.JWTConfig{Config: jwt.Config{Now: clock.Now}, Denylist: new(authntest.MemoryDenylist)})
	if err != nil {
		t.Fatal(err)
	}
	users, err := authn.New(new(authntest.Memory), authn.Config{Now: clock.Now, Passwords: clear{}}, b)
	if err != nil {
		t.Fatal(err)
	}
	ann, err := users.Register(t.Context(), "ann@example.com", "correct horse", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := users.Login(t.Context(), "jwt", ann)
	if err != nil {
		t.Fatal(err)
	}
	token := read(t, res).Access
	guard := users.CurrentUser(authn.Active)
	u, r, err := guard.Check(withHeader("Bearer " + token))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := users.Logout(withHeader("Bearer "+token), "jwt"); err != nil { // meanwhile
		t.Fatal(err)
	}
	res, err = users.SignOutElsewhere(r, u)
	t.Log(res, err)
	if err == nil {
		if _, _, err := guard.Check(withHeader("Bearer " + read(t, res).Access)); err == nil {
			t.Error("the token was revoked, and its bearer has a new one")
		}
	}
}

// an opaque strategy of an application's own, with tokens of 64 random bytes and more
func TestNoSessionBeginsWithoutALogIn(t *testing.T) {
	h := newHouse(t)
	old := fastapi(t, h, "s", nil) // good for an hour
	u, r, err := h.guard.Check(withHeader("Bearer " + old))
	if err != nil {
		t.Fatal(err)
	}
	res, err := h.users.SignOutElsewhere(r, u)
	if err != nil {
		t.Fatal(err)
	}
	p := read(t, res)
	h.clock.Advance(13 * 24 * time.Hour)
	p2, err := h.refresh(p.Refresh)
	if err == nil && h.opens(p2.Access) {
		t.Error("13 days later: a credential that was good for an hour goes on, and nobody logged in")
	}
}

var _ = http.StatusOK

// long is a strategy of an application's own, with opaque tokens of 96 bytes.
type long struct {
	mu  sync.Mutex
	all map[string]authn.Identity
}

func (l *long) Issue(_ context.Context, id authn.Identity) (authn.Token, error) {
	var b [96]byte
	rand.Read(b[:])
	t := base64.RawURLEncoding.EncodeToString(b[:])
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[t] = id
	return authn.Token{Value: t}, nil
}
func (l *long) Read(_ context.Context, t string) (authn.Identity, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id, ok := l.all[t]; ok {
		return id, nil
	}
	return authn.Identity{}, authn.ErrInvalidToken
}
func (l *long) Revoke(_ context.Context, t string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, t)
	return nil
}

func TestRevokeOfAnAccessTokenLikeARefreshToken(t *testing.T) {
	b, err := backends.WithSessions(backends.New("own", backends.Bearer{}, &long{all: map[string]authn.Identity{}}), new(authntest.MemorySessions), backends.SessionConfig{})
	if err != nil {
		t.Fatal(err)
	}
	users, err := authn.New(new(authntest.Memory), authn.Config{Passwords: clear{}}, b)
	if err != nil {
		t.Fatal(err)
	}
	ann, err := users.Register(t.Context(), "ann@example.com", "correct horse", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := users.Login(t.Context(), "own", ann)
	if err != nil {
		t.Fatal(err)
	}
	access := read(t, res).Access
	if err := users.Revoke(t.Context(), "own", access); err != nil {
		t.Fatal(err)
	}
	if _, _, err := users.CurrentUser(authn.Active).Check(withHeader("Bearer " + access)); err == nil {
		t.Error("revoked with 200, and it opens")
	}
}

var _ = strings.Repeat

func TestASessionWhoseInsertWasLostIsEnded(t *testing.T) {
	f := &failing{SessionStore: new(authntest.MemorySessions), after: map[string]error{"insert": errors.New("connection reset")}}
	h := newHouseOf(t, f, backends.Bearer{}, func(_ *jwt.Config, cfg *backends.SessionConfig) { cfg.Limit = authn.SessionLimit{Max: 1, Refuse: true} })
	if _, err := h.users.Login(t.Context(), "session", h.ann); !errors.Is(err, authn.ErrUnavailable) {
		t.Fatal(err)
	}
	clearFaults(f)
	h.clock.Advance(13 * 24 * time.Hour)
	if _, err := h.users.Login(t.Context(), "session", h.ann); err != nil {
		t.Errorf("13 days after a log-in that was answered 503: %v", err)
	}
}

// The thief hangs up as the session is ended.
func TestReuseIsToldThoughTheClientHangsUp(t *testing.T) {
	kept := &hangsUp{SessionStore: new(authntest.MemorySessions), cancel: func() {}}
	h := newHouseOf(t, kept, backends.Bearer{})
	p := h.login()
	h.mustRefresh(h.mustRefresh(p.Refresh).Refresh)
	ctx, cancel := context.WithCancel(t.Context())
	kept.cancel = cancel
	_, err := h.users.Refresh(httptest.NewRequest("POST", "/auth/session/refresh", nil).WithContext(ctx), "session", p.Refresh)
	t.Log(err, "sessions:", len(h.sessions()))
	if err := h.users.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := h.reuses(); n != 1 {
		t.Errorf("AfterReuse was called %d times", n)
	}
}

type hangsUp struct {
	authn.SessionStore
	cancel func()
}

func (h *hangsUp) DeleteSession(ctx context.Context, subject, id string) error {
	h.cancel()
	return h.SessionStore.DeleteSession(ctx, subject, id)
}

func TestASessionEndsWithItsOnlyToken(t *testing.T) {
	h := newHouse(t, func(access *jwt.Config, cfg *backends.SessionConfig) {
		access.Lifetime = time.Hour
		cfg.SkipRefresh, cfg.Limit = true, authn.SessionLimit{Max: 1, Refuse: true}
	})
	p := h.login()
	h.clock.Advance(2 * time.Hour)
	h.wantOpen("its token has expired", p.Access, false)
	if n := len(h.sessions()); n != 0 {
		t.Errorf("%d sessions are listed, and none can be used", n)
	}
	if _, err := h.users.Login(t.Context(), "session", h.ann); err != nil {
		t.Errorf("after the only token has expired: %v", err)
	}
}

func TestALogOutEndsWhatATokenWasRenewedFrom(t *testing.T) {
	clock := authntest.NewClock(time.Unix(1_700_000_000, 0))
	b, err := backends.JWT(jwt.Secret([]byte(strings.Repeat("p", 32))), backends.JWTConfig{
		Config: jwt.Config{Now: clock.Now, Lifetime: 10 * time.Minute, RenewFor: 12 * time.Hour}, Denylist: new(authntest.MemoryDenylist)})
	if err != nil {
		t.Fatal(err)
	}
	users, err := authn.New(new(authntest.Memory), authn.Config{Now: clock.Now, Passwords: clear{}}, b)
	if err != nil {
		t.Fatal(err)
	}
	ann, err := users.Register(t.Context(), "ann@example.com", "correct horse", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := users.Login(t.Context(), "jwt", ann)
	if err != nil {
		t.Fatal(err)
	}
	renew := func(token string) (string, error) {
		r := httptest.NewRequest("POST", "/auth/jwt/refresh", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := users.Refresh(r, "jwt", "")
		if err != nil {
			return "", err
		}
		return read(t, res).Access, nil
	}
	first := read(t, res).Access
	second, err := renew(first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := users.Logout(withHeader("Bearer "+second), "jwt"); err != nil {
		t.Fatal(err)
	}
	for range 60 { // ten hours
		if first, err = renew(first); err != nil {
			return
		}
		clock.Advance(9 * time.Minute)
	}
	if _, _, err := users.CurrentUser(authn.Active).Check(withHeader("Bearer " + first)); err == nil {
		t.Error("nine hours after the log-out a token from before it goes on")
	}
}

func TestALogOutReachesNobodyElse(t *testing.T) {
	denied := new(authntest.MemoryDenylist)
	sign := func(key, sub string) string {
		s, err := gojwt.NewWithClaims(gojwt.SigningMethodHS256, gojwt.MapClaims{"sub": sub, "jti": "1", "aud": "fastapi-users:auth", "exp": time.Now().Add(time.Hour).Unix()}).SignedString([]byte(strings.Repeat(key, 32)))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	var s []*jwt.Revocable
	for _, key := range []string{"a", "b"} {
		r, err := jwt.NewRevocable(jwt.Secret([]byte(strings.Repeat(key, 32))), jwt.Config{}, denied)
		if err != nil {
			t.Fatal(err)
		}
		s = append(s, r)
	}
	if err := s[0].Revoke(t.Context(), sign("a", "ann")); err != nil {
		t.Fatal(err)
	}
	if _, err := s[1].Read(t.Context(), sign("b", "bob")); err != nil {
		t.Errorf("ann's log-out at one backend ended bob's token of another: %v", err)
	}
}

// A group asks for a fresh log-in at one backend, a route within it for the user.
func TestTwoGuardsFindOneUser(t *testing.T) {
	clock := authntest.NewClock(time.Unix(1_700_000_000, 0))
	cookie, err := backends.CookieJWT(jwt.Secret([]byte(strings.Repeat("c", 32))), backends.CookieJWTConfig{Name: "cookie", Config: jwt.Config{Now: clock.Now, Lifetime: 24 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	bearer, err := backends.JWT(jwt.Secret([]byte(strings.Repeat("k", 32))), backends.JWTConfig{Config: jwt.Config{Now: clock.Now}})
	if err != nil {
		t.Fatal(err)
	}
	users, err := authn.New(new(authntest.Memory), authn.Config{Now: clock.Now, Passwords: clear{}}, cookie, bearer)
	if err != nil {
		t.Fatal(err)
	}
	victim, _ := users.Register(t.Context(), "victim@example.com", "correct horse", nil)
	thief, _ := users.Register(t.Context(), "thief@example.com", "correct horse", nil)
	res, err := users.Login(t.Context(), "cookie", victim)
	if err != nil {
		t.Fatal(err)
	}
	stolen, _, _ := strings.Cut(res.Header.Get("Set-Cookie"), ";")
	clock.Advance(time.Hour)
	res, err = users.Login(t.Context(), "jwt", thief)
	if err != nil {
		t.Fatal(err)
	}
	r := withHeader("Bearer " + read(t, res).Access)
	r.Header.Set("Cookie", stolen)
	group := users.CurrentUser(authn.Active, authn.Only("jwt"), authn.Fresh(time.Minute))
	route := users.CurrentUser(authn.Active)
	_, r, err = group.Check(r) // e.Group("/payments", echo4.Middleware(group))
	if err != nil {
		t.Fatal(err)
	}
	u, _, err := route.Check(r) // .POST("", echo4.Handle(route, pay))
	if err == nil && u.ID != thief.ID {
		t.Errorf("the group let %s in, and the handler acts for %s", thief.Email, u.Email)
	}
}

func TestRefreshCookieNames(t *testing.T) {
	for _, cfg := range []backends.CookieConfig{
		{Name: "s", RefreshName: "s"},
		{Name: "s", RefreshName: "__Host-r"},
		{Name: "s", RefreshName: "__Secure-r", InsecureHTTP: true},
	} {
		if _, err := backends.NewCookie(cfg); err == nil {
			t.Errorf("%+v: no error", cfg)
		}
	}
}

// crossed is a store that is asked for a session while somebody signs out
// elsewhere: after the session was read, and before the account is.
type crossed struct {
	authn.SessionStore
	meanwhile func()
}

func (c *crossed) Session(ctx context.Context, subject, id string) (authn.Session, error) {
	s, err := c.SessionStore.Session(ctx, subject, id)
	if f := c.meanwhile; f != nil {
		c.meanwhile = nil
		f()
	}
	return s, err
}

func TestTheSessionThatStaysIsNeverRefused(t *testing.T) {
	kept := &crossed{SessionStore: new(authntest.MemorySessions)}
	h := newHouseOf(t, kept, backends.Bearer{})
	p := h.login()
	signOut := func() {
		u, r, err := h.guard.Check(withHeader("Bearer " + p.Access))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.users.SignOutElsewhere(r, u); err != nil {
			t.Fatal(err)
		}
	}
	kept.meanwhile = signOut
	if _, _, err := h.guard.Check(withHeader("Bearer " + p.Access)); err != nil {
		t.Errorf("a request at the same moment: %v", err)
	}
	kept.meanwhile = signOut
	if _, err := h.refresh(p.Refresh); err != nil {
		t.Errorf("a refresh at the same moment: %v", err)
	}
}
