package authn_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn"
)

func TestNewNamesTheCulprit(t *testing.T) {
	store := newSouls()
	for what, c := range map[string]struct {
		backends []authn.Backend
		cfg      authn.Config
		want     string
	}{
		"none":         {nil, authn.Config{}, "no backend"},
		"nil":          {[]authn.Backend{headed("a"), nil}, authn.Config{}, "backend 2 is nil"},
		"nameless":     {[]authn.Backend{headed("a"), headed("")}, authn.Config{}, "backend 2 (authn_test.headed) has no name"},
		"twins":        {[]authn.Backend{headed("a"), headed("b"), headed("a")}, authn.Config{}, `backends 1 and 3 are both named "a"`},
		"slash":        {[]authn.Backend{headed("a/b")}, authn.Config{}, `"a/b"`},
		"dots":         {[]authn.Backend{headed("..")}, authn.Config{}, `".."`},
		"space":        {[]authn.Backend{headed("a b")}, authn.Config{}, `"a b"`},
		"percent":      {[]authn.Backend{headed("%2f")}, authn.Config{}, `"%2f"`},
		"umlaut":       {[]authn.Backend{headed("ä")}, authn.Config{}, `"ä"`},
		"colon":        {[]authn.Backend{headed(":id")}, authn.Config{}, `":id"`},
		"quoted realm": {[]authn.Backend{headed("a")}, authn.Config{Realm: `a"b`}, "realm"},
	} {
		if _, err := authn.New(store, c.cfg, c.backends...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := authn.New[*soul](nil, authn.Config{}, headed("a")); err == nil {
		t.Error("no store")
	}
	if _, err := authn.New(store, authn.Config{}, headed("jwt"), headed("my-jwt_2.0")); err != nil {
		t.Error(err)
	}
}

// plainText is a hasher that counts: the hash of "x" is "h:x".
type plainText struct{ hashed, verified int }

func (h *plainText) Hash(_ context.Context, password string) (string, error) {
	h.hashed++
	return "h:" + password, nil
}

func (h *plainText) Verify(_ context.Context, password, hash string) (match, outdated bool, err error) {
	h.verified++
	if old, ok := strings.CutPrefix(hash, "old:"); ok {
		return old == password, old == password, nil
	}
	return hash == "h:"+password, false, nil
}

// register is a store that keeps souls by address, for one goroutine.
type registry struct {
	memory
	updated error // what Update returns, if not nil
	before  func()
}

func (s *registry) ByEmail(_ context.Context, email string) (*soul, error) {
	for _, u := range s.souls {
		if strings.EqualFold(u.Email, email) {
			copied := *u
			return &copied, s.err
		}
	}
	return nil, authn.ErrUserNotFound
}

func (s *registry) Create(_ context.Context, fill func(*soul) error) (*soul, error) {
	u := &soul{id: fmt.Sprint(len(s.souls) + 1)}
	if err := fill(u); err != nil {
		return nil, err
	}
	if s.err != nil {
		return nil, s.err
	}
	if _, err := s.ByEmail(context.Background(), u.Email); err == nil {
		return nil, authn.ErrUserExists
	}
	s.souls[u.id] = u
	return u, nil
}

func (s *registry) Update(_ context.Context, id string, change func(*soul) error) (*soul, error) {
	if s.before != nil {
		s.before()
	}
	u, ok := s.souls[id]
	if !ok {
		return nil, authn.ErrUserNotFound
	}
	if s.updated != nil {
		return nil, s.updated
	}
	changed := *u
	if err := change(&changed); err != nil {
		return nil, err
	}
	s.souls[id] = &changed
	return &changed, nil
}

func (s *registry) Delete(_ context.Context, id string) error {
	delete(s.souls, id)
	return s.err
}

// issuing logs people in, and notes whom.
type issuing struct {
	headed
	issued []authn.Identity
	undone int
}

func (b *issuing) Login(_ context.Context, id authn.Identity) (*authn.Response, error) {
	b.issued = append(b.issued, id)
	return &authn.Response{Status: 200, Undo: func(context.Context) error { b.undone++; return errors.New("undo failed") }}, nil
}

type world struct {
	store   *registry
	hasher  *plainText
	backend *issuing
	users   *authn.Users[*soul]
	log     *strings.Builder
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		store: &registry{memory: memory{souls: map[string]*soul{
			"ann": {id: "ann", Account: authn.Account{Email: "Ann@example.com", HashedPassword: "h:secret", IsActive: true, Generation: 3}},
			"old": {id: "old", Account: authn.Account{Email: "old@example.com", HashedPassword: "old:secret", IsActive: true, IsVerified: true}},
			"off": {id: "off", Account: authn.Account{Email: "off@example.com", HashedPassword: "h:secret"}},
			"nfd": {id: "nfd", Account: authn.Account{Email: "a\u0308@example.com", HashedPassword: "h:secret", IsActive: true}},
		}}},
		hasher: new(plainText), backend: &issuing{headed: "door"}, log: new(strings.Builder),
	}
	var err error
	w.users, err = authn.New(w.store, authn.Config{
		Passwords: w.hasher, Logger: slog.New(slog.NewTextHandler(w.log, nil)),
	}, w.backend, authn.RequireVerified(&issuing{headed: "strict"}), headed("mute"))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestAuthenticateCostsOneVerification(t *testing.T) {
	for _, c := range []struct {
		email, password string
		want            error
	}{
		{"ann@example.com", "secret", nil},
		{" ANN@Example.com", "secret", nil},
		{"ann@example.com", "wrong", authn.ErrBadCredentials},
		{"nobody@example.com", "secret", authn.ErrBadCredentials},
		{"off@example.com", "secret", authn.ErrBadCredentials},
		{"off@example.com", "wrong", authn.ErrBadCredentials},
		{"ä@example.com", "secret", authn.ErrBadCredentials}, // the stored one isn't NFC
		{"a\u0308@example.com", "secret", nil},
		{"", "", authn.ErrBadCredentials},
	} {
		w := newWorld(t)
		u, err := w.users.Authenticate(t.Context(), c.email, c.password)
		if !errors.Is(err, c.want) || (u != nil) != (c.want == nil) {
			t.Errorf("%q, %q: %v, %v", c.email, c.password, u, err)
		}
		if w.hasher.verified != 1 {
			t.Errorf("%q, %q: %d verifications", c.email, c.password, w.hasher.verified)
		}
	}
	w := newWorld(t)
	if _, err := w.users.Authenticate(t.Context(), "ann@example.com", strings.Repeat("ä", authn.MaxPasswordLength+1)); !errors.Is(err, authn.ErrPasswordTooLong) || w.hasher.verified != 0 {
		t.Errorf("%v after %d verifications", err, w.hasher.verified)
	}
	w.store.err = errors.New("cut")
	if u, err := w.users.Authenticate(t.Context(), "ann@example.com", "secret"); u != nil || !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("%v, %v", u, err)
	}
}

func TestAnOldHashIsReplacedAtLogin(t *testing.T) {
	w := newWorld(t)
	u, err := w.users.Authenticate(t.Context(), "old@example.com", "secret")
	if err != nil || u.HashedPassword != "h:secret" {
		t.Fatalf("%v, %+v", err, u)
	}
	if stored := w.store.souls["old"]; stored.HashedPassword != "h:secret" || stored.Generation != 0 {
		t.Errorf("%+v", stored)
	}

	w = newWorld(t)
	w.store.before = func() { w.store.souls["old"].HashedPassword = "h:newer" } // somebody changes it meanwhile
	if _, err := w.users.Authenticate(t.Context(), "old@example.com", "secret"); err != nil {
		t.Error(err)
	}
	if hash := w.store.souls["old"].HashedPassword; hash != "h:newer" {
		t.Errorf("an upgrade brought an old password back: %s", hash)
	}

	w = newWorld(t)
	w.store.updated = errors.New("read-only")
	if _, err := w.users.Authenticate(t.Context(), "old@example.com", "secret"); err != nil {
		t.Error(err)
	}
	if log := w.log.String(); !strings.Contains(log, "not upgraded") || strings.Contains(log, "secret") {
		t.Error(log)
	}
}

func TestTheDoor(t *testing.T) {
	refused := errors.New("not today")
	for what, c := range map[string]struct {
		id, backend string
		hooks       authn.Hooks[*soul]
		want        error
		issued      int
	}{
		"through":    {"ann", "door", authn.Hooks[*soul]{}, nil, 1},
		"inactive":   {"off", "door", authn.Hooks[*soul]{}, authn.ErrBadCredentials, 0},
		"unverified": {"ann", "strict", authn.Hooks[*soul]{}, authn.ErrNotVerified, 0},
		"mute":       {"ann", "mute", authn.Hooks[*soul]{}, authn.ErrNotSupported, 0},
		"unknown":    {"ann", "none", authn.Hooks[*soul]{}, authn.ErrNotSupported, 0},
		"gate": {"ann", "door", authn.Hooks[*soul]{
			BeforeLogin: func(context.Context, *soul, authn.Identity) error { return refused }}, refused, 0},
		"afterwards": {"ann", "door", authn.Hooks[*soul]{
			AfterLogin: func(context.Context, *soul, *authn.Response) error { return refused }}, refused, 1},
	} {
		w := newWorld(t)
		w.users.Use(c.hooks)
		res, err := w.users.Login(t.Context(), c.backend, w.store.souls[c.id], authn.MethodPassword)
		if !errors.Is(err, c.want) || (res != nil) != (c.want == nil) || len(w.backend.issued) != c.issued {
			t.Errorf("%s: %v, %v, %d issued", what, res, err, len(w.backend.issued))
		}
		if what == "afterwards" && (w.backend.undone != 1 || !strings.Contains(err.Error(), "undo failed")) {
			t.Errorf("undone %d times: %v", w.backend.undone, err)
		}
		if what == "through" {
			id := w.backend.issued[0]
			if id.Subject != "ann" || id.Backend != "door" || id.Generation != 3 || id.AuthTime.IsZero() || fmt.Sprint(id.Methods) != "[pwd]" {
				t.Errorf("%+v", id)
			}
		}
	}
}

func TestRegister(t *testing.T) {
	refused := errors.New("no")
	for what, c := range map[string]struct {
		email, password string
		fill            func(*soul) error
		want            error
		hashed          int
	}{
		"new":        {" Bob@EXAMPLE.com ", "secret12", nil, nil, 1},
		"taken":      {"ANN@example.com", "secret12", nil, authn.ErrUserExists, 1},
		"no address": {"bob", "secret12", nil, authn.ErrInvalidEmail, 0},
		"refused":    {"bob@example.com", "secret12", func(*soul) error { return refused }, refused, 1},
		"too long":   {"bob@example.com", strings.Repeat("a", authn.MaxPasswordLength+1), nil, authn.ErrPasswordTooLong, 0},
	} {
		w := newWorld(t)
		var heard []string
		w.users.Use(authn.Hooks[*soul]{AfterRegister: func(_ context.Context, u *soul) { heard = append(heard, u.Email) }})
		u, err := w.users.Register(t.Context(), c.email, c.password, c.fill)
		if !errors.Is(err, c.want) || w.hasher.hashed != c.hashed || len(heard) == 0 != (c.want != nil) {
			t.Errorf("%s: %v, %d hashes, %v", what, err, w.hasher.hashed, heard)
		}
		if c.want == nil && (u.Email != "Bob@example.com" || !u.IsActive || u.IsSuperuser || u.IsVerified || u.HashedPassword != "h:secret12") {
			t.Errorf("%+v", u)
		}
	}
	for password, reason := range map[string]string{
		"1234567":                 "at least 8 characters",
		"a\u0308234567":           "at least 8 characters",
		strings.Repeat("ä", 513):  "at most 1024 bytes",
		"12345678\xff":            "valid UTF-8",
		"ä234567" + "\u0308":      "",
		strings.Repeat("x", 1024): "",
	} {
		var why *authn.PasswordError
		_, err := newWorld(t).users.Register(t.Context(), "bob@example.com", password, nil)
		if reason == "" && err != nil || reason != "" && (!errors.As(err, &why) || !strings.Contains(why.Reason, reason)) {
			t.Errorf("%q: %v", password, err)
		}
	}
	w := newWorld(t)
	w.store.err = errors.New("cut")
	if _, err := w.users.Register(t.Context(), "bob@example.com", "secret12", nil); !errors.Is(err, authn.ErrUnavailable) {
		t.Error(err)
	}
}

func TestUpdate(t *testing.T) {
	yes, no := true, false
	email, capitals, password, taken := "New@Example.com", "ANN@example.com", "another1", "x"
	for what, c := range map[string]struct {
		id   string
		up   authn.Update[*soul]
		want authn.Account
		told authn.Changed
	}{
		"address": {"old", authn.Update[*soul]{Email: &email},
			authn.Account{Email: "New@example.com", HashedPassword: "old:secret", IsActive: true},
			authn.Changed{Email: true, Verified: true, OldEmail: "old@example.com"}},
		"address, verified": {"old", authn.Update[*soul]{Email: &email, IsVerified: &yes},
			authn.Account{Email: "New@example.com", HashedPassword: "old:secret", IsActive: true, IsVerified: true},
			authn.Changed{Email: true, OldEmail: "old@example.com"}},
		"letters": {"ann", authn.Update[*soul]{Email: &capitals},
			authn.Account{Email: "ANN@example.com", HashedPassword: "h:secret", IsActive: true, Generation: 3},
			authn.Changed{Email: true, OldEmail: "Ann@example.com"}},
		"password": {"ann", authn.Update[*soul]{Password: &password},
			authn.Account{Email: "Ann@example.com", HashedPassword: "h:another1", IsActive: true, Generation: 4},
			authn.Changed{Password: true}},
		"off": {"ann", authn.Update[*soul]{IsActive: &no},
			authn.Account{Email: "Ann@example.com", HashedPassword: "h:secret", Generation: 3}, authn.Changed{Active: true}},
		"on": {"off", authn.Update[*soul]{IsActive: &yes},
			authn.Account{Email: "off@example.com", HashedPassword: "h:secret", IsActive: true, Generation: 1 << 32}, authn.Changed{Active: true}},
		"own": {"ann", authn.Update[*soul]{Own: func(u *soul) error { u.tags = []string{"t"}; return nil }, Fields: []string{"tags"}, IsSuperuser: &yes},
			authn.Account{Email: "Ann@example.com", HashedPassword: "h:secret", IsActive: true, IsSuperuser: true, Generation: 3},
			authn.Changed{Superuser: true, Fields: []string{"tags"}}},
	} {
		w := newWorld(t)
		var told authn.Changed
		w.users.Use(authn.Hooks[*soul]{AfterUpdate: func(_ context.Context, _ *soul, changed authn.Changed) { told = changed }})
		u, err := w.users.Update(t.Context(), c.id, c.up)
		if err != nil || u.Account != c.want || w.store.souls[c.id].Account != c.want {
			t.Errorf("%s: %v\n%+v\n%+v", what, err, u, c.want)
		}
		if fmt.Sprint(told) != fmt.Sprint(c.told) {
			t.Errorf("%s: told %+v", what, told)
		}
	}
	w := newWorld(t)
	if _, err := w.users.Update(t.Context(), "ann", authn.Update[*soul]{Email: &taken}); !errors.Is(err, authn.ErrInvalidEmail) {
		t.Error(err)
	}
	if _, err := w.users.Update(t.Context(), "nobody", authn.Update[*soul]{Password: &password}); !errors.Is(err, authn.ErrUserNotFound) || w.hasher.hashed != 0 {
		t.Error(err, w.hasher.hashed)
	}
}

func TestDelete(t *testing.T) {
	w := newWorld(t)
	keep := errors.New("has unpaid bills")
	var gone []string
	w.users.Use(authn.Hooks[*soul]{
		BeforeDelete: func(_ context.Context, u *soul) error {
			if u.id == "ann" {
				return keep
			}
			return nil
		},
		AfterDelete: func(_ context.Context, u *soul) { gone = append(gone, u.id) },
	})
	if err := w.users.Delete(t.Context(), "ann"); !errors.Is(err, keep) || w.store.souls["ann"] == nil {
		t.Error(err)
	}
	if err := w.users.Delete(t.Context(), "old"); err != nil || w.store.souls["old"] != nil || fmt.Sprint(gone) != "[old]" {
		t.Error(err, gone)
	}
	if err := w.users.Delete(t.Context(), "old"); !errors.Is(err, authn.ErrUserNotFound) {
		t.Error(err)
	}
}
