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
	"strings"
	"sync"
	"time"

	"golang.org/x/text/unicode/norm"
)

var (
	errParams = errors.New("password: Params are out of bounds")
	errDummy  = errors.New("password: Dummy is no hash that can be verified")
	errCost   = errors.New("password: LegacyBcryptCost must be 4 to 16")
)

// ErrUnfit is the error of a password that bcrypt has no hash for: one longer
// than 72 bytes, or with a NUL byte. Of argon2id there is none.
var ErrUnfit = errors.New("password: bcrypt takes at most 72 bytes, and no NUL")

// Hasher hashes new passwords with argon2id, and verifies argon2id, argon2i and
// bcrypt ($2a$, $2b$, $2y$) hashes.
//
// The zero value works. A Hasher is safe for concurrent use; don't copy it or
// change its fields after its first use. Hashing takes memory and time, so a
// program shares one Hasher, whose gate lets only so many computations run at
// once. The others wait in line, for as long as their contexts allow, unless
// the line is too long: then they are refused with [ErrOverloaded] at once.
type Hasher struct {
	// Params are the costs of new hashes. Each zero field takes its value
	// from [DefaultParams]. Outside the bounds that [Params] names, Hash and
	// Verify return an error.
	Params Params

	// LegacyBcryptCost, if set, has Hash make bcrypt hashes of this cost (4 to
	// 16; passlib's is 12) in place of argon2id, and lets those be that are
	// there: for as long as a program verifies the same hashes that knows no
	// other kind, as fastapi-users does before its version 13. bcrypt takes
	// in 72 bytes of a password; Hash refuses longer ones.
	LegacyBcryptCost int

	// Concurrent is how many hashes of Params are computed at once at most. A
	// hash that needs several times their memory counts for as many. Defaults
	// to GOMAXPROCS, or to the number of processors where that is smaller. One
	// fewer leaves a processor to everything else, at the price of the rate; a
	// GOMAXPROCS of one more does so at that of some percent.
	Concurrent int

	// MaxWait is how long a computation may be expected to wait in line.
	// Defaults to five seconds.
	MaxWait time.Duration

	// Dummy is a hash that stands in for one that is empty or can't be used,
	// so that an unknown user costs what a known one does. Set it to one of
	// the kind and cost that most of your users have, while they still have
	// legacy hashes. Defaults to one of the kind that Hash makes. Whatever it is
	// a hash of, it matches nothing.
	Dummy string

	setup     sync.Once
	params    Params // Params with the defaults filled in
	dummy     digest
	gate      *gate
	err       error
	computing func() // called before each hash computation; tests watch it
}

const defaultMaxWait = 5 * time.Second

// Hash returns a new hash of the password's NFC form (as RFC 8265 §4.2 has
// it), with a random salt, in the PHC string format:
//
//	$argon2id$v=19$m=19456,t=2,p=1$…$…
//
// Any string is a password, also one that is empty or has NUL bytes; with
// LegacyBcryptCost some are [ErrUnfit]. The error is the context's, wrapped, or
// [ErrOverloaded], or tells of bad fields.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if err := h.init(); err != nil {
		return "", err
	}
	composed := norm.NFC.String(password)
	memory := h.params.Memory
	if h.LegacyBcryptCost != 0 {
		if !fitsBcrypt(composed) {
			return "", ErrUnfit
		}
		memory = bcryptMemory
	}
	leave, err := h.enter(ctx, memory)
	if err != nil {
		return "", err
	}
	defer leave()
	h.computing()
	if h.LegacyBcryptCost != 0 {
		return newBcrypt(composed, h.LegacyBcryptCost)
	}
	fresh := newArgon2(h.params)
	fresh.key = fresh.derive(composed)
	return fresh.encode(), nil
}

