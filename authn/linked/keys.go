package linked

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// KeySize is the length of a key in bytes: AES-256.
const KeySize = 32

// Keys seal what must be kept, or handed to a browser, and not be read or
// altered: with AES-256 in GCM and a random nonce (NIST SP 800-38D), so for at
// most 2^32 texts a key. Safe for concurrent use.
type Keys struct {
	aeads []cipher.AEAD // the first one seals
}

// NewKeys returns a set of keys of [KeySize] random bytes each. The first one
// seals; the others open what was sealed before they were replaced.
func NewKeys(key []byte, older ...[]byte) (*Keys, error) {
	k := &Keys{}
	for i, key := range append([][]byte{key}, older...) {
		if len(key) != KeySize {
			return nil, fmt.Errorf("linked: key %d has %d bytes and needs %d", i, len(key), KeySize)
		}
		if bytes.Count(key, key[:1]) == KeySize {
			return nil, fmt.Errorf("linked: key %d is one byte %d times: make one with \"openssl rand -base64 32\"", i, KeySize)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		k.aeads = append(k.aeads, aead)
	}
	return k, nil
}

// ParseKeys is [NewKeys] of keys in base64, separated by commas or white space,
// as an environment variable has them: what "openssl rand -base64 32" prints.
func ParseKeys(text string) (*Keys, error) {
	var keys [][]byte
	for i, field := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' || r == '\r' }) {
		key, err := base64.StdEncoding.DecodeString(field)
		if err != nil {
			return nil, fmt.Errorf("linked: key %d is no base64", i) // the error would repeat a part of it
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("linked: no key: make one with \"openssl rand -base64 32\"")
	}
	return NewKeys(keys[0], keys[1:]...)
}

// Format prints no key, whatever the verb.
func (k *Keys) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[keys]") }

// sealed begins every sealed text.
const sealed = "v1."

// Seal encrypts a text, which only Open with the same purpose gives back.
func (k *Keys) Seal(purpose string, text []byte) string {
	return sealed + base64.RawURLEncoding.EncodeToString(k.aeads[0].Seal(nil, nil, text, []byte(purpose)))
}

// ErrSealed: the text was not sealed with one of these keys and this purpose.
var ErrSealed = errors.New("linked: not sealed with these keys for this")

// Open decrypts what Seal has made: [ErrSealed].
func (k *Keys) Open(purpose, text string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(text, sealed)
	if !ok || strings.ContainsAny(encoded, "\r\n") { // which the decoder skips
		return nil, ErrSealed
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, ErrSealed
	}
	for _, aead := range k.aeads {
		if opened, err := aead.Open(nil, nil, data, []byte(purpose)); err == nil {
			return opened, nil
		}
	}
	return nil, ErrSealed
}
