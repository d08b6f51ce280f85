package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"

	gojwt "github.com/golang-jwt/jwt/v5"
)

// Algorithm is a JWS algorithm name (RFC 7518 §3.1, RFC 8037 §3.1).
type Algorithm string

// The algorithms. RS256 costs some 4,000 times an HS256 to sign; it is for
// verifiers that know nothing newer.
const (
	HS256 Algorithm = "HS256"
	HS384 Algorithm = "HS384"
	HS512 Algorithm = "HS512"
	RS256 Algorithm = "RS256"
	PS256 Algorithm = "PS256"
	ES256 Algorithm = "ES256"
	EdDSA Algorithm = "EdDSA"
)

// minRSABits is the least that RFC 7518 §3.3 and §3.5 allow.
const minRSABits = 2048

// Key is what signs and verifies. It belongs to the algorithms of its kind
// alone (RFC 8725 §3.1).
type Key struct {
	sign, verify any
	algorithms   []Algorithm // the first is the default
	secretSize   int
	err          error
}

// Secret is a key that signs and verifies with HS256 (or HS384, HS512). It
// must be random and as long as the hash: 32, 48 or 64 bytes.
func Secret(secret []byte) Key {
	secret = append([]byte(nil), secret...)
	return Key{
		sign: secret, verify: secret,
		algorithms: []Algorithm{HS256, HS384, HS512},
		secretSize: len(secret),
	}
}

// PrivateKey is a key pair that signs and verifies: *rsa.PrivateKey (RS256 or
// PS256), *ecdsa.PrivateKey on P-256 (ES256), ed25519.PrivateKey (EdDSA).
func PrivateKey(private crypto.Signer) Key {
	if private == nil {
		return Key{err: errors.New("the private key is nil")}
	}
	var whole bool
	switch private := private.(type) {
	case *rsa.PrivateKey:
		whole = private != nil && private.D != nil
	case *ecdsa.PrivateKey:
		//lint:ignore SA1019 a key without its number makes signing panic
		whole = private != nil && private.D != nil
	case ed25519.PrivateKey:
		whole = len(private) == ed25519.PrivateKeySize
	default:
		return Key{err: fmt.Errorf("private keys of type %T are not supported", private)}
	}
	if !whole {
		return Key{err: errors.New("the private key is nil or incomplete")}
	}
	key := PublicKey(private.Public())
	key.sign = private
	return key
}

// PublicKey is a key that verifies what another service signs:
// *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey.
func PublicKey(public crypto.PublicKey) Key {
	key := Key{verify: public}
	switch public := public.(type) {
	case *rsa.PublicKey:
		key.algorithms = []Algorithm{RS256, PS256}
		if public == nil || public.N == nil || public.N.BitLen() < minRSABits || public.E < 2 {
			key.err = fmt.Errorf("the RSA key is incomplete or has fewer than %d bits", minRSABits)
		}
	case *ecdsa.PublicKey:
		key.algorithms = []Algorithm{ES256}
		if !isP256(public) {
			key.err = errors.New("ES256 needs a key on the curve P-256")
		}
	case ed25519.PublicKey:
		key.algorithms = []Algorithm{EdDSA}
		if len(public) != ed25519.PublicKeySize {
			key.err = errors.New("the Ed25519 key has a wrong length")
		}
	default:
		key.err = fmt.Errorf("public keys of type %T are not supported", public)
	}
	return key
}

// isP256 reports whether the key is a point of the curve P-256.
func isP256(public *ecdsa.PublicKey) bool {
	if public == nil || public.Curve != elliptic.P256() {
		return false
	}
	//lint:ignore SA1019 a key without coordinates makes Bytes panic
	if public.X == nil || public.Y == nil {
		return false
	}
	_, err := public.Bytes()
	return err == nil
}

// Format prints "[key]", whatever the verb.
func (Key) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[key]") }

// LogValue returns "[key]".
func (Key) LogValue() slog.Value { return slog.StringValue("[key]") }

// method returns the key's signing method under that algorithm name, or its
// default one.
func (k Key) method(name Algorithm, allowShort bool) (gojwt.SigningMethod, error) {
	if k.err != nil {
		return nil, k.err
	}
	if len(k.algorithms) == 0 {
		return nil, errors.New("no key: use Secret, PrivateKey or PublicKey")
	}
	if name == "" {
		name = k.algorithms[0]
	}
	for _, known := range k.algorithms {
		if known == name {
			method := gojwt.GetSigningMethod(string(name))
			return method, k.checkSecret(method, allowShort)
		}
	}
	return nil, fmt.Errorf("algorithm %q is not for this kind of key, which is for %v", name, k.algorithms)
}

// checkSecret holds RFC 7518 §3.2: a secret is as long as the hash's output.
func (k Key) checkSecret(method gojwt.SigningMethod, allowShort bool) error {
	hmac, ok := method.(*gojwt.SigningMethodHMAC)
	if !ok {
		return nil
	}
	if k.secretSize == 0 {
		return errors.New("the secret is empty")
	}
	if size := hmac.Hash.Size(); k.secretSize < size && !allowShort {
		return fmt.Errorf("the secret has %d bytes and %s needs %d: make one with `openssl rand -hex %d` (InsecureShortSecret allows it, for tests)",
			k.secretSize, method.Alg(), size, size)
	}
	return nil
}
