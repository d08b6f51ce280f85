package jwt

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"

	gojwt "github.com/golang-jwt/jwt/v5"

	"github.com/echo-users/echo-users/authn"
)

// signer makes and verifies tokens. A JWS in compact serialization (RFC 7515
// §3.1) is verified in the order that makes a refusal cheap: the header's
// algorithm, the signature, and only then the claims. golang-jwt's parser decodes all JSON first; its signing methods do
// the cryptography, and a fuzz test holds the two against each other.
type signer struct {
	keys    Keys
	typ     string
	accepts func(typ string) bool // other types than its own
	ring    *atomic.Pointer[ring]
}

// ring is the keys of a moment.
type ring struct {
	keys     []ringKey       // the first one signs, if it can
	verified *verifiedTokens // by these keys, or nil
}

// ringKey is a key, for one algorithm.
type ringKey struct {
	Key
	method gojwt.SigningMethod
	header string // as it writes it, encoded: it needs no decoding when it comes back
}

// verifies reports whether it has made a signature.
func (k *ringKey) verifies(signed string, sum []byte) bool {
	return k.method.Verify(signed, sum, k.verify) == nil
}

func newSigner(keys Keys, algorithm Algorithm, allowShort, keepVerified bool, typ string, accepts func(string) bool) (signer, error) {
	if keys == nil {
		return signer{}, errors.New("no key: use Secret, PrivateKey, PublicKey or NewKeySet")
	}
	s := signer{keys: keys, typ: typ, accepts: accepts, ring: new(atomic.Pointer[ring])}
	err := keys.attach(func(keys []Key) (func(), error) {
		next, err := newRing(keys, algorithm, allowShort, keepVerified, typ)
		if err != nil {
			return nil, err
		}
		if now := s.ring.Load(); now != nil && now.keys[0].sign != nil && next.keys[0].sign == nil {
			return nil, errors.New("the first key can't sign, and the one before could")
		}
		return func() { s.ring.Store(next) }, nil
	})
	return s, err
}

func newRing(keys []Key, algorithm Algorithm, allowShort, keepVerified bool, typ string) (*ring, error) {
	r := new(ring)
	if keepVerified {
		r.verified = new(verifiedTokens)
	}
	for i, key := range keys {
		name := algorithm
		if len(keys) > 1 && !slices.Contains(key.algorithms, name) {
			name = "" // it is for keys of another kind
		}
		method, err := key.method(name, allowShort)
		if err != nil && len(keys) > 1 {
			err = fmt.Errorf("key %d: %w", i+1, err)
		}
		if err != nil {
			return nil, err
		}
		k := ringKey{Key: key, method: method}
		signing, err := k.token(typ, nil).SigningString()
		if err != nil {
			return nil, err
		}
		k.header, _, _ = strings.Cut(signing, ".")
		r.keys = append(r.keys, k)
	}
	return r, nil
}

func (k *ringKey) token(typ string, claims gojwt.MapClaims) *gojwt.Token {
	token := gojwt.NewWithClaims(k.method, claims)
	token.Header["typ"] = typ
	if k.id != "" {
		token.Header["kid"] = k.id
	}
	return token
}

// canSign reports whether the first key does.
func (s *signer) canSign() bool { return s.ring.Load().keys[0].sign != nil }

func (s *signer) sign(claims gojwt.MapClaims) (string, error) {
	key := &s.ring.Load().keys[0]
	value, err := key.token(s.typ, claims).SignedString(key.sign)
	if err != nil {
		return "", fmt.Errorf("jwt: signing failed: %w", err)
	}
	if len(value) > authn.MaxCredentialSize {
		return "", fmt.Errorf("jwt: with its claims the token has %d bytes, and %d are accepted", len(value), authn.MaxCredentialSize)
	}
	return value, nil
}

// PublicKeys returns the public keys of what verifies its tokens, for others to
// verify them too; secrets are none.
func (s *signer) PublicKeys() []VerificationKey {
	var public []VerificationKey
	for _, key := range s.ring.Load().keys {
		if _, secret := key.verify.([]byte); !secret {
			public = append(public, VerificationKey{ID: key.id, Algorithm: Algorithm(key.method.Alg()), Key: key.verify})
		}
	}
	return public
}

// Format prints the algorithm alone, whatever the verb: fmt looks into fields
// that are not exported, past their own methods.
func (s signer) Format(f fmt.State, _ rune) {
	if s.ring == nil {
		fmt.Fprint(f, "[JWT]")
		return
	}
	fmt.Fprintf(f, "[JWT, %s]", s.ring.Load().keys[0].method.Alg())
}

// LogValue returns what Format prints.
func (s signer) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// encoding refuses what isn't canonical, so that a token has one spelling.
var encoding = base64.RawURLEncoding.Strict()

