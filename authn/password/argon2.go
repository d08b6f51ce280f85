package password

import (
	"cmp"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// The lengths of a new hash's salt and key in bytes, as RFC 9106 §4 recommends.
const (
	saltLength = 16
	keyLength  = 32
)

// What a stored hash may ask for. Without bounds, whoever can plant a hash can
// exhaust the machine with a log-in. The most expensive one that passes takes
// about five times what pwdlib's and passlib's defaults take.
const (
	maxMemory  = 512 << 10 // KiB
	maxTime    = 16
	maxThreads = 64
	maxWork    = 1 << 20 // KiB, over all passes
	maxEncoded = 256     // bytes of the PHC string

	minSalt, maxSalt = 8, 64
	minKey, maxKey   = 16, 64
)

const (
	argon2id = "argon2id"
	argon2i  = "argon2i"
)

// Params are the costs of an argon2 hash (RFC 9106 §3.1). Memory is at most
// 512 MiB and at least 8 KiB for each thread, Time at most 16, their product at
// most 1 GiB, and Threads at most 64.
type Params struct {
	Memory  uint32 // m, in KiB
	Time    uint32 // t, the number of passes over the memory
	Threads uint8  // p, the degree of parallelism
}

// DefaultParams are the costs that the [OWASP Password Storage Cheat Sheet]
// recommends: 19 MiB, two passes, and one thread on every machine.
//
// [OWASP Password Storage Cheat Sheet]: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id
var DefaultParams = Params{Memory: 19456, Time: 2, Threads: 1}

func (p Params) withDefaults() Params {
	return Params{
		Memory:  cmp.Or(p.Memory, DefaultParams.Memory),
		Time:    cmp.Or(p.Time, DefaultParams.Time),
		Threads: cmp.Or(p.Threads, DefaultParams.Threads),
	}
}

func (p Params) inBounds() bool {
	return p.Time >= 1 && p.Time <= maxTime &&
		p.Threads >= 1 && p.Threads <= maxThreads &&
		p.Memory >= 8*uint32(p.Threads) && p.Memory <= maxMemory &&
		p.Memory*p.Time <= maxWork
}

// argon2Hash is a [digest] in the PHC string format.
type argon2Hash struct {
	kind      string // argon2id or argon2i
	params    Params
	salt, key []byte
}

// newArgon2 has a salt of its own, and no password yet: its key is zero.
func newArgon2(p Params) argon2Hash {
	h := argon2Hash{argon2id, p, make([]byte, saltLength), make([]byte, keyLength)}
	rand.Read(h.salt)
	return h
}

// parseArgon2 takes nothing but what encode would write: no other version, no
// other order or spelling of the numbers, no padding and no line breaks in the
// base64.
func parseArgon2(encoded string) (argon2Hash, bool) {
	parts := strings.Split(encoded, "$")
	if len(encoded) > maxEncoded || len(parts) != 6 {
		return argon2Hash{}, false
	}
	h := argon2Hash{kind: parts[1]}
	_, paramsErr := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.params.Memory, &h.params.Time, &h.params.Threads)
	var saltErr, keyErr error
	h.salt, saltErr = base64.RawStdEncoding.DecodeString(parts[4])
	h.key, keyErr = base64.RawStdEncoding.DecodeString(parts[5])
	ok := paramsErr == nil && saltErr == nil && keyErr == nil &&
		(h.kind == argon2id || h.kind == argon2i) &&
		h.params.inBounds() &&
		len(h.salt) >= minSalt && len(h.salt) <= maxSalt &&
		len(h.key) >= minKey && len(h.key) <= maxKey &&
		h.encode() == encoded
	return h, ok
}

func (h argon2Hash) encode() string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$%s$v=%d$m=%d,t=%d,p=%d$%s$%s", h.kind, argon2.Version,
		h.params.Memory, h.params.Time, h.params.Threads, b64(h.salt), b64(h.key))
}

func (h argon2Hash) derive(password string) []byte {
	key := argon2.IDKey
	if h.kind == argon2i {
		key = argon2.Key
	}
	return key([]byte(password), h.salt, h.params.Time, h.params.Memory, h.params.Threads, uint32(len(h.key)))
}

func (h argon2Hash) matches(password string) bool {
	return subtle.ConstantTimeCompare(h.derive(password), h.key) == 1
}

func (h argon2Hash) memory() uint32 { return h.params.Memory }

func (h argon2Hash) current(p Params) bool {
	return h.kind == argon2id && h.params == p && len(h.salt) == saltLength && len(h.key) == keyLength
}
