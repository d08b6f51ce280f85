package authn_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/backends"
)

// diary notes in which order things happen.
type diary struct{ entries []string }

func (d *diary) note(what string) { d.entries = append(d.entries, what) }

func (d *diary) String() string { return strings.Join(d.entries, ", ") }

// noting is a backend whose log-ins and undoings are noted.
type noting struct {
	headed
	diary            *diary
	fails, undoFails error
	cannotUndo       bool
	undoneIn         context.Context
}

func (b *noting) Login(context.Context, authn.Identity) (*authn.Response, error) {
	b.diary.note("issue")
	if b.fails != nil {
		return nil, b.fails
	}
	res := &authn.Response{Status: 200}
	if !b.cannotUndo {
		res.Undo = func(ctx context.Context) error {
			b.diary.note("undo")
			b.undoneIn = ctx
			return b.undoFails
		}
	}
	return res, nil
}

// notingHooks are a set that notes its name; the named hook refuses.
func notingHooks(d *diary, name, refusing string, refusal error) authn.Hooks[*soul] {
	refuse := func(hook string) error {
		d.note(hook + " " + name)
		if hook+" "+name == refusing {
			return refusal
		}
		return nil
	}
	return authn.Hooks[*soul]{
		AfterRegister: func(context.Context, *soul) { d.note("registered " + name) },
		BeforeLogin:   func(context.Context, *soul, authn.Identity) error { return refuse("before") },
		AfterLogin:    func(context.Context, *soul, *authn.Response) error { return refuse("after") },
		AfterUpdate:   func(context.Context, *soul, authn.Changed) { d.note("updated " + name) },
		BeforeDelete:  func(context.Context, *soul) error { return refuse("delete") },
		AfterDelete:   func(context.Context, *soul) { d.note("deleted " + name) },
	}
}

func newGates(t *testing.T, b authn.Backend, d *diary, refusing string, refusal error) (*authn.Users[*soul], *registry) {
	t.Helper()
	store := newWorld(t).store
	users, err := authn.New(store, authn.Config{Passwords: new(plainText), Logger: slog.New(slog.DiscardHandler)}, b)
	if err != nil {
		t.Fatal(err)
	}
	users.Use(notingHooks(d, "a", refusing, refusal))
	users.Use(authn.Hooks[*soul]{}) // a set may be empty
	users.Use(notingHooks(d, "b", refusing, refusal))
	return users, store
}

func TestGatesComeInOrder(t *testing.T) {
	refusal := errors.New("refused")
	const full = "before a, before b, issue, after a, after b"
	for what, c := range map[string]struct {
		user, refusing string
		backend        noting
		verified       bool
		want           error
		happened       string
	}{
		"through":              {user: "ann", happened: full},
		"verified":             {user: "old", verified: true, happened: full},
		"inactive":             {user: "off", verified: true, want: authn.ErrBadCredentials},
		"unverified":           {user: "ann", verified: true, want: authn.ErrNotVerified},
		"the first gate":       {user: "ann", refusing: "before a", want: refusal, happened: "before a"},
		"the second gate":      {user: "ann", refusing: "before b", want: refusal, happened: "before a, before b"},
		"not issued":           {user: "ann", backend: noting{fails: refusal}, want: authn.ErrUnavailable, happened: "before a, before b, issue"},
		"afterwards, first":    {user: "ann", refusing: "after a", want: refusal, happened: "before a, before b, issue, after a, undo"},
		"afterwards, last":     {user: "ann", refusing: "after b", want: refusal, happened: full + ", undo"},
		"nothing to undo":      {user: "ann", refusing: "after b", backend: noting{cannotUndo: true}, want: refusal, happened: full},
		"undo fails as well":   {user: "ann", refusing: "after b", backend: noting{undoFails: errors.New("x")}, want: refusal, happened: full + ", undo"},
		"an issuer that is no": {user: "ann", backend: noting{fails: authn.ErrNotSupported}, want: authn.ErrNotSupported, happened: "before a, before b, issue"},
	} {
		d := new(diary)
		c.backend.headed, c.backend.diary = "door", d
		var b authn.Backend = &c.backend
		if c.verified {
			b = authn.RequireVerified(b)
		}
		users, store := newGates(t, b, d, c.refusing, refusal)
		res, err := users.Login(t.Context(), "door", store.souls[c.user], "pwd")
		if !errors.Is(err, c.want) || (res == nil) != (c.want != nil) || d.String() != c.happened {
			t.Errorf("%s: %v, %v: %s\nwant %s", what, res, err, d, c.happened)
		}
		if c.backend.undoFails != nil && !errors.Is(err, c.backend.undoFails) {
			t.Errorf("%s: the error of undoing is lost: %v", what, err)
		}
	}
}

