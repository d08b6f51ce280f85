package jwt

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"

	gojwt "github.com/golang-jwt/jwt/v5"

	"github.com/echo-users/echo-users/authn"
)

// signer makes and verifies the tokens of one key and one algorithm. A JWS in
// compact serialization (RFC 7515 §3.1) is verified in the order that makes a
// refusal cheap: the header's algorithm, the signature, and only then the
// claims. golang-jwt's parser decodes all JSON first; its signing methods do
// the cryptography, and a fuzz test holds the two against each other.
type signer struct {
	key     Key
	method  gojwt.SigningMethod
	typ     string
	accepts func(typ string) bool // other types than its own
	header  string                // as it writes it, encoded: it needs no decoding when it comes back
}

func newSigner(key Key, algorithm Algorithm, allowShort bool, typ string, accepts func(string) bool) (signer, error) {
	method, err := key.method(algorithm, allowShort)
	if err != nil {
		return signer{}, err
	}
	s := signer{key: key, method: method, typ: typ, accepts: accepts}
	signing, err := s.token(nil).SigningString()
	if err != nil {
		return signer{}, err
	}
	s.header, _, _ = strings.Cut(signing, ".")
	return s, nil
}

func (s *signer) token(claims gojwt.MapClaims) *gojwt.Token {
	token := gojwt.NewWithClaims(s.method, claims)
	token.Header["typ"] = s.typ
	return token
}

func (s *signer) sign(claims gojwt.MapClaims) (string, error) {
	value, err := s.token(claims).SignedString(s.key.sign)
	if err != nil {
		return "", fmt.Errorf("jwt: signing failed: %w", err)
	}
	if len(value) > authn.MaxCredentialSize {
		return "", fmt.Errorf("jwt: with its claims the token has %d bytes, and %d are accepted", len(value), authn.MaxCredentialSize)
	}
	return value, nil
}

// Format prints the algorithm alone, whatever the verb: fmt looks into fields
// that are not exported, past their own methods.
func (s signer) Format(f fmt.State, _ rune) {
	if s.method == nil {
		fmt.Fprint(f, "[JWT]")
		return
	}
	fmt.Fprintf(f, "[JWT, %s]", s.method.Alg())
}

// LogValue returns what Format prints.
func (s signer) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// encoding refuses what isn't canonical, so that a token has one spelling.
var encoding = base64.RawURLEncoding.Strict()

// verify checks the header and the signature of a token and returns its
// claims segment, encoded, and whether the header is the signer's own.
func (s *signer) verify(token string) (payload string, own bool, err error) {
	if len(token) > authn.MaxCredentialSize {
		return "", false, errMalformed
	}
	encoded, rest, _ := strings.Cut(token, ".")
	payload, signature, ok := strings.Cut(rest, ".")
	if !ok || strings.Contains(signature, ".") {
		return "", false, errMalformed
	}
	own = encoded == s.header
	if !own {
		if err := s.checkHeader(encoded); err != nil {
			return "", false, err
		}
	}
	sum, err := encoding.DecodeString(signature)
	if err != nil || hasLineBreak(signature) {
		return "", false, errMalformed
	}
	if s.method.Verify(token[:len(encoded)+1+len(payload)], sum, s.key.verify) != nil {
		return "", false, errSignature
	}
	return payload, own, nil
}

// checkHeader looks at a JOSE header (RFC 7515 §4.1). It isn't to be trusted:
// it can only have the token refused. Headers that name a key (kid, jwk, jku,
// x5u) are not read.
func (s *signer) checkHeader(encoded string) error {
	data, err := encoding.DecodeString(encoded)
	if err != nil || hasLineBreak(encoded) {
		return errMalformed
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(data, &header); err != nil {
		return errMalformed
	}
	var algorithm string
	if err := json.Unmarshal(header["alg"], &algorithm); err != nil || algorithm != s.method.Alg() {
		return errSignature // RFC 8725 §3.1
	}
	for _, critical := range []string{"crit", "b64"} { // RFC 7515 §4.1.11, RFC 7797
		if _, ok := header[critical]; ok {
			return errUnverifiable
		}
	}
	if typ, ok := header["typ"]; ok && !s.acceptsType(typ) {
		return errUnverifiable // RFC 8725 §3.11
	}
	return nil
}

// acceptsType compares media types without their prefix and without regard to
// case (RFC 7515 §4.1.9).
func (s *signer) acceptsType(typ json.RawMessage) bool {
	var name string
	if json.Unmarshal(typ, &name) != nil {
		return false
	}
	const prefix = "application/"
	if len(name) > len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
		name = name[len(prefix):]
	}
	return s.accepts(strings.ToLower(name))
}

// hasLineBreak is for what base64's decoder skips.
func hasLineBreak(s string) bool { return strings.ContainsAny(s, "\r\n") }

// decodeClaims calls set with each claim of a verified token.
func decodeClaims(payload string, set func(name string, value []byte) error) error {
	data, err := encoding.DecodeString(payload)
	if err != nil || hasLineBreak(payload) {
		return errMalformed
	}
	if err := members(data, set); err != nil {
		return errMalformed
	}
	return nil
}
