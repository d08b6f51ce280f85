package backends_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
)

var errCut = errors.New("connection refused")

// scripted is a strategy that revokes, and does as it is told.
type scripted struct {
	issueErr, readErr, revokeErr error
	identity                     authn.Identity
	issued, read                 int
	revoked                      []string
	revokedIn                    []context.Context
}

func (s *scripted) Issue(context.Context, authn.Identity) (authn.Token, error) {
	s.issued++
	return authn.Token{Value: "issued"}, s.issueErr
}

func (s *scripted) Read(context.Context, string) (authn.Identity, error) {
	s.read++
	return s.identity, s.readErr
}

func (s *scripted) Revoke(ctx context.Context, token string) error {
	s.revoked, s.revokedIn = append(s.revoked, token), append(s.revokedIn, ctx)
	return s.revokeErr
}

// finding is a transport that always finds this token, and can clear it.
type finding struct {
	token    string
	err      error
	carryErr error
}

func (f finding) Extract(*http.Request) (string, error) { return f.token, f.err }

func (f finding) Carry(authn.Token) (*authn.Response, error) {
	if f.carryErr != nil {
		return nil, f.carryErr
	}
	return &authn.Response{Status: http.StatusOK}, nil
}

func (finding) Clear() *authn.Response { return &authn.Response{Status: http.StatusResetContent} }

func TestWhatAuthenticateMakesOfItsParts(t *testing.T) {
	long := strings.Repeat("a", authn.MaxCredentialSize)
	for what, c := range map[string]struct {
		transport finding
		strategy  scripted
		want      error
		read      int
	}{
		"a token":        {finding{token: "t"}, scripted{}, nil, 1},
		"the longest":    {finding{token: long}, scripted{}, nil, 1},
		"too long":       {finding{token: long + "a"}, scripted{}, authn.ErrInvalidToken, 0},
		"an empty one":   {finding{}, scripted{}, authn.ErrNoCredential, 0},
		"none":           {finding{err: authn.ErrNoCredential}, scripted{}, authn.ErrNoCredential, 0},
		"a bad header":   {finding{err: authn.ErrInvalidToken}, scripted{}, authn.ErrInvalidToken, 0},
		"a bad token":    {finding{token: "t"}, scripted{readErr: authn.ErrInvalidToken}, authn.ErrInvalidToken, 1},
		"a store away":   {finding{token: "t"}, scripted{readErr: errCut}, errCut, 1},
		"beside a token": {finding{token: "t", err: errCut}, scripted{}, errCut, 0},
	} {
		c.strategy.identity = authn.Identity{Subject: "ann", Backend: "another"}
		b := backends.New("own", c.transport, &c.strategy)
		id, err := b.Authenticate(withHeader())
		if !errors.Is(err, c.want) || c.strategy.read != c.read {
			t.Errorf("%s: %v after %d reads", what, err, c.strategy.read)
		}
		if err == nil && (id.Subject != "ann" || id.Backend != "own") || err != nil && id.Subject != "" {
			t.Errorf("%s: %+v beside %v", what, id, err)
		}
		if c.want == errCut && (errors.Is(err, authn.ErrInvalidToken) || errors.Is(err, authn.ErrNoCredential)) {
			t.Errorf("%s: a store that is away looks like a bad credential: %v", what, err)
		}
	}
}

func TestLoginFailsWithItsParts(t *testing.T) {
	for what, c := range map[string]struct {
		transport finding
		strategy  scripted
		want      error
	}{
		"fine":            {finding{}, scripted{}, nil},
		"not issued":      {finding{}, scripted{issueErr: errCut}, errCut},
		"can't be issued": {finding{}, scripted{issueErr: authn.ErrNotSupported}, authn.ErrNotSupported},
		"not carried":     {finding{carryErr: errCut}, scripted{}, errCut},
	} {
		door, ok := authn.Can[authn.LoginBackend](backends.New("b", c.transport, &c.strategy))
		if !ok {
			t.Fatal("no door")
		}
		res, err := door.Login(t.Context(), authn.Identity{Subject: "ann"})
		if !errors.Is(err, c.want) || (res == nil) != (c.want != nil) {
			t.Errorf("%s: %v, %v", what, res, err)
		}
	}
}

// What was issued and can't be carried to the person must not stay valid.
func TestWhatCannotBeCarriedIsRevoked(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	s := &scripted{revokeErr: errors.New("revocation failed")}
	door, _ := authn.Can[authn.LoginBackend](backends.New("b", finding{carryErr: errCut}, s))
	_, err := door.Login(ended, authn.Identity{Subject: "ann"})
	if len(s.revoked) != 1 || s.revoked[0] != "issued" {
		t.Fatalf("revoked: %v (%v)", s.revoked, err)
	}
	if !errors.Is(err, errCut) || !errors.Is(err, s.revokeErr) || s.revokedIn[0].Err() != nil {
		t.Errorf("%v; the context of the revocation: %v", err, s.revokedIn[0].Err())
	}
}

func TestLogoutOfItsParts(t *testing.T) {
	for what, c := range map[string]struct {
		transport finding
		strategy  scripted
		status    int
		want      error
		revoked   int
	}{
		"both":         {finding{token: "t"}, scripted{}, http.StatusResetContent, nil, 1},
		"away":         {finding{token: "t"}, scripted{revokeErr: errCut}, 0, errCut, 1}, // and nothing is cleared
		"no token":     {finding{err: authn.ErrNoCredential}, scripted{}, 0, authn.ErrNoCredential, 0},
		"a bad header": {finding{err: authn.ErrInvalidToken}, scripted{}, 0, authn.ErrInvalidToken, 0},
	} {
		out, _ := authn.Can[authn.LogoutBackend](backends.New("b", c.transport, &c.strategy))
		res, err := out.Logout(withHeader())
		if !errors.Is(err, c.want) || len(c.strategy.revoked) != c.revoked || (res == nil) != (err != nil) || res != nil && res.Status != c.status {
			t.Errorf("%s: %v, %v, revoked %v", what, res, err, c.strategy.revoked)
		}
	}
}

// The answer to a log-in is RFC 6749 §5.1, and must not be cached.
func TestTheAnswerOfBearer(t *testing.T) {
	res, err := backends.Bearer{}.Carry(authn.Token{Value: `a"b`})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := res.Write(w); err != nil {
		t.Fatal(err)
	}
	var body map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || len(body) != 2 || body["access_token"] != `a"b` || body["token_type"] != "bearer" {
		t.Errorf("%s", w.Body)
	}
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d, %v", w.Code, w.Header())
	}
	if res.Undo != nil {
		t.Error("a transport has nothing to undo")
	}
}
