// Package opaque makes tokens that say nothing by themselves: a store knows
// them, by their hash.
package opaque

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
)

// size is the bytes of a token, as many as fastapi-users' have. They make
// length characters.
const (
	size   = 32
	length = (size*8 + 5) / 6
)

// New returns a token: 256 random bits in base64url (RFC 4648 §5).
func New() string {
	var random [size]byte
	rand.Read(random[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// IsToken reports whether the text has the form of a token, fastapi-users'
// included: what hasn't needs no look-up.
func IsToken(text string) bool {
	if len(text) != length {
		return false
	}
	for i := range len(text) {
		c := text[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// Hash is what a store keeps of a token: the SHA-256 of the audience, a zero
// byte, and the token. The audience keeps the tokens of one backend from being
// found by another one.
func Hash(audience, token string) [sha256.Size]byte {
	text := make([]byte, 0, 128)
	text = append(text, audience...)
	text = append(text, 0)
	text = append(text, token...)
	return sha256.Sum256(text)
}

// CheckAudience refuses an audience that Hash could take for another one.
func CheckAudience(audience string) error {
	if strings.ContainsRune(audience, 0) {
		return errors.New("the audience has a zero byte in it")
	}
	return nil
}
