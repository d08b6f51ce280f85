package backends_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/strategies/jwt"
)

// house is a manager with a backend that keeps sessions, on one clock.
type house struct {
	*testing.T
	users  *authn.Users[*authntest.User]
	ann    *authntest.User
	clock  *authntest.Clock
	kept   authn.SessionStore
	outbox authntest.Outbox[*authntest.User]
	guard  *authn.Guard[*authntest.User]
}

// failing is a store of sessions whose verbs may fail, before or after they
// have done what they do.
type failing struct {
	authn.SessionStore
	mu            sync.Mutex
	before, after map[string]error
}

func (f *failing) fail(when map[string]error, verb string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return when[verb]
}

func (f *failing) InsertSession(ctx context.Context, s authn.Session, now time.Time, limit authn.SessionLimit) error {
	if err := f.fail(f.before, "insert"); err != nil {
		return err
	}
	return errors.Join(f.SessionStore.InsertSession(ctx, s, now, limit), f.fail(f.after, "insert"))
}

func (f *failing) Session(ctx context.Context, subject, id string) (authn.Session, error) {
	if err := f.fail(f.before, "look-up"); err != nil {
		return authn.Session{}, err
	}
	return f.SessionStore.Session(ctx, subject, id)
}

func (f *failing) UpdateSession(ctx context.Context, s authn.Session, now time.Time) (bool, error) {
	if err := f.fail(f.before, "update"); err != nil {
		return false, err
	}
	updated, err := f.SessionStore.UpdateSession(ctx, s, now)
	if failed := f.fail(f.after, "update"); failed != nil {
		return false, failed
	}
	return updated, err
}

func (f *failing) DeleteSession(ctx context.Context, subject, id string) error {
	if err := f.fail(f.before, "delete"); err != nil {
		return err
	}
	return f.SessionStore.DeleteSession(ctx, subject, id)
}

func (f *failing) DeleteSessions(ctx context.Context, subject, but string) error {
	if err := f.fail(f.before, "delete all"); err != nil {
		return err
	}
	return f.SessionStore.DeleteSessions(ctx, subject, but)
}

type option func(*jwt.Config, *backends.SessionConfig)

func newHouse(t *testing.T, options ...option) *house {
	return newHouseOf(t, new(authntest.MemorySessions), backends.Bearer{}, options...)
}

