// Package password turns passwords into hashes and verifies them.
//
// New hashes are argon2id (RFC 9106) with the parameters that the [OWASP
// Password Storage Cheat Sheet] recommends. Hashes that other programs left
// behind are verified as well and reported as outdated, so that they can be
// replaced at the next log-in: argon2id and argon2i with other parameters, and
// bcrypt.
//
// Nothing here judges whether a password is a good one, or too long.
//
// [OWASP Password Storage Cheat Sheet]: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
package password

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/text/unicode/norm"
)

var errParams = errors.New("password: Params are out of bounds")

// Hasher hashes new passwords with argon2id, and verifies argon2id, argon2i and
// bcrypt ($2a$, $2b$, $2y$) hashes.
//
// The zero value works. A Hasher is safe for concurrent use; don't copy it or
// change its fields after its first use. Hashing takes memory and time, so a
// program shares one Hasher: no more than Concurrent computations run at once,
// and the others wait for as long as their contexts allow.
type Hasher struct {
	// Params are the costs of new hashes, and those of a hash that can't be
	// used. Each zero field takes its value from [DefaultParams]. Outside
	// the bounds that [Params] names, Hash and Verify return an error.
	Params Params

	// Concurrent is how many hashes are computed at once at most. Defaults to
	// GOMAXPROCS. A hash with the default Params takes 19 MiB, a legacy one
	// up to 512 MiB.
	Concurrent int

	setup     sync.Once
	params    Params // Params with the defaults filled in
	gate      gate
	computing func() // called before each hash computation; tests watch it
}

// Hash returns a new hash of the password's NFC form (as RFC 8265 §4.2 has
// it), with a random salt, in the PHC string format:
//
//	$argon2id$v=19$m=19456,t=2,p=1$…$…
//
// Any string is a password, also one that is empty or has NUL bytes. The error
// is the context's, wrapped, or tells of bad Params.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.gate.leave()
	h.computing()
	fresh := newArgon2(h.params)
	fresh.key = fresh.derive(norm.NFC.String(password))
	return fresh.encode(), nil
}

// Verify reports whether password matches hash, and if so whether the hash is
// outdated: not what Hash would make now, and better replaced by it.
//
// A hash that is empty, of an unknown kind, malformed or too expensive matches
// nothing and costs as much as one that Hash made. For an unknown user call
// Verify(ctx, password, ""), and the answer takes as long as for a known one.
// The time still tells a legacy hash of another cost from a new one, until it
// has been replaced.
//
// The NFC form of the password is tried, and where that is not what was typed,
// what was typed too: the hash may be of a program that doesn't normalise.
// Which of them are tried depends on the password alone, never on the hash.
//
// Of a bcrypt hash's password only the first 72 bytes count, as where the hash
// was made. The error is the context's, wrapped, or tells of bad Params.
func (h *Hasher) Verify(ctx context.Context, password, hash string) (match, outdated bool, err error) {
	if err := h.enter(ctx); err != nil {
		return false, false, err
	}
	defer h.gate.leave()
	stored, usable := parse(hash)
	if !usable {
		stored = newArgon2(h.params)
	}
	for _, form := range forms(password) {
		same := h.matches(stored, form)
		match = match || same
	}
	match = match && usable
	return match, match && !stored.current(h.params), nil
}

func (h *Hasher) matches(d digest, password string) bool {
	h.computing()
	return d.matches(password)
}

// enter waits for a place at the gate. Without an error the caller must leave.
func (h *Hasher) enter(ctx context.Context) error {
	h.setup.Do(func() {
		h.params = h.Params.withDefaults()
		size := h.Concurrent
		if size <= 0 {
			size = runtime.GOMAXPROCS(0)
		}
		h.gate = newGate(size)
		if h.computing == nil {
			h.computing = func() {}
		}
	})
	if !h.params.inBounds() {
		return errParams
	}
	if err := h.gate.enter(ctx); err != nil {
		return fmt.Errorf("password: waiting to hash: %w", err)
	}
	return nil
}

// forms returns what a stored hash may have been made of, when password is what
// was typed.
func forms(password string) []string {
	composed := norm.NFC.String(password)
	if composed == password {
		return []string{composed}
	}
	return []string{composed, password}
}

// digest is a hash that was read from its stored form.
type digest interface {
	// matches computes the password's hash, once, and compares.
	matches(password string) bool
	// current reports whether Hash makes such a hash with these parameters.
	current(Params) bool
}

// parse returns the digest that hash stands for, unless it is unusable.
func parse(hash string) (digest, bool) {
	if d, ok := parseArgon2(hash); ok {
		return d, true
	}
	if d, ok := parseBcrypt(hash); ok {
		return d, true
	}
	return nil, false
}
