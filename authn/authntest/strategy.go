package authntest

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// TestStrategy runs the suite of [authn.Strategy], and of [authn.Revoker]
// where the strategy is one. newStrategy returns one that issues, and is
// called once for each part. Its clock must be the real one.
//
// The suite can't see whether a token expires. Of guessable tokens it finds
// those alone that have nothing in them but the user's id.
func TestStrategy(t *testing.T, newStrategy func(t *testing.T) authn.Strategy) {
	for _, part := range strategyParts {
		t.Run(part.name, func(t *testing.T) {
			p := new(problems)
			part.run(t.Context(), p, newStrategy(t))
			p.report(t)
		})
	}
}

var strategyParts = []struct {
	name string
	run  func(ctx context.Context, p *problems, s authn.Strategy)
}{
	{"reads what it issued", readsWhatItIssued},
	{"is more than its subject", isMoreThanItsSubject},
	{"refuses what it did not issue", refusesWhatItDidNotIssue},
	{"tokens at once", tokensAtOnce},
	{"revokes", revokes},
}

// issue makes a token, or notes a problem.
func issue(ctx context.Context, p *problems, s authn.Strategy, id authn.Identity) string {
	token, err := s.Issue(ctx, id)
	if err != nil {
		p.add("Issue: %v", err)
		return ""
	}
	if token.Value == "" || len(token.Value) > authn.MaxCredentialSize {
		p.add("Issue: a token of %d bytes", len(token.Value))
	}
	if !token.ExpiresAt.IsZero() && !token.ExpiresAt.After(time.Now()) {
		p.add("Issue: the token has expired already, at %v", token.ExpiresAt)
	}
	return token.Value
}

func identity(subject string, generation int64) authn.Identity {
	now := time.Now().Truncate(time.Second)
	return authn.Identity{
		Subject: subject, Generation: generation, Methods: []string{authn.MethodPassword},
		IssuedAt: now, AuthTime: now.Add(-time.Minute), User: &User{ID: subject},
	}
}

func readsWhatItIssued(ctx context.Context, p *problems, s authn.Strategy) {
	for i, subject := range []string{"01a209c3-dadb-747c-9e50-9cb4cf1ba330", "7", "ä b\"c\\d", strings.Repeat("x", 200)} {
		want := identity(subject, int64(i))
		token := issue(ctx, p, s, want)
		got, err := s.Read(ctx, token)
		if err != nil {
			p.add("Read of a token that was issued for %q: %v", subject, err)
			continue
		}
		if got.Subject != want.Subject {
			p.add("Read: subject %q, and %q was issued", got.Subject, want.Subject)
		}
		if got.Generation != want.Generation {
			p.add("Read: generation %d, and %d was issued: a credential must die with the password it was issued under", got.Generation, want.Generation)
		}
		if got.User != nil {
			p.add("Read: User is set, and it is there at issue alone: a user who was kept is not the one who is stored now")
		}
		if !got.AuthTime.IsZero() && !got.AuthTime.Equal(want.AuthTime) {
			p.add("Read: the person authenticated at %v, and not at %v", want.AuthTime, got.AuthTime)
		}
		if got.Methods != nil && fmt.Sprint(got.Methods) != fmt.Sprint(want.Methods) {
			p.add("Read: methods %v, and %v were issued", got.Methods, want.Methods)
		}
	}
	if a, b := issue(ctx, p, s, identity("ann", 0)), issue(ctx, p, s, identity("bob", 0)); a == b {
		p.add("Issue: two users have one token")
	}
}