// What was issued for a client that hung up is undone all the same.
func TestUndoOutlivesTheRequest(t *testing.T) {
	d := new(diary)
	b := &noting{headed: "door", diary: d}
	users, store := newGates(t, b, d, "after b", errors.New("refused"))
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	if _, err := users.Login(ctx, "door", store.souls["ann"], "pwd"); err == nil || b.undoneIn == nil || b.undoneIn.Err() != nil {
		t.Errorf("%v: undone in %v", err, b.undoneIn)
	}
}

// An error of revocation is an error of the request, of its own kind: the
// store is away (503), whatever the hook that refused wanted to answer.
func TestAnUndoThatFailsIs503(t *testing.T) {
	cut := errors.New("connection refused")
	for _, refusal := range []error{errors.New("refused"), authn.ErrForbidden, &authn.HTTPError{Status: 403, Detail: "BANNED"}} {
		b := &noting{headed: "door", diary: new(diary), undoFails: cut}
		users, store := newGates(t, b, b.diary, "after b", refusal)
		_, err := users.Login(t.Context(), "door", store.souls["ann"], "pwd")
		if !errors.Is(err, authn.ErrUnavailable) || !errors.Is(err, cut) || !errors.Is(err, refusal) {
			t.Errorf("%v", err)
		}
		if answer := authn.AsHTTPError(err); answer.Status != 503 || answer.Header.Get("Retry-After") == "" {
			t.Errorf("refused with a %T: %d %v", refusal, answer.Status, answer.Detail)
		}
	}
}

func TestHooksRunInOrder(t *testing.T) {
	email := "new@example.com"
	d := new(diary)
	users, store := newGates(t, headed("door"), d, "delete b", errors.New("refused"))
	if _, err := users.Register(t.Context(), "bob@example.com", "secret12", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := users.Update(t.Context(), "ann", authn.Update[*soul]{Email: &email}); err != nil {
		t.Fatal(err)
	}
	if err := users.Delete(t.Context(), "ann"); err == nil || store.souls["ann"] == nil {
		t.Errorf("%v", err)
	}
	if want := "registered a, registered b, updated a, updated b, delete a, delete b"; d.String() != want {
		t.Errorf("%s", d)
	}
}

// What hooks are told: the moment, the method, the loaded generation, and the
// answer, to which they may add.
func TestWhatLoginHooksAreTold(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	w := newWorld(t)
	users, err := authn.New(w.store, authn.Config{Now: func() time.Time { return now }}, w.backend)
	if err != nil {
		t.Fatal(err)
	}
	var told authn.Identity
	users.Use(authn.Hooks[*soul]{
		BeforeLogin: func(_ context.Context, _ *soul, id authn.Identity) error { told = id; return nil },
		AfterLogin: func(_ context.Context, u *soul, res *authn.Response) error {
			res.Header = map[string][]string{"X-Welcome": {u.id}}
			return nil
		},
	})
	loaded := *w.store.souls["ann"]
	w.store.souls["ann"].Generation = 99 // a new password, meanwhile
	res, err := users.Login(t.Context(), "door", &loaded, "pwd", "otp")
	if err != nil || res.Header.Get("X-Welcome") != "ann" {
		t.Fatal(res, err)
	}
	issued := w.backend.issued[0]
	if issued.Generation != 3 || !issued.IssuedAt.Equal(now) || !issued.AuthTime.Equal(now) || issued.User != any(&loaded) || fmt.Sprint(issued.Methods) != "[pwd otp]" {
		t.Errorf("%+v", issued)
	}
	if fmt.Sprintf("%+v", told) != fmt.Sprintf("%+v", issued) {
		t.Errorf("the gate was told %+v", told)
	}
}

// Whoever logs in while the password changes gets a token of the old one.
func TestALoginThatRacesANewPassword(t *testing.T) {
	w := newWorld(t)
	users, err := authn.New(w.store, authn.Config{Passwords: w.hasher}, backends.New("door", backends.Bearer{}, new(authntest.Tokens)))
	if err != nil {
		t.Fatal(err)
	}
	u, err := users.Authenticate(t.Context(), "ann@example.com", "secret")
	if err != nil {
		t.Fatal(err)
	}
	password := "another1"
	if _, err := users.Update(t.Context(), "ann", authn.Update[*soul]{Password: &password}); err != nil {
		t.Fatal(err)
	}
	res, err := users.Login(t.Context(), "door", u, authn.MethodPassword)
	if err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	if err := res.Write(answer); err != nil {
		t.Fatal(err)
	}
	if _, _, err := users.CurrentUser(authn.Active).Check(authntest.CommonClient(answer.Result())); !errors.Is(err, authn.ErrUnauthorized) {
		t.Errorf("the old password's credential lives: %v", err)
	}
}
