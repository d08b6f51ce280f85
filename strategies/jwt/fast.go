package jwt

import (
	"crypto/hmac"
	"hash"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	gojwt "github.com/golang-jwt/jwt/v5"
)

// macs computes a key's HMACs (RFC 2104) with states that are kept: a state has
// the padded key hashed already, and room for what is signed. golang-jwt makes
// one anew for each token.
//
// It also remembers how the claims of some tokens read, by their signature. Each
// time, the signature is computed all the same: what is remembered spares the
// decoding of the same claims, and vouches for nothing.
type macs struct {
	states sync.Pool
	seed   maphash.Seed
	places [4096]atomic.Pointer[remembered]
}

type macState struct {
	mac hash.Hash
	buf []byte
}

// remembered is the claims of a token that was accepted, but for its times.
type remembered struct {
	signature string
	claims    claims
}

// newMACs returns nil for a key that is no secret.
func newMACs(method gojwt.SigningMethod, key any) *macs {
	m, ok := method.(*gojwt.SigningMethodHMAC)
	secret, isSecret := key.([]byte)
	if !ok || !isSecret || !m.Hash.Available() {
		return nil
	}
	return &macs{
		states: sync.Pool{New: func() any { return &macState{mac: hmac.New(m.Hash.New, secret)} }},
		seed:   maphash.MakeSeed(),
	}
}

// check returns errMalformed or errSignature unless signature, encoded, is the
// HMAC of signed. It compares in constant time.
func (m *macs) check(signed, signature string) error {
	s := m.states.Get().(*macState)
	defer m.states.Put(s)
	s.buf = append(s.buf[:0], signed...)
	s.mac.Reset()
	s.mac.Write(s.buf)
	s.buf = s.mac.Sum(s.buf[:0])
	sum := len(s.buf)
	s.buf = encoding.AppendEncode(s.buf, s.buf)
	right := len(s.buf)
	s.buf = append(s.buf, signature...)
	if hmac.Equal(s.buf[sum:right], s.buf[right:]) {
		return nil
	}
	if _, err := encoding.DecodeString(signature); err != nil || hasLineBreak(signature) {
		return errMalformed
	}
	return errSignature
}

// recall reports whether it knows the claims of the token with this signature,
// which has been checked, and puts them into c.
func (m *macs) recall(signature string, c *claims) bool {
	if m == nil {
		return false
	}
	r := m.place(signature).Load()
	if r == nil || r.signature != signature {
		return false
	}
	*c = r.claims
	c.methods = slices.Clone(c.methods)
	return true
}

// remember keeps a copy of claims that were accepted, in place of others.
func (m *macs) remember(signature string, c *claims) {
	if m == nil {
		return
	}
	r := &remembered{signature: strings.Clone(signature), claims: *c}
	r.claims.methods = slices.Clone(c.methods)
	m.place(signature).Store(r)
}

func (m *macs) place(signature string) *atomic.Pointer[remembered] {
	return &m.places[maphash.String(m.seed, signature)%uint64(len(m.places))]
}