func newHouseOf(t *testing.T, kept authn.SessionStore, transport authn.Transport, options ...option) *house {
	t.Helper()
	h := &house{T: t, clock: authntest.NewClock(time.Unix(1_700_000_000, 0)), kept: kept}
	access := jwt.Config{Lifetime: 10 * time.Minute, Now: h.clock.Now}
	cfg := backends.SessionConfig{Now: h.clock.Now}
	for _, option := range options {
		option(&access, &cfg)
	}
	strategy, err := jwt.New(jwt.Secret([]byte(strings.Repeat("s", 32))), access)
	if err != nil {
		t.Fatal(err)
	}
	backend, err := backends.WithSessions(backends.New("session", transport, strategy), kept, cfg)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := backends.JWT(jwt.Secret([]byte(strings.Repeat("p", 32))), backends.JWTConfig{Config: jwt.Config{Now: h.clock.Now}})
	if err != nil {
		t.Fatal(err)
	}
	h.users, err = authn.New(new(authntest.Memory), authn.Config{Now: h.clock.Now, Passwords: clear{}}, backend, plain)
	if err != nil {
		t.Fatal(err)
	}
	h.users.Use(h.outbox.Hooks())
	h.ann, err = h.users.Register(t.Context(), "ann@example.com", "correct horse", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.users.Flush(t.Context()); err != nil { // tests add hooks
		t.Fatal(err)
	}
	h.guard = h.users.CurrentUser(authn.Active)
	return h
}

// clear keeps passwords in the clear, for tests that aren't about them.
type clear struct{}

func (clear) Hash(_ context.Context, password string) (string, error) {
	return "clear:" + password, nil
}
func (clear) Verify(_ context.Context, password, hash string) (bool, bool, error) {
	return hash == "clear:"+password, false, nil
}

// pair is what a log-in and a refresh answer.
type pair struct {
	Access    string `json:"access_token"`
	Type      string `json:"token_type"`
	ExpiresIn int    `json:"expires_in"`
	Refresh   string `json:"refresh_token"`
}

func read(t *testing.T, res *authn.Response) pair {
	t.Helper()
	w := httptest.NewRecorder()
	if err := res.Write(w); err != nil {
		t.Fatal(err)
	}
	var p pair
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func (h *house) login(methods ...string) pair {
	h.Helper()
	u, err := h.users.Get(h.Context(), h.ann.ID)
	if err != nil {
		h.Fatal(err)
	}
	res, err := h.users.Login(authn.WithClient(h.Context(), authn.Client{Address: "192.0.2.1", UserAgent: "curl"}), "session", u, methods...)
	if err != nil {
		h.Fatal(err)
	}
	return read(h.T, res)
}

func (h *house) refresh(token string) (pair, error) {
	h.Helper()
	res, err := h.users.Refresh(httptest.NewRequest("POST", "/auth/session/refresh", nil), "session", token)
	if err != nil {
		return pair{}, err
	}
	return read(h.T, res), nil
}

func (h *house) mustRefresh(token string) pair {
	h.Helper()
	p, err := h.refresh(token)
	if err != nil {
		h.Fatal(err)
	}
	return p
}

func (h *house) wantDead(what, token string) {
	h.Helper()
	if _, err := h.refresh(token); !errors.Is(err, authn.ErrInvalidToken) {
		h.Errorf("%s: %v, want ErrInvalidToken", what, err)
	}
}

// opens reports whether an access token opens a guarded route.
func (h *house) opens(token string) bool {
	h.Helper()
	_, _, err := h.guard.Check(withHeader("Bearer " + token))
	if err != nil && !errors.Is(err, authn.ErrUnauthorized) {
		h.Error(err)
	}
	return err == nil
}

func (h *house) wantOpen(what, token string, want bool) {
	h.Helper()
	if open := h.opens(token); open != want {
		h.Errorf("%s: opens %t, want %t", what, open, want)
	}
}

func (h *house) sessions() []authn.Session {
	h.Helper()
	all, err := h.users.Sessions(h.Context(), h.ann.ID)
	if err != nil {
		h.Fatal(err)
	}
	return all
}

func (h *house) reuses() (n int) {
	for _, e := range h.outbox.Events() {
		if e.Kind == "reuse" {
			n++
		}
	}
	return n
}

func TestARefreshTokenIsExchanged(t *testing.T) {
	h := newHouse(t)
	first := h.login(authn.MethodPassword)
	if first.Type != "bearer" || first.ExpiresIn != 600 || len(first.Refresh) < 86 {
		t.Fatalf("%+v", first)
	}
	h.wantOpen("the first access token", first.Access, true)
	h.clock.Advance(time.Hour)
	h.wantOpen("after its lifetime", first.Access, false)
	second := h.mustRefresh(first.Refresh)
	if second.Refresh == first.Refresh || second.Access == first.Access || second.ExpiresIn != 600 {
		t.Errorf("%+v", second)
	}
	h.wantOpen("the second access token", second.Access, true)
	_, r, err := h.guard.Check(withHeader("Bearer " + second.Access))
	if err != nil {
		t.Fatal(err)
	}
	id, _ := authn.IdentityFrom(r.Context())
	if !id.AuthTime.Equal(h.clock.Now().Add(-time.Hour)) || !slices.Equal(id.Methods, []string{"pwd"}) || id.Renewed || id.SessionID == "" {
		t.Errorf("a renewed token says %+v", id)
	}
	all := h.sessions()
	if len(all) != 1 || all[0].ID != id.SessionID || all[0].Client != (authn.Client{Address: "192.0.2.1", UserAgent: "curl"}) || !all[0].SeenAt.Equal(h.clock.Now()) {
		t.Errorf("%+v", all)
	}
	third := h.mustRefresh(second.Refresh)
	h.wantOpen("the third", third.Access, true)
}

// A retry within the grace gets the same successor, as long as that is unused.
func TestARetryWithinTheGrace(t *testing.T) {
	h := newHouse(t)
	first := h.login()
	second := h.mustRefresh(first.Refresh)
	for range 3 {
		h.clock.Advance(10 * time.Second)
		again := h.mustRefresh(first.Refresh)
		if again.Refresh != second.Refresh {
			t.Error("another successor")
		}
		h.wantOpen("an access token of a retry", again.Access, true)
	}
	third := h.mustRefresh(second.Refresh)
	h.wantOpen("the third", third.Access, true)
	if h.reuses() != 0 {
		t.Error("a retry counts as theft")
	}
}

func TestATokenThatIsUsedAgainEndsTheSession(t *testing.T) {
	for name, between := range map[string]func(h *house, second pair){
		"after the successor was used": func(h *house, second pair) { h.mustRefresh(second.Refresh) },
		"after the grace":              func(h *house, _ pair) { h.clock.Advance(30*time.Second + 1) },
		"two generations later": func(h *house, second pair) {
			h.clock.Advance(time.Hour)
			h.mustRefresh(h.mustRefresh(second.Refresh).Refresh)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			other := h.login()
			first := h.login()
			second := h.mustRefresh(first.Refresh)
			between(h, second)
			h.wantDead("the token that was used again", first.Refresh)
			if n := h.reuses(); n != 1 {
				t.Errorf("%d hooks heard of it", n)
			}
			h.wantDead("its successor", second.Refresh)
			h.wantOpen("an access token of the session", second.Access, false)
			h.wantDead("the token, once more", first.Refresh)
			if n := h.reuses(); n != 1 {
				t.Errorf("%d hooks heard of it in the end", n)
			}
			h.mustRefresh(other.Refresh)
			if n := len(h.sessions()); n != 1 {
				t.Errorf("%d sessions are left", n)
			}
		})
	}
}

// What was never issued ends nothing, however near it comes.
func TestForgedRefreshTokens(t *testing.T) {
	h := newHouse(t)
	first := h.login()
	data, err := base64.RawURLEncoding.DecodeString(first.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := h.kept.Session(t.Context(), h.ann.ID, h.sessions()[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	forged := []string{"x", first.Refresh + "A", first.Refresh + "=", first.Refresh[1:], " " + first.Refresh, first.Refresh + "\n", first.Access,
		strings.Repeat("A", 86), strings.Repeat("A", 100), strings.Repeat("A", 9000), kept.ID, string(kept.Refresh),
		base64.RawURLEncoding.EncodeToString(kept.Refresh)}
	for i := range data { // each bit that is flipped, and each stored value in the secret's place
		flipped := slices.Clone(data)
		flipped[i] ^= 1
		forged = append(forged, base64.RawURLEncoding.EncodeToString(flipped))
	}
	for i := 0; i+32 <= len(kept.Refresh); i++ {
		stored := slices.Clone(data)
		copy(stored[16:48], kept.Refresh[i:])
		forged = append(forged, base64.RawURLEncoding.EncodeToString(stored))
	}
	for _, token := range forged {
		h.wantDead(fmt.Sprintf("%.30q", token), token)
	}
	if _, err := h.refresh(""); !errors.Is(err, authn.ErrNoCredential) {
		t.Error(err)
	}
	if h.reuses() != 0 {
		t.Error("garbage counts as theft")
	}
	h.wantOpen("a refresh token at a guard", first.Refresh, false)
	h.mustRefresh(first.Refresh)
}

func TestFiftyRefreshesAtOnce(t *testing.T) {
	h := newHouse(t)
	first := h.login()
	for range 3 {
		successors := make([]string, 50)
		var group sync.WaitGroup
		for i := range successors {
			group.Go(func() {
				p, err := h.refresh(first.Refresh)
				if err != nil {
					t.Error(err)
				}
				successors[i] = p.Refresh
			})
		}
		group.Wait()
		slices.Sort(successors)
		if different := slices.Compact(successors); len(different) != 1 {
			t.Fatalf("%d successors", len(different))
		}
		first.Refresh = successors[0]
	}
	if n := len(h.sessions()); n != 1 || h.reuses() != 0 {
		t.Errorf("%d sessions, %d thefts", n, h.reuses())
	}
}

// The store fails before a write, or after it: whoever tries again within the
// grace goes on, with one live token.
func TestAStoreThatIsKilledInBetween(t *testing.T) {
	for _, order := range []string{"before", "after"} {
		t.Run(order, func(t *testing.T) {
			store := &failing{SessionStore: new(authntest.MemorySessions)}
			h := newHouseOf(t, store, backends.Bearer{})
			first := h.login()
			faults := map[string]error{"update": errCut}
			if order == "before" {
				store.before = faults
			} else {
				store.after = faults
			}
			if _, err := h.refresh(first.Refresh); !errors.Is(err, authn.ErrUnavailable) || errors.Is(err, authn.ErrInvalidToken) {
				t.Errorf("%v, want ErrUnavailable", err)
			}
			clearFaults(store)
			h.clock.Advance(20 * time.Second)
			second := h.mustRefresh(first.Refresh)
			third := h.mustRefresh(second.Refresh)
			h.wantDead("the first token", first.Refresh)
			h.wantDead("the last one, with its session", third.Refresh)
		})
	}
}

func clearFaults(f *failing) { f.before, f.after = nil, nil }

// An error of the store is never an ended session, and ending that fails is an
// error of the request.
func TestAStoreOfSessionsThatIsAway(t *testing.T) {
	store := &failing{SessionStore: new(authntest.MemorySessions)}
	h := newHouseOf(t, store, backends.Bearer{})
	first := h.login()
	second := h.mustRefresh(first.Refresh)
	h.clock.Advance(time.Minute)
	store.before = map[string]error{"delete": errCut}
	if _, err := h.refresh(first.Refresh); !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("the session of a stolen token could not be ended: %v", err)
	}
	if err := h.users.Revoke(t.Context(), "session", second.Refresh); !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("revocation: %v", err)
	}
	if _, err := h.users.Logout(withHeader("Bearer "+second.Access), "session"); !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("log-out: %v", err)
	}
	store.before = map[string]error{"look-up": errCut}
	if _, _, err := h.guard.Check(withHeader("Bearer " + second.Access)); !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("a guard: %v", err)
	}
	if _, err := h.refresh(second.Refresh); !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("a refresh: %v", err)
	}
	store.before = map[string]error{"insert": errCut}
	if _, err := h.users.Login(t.Context(), "session", h.ann); !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("a log-in: %v", err)
	}
	store.before = map[string]error{"update": errCut} // use can't be noted
	h.wantOpen("a session whose use can't be noted", second.Access, true)
	clearFaults(store)
	h.mustRefresh(second.Refresh)
}

