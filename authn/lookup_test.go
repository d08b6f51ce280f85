package authn_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/echo-users/echo-users/authn"
)

// listening is a store that notes which addresses are looked up.
type listening struct {
	*registry
	asked []string
	err   error // of the look-up with this number, from 1
	at    int
}

func (s *listening) ByEmail(ctx context.Context, email string) (*soul, error) {
	s.asked = append(s.asked, email)
	if len(s.asked) == s.at {
		return nil, s.err
	}
	return s.registry.ByEmail(ctx, email)
}

// A look-up tries NFC and the lower-case domain, then the address as typed,
// where that is another text: a store may have both (userdb's
// AllowLegacyDuplicates). Which it tries depends on the input alone.
func TestLookUpsByAddress(t *testing.T) {
	const nfc, nfd = "\u00e4@example.com", "a\u0308@example.com" // the stored one is NFD
	cut := errors.New("connection refused")
	for what, c := range map[string]struct {
		typed string
		err   error
		at    int
		want  string
		is    error
		asked string
	}{
		"as stored":        {"Ann@example.com", nil, 0, "ann", nil, `["Ann@example.com"]`},
		"other letters":    {"ANN@EXAMPLE.com", nil, 0, "ann", nil, `["ANN@example.com" "ANN@EXAMPLE.com"]`},
		"unknown, letters": {"EVE@EXAMPLE.com", nil, 0, "", authn.ErrUserNotFound, `["EVE@example.com" "EVE@EXAMPLE.com"]`},
		"as typed":         {nfd, nil, 0, "nfd", nil, fmt.Sprintf("%q", []string{nfc, nfd})},
		"NFC alone":        {nfc, nil, 0, "", authn.ErrUserNotFound, fmt.Sprintf("%q", []string{nfc})},
		"spaces":           {" ann@example.com", nil, 0, "ann", nil, `["ann@example.com"]`},
		"unknown, spaces":  {" eve@example.com", nil, 0, "", authn.ErrUserNotFound, `["eve@example.com"]`},
		"no address":       {"ann", nil, 0, "", authn.ErrUserNotFound, `["ann"]`},
		"empty":            {"", nil, 0, "", authn.ErrUserNotFound, `[""]`},
		"away":             {"ann@example.com", cut, 1, "", authn.ErrUnavailable, `["ann@example.com"]`},
		"away, first":      {nfd, cut, 1, "", authn.ErrUnavailable, fmt.Sprintf("%q", []string{nfc})},
		"away, second":     {nfd, cut, 2, "", authn.ErrUnavailable, fmt.Sprintf("%q", []string{nfc, nfd})},
	} {
		w := newWorld(t)
		store := &listening{registry: w.store, err: c.err, at: c.at}
		users, err := authn.New(store, authn.Config{Passwords: w.hasher}, w.backend)
		if err != nil {
			t.Fatal(err)
		}
		u, err := users.GetByEmail(t.Context(), c.typed)
		if !errors.Is(err, c.is) || (u != nil) != (c.want != "") || u != nil && u.id != c.want || c.err != nil && !errors.Is(err, c.err) {
			t.Errorf("%s: %v, %v", what, u, err)
		}
		if got := fmt.Sprintf("%q", store.asked); got != c.asked {
			t.Errorf("%s: asked for %s, want %s", what, got, c.asked)
		}
		// To log in is to be looked up, and answers no differently for who isn't there.
		store.asked = nil
		_, err = users.Authenticate(t.Context(), c.typed, "secret")
		if c.is == authn.ErrUserNotFound && !errors.Is(err, authn.ErrBadCredentials) || c.is == authn.ErrUnavailable && (!errors.Is(err, c.is) || w.hasher.verified != 0) {
			t.Errorf("%s: %v after %d verifications", what, err, w.hasher.verified)
		}
		if errors.Is(err, authn.ErrUserNotFound) {
			t.Errorf("%s: the error says who isn't there: %v", what, err)
		}
	}
}

