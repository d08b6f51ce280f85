package jwt_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/strategies/jwt"
)

// seedToken is the token of the description that this project came from.
const seedToken = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJ1c2VyX2lkIjoiOTIyMWZmYzktNjQwZi00MzcyLTg2ZDMtY2U2NDJjYmE1NjAzIiwiYXVkIjoiZmFzdGFwaS11c2VyczphdXRoIiwiZXhwIjoxNTcxNTA0MTkzfQ.M10bjOe45I5Ncu_uXvOmVV8QxnL-nZfcH96U90JaocI"

// access is a rightly signed token of these further claims.
func access(more string) string {
	return signed(goodHeader, `{"sub":"ann","exp":1700000001`+more+`}`)
}

// Tokens of another purpose open nothing, whatever else their audience says
// and whatever the strategy asks of it.
func TestNoOtherPurposePasses(t *testing.T) {
	for _, c := range []struct{ aud, right, any string }{ // whether the default, and SkipAudience, take it
		{`"fastapi-users:auth"`, "ok", "ok"},
		{`["fastapi-users:auth"]`, "ok", "ok"},
		{`["other","fastapi-users:auth"]`, "ok", "ok"},
		{`"other"`, "", "ok"},
		{`["other","another"]`, "", "ok"},
		{`[]`, "", "ok"},
		{`""`, "", "ok"},
		{`"fastapi-users:auth "`, "", ""},
		{`"fastapi-users:"`, "", ""},
		{`"fastapi-users:verify"`, "", ""},
		{`"fastapi-users:reset"`, "", ""},
		{`"fastapi-users:oauth-state"`, "", ""},
		{`["fastapi-users:reset"]`, "", ""},
		{`["fastapi-users:auth","fastapi-users:verify"]`, "", ""},
		{`["fastapi-users:verify","fastapi-users:auth"]`, "", ""},
		{`["fastapi-users:auth","other","fastapi-users:reset"]`, "", ""},
		{`["fastapi-users:auth","\u0066astapi-users:reset"]`, "", ""},
		{`["fastapi-users:auth",null]`, "", ""},
		{`["fastapi-users:auth",["x"]]`, "", ""},
		{`null`, "", ""},
		{`1`, "", ""},
		{`true`, "", ""},
		{`{"fastapi-users:auth":"fastapi-users:auth"}`, "", ""},
	} {
		token := access(`,"aud":` + c.aud)
		for what, try := range map[string]struct {
			cfg  jwt.Config
			want string
		}{
			"default": {jwt.Config{}, c.right},
			"skip":    {jwt.Config{SkipAudience: true}, c.any},
		} {
			_, err := newStrategy(t, jwt.Secret(secret), try.cfg).Read(t.Context(), token)
			if (err == nil) != (try.want == "ok") || err != nil && !errors.Is(err, authn.ErrInvalidToken) {
				t.Errorf("%s, aud %s: %v", what, c.aud, err)
			}
		}
	}
}

func TestTypesOfTokens(t *testing.T) {
	s := newStrategy(t, jwt.Secret(secret), jwt.Config{})
	for typ, accepted := range map[string]bool{
		`"JWT"`: true, `"jwt"`: true, `"at+jwt"`: true, `"AT+JWT"`: true, `"application/jwt"`: true, `"Application/at+JWT"`: true,
		`"verify+jwt"`: false, `"reset+jwt"`: false, `"refresh+jwt"`: false, `"logout+jwt"`: false, `"dpop+jwt"`: false,
		`""`: false, `"JWT "`: false, `"application/"`: false, `"text/jwt"`: false, `"application/application/jwt"`: false,
		`7`: false, `null`: false, `["JWT"]`: false, `{}`: false, `true`: false,
	} {
		_, err := s.Read(t.Context(), signed(`{"alg":"HS256","typ":`+typ+`}`, goodClaims))
		if (err == nil) != accepted || err != nil && !errors.Is(err, authn.ErrInvalidToken) {
			t.Errorf("typ %s: %v", typ, err)
		}
	}
}