func TestLifetimesOfSessions(t *testing.T) {
	h := newHouse(t, func(_ *jwt.Config, cfg *backends.SessionConfig) { cfg.Idle, cfg.Absolute = 24*time.Hour, 60*time.Hour })
	token := h.login().Refresh
	for range 2 {
		h.clock.Advance(24*time.Hour - 1)
		token = h.mustRefresh(token).Refresh
	}
	last := h.mustRefresh(token)
	h.clock.Advance(12*time.Hour + 1)
	almost := h.mustRefresh(last.Refresh)
	if almost.ExpiresIn > 1 {
		t.Errorf("an access token outlives its session: %+v", almost)
	}
	h.clock.Advance(time.Second)
	h.wantDead("after its absolute lifetime", almost.Refresh)
	h.wantOpen("an access token of it", almost.Access, false)

	long := newHouse(t, func(access *jwt.Config, cfg *backends.SessionConfig) {
		access.Lifetime, cfg.Absolute, cfg.SkipCheck = 24*time.Hour, time.Hour, true
	})
	if p := long.login(); p.ExpiresIn != 3600 {
		t.Errorf("an access token outlives its session: %+v", p)
	}

	idle := h.login()
	h.clock.Advance(24 * time.Hour)
	h.wantDead("after its idle lifetime", idle.Refresh)
	if n := len(h.sessions()); n != 0 {
		t.Errorf("%d ended sessions are listed", n)
	}
}

