package jwt

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// maxVerifiedSize is the longest token that is kept, in bytes, so that all of
// them together take some megabytes, and 16 MiB at most.
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

func (t *verifiedToken) hasExpired(now time.Time) bool {
	end := t.claims.says.ExpiresAt
	return !end.IsZero() && now.After(end)
}

// digest is the SHA-256 of a token.
type digest [sha256.Size]byte

func digestOf(token string) digest {
	var few [512]byte // which spares most tokens a copy in the heap
	return sha256.Sum256(append(few[:0], token...))
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
// that hasn't expired, or in place of any. Of the token itself the claims are
// kept, and no signature.
func (v *verifiedTokens) keep(sum *digest, c *claims, now time.Time) {
	t := &verifiedToken{*sum, *c}
	t.claims.kept = true
	says := &t.claims.says
	says.Methods, says.Scopes = slices.Clone(says.Methods), slices.Clone(says.Scopes)
	says.Claims = strings.Clone(says.Claims)
	set := v.set(sum)
	place := int(sum[8]) % len(set)
	for i := range set {
		if other := set[i].Load(); other == nil || other.hasExpired(now) {
			place = i
			break
		}
	}
	set[place].Store(t)
}

func (v *verifiedTokens) set(sum *digest) *verifiedSet {
	return &v[binary.LittleEndian.Uint64(sum[:])%uint64(len(v))]
}