// The header may name other keys and algorithms: the strategy's own decides.
func TestTheHeaderDecidesNothing(t *testing.T) {
	own := newStrategy(t, jwt.Secret(secret), jwt.Config{})
	other := newStrategy(t, jwt.Secret([]byte(strings.Repeat("o", 32))), jwt.Config{})
	for _, naming := range []string{
		`"kid":"other"`, `"kid":7`, `"kid":null`, `"kid":"' OR ''='"`, `"jku":"https://example.org/keys"`, `"x5u":"file:///etc/passwd"`,
		`"x5c":["AA=="]`, `"jwk":{"kty":"oct","k":"b29vb29vb29vb29vb29vb29vb29vb29vb29vb29vb28"}`,
	} {
		token := signed(`{"alg":"HS256",`+naming+`}`, goodClaims)
		if id, err := own.Read(t.Context(), token); err != nil || id.Subject != "ann" {
			t.Errorf("%s: the own key doesn't decide: %v", naming, err)
		}
		if _, err := other.Read(t.Context(), token); !errors.Is(err, authn.ErrInvalidToken) {
			t.Errorf("%s: the token chose its key: %v", naming, err)
		}
	}
	unsigned := encode(`{"alg":"none","typ":"JWT"}`) + "." + encode(goodClaims) + "."
	for _, token := range []string{
		unsigned, unsigned + strings.Split(signed(goodHeader, goodClaims), ".")[2], signed(`{"alg":"none"}`, goodClaims),
		signed(`{"alg":"None"}`, goodClaims), signed(`{"alg":""}`, goodClaims), signed(`{"alg":null}`, goodClaims), signed(`{"alg":"HS256 "}`, goodClaims),
		signed(`{"alg":"HS384"}`, goodClaims), signed(`{"Alg":"HS256"}`, goodClaims), signed(`{"alg":"HS256","alg":"none"}`, goodClaims),
		signed(`{"alg":"HS256","enc":"A256GCM","zip":"DEF","crit":[]}`, goodClaims), signed(`{"alg":"HS256","b64":false}`, goodClaims),
	} {
		if _, err := own.Read(t.Context(), token); !errors.Is(err, authn.ErrInvalidToken) {
			t.Errorf("%.60q: %v", token, err)
		}
	}
}

// RFC 7519 §4: of claims with one name, the last counts, or the token is none.
func TestTheLastOfTwoClaimsCounts(t *testing.T) {
	s := newStrategy(t, jwt.Secret(secret), jwt.Config{})
	const aud, exp = `"aud":"fastapi-users:auth"`, `"exp":1700000001`
	for claims, subject := range map[string]string{
		`{"sub":"ann","sub":"bob",` + aud + `,` + exp + `}`:                         "bob",
		`{"sub":"ann","s\u0075b":"bob",` + aud + `,` + exp + `}`:                    "bob",
		`{"sub":"ann","sub":1,` + aud + `,` + exp + `}`:                             "",
		`{"sub":"ann","sub":"",` + aud + `,` + exp + `}`:                            "",
		`{"sub":"ann","aud":"fastapi-users:verify",` + aud + `,` + exp + `}`:        "ann",
		`{"sub":"ann",` + aud + `,"aud":"fastapi-users:verify",` + exp + `}`:        "",
		`{"sub":"ann",` + aud + `,"aud":[],` + exp + `}`:                            "",
		`{"sub":"ann",` + aud + `,"exp":1,` + exp + `}`:                             "ann",
		`{"sub":"ann",` + aud + `,` + exp + `,"exp":1}`:                             "",
		`{"sub":"ann",` + aud + `,` + exp + `,"exp":null}`:                          "",
		`{"sub":"ann",` + aud + `,` + exp + `,"nbf":1700000009,"nbf":1}`:            "ann",
		`{"sub":"ann",` + aud + `,` + exp + `,"nbf":1,"nbf":1700000009}`:            "",
		`{"user_id":"eve","sub":"ann",` + aud + `,` + exp + `}`:                     "ann",
		`{"sub":"ann","user_id":"eve",` + aud + `,` + exp + `}`:                     "ann",
		`{"sub":"ann","user_id":["eve"],` + aud + `,` + exp + `}`:                   "",
		`{"SUB":"eve","User_Id":"eve","sub":"ann",` + aud + `,` + exp + `}`:         "ann",
		`{"sub":"ann","x":{"sub":"eve","exp":1},"y":["}"],` + aud + `,` + exp + `}`: "ann",
	} {
		id, err := s.Read(t.Context(), signed(goodHeader, claims))
		if id.Subject != subject || (err == nil) != (subject != "") || err != nil && !errors.Is(err, authn.ErrInvalidToken) {
			t.Errorf("%s: %q, %v", claims, id.Subject, err)
		}
	}
}