// What ends credentials ends sessions: in the same second, and not the new ones.
func TestWhatEndsSessions(t *testing.T) {
	yes, no, password := true, false, "another horse"
	update := func(ups ...authn.Update[*authntest.User]) func(h *house) {
		return func(h *house) {
			for _, up := range ups {
				if _, err := h.users.Update(h.Context(), h.ann.ID, up); err != nil {
					h.Error(err)
				}
			}
		}
	}
	for name, end := range map[string]func(h *house){
		"a new password": update(authn.Update[*authntest.User]{Password: &password}),
		"deactivation and re-activation": update(
			authn.Update[*authntest.User]{IsActive: &no}, authn.Update[*authntest.User]{IsActive: &yes}),
		"signing out everywhere": func(h *house) {
			if err := h.users.SignOutEverywhere(h.Context(), h.ann.ID); err != nil {
				h.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			before := h.login()
			res, err := h.users.Login(t.Context(), "jwt", h.ann)
			if err != nil {
				t.Fatal(err)
			}
			plain := read(t, res)
			end(h)
			h.wantOpen("its access token", before.Access, false)
			h.wantOpen("the token of another backend", plain.Access, false)
			h.wantDead("its refresh token", before.Refresh)
			if n := len(h.sessions()); n != 0 {
				t.Errorf("%d sessions are listed", n)
			}
			after := h.login()
			h.wantOpen("the new one", after.Access, true)
			h.mustRefresh(after.Refresh)
		})
	}
	t.Run("deactivation", func(t *testing.T) {
		h := newHouse(t)
		before := h.login()
		update(authn.Update[*authntest.User]{IsActive: &no})(h)
		h.wantDead("its refresh token", before.Refresh)
		h.wantOpen("its access token", before.Access, false)
	})
	t.Run("deletion", func(t *testing.T) {
		h := newHouse(t)
		before := h.login()
		if err := h.users.Delete(t.Context(), h.ann.ID); err != nil {
			t.Fatal(err)
		}
		h.wantDead("its refresh token", before.Refresh)
		if all, err := h.kept.Sessions(t.Context(), h.ann.ID); err != nil || len(all) != 0 {
			t.Errorf("%v, %v", all, err)
		}
	})
	t.Run("ending it", func(t *testing.T) {
		h := newHouse(t)
		one, two := h.login(), h.login()
		_, r, err := h.guard.Check(withHeader("Bearer " + one.Access))
		if err != nil {
			t.Fatal(err)
		}
		id, _ := authn.IdentityFrom(r.Context())
		if err := h.users.EndSession(t.Context(), h.ann.ID, id.SessionID); err != nil {
			t.Fatal(err)
		}
		h.wantOpen("its access token", one.Access, false)
		h.wantDead("its refresh token", one.Refresh)
		h.wantOpen("the other's", two.Access, true)
		h.mustRefresh(two.Refresh)
		if err := h.users.EndSession(t.Context(), h.ann.ID, id.SessionID); !errors.Is(err, authn.ErrSessionNotFound) {
			t.Error(err)
		}
	})
	t.Run("log-out", func(t *testing.T) {
		h := newHouse(t)
		one, two := h.login(), h.login()
		if res, err := h.users.Logout(withHeader("Bearer "+one.Access), "session"); err != nil || res.Status != http.StatusNoContent {
			t.Fatal(res, err)
		}
		h.wantOpen("its access token", one.Access, false)
		h.wantDead("its refresh token", one.Refresh)
		h.mustRefresh(two.Refresh)
	})
	t.Run("revocation", func(t *testing.T) {
		h := newHouse(t)
		for _, by := range []func(p pair) string{
			func(p pair) string { return p.Refresh },
			func(p pair) string { return p.Access },
		} {
			one, two := h.login(), h.login()
			if err := h.users.Revoke(t.Context(), "session", by(one)); err != nil {
				t.Fatal(err)
			}
			h.wantOpen("its access token", one.Access, false)
			h.wantDead("its refresh token", one.Refresh)
			h.mustRefresh(two.Refresh)
			data, err := base64.RawURLEncoding.DecodeString(two.Refresh)
			if err != nil {
				t.Fatal(err)
			}
			data[20] ^= 1
			forged := base64.RawURLEncoding.EncodeToString(data)
			two.Refresh = h.mustRefresh(two.Refresh).Refresh
			for _, unknown := range []string{by(one), "x", "", strings.Repeat("x", 9000), two.Refresh[:60] + two.Refresh[61:], forged} {
				if err := h.users.Revoke(t.Context(), "session", unknown); err != nil {
					t.Errorf("%.20q: %v", unknown, err)
				}
			}
			h.mustRefresh(two.Refresh)
		}
	})
}

