package jwt

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	gojwt "github.com/golang-jwt/jwt/v5"

	"github.com/echo-users/echo-users/authn"
)

// A JWS in compact serialization (RFC 7515 §3.1) is verified here in the order
// that makes a refusal cheap: the header's algorithm, the signature, and only
// then the claims. golang-jwt's parser decodes all JSON first; its signing
// methods do the cryptography, and a fuzz test holds the two against each
// other.

// encoding refuses what isn't canonical, so that a token has one spelling.
var encoding = base64.RawURLEncoding.Strict()

// encodeHeader returns the header that golang-jwt writes, which needs no
// decoding when it comes back.
func encodeHeader(method gojwt.SigningMethod) string {
	signing, err := gojwt.New(method).SigningString()
	if err != nil {
		return ""
	}
	encoded, _, _ := strings.Cut(signing, ".")
	return encoded
}

// verify checks the header and the signature of a token and returns its
// claims segment, encoded.
func (s *Strategy) verify(token string) (string, error) {
	if len(token) > authn.MaxCredentialSize {
		return "", errMalformed
	}
	encoded, rest, _ := strings.Cut(token, ".")
	payload, signature, ok := strings.Cut(rest, ".")
	if !ok || strings.Contains(signature, ".") {
		return "", errMalformed
	}
	if encoded != s.header {
		if err := s.checkHeader(encoded); err != nil {
			return "", err
		}
	}
	sum, err := encoding.DecodeString(signature)
	if err != nil || hasLineBreak(signature) {
		return "", errMalformed
	}
	if s.method.Verify(token[:len(encoded)+1+len(payload)], sum, s.key.verify) != nil {
		return "", errSignature
	}
	return payload, nil
}

// checkHeader looks at a JOSE header (RFC 7515 §4.1). It isn't to be trusted:
// it can only have the token refused. Headers that name a key (kid, jwk, jku,
// x5u) are not read.
func (s *Strategy) checkHeader(encoded string) error {
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
	if typ, ok := header["typ"]; ok && !isAccessType(typ) {
		return errUnverifiable // RFC 8725 §3.11
	}
	return nil
}

// hasLineBreak is for what base64's decoder skips.
func hasLineBreak(s string) bool { return strings.ContainsAny(s, "\r\n") }

// isAccessType accepts "JWT", as fastapi-users writes it, and "at+jwt" of
// RFC 9068 §2.1.
func isAccessType(typ json.RawMessage) bool {
	var name string
	if json.Unmarshal(typ, &name) != nil {
		return false
	}
	const prefix = "application/"
	if len(name) > len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
		name = name[len(prefix):]
	}
	return strings.EqualFold(name, "JWT") || strings.EqualFold(name, "at+jwt")
}

func decodeClaims(payload string, c *claims) error {
	data, err := encoding.DecodeString(payload)
	if err != nil || hasLineBreak(payload) {
		return errMalformed
	}
	if err := members(data, c.set); err != nil {
		return errMalformed
	}
	return nil
}