// Verify reports whether password matches hash, and if so whether the hash is
// outdated: not what Hash would make now, and better replaced by it.
//
// A hash that is empty, of an unknown kind, malformed or too expensive matches
// nothing and costs as much as Dummy. For an unknown user call
// Verify(ctx, password, ""), and the answer takes as long as for a known one.
// Where stored hashes are of several kinds, the time still tells one kind from
// another, until they have been replaced.
//
// The NFC form of the password is tried, and where that is not what was typed,
// what was typed too: the hash may be of a program that doesn't normalise.
// Which of them are tried depends on the password alone, never on the hash.
//
// Of a bcrypt hash's password only the first 72 bytes count, as where the hash
// was made. The error is the context's, wrapped, or [ErrOverloaded], or tells
// of bad fields.
func (h *Hasher) Verify(ctx context.Context, password, hash string) (match, outdated bool, err error) {
	if err := h.init(); err != nil {
		return false, false, err
	}
	stored, usable := parse(hash)
	if !usable {
		stored = h.dummy
	}
	leave, err := h.enter(ctx, stored.memory())
	if err != nil {
		return false, false, err
	}
	defer leave()
	for _, form := range forms(password) {
		h.computing()
		same := stored.matches(form)
		match = match || same
	}
	match = match && usable
	if h.LegacyBcryptCost != 0 {
		return match, false, nil
	}
	return match, match && !stored.current(h.params), nil
}

// init makes the gate and the dummy, once.
func (h *Hasher) init() error {
	h.setup.Do(func() {
		h.params = h.Params.withDefaults()
		if !h.params.inBounds() {
			h.err = errParams
			return
		}
		h.dummy = newArgon2(h.params)
		if h.LegacyBcryptCost != 0 {
			dummy := fmt.Sprintf("$2b$%02d$%s", h.LegacyBcryptCost, strings.Repeat(".", bcryptTail))
			var ok bool
			if h.dummy, ok = parse(dummy); !ok {
				h.err = errCost
				return
			}
		}
		if h.Dummy != "" {
			var ok bool
			if h.dummy, ok = parse(h.Dummy); !ok {
				h.err = errDummy
				return
			}
		}
		concurrent, patience := h.Concurrent, h.MaxWait
		if concurrent <= 0 {
			concurrent = min(runtime.GOMAXPROCS(0), runtime.NumCPU())
		}
		if patience <= 0 {
			patience = defaultMaxWait
		}
		h.gate = newGate(concurrent, patience)
		if h.computing == nil {
			h.computing = func() {}
		}
	})
	return h.err
}

// Overloaded returns what Hash and Verify would refuse with now because the line
// is too long, which wraps [ErrOverloaded], or nil: for a program that has work
// to do before it asks for a hash ([authn.LoadShedder]). The error comes after a
// second, so that clients that try again at once don't take the processors from
// those in line; where a thousand wait for it, at once. Where the caller hangs up
// it is the context's.
//
// [authn.LoadShedder]: https://pkg.go.dev/github.com/echo-users/echo-users/authn#LoadShedder
func (h *Hasher) Overloaded(ctx context.Context) error {
	if err := h.init(); err != nil {
		return nil // for them to return
	}
	return h.gate.overloaded(ctx)
}

// enter waits for a place at the gate for a computation of so many KiB.
func (h *Hasher) enter(ctx context.Context, memory uint32) (leave func(), err error) {
	if tell, ok := ctx.Value(waitedKey{}).(func(time.Duration)); ok {
		began := time.Now()
		defer func() { tell(time.Since(began)) }()
	}
	leave, err = h.gate.enter(ctx, h.weight(memory))
	if err != nil && !errors.Is(err, ErrOverloaded) {
		err = fmt.Errorf("password: waiting to hash: %w", err)
	}
	return leave, err
}

// weight is how many of h's own hashes need as much memory, in KiB.
func (h *Hasher) weight(memory uint32) int {
	return max(1, int((memory+h.params.Memory/2)/h.params.Memory))
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
	// memory is what that takes, in KiB.
	memory() uint32
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
