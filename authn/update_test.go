package authn_test

import (
	"context"
	"errors"
	"testing"

	"github.com/echo-users/echo-users/authn"
)

// away is a store that can be read, and not written to.
type away struct {
	*registry
	err error
}

func (s away) Create(_ context.Context, fill func(*soul) error) (*soul, error) {
	if err := fill(new(soul)); err != nil {
		return nil, err
	}
	return nil, s.err
}

func (s away) Update(ctx context.Context, id string, change func(*soul) error) (*soul, error) {
	u, err := s.ByID(ctx, id)
	if err != nil {
		return nil, err
	}
	tried := *u
	if err := change(&tried); err != nil {
		return nil, err
	}
	return nil, s.err
}

func (s away) Delete(context.Context, string) error { return s.err }

// Each error of a store keeps its kind on each way that writes, and what has
// no kind is a store that is away.
func TestErrorsOfWriting(t *testing.T) {
	email := "new@example.com"
	cut := errors.New("connection refused")
	for _, c := range []struct{ err, want error }{
		{authn.ErrUserExists, authn.ErrUserExists}, {authn.ErrConflict, authn.ErrConflict}, {authn.ErrRejected, authn.ErrRejected},
		{authn.ErrUserNotFound, authn.ErrUserNotFound}, {cut, authn.ErrUnavailable}, {authn.ErrUnavailable, authn.ErrUnavailable},
		{context.Canceled, authn.ErrUnavailable},
	} {
		w := newWorld(t)
		users, err := authn.New(away{w.store, c.err}, authn.Config{Passwords: w.hasher}, w.backend)
		if err != nil {
			t.Fatal(err)
		}
		heard := false
		users.Use(authn.Hooks[*soul]{
			AfterRegister: func(context.Context, *soul) { heard = true },
			AfterUpdate:   func(context.Context, *soul, authn.Changed) { heard = true },
			AfterDelete:   func(context.Context, *soul) { heard = true },
		})
		registered, register := users.Register(t.Context(), "bob@example.com", "secret12", nil)
		updated, update := users.Update(t.Context(), "ann", authn.Update[*soul]{Email: &email})
		for way, err := range map[string]error{"register": register, "update": update, "delete": users.Delete(t.Context(), "ann")} {
			if !errors.Is(err, c.want) || !errors.Is(err, c.err) || errors.Is(err, authn.ErrUnavailable) != (c.want == authn.ErrUnavailable) {
				t.Errorf("%s, %v: %v", way, c.err, err)
			}
		}
		if heard || registered != nil || updated != nil {
			t.Errorf("%v: somebody heard of what didn't happen", c.err)
		}
		// The application's own error is its own, of whatever kind it is.
		own := func(*soul) error { return c.err }
		if _, err := users.Register(t.Context(), "bob@example.com", "secret12", own); err != c.err {
			t.Errorf("fill's %v became %v", c.err, err)
		}
		if _, err := users.Update(t.Context(), "ann", authn.Update[*soul]{Own: own}); err != c.err {
			t.Errorf("Own's %v became %v", c.err, err)
		}
	}
}

// What voids credentials, and what doesn't.
func TestWhatRaisesTheGeneration(t *testing.T) {
	yes, no, password, email := true, false, "another1", "new@example.com"
	for what, c := range map[string]struct {
		id   string
		up   authn.Update[*soul]
		from int64
		more bool
	}{
		"nothing":                {"ann", authn.Update[*soul]{}, 3, false},
		"an address":             {"ann", authn.Update[*soul]{Email: &email}, 3, false},
		"flags":                  {"ann", authn.Update[*soul]{IsSuperuser: &yes, IsVerified: &yes}, 3, false},
		"active, as before":      {"ann", authn.Update[*soul]{IsActive: &yes}, 3, false},
		"inactive":               {"ann", authn.Update[*soul]{IsActive: &no}, 3, false},
		"inactive, as before":    {"off", authn.Update[*soul]{IsActive: &no}, 0, false},
		"active again":           {"off", authn.Update[*soul]{IsActive: &yes}, 0, true},
		"a password":             {"ann", authn.Update[*soul]{Password: &password}, 3, true},
		"a password of no one's": {"off", authn.Update[*soul]{Password: &password}, 0, true},
		"both":                   {"off", authn.Update[*soul]{Password: &password, IsActive: &yes}, 0, true},
	} {
		w := newWorld(t)
		u, err := w.users.Update(t.Context(), c.id, c.up)
		if err != nil || (u.Generation > c.from) != c.more || u.Generation < c.from {
			t.Errorf("%s: %d, %v", what, u.Generation, err)
		}
	}
	// The same password once more is a new one: every other credential ends.
	w := newWorld(t)
	same := "secret"
	users, err := authn.New(w.store, authn.Config{Passwords: w.hasher, PasswordPolicy: authn.MinLength(1)}, w.backend)
	if err != nil {
		t.Fatal(err)
	}
	if u, err := users.Update(t.Context(), "ann", authn.Update[*soul]{Password: &same}); err != nil || u.Generation != 4 {
		t.Errorf("%v, %v", u, err)
	}
}

// A credential of before lives neither while its user is inactive nor after.
func TestDeactivationEndsCredentials(t *testing.T) {
	yes, no := true, false
	w := newWorld(t)
	users, err := authn.New(w.store, authn.Config{Passwords: w.hasher}, headed("first"))
	if err != nil {
		t.Fatal(err)
	}
	g := users.CurrentUser(authn.Active)
	passes := func() bool {
		_, _, err := g.Check(request("first", "ann/3"))
		return err == nil
	}
	if !passes() {
		t.Fatal("the credential is none")
	}
	for _, active := range []*bool{&no, &yes} {
		if _, err := users.Update(t.Context(), "ann", authn.Update[*soul]{IsActive: active}); err != nil {
			t.Fatal(err)
		}
		if passes() {
			t.Errorf("active %t: the credential of before lives", *active)
		}
	}
}

// An address in other letters is another address: it has to be verified anew.
func TestAddressesAndVerification(t *testing.T) {
	yes, no := true, false
	same, capitals, other := " old@EXAMPLE.com ", "OLD@example.com", "other@example.com"
	for what, c := range map[string]struct {
		email           *string
		verified        *bool
		want            bool
		changed, heards bool
	}{
		"the same":          {&same, nil, true, false, false},
		"capitals":          {&capitals, nil, false, true, true},
		"another":           {&other, nil, false, true, true},
		"another, verified": {&other, &yes, true, true, false},
		"another, told":     {&other, &no, false, true, true},
		"none, unverified":  {nil, &no, false, false, true},
	} {
		w := newWorld(t)
		var told authn.Changed
		w.users.Use(authn.Hooks[*soul]{AfterUpdate: func(_ context.Context, _ *soul, changed authn.Changed) { told = changed }})
		u, err := w.users.Update(t.Context(), "old", authn.Update[*soul]{Email: c.email, IsVerified: c.verified})
		if err != nil || u.IsVerified != c.want || told.Email != c.changed || told.Verified != c.heards || (told.OldEmail == "old@example.com") != c.changed {
			t.Errorf("%s: %+v, %+v, %v", what, u, told, err)
		}
	}
}