// A token of before there were sessions can't be ended, and nobody is told that
// it was.
func TestATokenWithoutASession(t *testing.T) {
	old, err := backends.JWT(jwt.Secret([]byte(strings.Repeat("s", 32))), backends.JWTConfig{Config: jwt.Config{Now: time.Now}})
	if err != nil {
		t.Fatal(err)
	}
	for what, transport := range map[string]authn.Transport{"bearer": backends.Bearer{}, "cookie": newCookie(t, backends.CookieConfig{})} {
		h := newHouseOf(t, new(authntest.MemorySessions), transport, func(cfg *jwt.Config, _ *backends.SessionConfig) { cfg.Now = time.Now })
		strategy, _ := authn.Can[authn.Strategy](old)
		token, err := strategy.Issue(t.Context(), authn.Identity{Subject: h.ann.ID})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.users.Revoke(t.Context(), "session", token.Value); !errors.Is(err, authn.ErrNotSupported) || authn.AsHTTPError(err).Status != http.StatusBadRequest {
			t.Errorf("%s: revocation: %v", what, err)
		}
		r := withHeader("Bearer " + token.Value)
		r.AddCookie(&http.Cookie{Name: backends.DefaultCookieName, Value: token.Value})
		res, err := h.users.Logout(r, "session")
		if what == "cookie" { // it is taken from the browser
			if err != nil || res.Header.Get("Set-Cookie") == "" {
				t.Errorf("log-out: %v, %v", res, err)
			}
		} else if !errors.Is(err, authn.ErrNotSupported) || authn.AsHTTPError(err).Status != http.StatusBadRequest {
			t.Errorf("log-out: %v, %v", res, err)
		}
	}
}

// Where sessions can't be deleted, those of before are of no generation that
// opens anything, and the caller stays signed in.
func TestSigningOutElsewhereWhileSessionsAreAway(t *testing.T) {
	store := &failing{SessionStore: new(authntest.MemorySessions)}
	h := newHouseOf(t, store, backends.Bearer{})
	other := h.login()
	res, err := h.users.Login(t.Context(), "jwt", h.ann)
	if err != nil {
		t.Fatal(err)
	}
	u, r, err := h.guard.Check(withHeader("Bearer " + read(t, res).Access))
	if err != nil {
		t.Fatal(err)
	}
	store.before = map[string]error{"delete all": errCut}
	res, err = h.users.SignOutElsewhere(r, u)
	if err != nil {
		t.Fatal(err)
	}
	h.wantOpen("the caller's own", read(t, res).Access, true)
	h.wantOpen("another session's", other.Access, false)
	h.wantDead("another session's refresh token", other.Refresh)
	if n := len(h.sessions()); n != 0 {
		t.Errorf("%d sessions are listed", n)
	}
	if err := h.users.SignOutEverywhere(t.Context(), h.ann.ID); !errors.Is(err, authn.ErrUnavailable) { // who asked can ask again
		t.Error(err)
	}
}

// Signing out elsewhere leaves the caller's credential alone, or replaces it.
func TestSigningOutElsewhere(t *testing.T) {
	for name, option := range map[string]option{
		"looked up":     func(*jwt.Config, *backends.SessionConfig) {},
		"not looked up": func(_ *jwt.Config, cfg *backends.SessionConfig) { cfg.SkipCheck = true },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, option)
			mine, other := h.login(authn.MethodPassword), h.login()
			loggedIn := h.clock.Now()
			h.clock.Advance(time.Minute)
			res, err := h.users.Login(t.Context(), "jwt", h.ann)
			if err != nil {
				t.Fatal(err)
			}
			plain := read(t, res)
			u, r, err := h.guard.Check(withHeader("Bearer " + mine.Access))
			if err != nil {
				t.Fatal(err)
			}
			if res, err = h.users.SignOutElsewhere(r, u); err != nil {
				t.Fatal(err)
			}
			access := mine.Access
			if name == "not looked up" {
				if res.Status != http.StatusOK {
					t.Fatal(res)
				}
				access = read(t, res).Access
			} else if res.Status != http.StatusNoContent {
				t.Fatal(res)
			}
			_, r, err = h.guard.Check(withHeader("Bearer " + access))
			if err != nil {
				t.Fatal("the caller's own:", err)
			}
			id, _ := authn.IdentityFrom(r.Context())
			if !id.AuthTime.Equal(loggedIn) || !slices.Equal(id.Methods, []string{"pwd"}) || id.SessionID == "" {
				t.Errorf("%+v", id)
			}
			h.wantOpen("another session's", other.Access, false)
			h.wantDead("another session's refresh token", other.Refresh)
			h.wantOpen("another backend's", plain.Access, false)
			if n := len(h.sessions()); n != 1 {
				t.Errorf("%d sessions", n)
			}
			h.wantOpen("after a refresh", h.mustRefresh(mine.Refresh).Access, true)
		})
	}
	t.Run("a backend without sessions", func(t *testing.T) {
		h := newHouse(t)
		other := h.login()
		res, err := h.users.Login(t.Context(), "jwt", h.ann, authn.MethodPassword)
		if err != nil {
			t.Fatal(err)
		}
		mine := read(t, res)
		loggedIn := h.clock.Now()
		h.clock.Advance(time.Minute)
		u, r, err := h.guard.Check(withHeader("Bearer " + mine.Access))
		if err != nil {
			t.Fatal(err)
		}
		if res, err = h.users.SignOutElsewhere(r, u); err != nil || res.Status != http.StatusOK {
			t.Fatal(res, err)
		}
		h.wantOpen("the old one", mine.Access, false)
		h.wantOpen("another backend's", other.Access, false)
		_, r, err = h.guard.Check(withHeader("Bearer " + read(t, res).Access))
		if err != nil {
			t.Fatal(err)
		}
		if id, _ := authn.IdentityFrom(r.Context()); !id.AuthTime.Equal(loggedIn) {
			t.Errorf("%+v", id)
		}
		if _, err := h.users.SignOutElsewhere(r, u); !errors.Is(err, authn.ErrUnauthorized) {
			t.Errorf("with what a guard found before: %v", err)
		}
		bob, err := h.users.Register(t.Context(), "bob@example.com", "correct horse", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []*http.Request{r, withHeader()} {
			if _, err := h.users.SignOutElsewhere(r, bob); !errors.Is(err, authn.ErrUnauthorized) {
				t.Errorf("another user than the guard found: %v", err)
			}
		}
		if b, err := h.users.Get(t.Context(), bob.ID); err != nil || b.Generation != 0 {
			t.Errorf("%+v, %v", b, err)
		}
	})
}

