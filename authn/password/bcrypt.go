package password

import (
	"regexp"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// bcryptMaxPassword is how much of a password bcrypt takes in.
const bcryptMaxPassword = 72

// bcryptMemory is what a computation takes, in KiB.
const bcryptMemory = 5

// bcryptTail is how long salt and hash are, encoded.
const bcryptTail = 53

// fitsBcrypt reports whether bcrypt takes in all of a password. It repeats it
// with a NUL after it, so that "a" and "a\x00a" have the same hash.
func fitsBcrypt(password string) bool {
	return len(password) <= bcryptMaxPassword && !strings.Contains(password, "\x00")
}

// newBcrypt returns a hash as passlib writes it. Go's $2a$ is the same
// computation.
func newBcrypt(password string, cost int) (string, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		return "", err
	}
	return "$2b$" + strings.TrimPrefix(string(hash), "$2a$"), nil
}

// bcryptForm allows the costs 4 to 16; at 16 a hash takes seconds. $2x$ marks
// hashes of an implementation that was broken.
var bcryptForm = regexp.MustCompile(`^\$2[aby]\$(0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}$`)

// bcryptHash is a [digest] of a legacy kind, always outdated.
type bcryptHash string

func parseBcrypt(encoded string) (bcryptHash, bool) {
	return bcryptHash(encoded), bcryptForm.MatchString(encoded)
}

// matches never holds for a password with a NUL byte. No legacy hash is of one:
// C ends the password there, and passlib refuses it.
func (h bcryptHash) matches(password string) bool {
	if len(password) > bcryptMaxPassword {
		password = password[:bcryptMaxPassword]
	}
	same := bcrypt.CompareHashAndPassword([]byte(h), []byte(password)) == nil
	return same && !strings.Contains(password, "\x00")
}

func (bcryptHash) memory() uint32 { return bcryptMemory }

func (bcryptHash) current(Params) bool { return false }