// brittle is a hasher that fails.
type brittle struct {
	plainText
	hash, verify error
	seen         []string
}

func (h *brittle) Hash(ctx context.Context, password string) (string, error) {
	if h.hash != nil {
		return "", h.hash
	}
	return h.plainText.Hash(ctx, password)
}

func (h *brittle) Verify(ctx context.Context, password, hash string) (bool, bool, error) {
	h.seen = append(h.seen, hash)
	if h.verify != nil {
		return true, true, h.verify // and who looks at the rest lets everybody in
	}
	return h.plainText.Verify(ctx, password, hash)
}

func TestAHasherThatFails(t *testing.T) {
	busy := errors.New("the gate is full")
	for what, c := range map[string]struct {
		email        string
		hash, verify error
		want         error
		stored       string
	}{
		"verify":          {"ann@example.com", nil, busy, authn.ErrUnavailable, "h:secret"},
		"verify, unknown": {"eve@example.com", nil, busy, authn.ErrUnavailable, ""},
		"upgrade":         {"old@example.com", busy, nil, nil, "old:secret"},
		"neither":         {"old@example.com", nil, nil, nil, "h:secret"},
	} {
		w := newWorld(t)
		hasher := &brittle{hash: c.hash, verify: c.verify}
		users, err := authn.New(w.store, authn.Config{Passwords: hasher, Logger: slog.New(slog.DiscardHandler)}, w.backend)
		if err != nil {
			t.Fatal(err)
		}
		u, err := users.Authenticate(t.Context(), c.email, "secret")
		if !errors.Is(err, c.want) || (u != nil) != (c.want == nil) || c.want != nil && !errors.Is(err, busy) {
			t.Errorf("%s: %v, %v", what, u, err)
		}
		if stored, err := w.store.ByEmail(t.Context(), c.email); err == nil && stored.HashedPassword != c.stored {
			t.Errorf("%s: %s is stored", what, stored.HashedPassword)
		}
	}
	// An unknown user costs a verification against no hash, which matches nothing.
	w := newWorld(t)
	hasher := new(brittle)
	users, err := authn.New(w.store, authn.Config{Passwords: hasher}, w.backend)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := users.Authenticate(t.Context(), "eve@example.com", "secret"); !errors.Is(err, authn.ErrBadCredentials) || fmt.Sprintf("%q", hasher.seen) != `[""]` {
		t.Errorf("%v, verified against %q", err, hasher.seen)
	}
	cut := &brittle{hash: busy}
	users, err = authn.New(w.store, authn.Config{Passwords: cut}, w.backend)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := users.Register(t.Context(), "bob@example.com", "secret12", nil); !errors.Is(err, authn.ErrUnavailable) || !errors.Is(err, busy) {
		t.Errorf("%v", err)
	}
}

// An outdated hash that doesn't match, and one of an inactive user, stay.
func TestWhatIsNotUpgraded(t *testing.T) {
	for email, password := range map[string]string{"old@example.com": "wrong", "off@example.com": "secret"} {
		w := newWorld(t)
		w.store.souls["off"].HashedPassword = "old:secret"
		w.store.before = func() { t.Errorf("%s: the store was written to", email) }
		if _, err := w.users.Authenticate(t.Context(), email, password); !errors.Is(err, authn.ErrBadCredentials) || w.hasher.hashed != 0 {
			t.Errorf("%s: %v after %d hashes", email, err, w.hasher.hashed)
		}
	}
}

// A look-up of the application's own that returns nothing at all lets nobody in,
// and ends no process.
func TestALookUpThatFindsNeitherUserNorError(t *testing.T) {
	w := newWorld(t)
	u, err := w.users.AuthenticateWith(t.Context(), func(context.Context) (*soul, error) { return nil, nil }, "secret")
	if u != nil || !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("%v, %v", u, err)
	}
}