func TestSessionLimits(t *testing.T) {
	h := newHouse(t)
	for range 101 {
		h.login()
	}
	if n := len(h.sessions()); n != 100 {
		t.Errorf("%d sessions without a limit of one's own", n)
	}

	h = newHouse(t, func(_ *jwt.Config, cfg *backends.SessionConfig) { cfg.Limit.Max = 2 })
	first := h.login()
	for range 2 {
		h.clock.Advance(time.Second)
		h.login()
	}
	h.wantOpen("the oldest", first.Access, false)
	h.wantDead("the oldest", first.Refresh)
	if n := len(h.sessions()); n != 2 {
		t.Errorf("%d sessions", n)
	}

	h = newHouse(t, func(_ *jwt.Config, cfg *backends.SessionConfig) { cfg.Limit = authn.SessionLimit{Max: 1, Refuse: true} })
	only := h.login()
	if _, err := h.users.Login(t.Context(), "session", h.ann); !errors.Is(err, authn.ErrTooManySessions) || errors.Is(err, authn.ErrUnavailable) {
		t.Error(err)
	}
	h.wantOpen("the only one", only.Access, true)
}

// A hook that refuses a log-in leaves no session behind; one that refuses at a
// refresh leaves the refresh token as it is.
func TestGatesOfSessions(t *testing.T) {
	h := newHouse(t)
	refusal := errors.New("locked")
	var gate, after error
	var told authn.Identity
	h.users.Use(authn.Hooks[*authntest.User]{
		BeforeLogin: func(_ context.Context, u *authntest.User, id authn.Identity) error { told = id; return gate },
		AfterLogin:  func(context.Context, *authntest.User, *authn.Response) error { return after },
	})
	first := h.login(authn.MethodPassword)
	after = refusal
	if _, err := h.users.Login(t.Context(), "session", h.ann); !errors.Is(err, refusal) || len(h.sessions()) != 1 {
		t.Errorf("%v, %d sessions", err, len(h.sessions()))
	}
	gate = refusal
	h.clock.Advance(time.Hour)
	if _, err := h.refresh(first.Refresh); !errors.Is(err, refusal) {
		t.Error(err)
	}
	if told.SessionID == "" || !told.AuthTime.Before(told.IssuedAt) || told.User == nil || !slices.Equal(told.Methods, []string{"pwd"}) {
		t.Errorf("the gate was told %+v", told)
	}
	gate, after = nil, nil
	h.clock.Advance(time.Hour) // far beyond the grace
	h.mustRefresh(first.Refresh)
}

func TestUseIsNotedAtABoundedRate(t *testing.T) {
	h := newHouse(t, func(access *jwt.Config, cfg *backends.SessionConfig) {
		access.Lifetime, cfg.LastUse = 24*time.Hour, 5*time.Minute
	})
	p := h.login()
	begun := h.clock.Now()
	for _, c := range []struct{ after, want time.Duration }{
		{time.Minute, 0}, {3 * time.Minute, 0}, {time.Minute, 5 * time.Minute}, {time.Minute, 5 * time.Minute}, {4 * time.Minute, 10 * time.Minute},
	} {
		h.clock.Advance(c.after)
		h.wantOpen("in use", p.Access, true)
		if seen := h.sessions()[0].SeenAt.Sub(begun); seen != c.want {
			t.Errorf("last seen after %v, want %v", seen, c.want)
		}
	}
}

