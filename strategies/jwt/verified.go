package jwt

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// maxVerifiedSize is the longest token that is kept, in bytes, so that all of
// them together take a few megabytes.
const maxVerifiedSize = 2 << 10

// verifiedTokens is what tokens say that were verified lately, each by its
// SHA-256. It belongs to a ring of keys, and goes with it: what a key has signed
// is forgotten when the keys change. Times aren't part of what was verified. A
// token has four places, from which others may push it out.
type verifiedTokens [1024]verifiedSet

type verifiedSet [4]atomic.Pointer[verifiedToken]

type verifiedToken struct {
	sum    digest
	claims claims
}

// digest is the SHA-256 of a token.
type digest [sha256.Size]byte

// digester has room for a token, which sha256.Sum256 would copy to the heap.
type digester struct {
	hash hash.Hash
	buf  []byte
}

var digesters = sync.Pool{New: func() any { return &digester{hash: sha256.New()} }}

func digestOf(token string) (sum digest) {
	d := digesters.Get().(*digester)
	d.buf = append(d.buf[:0], token...)
	d.hash.Reset()
	d.hash.Write(d.buf)
	clear(d.buf) // it is as good as a log-in
	d.buf = d.hash.Sum(d.buf[:0])
	sum = digest(d.buf)
	digesters.Put(d)
	return sum
}

// recall returns the claims of the token with this sum, if it was verified.
func (v *verifiedTokens) recall(sum *digest) *claims {
	set := v.set(sum)
	for i := range set {
		if t := set[i].Load(); t != nil && t.sum == *sum {
			return &t.claims
		}
	}
	return nil
}

// keep keeps the claims of a token that was verified: in a place where none is
// that hasn't expired, or in place of any.
func (v *verifiedTokens) keep(sum *digest, c *claims, now time.Time) {
	kept := &verifiedToken{*sum, *c}
	kept.claims.methods, kept.claims.kept = slices.Clone(c.methods), true
	set := v.set(sum)
	place := int(sum[8]) % len(set)
	for i := range set {
		if t := set[i].Load(); t == nil || !t.claims.expiresAt.IsZero() && now.After(t.claims.expiresAt) {
			place = i
			break
		}
	}
	set[place].Store(kept)
}

func (v *verifiedTokens) set(sum *digest) *verifiedSet {
	return &v[binary.LittleEndian.Uint64(sum[:])%uint64(len(v))]
}