// isMoreThanItsSubject finds tokens that can be guessed beyond doubt: those of
// one user become another's when the id is replaced. Tokens that hold the id
// beside a secret or a signature pass, and so do those that are equal for
// log-ins within one second.
func isMoreThanItsSubject(ctx context.Context, p *problems, s authn.Strategy) {
	// Of one length, which is a multiple of three, so that base64 has no padding.
	const ann, bob = "ann-at-table", "bob-in-court"
	a, b := issue(ctx, p, s, identity(ann, 0)), issue(ctx, p, s, identity(bob, 0))
	if a == b {
		return // said elsewhere
	}
	for _, encode := range []func([]byte) string{
		func(text []byte) string { return string(text) }, hex.EncodeToString, base64.StdEncoding.EncodeToString,
	} {
		if strings.ReplaceAll(a, encode([]byte(ann)), encode([]byte(bob))) == b {
			p.add("Issue: whoever knows a user's id can guess their token: there is nothing else in it")
		}
	}
}

func refusesWhatItDidNotIssue(ctx context.Context, p *problems, s authn.Strategy) {
	token := issue(ctx, p, s, identity("ann", 0))
	if token == "" {
		return
	}
	hostile := []string{
		"", " ", "x", "null", "..", "a.b.c", token + "x", token + ".", token + " ", " " + token, token[1:], token[:len(token)-1],
		strings.ToUpper(token), strings.ToLower(token), token + token, token[:len(token)/2],
		"\x00", "\xff", token + "\x00", "' OR ''='", "%", "*", "../" + token, strings.Repeat("a", authn.MaxCredentialSize+1), strings.Repeat("[", 5000),
	}
	for i := 0; i < len(token); i += 1 + len(token)/40 {
		flipped := byte('A')
		if token[i] == 'A' {
			flipped = 'B'
		}
		hostile = append(hostile, token[:i]+string(flipped)+token[i+1:])
	}
	for _, bad := range hostile {
		if bad == token {
			continue
		}
		if id, err := s.Read(ctx, bad); err == nil {
			p.add("Read accepted a token that was not issued, and says it is %q's: %.60q", id.Subject, bad)
		} else if !errors.Is(err, authn.ErrInvalidToken) {
			p.add("Read of %.60q: %v, want ErrInvalidToken: any other error is 503", bad, err)
		} else if len(bad) > 20 && strings.Contains(err.Error(), bad) {
			p.add("Read: the error holds the token")
		}
	}
}

func tokensAtOnce(ctx context.Context, p *problems, s authn.Strategy) {
	atOnce(many, func(i int) {
		subject := fmt.Sprint("user", i)
		token := issue(ctx, p, s, identity(subject, int64(i)))
		if id, err := s.Read(ctx, token); err != nil || id.Subject != subject || id.Generation != int64(i) {
			p.add("at once: %s's token reads as %q, generation %d, %v", subject, id.Subject, id.Generation, err)
		}
	})
}

func revokes(ctx context.Context, p *problems, s authn.Strategy) {
	revoker, ok := s.(authn.Revoker)
	if !ok {
		return
	}
	token, other := issue(ctx, p, s, identity("ann", 0)), issue(ctx, p, s, identity("ann", 0))
	if token == other {
		p.add("Issue: two log-ins have one token, so that one can't be revoked alone")
		return
	}
	atOnce(many, func(int) {
		if err := revoker.Revoke(ctx, token); err != nil {
			p.add("Revoke: %v, also where the token is gone already", err)
		}
		if _, err := s.Read(ctx, token); !errors.Is(err, authn.ErrInvalidToken) {
			p.add("Read of a revoked token: %v, want ErrInvalidToken", err)
		}
	})
	if _, err := s.Read(ctx, other); err != nil {
		p.add("Read of another token of the same user after that: %v", err)
	}
	if err := revoker.Revoke(ctx, "never issued"); err != nil {
		p.add("Revoke of a token that never was: %v", err)
	}
	ended, end := context.WithCancel(ctx)
	end()
	if err := revoker.Revoke(ended, other); err == nil {
		if _, err := s.Read(ctx, other); err == nil {
			p.add("Revoke failed, and says that it didn't: an error of revocation is an error of the request")
		}
	}
}
