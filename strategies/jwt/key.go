package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/big"
	"slices"

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

// maxRSABits is the most that is any use.
const maxRSABits = 16384

// Key is what signs and verifies. It belongs to the algorithms of its kind
// alone (RFC 8725 §3.1). Alone it is [Keys] that never change; several are a
// [KeySet].
type Key struct {
	sign, verify any
	algorithms   []Algorithm // the first is the default
	secretSize   int
	id           string
	named        bool // by WithID
	pinned       bool // by WithAlgorithm
	err          error
}

// WithID returns the key under this id, which tokens carry as "kid" (RFC 7515
// §4.1.4). A key pair without one has its thumbprint (RFC 7638); a secret has
// none, unless it is in a [KeySet].
//
// A kid is a hint, and not trusted: a token is verified with the key of its
// kid; where there is no such key, or no kid, with each key that was not named
// by WithID, and that is for its algorithm.
func (k Key) WithID(id string) Key {
	k.id, k.named = id, true
	if id == "" && k.err == nil {
		k.err = errors.New("the key's id is empty")
	}
	return k
}

// ID returns the id that tokens carry, or nothing.
func (k Key) ID() string { return k.id }

// Err returns what is wrong with the key, as [New] would say it.
func (k Key) Err() error {
	if k.err == nil && len(k.algorithms) == 0 {
		return errNoKey
	}
	return k.err
}

var errNoKey = errors.New("no key: use Secret, PrivateKey or PublicKey")

// WithAlgorithm returns the key for this algorithm alone, whatever the options
// of a strategy say.
func (k Key) WithAlgorithm(a Algorithm) Key {
	if !slices.Contains(k.algorithms, a) && k.err == nil {
		k.err = fmt.Errorf("algorithm %q is not for this kind of key, which is for %v", a, k.algorithms)
	}
	k.algorithms, k.pinned = []Algorithm{a}, true
	return k
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
		switch {
		case public == nil || public.N == nil || public.N.BitLen() < minRSABits || public.E < 2:
			key.err = fmt.Errorf("the RSA key is incomplete or has fewer than %d bits", minRSABits)
		case public.N.BitLen() > maxRSABits || public.E > math.MaxInt32: // who verifies would be busy with it
			key.err = fmt.Errorf("the RSA key has more than %d bits, or an exponent of more than 31", maxRSABits)
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
	if key.err == nil {
		key.id = thumbprint(public)
	}
	return key
}

// thumbprint names a public key by its members (RFC 7638 §3, RFC 8037 §2).
func thumbprint(public crypto.PublicKey) string {
	var members string
	text := base64.RawURLEncoding.EncodeToString
	switch public := public.(type) {
	case *rsa.PublicKey:
		members = fmt.Sprintf(`{"e":%q,"kty":"RSA","n":%q}`, text(big.NewInt(int64(public.E)).Bytes()), text(public.N.Bytes()))
	case *ecdsa.PublicKey:
		point, _ := public.Bytes() // 4, x, y; it was checked
		size := (len(point) - 1) / 2
		members = fmt.Sprintf(`{"crv":"P-256","kty":"EC","x":%q,"y":%q}`, text(point[1:1+size]), text(point[1+size:]))
	case ed25519.PublicKey:
		members = fmt.Sprintf(`{"crv":"Ed25519","kty":"OKP","x":%q}`, text(public))
	}
	sum := sha256.Sum256([]byte(members))
	return text(sum[:])
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
	if err := k.Err(); err != nil {
		return nil, err
	}
	if name == "" || k.pinned {
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