// payload returns the claims segment, encoded, of a token that was verified.
func payload(token string) string {
	_, rest, _ := strings.Cut(token, ".")
	claims, _, _ := strings.Cut(rest, ".")
	return claims
}

// verify checks the header and the signature of a token. It returns the keys
// that one of them belongs to that made it, and whether its type is the signer's
// own.
func (s *signer) verify(ctx context.Context, token string) (by *ring, isOwn bool, err error) {
	if len(token) > authn.MaxCredentialSize || strings.Count(token, ".") != 2 {
		return nil, false, errMalformed
	}
	end := strings.LastIndexByte(token, '.')
	signed, signature := token[:end], token[end+1:]
	encoded, _, _ := strings.Cut(signed, ".")
	sum, err := encoding.DecodeString(signature)
	if err != nil || hasLineBreak(signature) {
		return nil, false, errMalformed
	}
	r := s.ring.Load()
	if own := r.writes(encoded); own != nil {
		if !own.verifies(signed, sum) {
			return nil, false, errSignature
		}
		return r, true, nil
	}
	h, err := s.readHeader(encoded)
	if err != nil {
		return nil, false, err
	}
	good := r.verify(h, signed, sum)
	if !good && h.kid != "" && !r.has(h.kid) {
		changed, err := s.keys.look(ctx)
		if err != nil {
			return nil, false, err
		}
		if changed {
			r = s.ring.Load()
			good = r.verify(h, signed, sum)
		}
	}
	if !good {
		return nil, false, errSignature
	}
	return r, h.own, nil
}

// writes returns the key that writes this header, to the letter, or nil.
func (r *ring) writes(encoded string) *ringKey {
	for i := range r.keys {
		if r.keys[i].header == encoded {
			return &r.keys[i]
		}
	}
	return nil
}

func (r *ring) has(kid string) bool {
	return slices.ContainsFunc(r.keys, func(k ringKey) bool { return k.id == kid })
}

// verify tries the key that the header names, or each that it may be.
func (r *ring) verify(h header, signed string, sum []byte) bool {
	named := h.kid != "" && r.has(h.kid)
	for i := range r.keys {
		key := &r.keys[i]
		if key.method.Alg() != h.algorithm { // RFC 8725 §3.1
			continue
		}
		if named && key.id != h.kid || !named && h.kid != "" && key.named {
			continue
		}
		if key.verifies(signed, sum) {
			return true
		}
	}
	return false
}

// header is what is read of a JOSE header (RFC 7515 §4.1). It isn't to be
// trusted: it chooses among the signer's keys, and each of them is for one
// algorithm. What would bring another key along (jwk, jku, x5u) is not read.
type header struct {
	algorithm, kid string
	own            bool // whether typ is the signer's
}

func (s *signer) readHeader(encoded string) (header, error) {
	var h header
	data, err := encoding.DecodeString(encoded)
	if err != nil || hasLineBreak(encoded) {
		return h, errMalformed
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return h, errMalformed
	}
	if err := json.Unmarshal(members["alg"], &h.algorithm); err != nil {
		return h, errSignature
	}
	for _, critical := range []string{"crit", "b64"} { // RFC 7515 §4.1.11, RFC 7797
		if _, ok := members[critical]; ok {
			return h, errUnverifiable
		}
	}
	if typ, ok := members["typ"]; ok {
		name, known := mediaType(typ)
		h.own = strings.EqualFold(name, s.typ)
		if !known || !h.own && !s.accepts(name) {
			return h, errUnverifiable // RFC 8725 §3.11
		}
	}
	_ = json.Unmarshal(members["kid"], &h.kid) // one of another type names nothing
	return h, nil
}

// mediaType returns a media type without its prefix, in small letters
// (RFC 7515 §4.1.9).
func mediaType(typ json.RawMessage) (string, bool) {
	var name string
	if json.Unmarshal(typ, &name) != nil {
		return "", false
	}
	const prefix = "application/"
	if len(name) > len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
		name = name[len(prefix):]
	}
	return strings.ToLower(name), true
}

// hasLineBreak is for what base64's decoder skips.
func hasLineBreak(s string) bool {
	return strings.IndexByte(s, '\n') >= 0 || strings.IndexByte(s, '\r') >= 0
}

// decodeClaims calls set with each claim of a verified token.
func decodeClaims(payload string, set func(name, value string) error) error {
	var few [512]byte
	data := few[:]
	if size := encoding.DecodedLen(len(payload)); size > len(few) {
		data = make([]byte, size)
	}
	n, err := encoding.Decode(data, []byte(payload))
	if err != nil || hasLineBreak(payload) {
		return errMalformed
	}
	if err := members(string(data[:n]), set); err != nil {
		return errMalformed
	}
	return nil
}
