package authn

import (
	"context"
	"crypto/rand"
	"strings"
)

// unusable begins a stored hash that no password has. fastapi-users knows no
// such thing: it refuses the password of such a user too, with a 500.
const unusable = "!"

func unusableHash() string { return unusable + rand.Text() }

// HasPassword reports whether the account can be logged in to by a password.
func (a *Account) HasPassword() bool {
	return a.HashedPassword != "" && !strings.HasPrefix(a.HashedPassword, unusable)
}

// Claim makes the active user verified whose address was proven otherwise than
// by a mailed token: by a provider that says so. email is the address as the
// user has it. during, which may be nil, runs
// in the same transaction, and keeps how they log in; its error is returned as
// it is.
//
// An account that never was verified may have been made by somebody else, who
// waits for the address's owner (CVE-2024-38351, CVE-2026-44166). It loses its
// password, every credential and every session; during is told so by first, to
// remove other ways in. Nothing of that happens to a user who is verified.
//
// [ErrUserNotFound]; [ErrBadCredentials] for an inactive user; [ErrInvalidToken]
// where the address is not theirs any more; [ErrUnavailable]; [ErrNotSupported]
// on a store without transactions ([Transactor]).
func (m *Users[U]) Claim(ctx context.Context, id, email string, during func(ctx context.Context, u U, first bool) error) (U, error) {
	var none U
	if !m.HasTransactions() {
		return none, errNoTransactions
	}
	var first bool
	var refused error
	change := func(u U) (Changed, error) {
		account := u.AuthAccount()
		before := *account
		first, refused = !account.IsVerified, nil
		switch {
		case !account.IsActive:
			refused = ErrBadCredentials
		case account.Email != email:
			refused = ErrInvalidToken
		case first:
			account.IsVerified = true
			account.HashedPassword = unusableHash()
			account.Generation++
		}
		changed := difference(before, *account)
		changed.Password = changed.Password && before.HasPassword()
		return changed, refused
	}
	u, err := m.updateAndTell(ctx, id, change, func(ctx context.Context, u U) error {
		if first {
			for _, store := range m.sessions {
				if err := store.DeleteSessions(ctx, u.AuthID(), ""); err != nil {
					return err
				}
			}
			m.Record(ctx, Event{Kind: EventClaimed, UserID: u.AuthID()})
		}
		if during != nil {
			refused = during(ctx, u, first)
		}
		return refused
	})
	if err != nil {
		return none, written(err, refused)
	}
	if first {
		m.afterVerify(ctx, u)
	}
	return u, nil
}
