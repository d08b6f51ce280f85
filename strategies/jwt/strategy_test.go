package jwt_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/strategies/jwt"
)

var (
	secret = []byte("0123456789abcdef0123456789abcdef")
	noon   = time.Unix(1_700_000_000, 0)
)

func at(moment time.Time) func() time.Time { return func() time.Time { return moment } }

func newStrategy(t testing.TB, key jwt.Key, cfg jwt.Config) *jwt.Strategy {
	t.Helper()
	if cfg.Now == nil {
		cfg.Now = at(noon)
	}
	s, err := jwt.New(key, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// signed is a token of any header and claims with a good signature.
func signed(header, claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	unsigned := encode([]byte(header)) + "." + encode([]byte(claims))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(unsigned))
	return unsigned + "." + encode(mac.Sum(nil))
}

const (
	goodHeader = `{"alg":"HS256","typ":"JWT"}`
	goodClaims = `{"sub":"ann","aud":["fastapi-users:auth"],"exp":1700000001}`
)

// The description that this project came from has this token.
func TestTheSeedVector(t *testing.T) {
	const token = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJ1c2VyX2lkIjoiOTIyMWZmYzktNjQwZi00MzcyLTg2ZDMtY2U2NDJjYmE1NjAzIiwiYXVkIjoiZmFzdGFwaS11c2VyczphdXRoIiwiZXhwIjoxNTcxNTA0MTkzfQ.M10bjOe45I5Ncu_uXvOmVV8QxnL-nZfcH96U90JaocI"
	read := func(key string, moment int64) (authn.Identity, error) {
		s := newStrategy(t, jwt.Secret([]byte(key)), jwt.Config{InsecureShortSecret: true, Now: at(time.Unix(moment, 0))})
		return s.Read(t.Context(), token)
	}
	if id, err := read("SECRET", 1571504192); err != nil || id.Subject != "9221ffc9-640f-4372-86d3-ce642cba5603" || id.Generation != 0 {
		t.Errorf("before its expiry: %+v, %v", id, err)
	}
	for _, moment := range []int64{1571504193, 1571504194, 1_700_000_000} {
		if _, err := read("SECRET", moment); !errors.Is(err, authn.ErrInvalidToken) || !errors.Is(err, gojwt.ErrTokenExpired) {
			t.Errorf("at %d: %v", moment, err)
		}
	}
	for _, moment := range []int64{1571504192, 1571504194} {
		if _, err := read("OTHER", moment); !errors.Is(err, authn.ErrInvalidToken) || errors.Is(err, gojwt.ErrTokenExpired) {
			t.Errorf("another secret at %d: %v", moment, err)
		}
	}
}

func TestEveryAlgorithm(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	long := jwt.Secret([]byte(strings.Repeat("s", 64)))
	tokens := map[jwt.Algorithm]string{}
	strategies := map[jwt.Algorithm]*jwt.Strategy{}
	for _, c := range []struct {
		algorithm jwt.Algorithm
		key       jwt.Key
		public    crypto.PublicKey
	}{
		{jwt.HS256, long, nil}, {jwt.HS384, long, nil}, {jwt.HS512, long, nil},
		{jwt.RS256, jwt.PrivateKey(rsaKey), &rsaKey.PublicKey}, {jwt.PS256, jwt.PrivateKey(rsaKey), &rsaKey.PublicKey},
		{jwt.ES256, jwt.PrivateKey(ecKey), &ecKey.PublicKey}, {jwt.EdDSA, jwt.PrivateKey(edKey), edKey.Public()},
	} {
		s := newStrategy(t, c.key, jwt.Config{Algorithm: c.algorithm})
		token, err := s.Issue(t.Context(), authn.Identity{Subject: "ann"})
		if err != nil {
			t.Fatal(c.algorithm, err)
		}
		tokens[c.algorithm], strategies[c.algorithm] = token.Value, s
		if c.public == nil {
			continue
		}
		verifier := newStrategy(t, jwt.PublicKey(c.public), jwt.Config{Algorithm: c.algorithm})
		if id, err := verifier.Read(t.Context(), token.Value); err != nil || id.Subject != "ann" {
			t.Errorf("%s by the public key: %v", c.algorithm, err)
		}
		if _, err := verifier.Issue(t.Context(), authn.Identity{Subject: "ann"}); verifier.CanIssue() || !errors.Is(err, authn.ErrNotSupported) {
			t.Errorf("%s: a public key issues: %v", c.algorithm, err)
		}
	}
	for a, s := range strategies {
		for b, token := range tokens {
			if _, err := s.Read(t.Context(), token); (err == nil) != (a == b) {
				t.Errorf("%s reads %s: %v", a, b, err)
			}
		}
	}
}

func TestHostileTokens(t *testing.T) {
	const ok, no = true, false
	for what, c := range map[string]struct {
		header, claims string
		accepted       bool
	}{
		"good":                 {goodHeader, goodClaims, ok},
		"typ first":            {`{"typ":"JWT","alg":"HS256"}`, goodClaims, ok},
		"no typ":               {`{"alg":"HS256"}`, goodClaims, ok},
		"at+jwt":               {`{"alg":"HS256","typ":"application/at+jwt"}`, goodClaims, ok},
		"other kid":            {`{"alg":"HS256","kid":"../../etc/passwd"}`, goodClaims, ok},
		"a key of its own":     {`{"alg":"HS256","jwk":{"kty":"oct","k":"AA"},"jku":"http://x","x5u":"http://x"}`, goodClaims, ok},
		"alg none":             {`{"alg":"none"}`, goodClaims, no},
		"alg in other case":    {`{"alg":"hs256"}`, goodClaims, no},
		"ALG":                  {`{"ALG":"HS256"}`, goodClaims, no},
		"alg HS512":            {`{"alg":"HS512"}`, goodClaims, no},
		"alg missing":          {`{"typ":"JWT"}`, goodClaims, no},
		"alg a list":           {`{"alg":["HS256"]}`, goodClaims, no},
		"crit":                 {`{"alg":"HS256","crit":["exp"]}`, goodClaims, no},
		"crit null":            {`{"alg":"HS256","crit":null}`, goodClaims, no},
		"b64":                  {`{"alg":"HS256","b64":true}`, goodClaims, no},
		"typ of a reset token": {`{"alg":"HS256","typ":"reset+jwt"}`, goodClaims, no},
		"typ a number":         {`{"alg":"HS256","typ":7}`, goodClaims, no},
		"typ null":             {`{"alg":"HS256","typ":null}`, goodClaims, no},
		"header deep":          {strings.Repeat("[", 5000), goodClaims, no},
		"header null":          {`null`, goodClaims, no},
		"header twice":         {goodHeader + goodHeader, goodClaims, no},
		"claims deep":          {goodHeader, `{"x":` + strings.Repeat("[", 5000) + `}`, no},
		"claims null":          {goodHeader, `null`, no},
		"claims a list":        {goodHeader, `[` + goodClaims + `]`, no},
		"claims empty":         {goodHeader, ``, no},
		"aud a string":         {goodHeader, `{"sub":"a","aud":"fastapi-users:auth","exp":1700000001}`, ok},
		"aud among others":     {goodHeader, `{"sub":"a","aud":["x","fastapi-users:auth"],"exp":1700000001}`, ok},
		"aud missing":          {goodHeader, `{"sub":"a","exp":1700000001}`, no},
		"aud empty":            {goodHeader, `{"sub":"a","aud":[],"exp":1700000001}`, no},
		"aud null":             {goodHeader, `{"sub":"a","aud":null,"exp":1700000001}`, no},
		"aud a number":         {goodHeader, `{"sub":"a","aud":1,"exp":1700000001}`, no},
		"aud with a number":    {goodHeader, `{"sub":"a","aud":["fastapi-users:auth",1],"exp":1700000001}`, no},
		"aud nested":           {goodHeader, `{"sub":"a","aud":[["fastapi-users:auth"]],"exp":1700000001}`, no},
		"aud an object":        {goodHeader, `{"sub":"a","aud":{"a":"fastapi-users:auth"},"exp":1700000001}`, no},
		"aud wrong":            {goodHeader, `{"sub":"a","aud":"fastapi-users:auth2","exp":1700000001}`, no},
		"aud verify":           {goodHeader, `{"sub":"a","aud":"fastapi-users:verify","exp":1700000001}`, no},
		"aud reset beside":     {goodHeader, `{"sub":"a","aud":["fastapi-users:auth","fastapi-users:reset"],"exp":1700000001}`, no},
		"AUD":                  {goodHeader, `{"sub":"a","AUD":"fastapi-users:auth","exp":1700000001}`, no},
		"exp missing":          {goodHeader, `{"sub":"a","aud":"fastapi-users:auth"}`, no},
		"exp null":             {goodHeader, `{"sub":"a","aud":"fastapi-users:auth","exp":null}`, no},
		"exp a list":           {goodHeader, `{"sub":"a","aud":"fastapi-users:auth","exp":[1700000001]}`, no},
		"exp a string":         {goodHeader, `{"sub":"a","aud":"fastapi-users:auth","exp":"1700000001"}`, no},
		"exp true":             {goodHeader, `{"sub":"a","aud":"fastapi-users:auth","exp":true}`, no},
		"exp now":              {goodHeader, `{"sub":"a","aud":"fastapi-users:auth","exp":1700000000}`, no},
		"exp a fraction":       {goodHeader, `{"sub":"a","aud":"fastapi-users:auth","exp":1700000000.5}`, ok},
		"exp zero":             {goodHeader, `{"sub":"a","aud":"fastapi-users:auth","exp":0}`, no},
		"exp negative":         {goodHeader, `{"sub":"a","aud":"fastapi-users:auth","exp":-1}`, no},
		"exp huge":             {goodHeader, `{"sub":"a","aud":"fastapi-users:auth","exp":1e308}`, no},
		"exp infinite":         {goodHeader, `{"sub":"a","aud":"fastapi-users:auth","exp":1e999}`, no},
		"exp Infinity":         {goodHeader, `{"sub":"a","aud":"fastapi-users:auth","exp":Infinity}`, no},
		"nbf now":              {goodHeader, `{"sub":"a","aud":"fastapi-users:auth","exp":1700000001,"nbf":1700000000}`, ok},
		"nbf later":            {goodHeader, `{"sub":"a","aud":"fastapi-users:auth","exp":1700000009,"nbf":1700000001}`, no},
		"sub missing":          {goodHeader, `{"aud":"fastapi-users:auth","exp":1700000001}`, no},
		"sub empty":            {goodHeader, `{"sub":"","user_id":"a","aud":"fastapi-users:auth","exp":1700000001}`, no},
		"sub a number":         {goodHeader, `{"sub":1,"aud":"fastapi-users:auth","exp":1700000001}`, no},
		"sub a list":           {goodHeader, `{"sub":["a"],"aud":"fastapi-users:auth","exp":1700000001}`, no},
		"sub null":             {goodHeader, `{"sub":null,"aud":"fastapi-users:auth","exp":1700000001}`, no},
		"user_id":              {goodHeader, `{"user_id":"ann","aud":"fastapi-users:auth","exp":1700000001}`, ok},
		"user_id a number":     {goodHeader, `{"user_id":1,"aud":"fastapi-users:auth","exp":1700000001}`, no},
		"gen a fraction":       {goodHeader, `{"sub":"a","gen":1.5,"aud":"fastapi-users:auth","exp":1700000001}`, no},
		"gen null":             {goodHeader, `{"sub":"a","gen":null,"aud":"fastapi-users:auth","exp":1700000001}`, no},
		"invalid UTF-8":        {goodHeader, "{\"sub\":\"\xff\",\"aud\":\"fastapi-users:auth\",\"exp\":1700000001}", ok}, // a subject that nobody has
	} {
		token := signed(c.header, c.claims)
		_, err := newStrategy(t, jwt.Secret(secret), jwt.Config{}).Read(t.Context(), token)
		if (err == nil) != c.accepted || err != nil && !errors.Is(err, authn.ErrInvalidToken) {
			t.Errorf("%s: %v", what, err)
		}
		if err != nil && strings.Contains(err.Error(), token[:20]) {
			t.Errorf("%s: the error holds the token: %v", what, err)
		}
	}
}

func TestMalformedTokens(t *testing.T) {
	s := newStrategy(t, jwt.Secret(secret), jwt.Config{})
	good := signed(goodHeader, goodClaims)
	if _, err := s.Read(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	for what, token := range map[string]string{
		"empty": "", "dots": "..", "one segment": parts[0], "two segments": parts[0] + "." + parts[1],
		"four segments": good + ".", "five": good + "." + good, "no signature": parts[0] + "." + parts[1] + ".",
		"padded": good + "=", "space": " " + good, "line break": parts[0] + "." + parts[1] + ".\n" + parts[2],
		"line break inside": parts[0] + "\r\n." + parts[1] + "." + parts[2], "signature cut": good[:len(good)-2],
		"other claims":    parts[0] + ".e30." + parts[2],
		"standard base64": parts[0] + "." + parts[1] + ".+/" + parts[2][2:], "long": good + strings.Repeat("a", authn.MaxCredentialSize),
	} {
		if _, err := s.Read(t.Context(), token); !errors.Is(err, authn.ErrInvalidToken) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestOptionsOfReading(t *testing.T) {
	claims := func(more string) string { return `{"sub":"ann"` + more + `}` }
	const aud, exp = `,"aud":"fastapi-users:auth"`, `,"exp":1700000001`
	for what, c := range map[string]struct {
		cfg      jwt.Config
		claims   string
		accepted bool
	}{
		"leeway of exp":          {jwt.Config{Leeway: 5 * time.Second}, claims(aud + `,"exp":1699999996`), true},
		"beyond it":              {jwt.Config{Leeway: 5 * time.Second}, claims(aud + `,"exp":1699999995`), false},
		"leeway of nbf":          {jwt.Config{Leeway: 5 * time.Second}, claims(aud + exp + `,"nbf":1700000005`), true},
		"before it":              {jwt.Config{Leeway: 5 * time.Second}, claims(aud + exp + `,"nbf":1700000006`), false},
		"issuer":                 {jwt.Config{Issuer: "me"}, claims(aud + exp + `,"iss":"me"`), true},
		"other issuer":           {jwt.Config{Issuer: "me"}, claims(aud + exp + `,"iss":"you"`), false},
		"no issuer":              {jwt.Config{Issuer: "me"}, claims(aud + exp), false},
		"any issuer":             {jwt.Config{}, claims(aud + exp + `,"iss":"you"`), true},
		"own audience":           {jwt.Config{Audience: []string{"a", "b"}}, claims(exp + `,"aud":["b"]`), true},
		"not ours":               {jwt.Config{Audience: []string{"a", "b"}}, claims(aud + exp), false},
		"any audience":           {jwt.Config{SkipAudience: true}, claims(exp), true},
		"another purpose":        {jwt.Config{SkipAudience: true}, claims(exp + `,"aud":"fastapi-users:reset"`), false},
		"no expiry":              {jwt.Config{SkipExpiry: true}, claims(aud), true},
		"an expiry counts":       {jwt.Config{SkipExpiry: true}, claims(aud + `,"exp":1`), false},
		"an expiry that is null": {jwt.Config{SkipExpiry: true}, claims(aud + `,"exp":null`), false},
	} {
		_, err := newStrategy(t, jwt.Secret(secret), c.cfg).Read(t.Context(), signed(goodHeader, c.claims))
		if (err == nil) != c.accepted {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		key  jwt.Key
		cfg  jwt.Config
		want string
	}{
		"no key":             {jwt.Key{}, jwt.Config{}, "no key"},
		"empty":              {jwt.Secret(nil), jwt.Config{InsecureShortSecret: true}, "empty"},
		"short":              {jwt.Secret(secret[:31]), jwt.Config{}, "openssl rand -hex 32"},
		"short for HS512":    {jwt.Secret(secret), jwt.Config{Algorithm: jwt.HS512}, "needs 64"},
		"RS256 with secret":  {jwt.Secret(secret), jwt.Config{Algorithm: jwt.RS256}, `"RS256" is not for this kind of key`},
		"none":               {jwt.Secret(secret), jwt.Config{Algorithm: "none"}, `"none"`},
		"HS256 with RSA":     {jwt.PublicKey(&rsa.PublicKey{}), jwt.Config{Algorithm: jwt.HS256}, "fewer than 2048"},
		"small RSA":          {jwt.PrivateKey(small), jwt.Config{}, "fewer than 2048"},
		"P-384":              {jwt.PrivateKey(p384), jwt.Config{}, "P-256"},
		"nil private":        {jwt.PrivateKey(nil), jwt.Config{}, "nil"},
		"public of no kind":  {jwt.PublicKey("key"), jwt.Config{}, "string"},
		"short Ed25519":      {jwt.PublicKey(ed25519.PublicKey("x")), jwt.Config{}, "length"},
		"negative lifetime":  {jwt.Secret(secret), jwt.Config{Lifetime: -1}, "lifetime"},
		"half a second":      {jwt.Secret(secret), jwt.Config{Lifetime: time.Second / 2}, "at least a second"},
		"RSA without E":      {jwt.PublicKey(&rsa.PublicKey{N: small.N, E: 0}), jwt.Config{}, "RSA"},
		"leeway of an hour":  {jwt.Secret(secret), jwt.Config{Leeway: time.Hour}, "leeway"},
		"empty audience":     {jwt.Secret(secret), jwt.Config{Audience: []string{""}}, "audience"},
		"audience of resets": {jwt.Secret(secret), jwt.Config{Audience: []string{"fastapi-users:reset"}}, "another purpose"},
	} {
		_, err := jwt.New(c.key, c.cfg)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), string(secret[:16])) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