func TestSessionsWithoutRefreshOrCheck(t *testing.T) {
	h := newHouse(t, func(_ *jwt.Config, cfg *backends.SessionConfig) { cfg.SkipRefresh = true })
	p := h.login()
	if p.Refresh != "" || len(h.sessions()) != 1 {
		t.Errorf("%+v", p)
	}
	if _, err := h.refresh("x"); !errors.Is(err, authn.ErrNotSupported) {
		t.Error(err)
	}
	if err := h.users.EndSession(t.Context(), h.ann.ID, h.sessions()[0].ID); err != nil {
		t.Fatal(err)
	}
	h.wantOpen("its access token", p.Access, false)

	h = newHouse(t, func(_ *jwt.Config, cfg *backends.SessionConfig) { cfg.SkipCheck = true })
	p = h.login()
	if err := h.users.EndSession(t.Context(), h.ann.ID, h.sessions()[0].ID); err != nil {
		t.Fatal(err)
	}
	h.wantOpen("its access token, that nobody looks up", p.Access, true)
	h.wantDead("its refresh token", p.Refresh)
}

// A session of one backend is none of another's.
func TestSessionsOfTwoBackends(t *testing.T) {
	kept := new(authntest.MemorySessions)
	one, two := newHouseOf(t, kept, backends.Bearer{}), newHouseOf(t, kept, backends.Bearer{})
	p := one.login()
	two.mustRefresh(p.Refresh) // the same name is the same backend
	strategy, err := jwt.New(jwt.Secret([]byte(strings.Repeat("s", 32))), jwt.Config{Now: one.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	other, err := backends.WithSessions(backends.New("other", backends.Bearer{}, strategy), kept, backends.SessionConfig{Now: one.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Authenticate(withHeader("Bearer " + p.Access)); !errors.Is(err, authn.ErrInvalidToken) {
		t.Errorf("another backend's access token: %v", err)
	}
	door, _ := authn.Can[authn.RefreshBackend](other)
	if _, err := door.Grant(withHeader(), p.Refresh); !errors.Is(err, authn.ErrInvalidToken) {
		t.Errorf("another backend's refresh token: %v", err)
	}
}

func TestCookiesOfSessions(t *testing.T) {
	cookie, err := backends.NewCookie(backends.CookieConfig{Name: "__Host-auth", Now: func() time.Time { return time.Unix(1_700_000_000, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	h := newHouseOf(t, new(authntest.MemorySessions), cookie)
	res, err := h.users.Login(t.Context(), "session", h.ann)
	if err != nil {
		t.Fatal(err)
	}
	cookies := func(res *authn.Response) map[string]*http.Cookie {
		t.Helper()
		found := map[string]*http.Cookie{}
		for _, line := range res.Header["Set-Cookie"] {
			c, err := http.ParseSetCookie(line)
			if err != nil {
				t.Fatal(err)
			}
			found[c.Name] = c
		}
		if res.Status != http.StatusNoContent || len(found) != 2 {
			t.Fatal(res.Header)
		}
		return found
	}
	set := cookies(res)
	access, refresh := set["__Host-auth"], set["__Secure-auth_refresh"]
	if access == nil || refresh == nil || access.Path != "/" || access.MaxAge != 600 ||
		refresh.Path != "/auth/session/refresh" || refresh.MaxAge != 14*24*3600 || !refresh.HttpOnly || !refresh.Secure || refresh.SameSite != http.SameSiteLaxMode {
		t.Fatalf("%+v, %+v", access, refresh)
	}
	request := func(site string, with ...*http.Cookie) *http.Request {
		r := httptest.NewRequest("POST", "/auth/session/refresh", nil)
		r.Header.Set("Sec-Fetch-Site", site)
		for _, c := range with {
			r.AddCookie(c)
		}
		return r
	}
	if _, err := h.users.Refresh(request("cross-site", refresh), "session", ""); !errors.Is(err, authn.ErrCrossSite) {
		t.Errorf("another site's request: %v", err)
	}
	if _, err := h.users.Refresh(request("same-origin", access), "session", refresh.Value); !errors.Is(err, authn.ErrNoCredential) {
		t.Errorf("a parameter in place of the cookie: %v", err)
	}
	res, err = h.users.Refresh(request("same-origin", refresh), "session", "")
	if err != nil {
		t.Fatal(err)
	}
	renewed := cookies(res)
	if _, _, err := h.guard.Check(request("same-origin", renewed["__Host-auth"])); err != nil {
		t.Error(err)
	}
	res, err = h.users.Logout(request("same-origin", renewed["__Host-auth"]), "session")
	if err != nil {
		t.Fatal(err)
	}
	for name, gone := range cookies(res) {
		if gone.MaxAge >= 0 || gone.Value != "" || gone.Path != set[name].Path {
			t.Errorf("%+v", gone)
		}
	}
	if _, err := h.users.Refresh(request("same-origin", renewed["__Secure-auth_refresh"]), "session", ""); !errors.Is(err, authn.ErrInvalidToken) {
		t.Errorf("after the log-out: %v", err)
	}
}

func TestWithSessionsSaysWhatIsWrong(t *testing.T) {
	strategy := newJWT(t, jwt.Secret([]byte(strings.Repeat("s", 32))))
	plain := backends.New("plain", finding{}, strategy)
	bearer := backends.New("bearer", backends.Bearer{}, strategy)
	kept := new(authntest.MemorySessions)
	for _, c := range []struct {
		backend *backends.Backend
		store   authn.SessionStore
		cfg     backends.SessionConfig
		want    string
	}{
		{bearer, nil, backends.SessionConfig{}, `"bearer": the store`},
		{plain, kept, backends.SessionConfig{}, "SkipRefresh"},
		{bearer, kept, backends.SessionConfig{Idle: -1}, "Idle"},
		{bearer, kept, backends.SessionConfig{Idle: time.Minute, LastUse: time.Minute}, "LastUse"},
	} {
		if _, err := backends.WithSessions(c.backend, c.store, c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.cfg, err, c.want)
		}
	}
	if _, err := backends.WithSessions(plain, kept, backends.SessionConfig{SkipRefresh: true}); err != nil {
		t.Error(err)
	}
}

// renewing is a JWT backend whose tokens renew themselves.
func TestRenewalOfAnAccessTokenByItself(t *testing.T) {
	clock := authntest.NewClock(time.Unix(1_700_000_000, 0))
	backend, err := backends.JWT(jwt.Secret([]byte(strings.Repeat("s", 32))), backends.JWTConfig{Config: jwt.Config{
		Lifetime: 10 * time.Minute, RenewFor: time.Hour, Now: clock.Now,
	}})
	if err != nil {
		t.Fatal(err)
	}
	users, err := authn.New(new(authntest.Memory), authn.Config{Now: clock.Now, Passwords: clear{}}, backend)
	if err != nil {
		t.Fatal(err)
	}
	u, err := users.Register(t.Context(), "ann@example.com", "correct horse", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := users.Login(t.Context(), "jwt", u, authn.MethodPassword)
	if err != nil {
		t.Fatal(err)
	}
	token, loggedIn := read(t, res).Access, clock.Now()
	fresh := users.CurrentUser(authn.Active, authn.Fresh(time.Hour))
	if _, _, err := fresh.Check(withHeader("Bearer " + token)); err != nil {
		t.Error("a log-in is fresh:", err)
	}
	renew := func(token string) (string, error) {
		res, err := users.Refresh(withHeader("Bearer "+token), "jwt", "")
		if err != nil {
			return "", err
		}
		return read(t, res).Access, nil
	}
	first := token
	for range 6 {
		clock.Advance(9 * time.Minute)
		if token, err = renew(token); err != nil {
			t.Fatal(err)
		}
		id, err := backend.Authenticate(withHeader("Bearer " + token))
		if err != nil || !id.AuthTime.Equal(loggedIn) || !id.Renewed || !slices.Equal(id.Methods, []string{"pwd"}) || id.ExpiresAt.After(loggedIn.Add(time.Hour)) {
			t.Errorf("%+v, %v", id, err)
		}
		_, _, err = fresh.Check(withHeader("Bearer " + token))
		if answer := authn.AsHTTPError(err); err == nil || answer.Status != http.StatusUnauthorized {
			t.Errorf("a token that renewed itself is fresh: %v", err)
		}
	}
	if _, err := renew(first); !errors.Is(err, authn.ErrInvalidToken) {
		t.Errorf("an expired token was renewed: %v", err)
	}
	clock.Advance(6*time.Minute - time.Second)
	if _, err := renew(token); err != nil {
		t.Error(err)
	}
	clock.Advance(time.Second)
	if _, err := renew(token); !errors.Is(err, authn.ErrInvalidToken) {
		t.Errorf("after the absolute maximum: %v", err)
	}
	if _, _, err := users.CurrentUser(authn.Active).Check(withHeader("Bearer " + token)); err == nil {
		t.Error("a renewed token outlives the absolute maximum")
	}
}

func FuzzRefreshToken(f *testing.F) {
	strategy, err := jwt.New(jwt.Secret([]byte(strings.Repeat("s", 32))), jwt.Config{})
	if err != nil {
		f.Fatal(err)
	}
	b, err := backends.WithSessions(backends.New("session", backends.Bearer{}, strategy), new(authntest.MemorySessions), backends.SessionConfig{})
	if err != nil {
		f.Fatal(err)
	}
	in, _ := authn.Can[authn.LoginBackend](b)
	res, err := in.Login(context.Background(), authn.Identity{Subject: "ann", Backend: "session"})
	if err != nil {
		f.Fatal(err)
	}
	body, err := json.Marshal(res.Body)
	if err != nil {
		f.Fatal(err)
	}
	var issued pair
	if err := json.Unmarshal(body, &issued); err != nil {
		f.Fatal(err)
	}
	door, _ := authn.Can[authn.RefreshBackend](b)
	revoker, _ := authn.Can[authn.Revoker](b)
	for _, seed := range []string{"", "x", issued.Refresh, issued.Refresh[1:], issued.Access, strings.Repeat("A", 86)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		id, err := door.Grant(httptest.NewRequest("POST", "/", nil), token)
		if known := token == issued.Refresh; known != (err == nil) || known && id.Subject != "ann" {
			t.Errorf("%+v, %v", id, err)
		}
		if err != nil && !errors.Is(err, authn.ErrInvalidToken) && !errors.Is(err, authn.ErrNoCredential) {
			t.Error(err)
		}
		if token != issued.Refresh && token != issued.Access {
			if err := revoker.Revoke(t.Context(), token); err != nil && !errors.Is(err, authn.ErrInvalidToken) {
				t.Error(err)
			}
		}
	})
}
