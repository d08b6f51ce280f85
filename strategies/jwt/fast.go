package jwt

import (
	"crypto/hmac"
	"hash"
	"sync"

	gojwt "github.com/golang-jwt/jwt/v5"
)

// macs computes a key's HMACs (RFC 2104) with states that are kept: a state has
// the padded key hashed already, and room for what is signed. golang-jwt makes
// one anew for each token.
type macs struct{ states sync.Pool }

type macState struct {
	mac hash.Hash
	buf []byte
}

// newMACs returns nil for a key that is no secret.
func newMACs(method gojwt.SigningMethod, key any) *macs {
	m, ok := method.(*gojwt.SigningMethodHMAC)
	secret, isSecret := key.([]byte)
	if !ok || !isSecret || !m.Hash.Available() {
		return nil
	}
	return &macs{states: sync.Pool{New: func() any { return &macState{mac: hmac.New(m.Hash.New, secret)} }}}
}

// check returns errMalformed or errSignature unless signature, encoded, is the
// HMAC of signed. It compares in constant time.
func (m *macs) check(signed, signature string) error {
	var few [64]byte // SHA-512's
	sum := few[:]
	if size := encoding.DecodedLen(len(signature)); size > len(sum) {
		sum = make([]byte, size) // to tell what is wrong with it
	}
	n, err := encoding.Decode(sum, []byte(signature))
	if err != nil || hasLineBreak(signature) {
		return errMalformed
	}
	s := m.states.Get().(*macState)
	defer m.states.Put(s)
	s.buf = append(s.buf[:0], signed...)
	s.mac.Reset()
	s.mac.Write(s.buf)
	s.buf = s.mac.Sum(s.buf)
	if !hmac.Equal(sum[:n], s.buf[len(signed):]) {
		return errSignature
	}
	return nil
}