func TestTheLastSubjectCountsAlsoWhereItIsNull(t *testing.T) {
	s := newStrategy(t, jwt.Secret(secret), jwt.Config{})
	id, err := s.Read(t.Context(), access(`,"aud":"fastapi-users:auth","sub":null`))
	if !errors.Is(err, authn.ErrInvalidToken) {
		t.Errorf("a sub that is null in the end is %q, %v", id.Subject, err)
	}
}

// What is wrong with a signature is never told apart by what the claims say,
// and no error repeats any of the token.
func TestErrorsOfReading(t *testing.T) {
	s := newStrategy(t, jwt.Secret(secret), jwt.Config{Issuer: "me"})
	const aud = `,"aud":"fastapi-users:auth"`
	for what, c := range map[string]struct {
		claims string
		want   error
	}{
		"expired":  {`{"sub":"ann","iss":"me","exp":1699999999` + aud + `}`, gojwt.ErrTokenExpired},
		"early":    {`{"sub":"ann","iss":"me","exp":1700000009,"nbf":1700000005` + aud + `}`, gojwt.ErrTokenNotValidYet},
		"audience": {`{"sub":"ann","iss":"me","exp":1700000001,"aud":"other"}`, gojwt.ErrTokenInvalidAudience},
		"issuer":   {`{"sub":"ann","iss":"you","exp":1700000001` + aud + `}`, gojwt.ErrTokenInvalidIssuer},
		"subject":  {`{"sub":"","iss":"me","exp":1700000001` + aud + `}`, gojwt.ErrTokenInvalidSubject},
		"expiry":   {`{"sub":"ann","iss":"me"` + aud + `}`, gojwt.ErrTokenRequiredClaimMissing},
		"claims":   {`{"sub":["ann"]}`, gojwt.ErrTokenMalformed},
	} {
		good := signed(goodHeader, c.claims)
		_, err := s.Read(t.Context(), good)
		if !errors.Is(err, c.want) || !errors.Is(err, authn.ErrInvalidToken) || errors.Is(err, gojwt.ErrTokenSignatureInvalid) {
			t.Errorf("%s: %v", what, err)
		}
		parts := strings.Split(good, ".")
		forged := parts[0] + "." + parts[1] + "." + encode(strings.Repeat("x", 32))
		_, bad := s.Read(t.Context(), forged)
		if errors.Is(bad, c.want) || !errors.Is(bad, gojwt.ErrTokenSignatureInvalid) || !errors.Is(bad, authn.ErrInvalidToken) {
			t.Errorf("%s, forged: %v", what, bad)
		}
		for _, text := range []string{fmt.Sprintf("%v %+v %#v", err, err, err), fmt.Sprintf("%v %+v %#v", bad, bad, bad)} {
			for _, part := range append(parts, "ann") {
				if strings.Contains(text, part) {
					t.Errorf("%s: the error has %q: %s", what, part, text)
				}
			}
		}
	}
}

