package authn_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
)

// aged is a backend whose credential says what it is told.
type aged struct{ id authn.Identity }

func (aged) Name() string      { return "aged" }
func (aged) Challenge() string { return "Bearer" }
func (b aged) Authenticate(*http.Request) (authn.Identity, error) {
	return b.id, nil
}

func TestFresh(t *testing.T) {
	clock := authntest.NewClock(time.Unix(1_700_000_000, 0))
	store := new(authntest.Memory)
	u, err := store.Create(t.Context(), func(u *authntest.User) error {
		u.Account = authn.Account{Email: "ann@example.com", IsActive: true}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ago := func(d time.Duration) authn.Identity {
		return authn.Identity{Subject: u.ID, AuthTime: clock.Now().Add(-d), IssuedAt: clock.Now()}
	}
	renewed := ago(0)
	renewed.Renewed = true
	for what, c := range map[string]struct {
		id    authn.Identity
		rules []authn.Rule
		want  int
	}{
		"now":                       {ago(0), []authn.Rule{authn.Fresh(time.Minute)}, 0},
		"at the bound":              {ago(time.Minute), []authn.Rule{authn.Fresh(time.Minute)}, 0},
		"beyond it":                 {ago(time.Minute + 1), []authn.Rule{authn.Fresh(time.Minute)}, 401},
		"the stricter of two":       {ago(2 * time.Minute), []authn.Rule{authn.Fresh(time.Minute), authn.Fresh(time.Hour)}, 401},
		"the stricter, other order": {ago(2 * time.Minute), []authn.Rule{authn.Fresh(time.Hour), authn.Fresh(time.Minute)}, 401},
		"unknown":                   {authn.Identity{Subject: u.ID, IssuedAt: clock.Now()}, []authn.Rule{authn.Fresh(time.Hour)}, 401},
		"renewed by itself":         {renewed, []authn.Rule{authn.Fresh(time.Hour)}, 401},
		"a clock that is ahead":     {ago(-30 * time.Second), []authn.Rule{authn.Fresh(time.Minute)}, 0},
		"a time to come":            {ago(-time.Hour), []authn.Rule{authn.Fresh(time.Minute)}, 401},
		"stale and no superuser":    {ago(time.Hour), []authn.Rule{authn.Fresh(time.Minute), authn.Superuser}, 403},
		"nobody asked":              {authn.Identity{Subject: u.ID}, nil, 0},
	} {
		users, err := authn.New(store, authn.Config{Now: clock.Now}, aged{c.id})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = users.CurrentUser(authn.Active, c.rules...).Check(request())
		if (err == nil) != (c.want == 0) {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if err == nil {
			continue
		}
		answer := authn.AsHTTPError(err)
		if answer.Status != c.want {
			t.Errorf("%s: %d", what, answer.Status)
		}
		if challenge := answer.Header.Get("WWW-Authenticate"); c.want == 401 && (challenge != `Bearer realm="users", error="insufficient_user_authentication", max_age="60"` &&
			challenge != `Bearer realm="users", error="insufficient_user_authentication", max_age="3600"` || !errors.Is(err, authn.ErrUnauthorized)) {
			t.Errorf("%s: %s", what, challenge)
		}
		if u, _, err := users.CurrentUser(authn.Active, append(c.rules, authn.Optional)...).Check(request()); err != nil || u != nil {
			t.Errorf("%s, optional: %v, %v", what, u, err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("less than a second")
		}
	}()
	authn.Fresh(time.Millisecond)
}