// A token has one spelling: base64's unused bits are zero, and there are no
// line breaks, also where the signature is over that very text.
func TestATokenHasOneSpelling(t *testing.T) {
	s := newStrategy(t, jwt.Secret(secret), jwt.Config{})
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	siblings := func(segment string) (others []string) { // with other unused bits
		last := strings.IndexByte(alphabet, segment[len(segment)-1])
		unused := map[int]int{2: 15, 3: 3}[len(segment)%4]
		for bits := 1; bits <= unused; bits++ {
			others = append(others, segment[:len(segment)-1]+string(alphabet[last|bits]))
		}
		return append(others, segment+"=", segment+"==", segment+"\n", "\r"+segment, segment[:1]+"\r\n"+segment[1:], segment+" ")
	}
	header, claims := encode(`{"alg": "HS256"}`), encode(`{"sub":"ann","aud":"fastapi-users:auth","exp":1700000001,"x":12}`)
	if len(header)%4 < 2 || len(claims)%4 < 2 {
		t.Fatal("the segments have no unused bits")
	}
	good := signEncoded(header + "." + claims)
	if _, err := s.Read(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	var others []string
	for _, other := range siblings(header) {
		others = append(others, signEncoded(other+"."+claims))
	}
	for _, other := range siblings(claims) {
		others = append(others, signEncoded(header+"."+other))
	}
	for _, other := range siblings(good[strings.LastIndexByte(good, '.')+1:]) {
		others = append(others, header+"."+claims+"."+other)
	}
	for _, token := range others {
		if _, err := s.Read(t.Context(), token); !errors.Is(err, authn.ErrInvalidToken) {
			t.Errorf("%q: %v", token, err)
		}
	}
}

// signEncoded signs two segments as they are.
func signEncoded(unsigned string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(unsigned))
	return unsigned + "." + encode(string(mac.Sum(nil)))
}

// The longest token is accepted, and one byte more isn't, rightly signed or not.
func TestTheLongestToken(t *testing.T) {
	s := newStrategy(t, jwt.Secret(secret), jwt.Config{})
	accepted, refused := 0, 0
	for pad := 5900; pad < 6200; pad++ {
		token := access(`,"aud":"fastapi-users:auth","x":"` + strings.Repeat("x", pad) + `"`)
		if len(token) < authn.MaxCredentialSize-2 || len(token) > authn.MaxCredentialSize+3 {
			continue
		}
		_, err := s.Read(t.Context(), token)
		if fits := len(token) <= authn.MaxCredentialSize; fits != (err == nil) {
			t.Errorf("%d bytes: %v", len(token), err)
		} else if fits {
			accepted++
		} else {
			refused++
		}
	}
	if accepted == 0 || refused == 0 {
		t.Errorf("the test tried %d and %d", accepted, refused)
	}
	deep := strings.Repeat("[", 1400)
	nested := `,"aud":"fastapi-users:auth","x":` + deep + strings.Repeat("]", len(deep))
	if _, err := s.Read(t.Context(), access(nested)); err != nil {
		t.Errorf("depth is no fault of a claim that nobody reads: %v", err)
	}
	for _, at := range []string{"sub", "aud", "exp", "amr", "gen"} {
		if _, err := s.Read(t.Context(), access(`,"aud":"fastapi-users:auth","`+at+`":`+deep+strings.Repeat("]", len(deep)))); !errors.Is(err, authn.ErrInvalidToken) {
			t.Errorf("%s nested: %v", at, err)
		}
	}
}

// A fraction of a second counts on both sides of exp and nbf.
func TestFractionsOfSeconds(t *testing.T) {
	for _, c := range []struct {
		exp, nbf string
		after    time.Duration
		accepted bool
	}{
		{"1700000001", "1700000000", 999 * time.Millisecond, true},
		{"1700000001", "1700000000", time.Second, false},
		{"1700000000.5", "1", 499 * time.Millisecond, true},
		{"1700000000.5", "1", 500 * time.Millisecond, false},
		{"1700000009", "1700000000.5", 499 * time.Millisecond, false},
		{"1700000009", "1700000000.5", 500 * time.Millisecond, true},
		{"17000000010e-1", "1", 999 * time.Millisecond, true},
		{"253402300799", "0", 0, true},
		{"253402300800", "0", 0, false},
		{"-0", "0", 0, false},
	} {
		s := newStrategy(t, jwt.Secret(secret), jwt.Config{Now: at(noon.Add(c.after))})
		_, err := s.Read(t.Context(), signed(goodHeader, `{"sub":"ann","aud":"fastapi-users:auth","exp":`+c.exp+`,"nbf":`+c.nbf+`}`))
		if (err == nil) != c.accepted {
			t.Errorf("exp %s, nbf %s, %v later: %v", c.exp, c.nbf, c.after, err)
		}
	}
}
