package routes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

var (
	jwtSecret    = []byte(strings.Repeat("jwt", 16))
	verifySecret = []byte(strings.Repeat("verify", 8))
	resetSecret  = []byte(strings.Repeat("reset", 8))
)

// Whoever has an address that is refused by now can still prove it, and reset
// their password.
func TestMailsToAddressesThatWereTakenOnce(t *testing.T) {
	db := testdb.SQLite(t)
	s := newMailSite(t, db, testdb.Secrets{}, noLimits)
	for _, email := range []string{"\U0001f921@example.com", "\u0130stanbul@example.com", "\ufb00oo@example.com", "x@1.2.3.4"} {
		s.register("now@example.com")
		if err := db.Exec(`UPDATE "user" SET email = ? WHERE email = 'now@example.com'`, email).Error; err != nil {
			t.Fatal(err)
		}
		if _, err := authn.NormalizeEmail(email); err == nil {
			t.Errorf("%s is taken", email)
		}
		s.has(email, s.verify(s.ask("/auth/request-verify-token", email)), http.StatusOK, "")
		if s.ask("/auth/forgot-password", email) == "" {
			t.Errorf("%s: no mail", email)
		}
	}
	for _, none := range []string{"", "x", "@example.com", "x@", "x@y", "a b@example.com", "a\x00@example.com", "a\r\nBcc: b@example.com", "x@exam ple.com", "a \r\n@example.com",
		"a@example.com,b@example.com", "a@example.com;b@example.com", "a@b@example.com", "a@example.com,", "a..b@example.com", ".a@example.com",
		"a.@example.com", "a@-example.com", "a@example-.com", "a@example..com", "a@.example.com", "a@example.com.", "<a@example.com>", "\u202ea@example.com", `"a"@example.com`, "a@exa_mple.com", "a@[1.2.3.4]"} {
		quoted, err := json.Marshal(none)
		if err != nil {
			t.Fatal(err)
		}
		got := s.json(http.MethodPost, "/auth/forgot-password", fmt.Sprintf(`{"email":%s}`, quoted), "")
		s.has(none, got, http.StatusUnprocessableEntity, `["body","email"]`)
	}
}

// mailSite is a site whose mails go to an outbox, with a bearer and a cookie
// backend.
type mailSite struct {
	*site
	mails *authntest.Outbox[*userdb.User]
	clock *authntest.Clock

	noticed int // see told
}

func newMailSite(t *testing.T, db *gorm.DB, secrets testdb.Secrets, limits routes.Limits) *mailSite {
	t.Helper()
	clock := authntest.NewClock(time.Now())
	key := func(given string, fallback []byte) jwt.Key {
		if given == "" {
			return jwt.Secret(fallback)
		}
		return jwt.Secret([]byte(given))
	}
	cfg := jwt.MailedConfig{InsecureShortSecret: true, Now: clock.Now}
	verify, err := jwt.NewVerifyTokens(key(secrets.Verify, verifySecret), cfg)
	if err != nil {
		t.Fatal(err)
	}
	reset, err := jwt.NewResetTokens(key(secrets.Reset, resetSecret), cfg)
	if err != nil {
		t.Fatal(err)
	}
	tokens := jwt.Config{InsecureShortSecret: true, Now: clock.Now}
	bearer, err := backends.JWT(key(secrets.JWT, jwtSecret), backends.JWTConfig{Config: tokens})
	if err != nil {
		t.Fatal(err)
	}
	cookie, err := backends.CookieJWT(key(secrets.Cookie, []byte(strings.Repeat("cookie", 8))), backends.CookieJWTConfig{
		Cookie: backends.CookieConfig{InsecureHTTP: true, TrustedOrigins: []string{"https://app.example.com"}},
		Config: tokens,
	})
	if err != nil {
		t.Fatal(err)
	}
	limits.Now = clock.Now
	s := &mailSite{mails: new(authntest.Outbox[*userdb.User]), clock: clock}
	s.site = serveSite(t, db, authn.Config{VerifyTokens: verify, ResetTokens: reset, Now: clock.Now},
		routes.Config[*userdb.User]{Limits: limits, Timeout: time.Minute}, bearer, cookie) // bcrypt is slow with the race detector
	s.users.Use(s.mails.Hooks())
	return s
}

var noLimits = routes.Limits{Skip: true}

// mailed returns the tokens of a kind that went to an address, oldest first.
func (s *mailSite) mailed(kind, email string) []string {
	s.Helper()
	if err := s.users.Flush(s.Context()); err != nil {
		s.Fatal(err)
	}
	var tokens []string
	for _, e := range s.mails.Events() {
		if e.Kind == kind && e.Email == email {
			tokens = append(tokens, e.Token.Value)
		}
	}
	return tokens
}

// ask requests a mail and returns its token, "" for none.
func (s *mailSite) ask(path, email string) string {
	s.Helper()
	kind := map[string]string{"/auth/request-verify-token": "request-verify", "/auth/forgot-password": "forgot-password"}[path]
	before := len(s.mailed(kind, email))
	if got := s.json(http.MethodPost, path, fmt.Sprintf(`{"email":%q}`, email), ""); got.status != http.StatusAccepted || got.body != "null" {
		s.Fatalf("%s for %s: %d %s", path, email, got.status, got.body)
	}
	tokens := s.mailed(kind, email)
	if len(tokens) == before {
		return ""
	}
	return tokens[len(tokens)-1]
}

func (s *mailSite) verify(token string) reply {
	s.Helper()
	return s.json(http.MethodPost, "/auth/verify", fmt.Sprintf(`{"token":%q}`, token), "")
}

func (s *mailSite) reset(token, password string) reply {
	s.Helper()
	return s.json(http.MethodPost, "/auth/reset-password", fmt.Sprintf(`{"token":%q,"password":%q}`, token, password), "")
}

func (s *mailSite) has(what string, got reply, status int, code string) {
	s.Helper()
	if got.status != status || !strings.Contains(got.body, code) {
		s.Errorf("%s: %d %s, want %d %s", what, got.status, got.body, status, code)
	}
}

func (s *mailSite) update(email string, up authn.Update[*userdb.User]) {
	s.Helper()
	u, err := s.users.GetByEmail(s.Context(), email)
	if err == nil {
		_, err = s.users.Update(s.Context(), u.AuthID(), up)
	}
	if err != nil {
		s.Fatal(err)
	}
}

const (
	badVerify = "VERIFY_USER_BAD_TOKEN"
	badReset  = "RESET_PASSWORD_BAD_TOKEN"
)

func TestVerify(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		s := newMailSite(t, db, testdb.Secrets{}, noLimits)
		const ask = "/auth/request-verify-token"
		s.register("Ann@example.com")
		if s.ask(ask, "nobody@example.com") != "" {
			t.Error("a mail to nobody")
		}
		token := s.ask(ask, "Ann@example.com")
		s.clock.Advance(time.Hour - 2*time.Second)
		s.has("in time", s.verify(token), http.StatusOK, `"is_verified":true`)
		s.has("again", s.verify(token), http.StatusBadRequest, "VERIFY_USER_ALREADY_VERIFIED")
		if heard := s.mailed("verify", "Ann@example.com"); len(heard) != 1 {
			t.Errorf("the hook heard of %d verifications", len(heard))
		}
		if s.ask(ask, "Ann@example.com") != "" {
			t.Error("a mail to somebody who is verified")
		}
		s.update("ann@example.com", authn.Update[*userdb.User]{IsVerified: &no})
		s.clock.Advance(2 * time.Second)
		s.has("expired", s.verify(token), http.StatusBadRequest, badVerify)

		token = s.ask(ask, "Ann@example.com")
		other, old := "bob@example.com", "Ann@example.com"
		s.update(old, authn.Update[*userdb.User]{Email: &other})
		s.has("of another address", s.verify(token), http.StatusBadRequest, badVerify)
		s.has("empty", s.verify(""), http.StatusBadRequest, badVerify)
		s.has("none", s.json(http.MethodPost, "/auth/verify", `{}`, ""), http.StatusUnprocessableEntity, `["body","token"]`)
		s.has("null", s.json(http.MethodPost, "/auth/verify", `{"token":null}`, ""), http.StatusUnprocessableEntity, `["body","token"]`)
		s.has("no address", s.json(http.MethodPost, ask, `{}`, ""), http.StatusUnprocessableEntity, `["body","email"]`)
		s.has("a bad address", s.json(http.MethodPost, ask, `{"email":"x"}`, ""), http.StatusUnprocessableEntity, `["body","email"]`)
		s.has("for a reset", s.verify(s.ask("/auth/forgot-password", other)), http.StatusBadRequest, badVerify)
		s.has("for access", s.verify(s.login("jwt", other, "secret")), http.StatusBadRequest, badVerify)

		s.update(other, authn.Update[*userdb.User]{IsActive: &no})
		if s.ask(ask, other) != "" {
			t.Error("a mail to somebody inactive")
		}
		s.update(other, authn.Update[*userdb.User]{IsActive: &yes})
		token = s.ask(ask, other)
		u, err := s.users.GetByEmail(t.Context(), other)
		if err == nil {
			err = s.users.Delete(t.Context(), u.AuthID())
		}
		if err != nil {
			t.Fatal(err)
		}
		s.has("of nobody", s.verify(token), http.StatusBadRequest, badVerify)
	})
}

func TestResetPassword(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		s := newMailSite(t, db, testdb.Secrets{}, noLimits)
		s.users.Use(authn.Hooks[*userdb.User]{CheckPassword: func(_ context.Context, u *userdb.User, password string) error {
			if password == u.Email {
				return &authn.PasswordError{Reason: "not your address"}
			}
			return nil
		}})
		const ask, ann = "/auth/forgot-password", "ann@example.com"
		s.register(ann)
		if s.ask(ask, "nobody@example.com") != "" {
			t.Error("a mail to nobody")
		}
		access := s.login("jwt", ann, "secret")
		first, second := s.ask(ask, "ANN@example.com"), s.ask(ask, ann)
		if first != "" {
			t.Error("a mail went to the address as typed")
		}
		first = s.mailed("forgot-password", ann)[0]

		s.has("a short password", s.reset(second, "x"), http.StatusBadRequest, `{"code":"RESET_PASSWORD_INVALID_PASSWORD","reason":"Password should be at least 3 characters"}`)
		s.has("no text", s.json(http.MethodPost, "/auth/reset-password", `{"token":"x","password":true}`, ""), http.StatusUnprocessableEntity, `["body","password"]`)
		s.has("a long one", s.reset(second, strings.Repeat("x", 4097)), http.StatusUnprocessableEntity, `["body","password"]`)
		s.has("one that a hook refuses", s.reset(second, ann), http.StatusBadRequest, `"reason":"not your address"`)
		s.has("the second", s.reset(second, "changed"), http.StatusOK, "null")
		s.has("again", s.reset(second, "changed"), http.StatusBadRequest, badReset)
		if heard := s.mailed("reset-password", ann); len(heard) != 1 {
			t.Errorf("the hook heard of %d resets", len(heard))
		}
		s.has("the first", s.reset(first, "changed"), http.StatusBadRequest, badReset)
		if got := s.json(http.MethodGet, "/users/me", "", access); got.status != http.StatusUnauthorized {
			t.Errorf("a token from before the reset: %d", got.status)
		}
		s.has("the old password", s.form("/auth/jwt/login", "username", ann, "password", "secret"), http.StatusBadRequest, "LOGIN_BAD_CREDENTIALS")
		s.login("jwt", ann, "changed")
		if notices := s.mailed("password-changed", ann); len(notices) != 1 {
			t.Errorf("%d notices of a changed password", len(notices))
		}

		// What a token dies with, and what not.
		token := s.ask(ask, ann)
		s.clock.Advance(time.Hour)
		s.has("expired", s.reset(token, "changed"), http.StatusBadRequest, badReset)
		token = s.ask(ask, ann)
		moved := "bob@example.com"
		s.update(ann, authn.Update[*userdb.User]{Email: &moved})
		s.has("mailed to another address", s.reset(token, "changed"), http.StatusBadRequest, badReset)
		if notices := s.mailed("email-changed", ann); len(notices) != 1 {
			t.Errorf("%d notices to the old address", len(notices))
		}
		token = s.ask(ask, moved)
		s.update(moved, authn.Update[*userdb.User]{IsActive: &no})
		s.has("inactive", s.reset(token, "changed"), http.StatusBadRequest, badReset)
		if s.ask(ask, moved) != "" {
			t.Error("a mail to somebody inactive")
		}
		s.update(moved, authn.Update[*userdb.User]{IsActive: &yes})
		s.has("active again", s.reset(token, "changed"), http.StatusBadRequest, badReset)
		token = s.ask(ask, moved)
		rehashed := s.rehash(db, moved, "changed")
		s.has("after a hash upgrade", s.reset(token, "again"), http.StatusOK, "null")
		if u, err := s.users.GetByEmail(t.Context(), moved); err != nil || u.HashedPassword == rehashed {
			t.Error("nothing was changed", err)
		}

		// Other tokens.
		s.has("empty", s.reset("", "changed"), http.StatusBadRequest, badReset)
		s.has("for verification", s.reset(s.ask("/auth/request-verify-token", moved), "changed"), http.StatusBadRequest, badReset)
		s.has("for access", s.reset(s.login("jwt", moved, "again"), "changed"), http.StatusBadRequest, badReset)
	})
}

// rehash logs in with another hash of the same password, which is replaced.
func (s *mailSite) rehash(db *gorm.DB, email, password string) string {
	s.Helper()
	u, err := s.users.GetByEmail(s.Context(), email)
	if err != nil {
		s.Fatal(err)
	}
	before := u.HashedPassword
	legacy := bcryptOf(s.T, password)
	if err := db.Exec(`UPDATE "user" SET hashed_password = ? WHERE email = ?`, legacy, email).Error; err != nil {
		s.Fatal(err)
	}
	s.login("jwt", email, password)
	if u, err = s.users.GetByEmail(s.Context(), email); err != nil || u.HashedPassword == legacy || u.HashedPassword == before {
		s.Fatal("the hash was not upgraded", err)
	}
	return u.HashedPassword
}

// A token is spent once, whoever is first.
func TestMailedTokensAreSpentOnce(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		s := newMailSite(t, db, testdb.Secrets{}, noLimits)
		const ann, attempts = "ann@example.com", 50
		s.register(ann)
		atOnce := func(path, field, token string) (succeeded int64) {
			var n atomic.Int64
			var group sync.WaitGroup
			for i := range attempts {
				group.Go(func() {
					got := s.json(http.MethodPost, path, fmt.Sprintf(`{"token":%q,"password":"changed%d"}`, token, i), "")
					switch {
					case got.status == http.StatusOK:
						n.Add(1)
					case got.status != http.StatusBadRequest || !strings.Contains(got.body, field):
						t.Errorf("%s: %d %s", path, got.status, got.body)
					}
				})
			}
			group.Wait()
			return n.Load()
		}
		if n := atOnce("/auth/verify", "VERIFY_USER_ALREADY_VERIFIED", s.ask("/auth/request-verify-token", ann)); n != 1 {
			t.Errorf("one verify token was spent %d times", n)
		}
		if n := atOnce("/auth/reset-password", badReset, s.ask("/auth/forgot-password", ann)); n != 1 {
			t.Errorf("one reset token was spent %d times", n)
		}
		u, err := s.users.GetByEmail(t.Context(), ann)
		if err != nil || u.Generation != 1 {
			t.Errorf("generation %d, %v", u.Generation, err)
		}
	})
}

// Links that fastapi-users mailed before the move still work, once.
func TestMailedTokensOfFastAPIUsers(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			db, fixture := testdb.FastAPIUsers(t, engine, "uuid")
			s := newMailSite(t, db, fixture.Secrets, noLimits)
			var verified, reset int
			for email, u := range fixture.Users {
				want := http.StatusOK
				if !u.IsActive {
					want = http.StatusUnauthorized
				}
				s.has("the cookie of "+email, s.do(http.MethodGet, "/users/me", "", "Cookie", "fastapiusersauth="+u.CookieJWT), want, "")
			}
			for email, u := range fixture.Users {
				if u.VerifyToken != "" && !u.IsVerified {
					verified++
					s.has("reset with a verify token", s.reset(u.VerifyToken, "changed"), http.StatusBadRequest, badReset)
					s.has("verify "+email, s.verify(u.VerifyToken), http.StatusOK, `"is_verified":true`)
				}
				if u.ResetToken != "" && reset == 0 { // each costs seconds under the race detector
					reset++
					s.has("verify with a reset token", s.verify(u.ResetToken), http.StatusBadRequest, badVerify)
					s.has("reset "+email, s.reset(u.ResetToken, "changed"), http.StatusOK, "null")
					s.has("reset again", s.reset(u.ResetToken, "changed"), http.StatusBadRequest, badReset)
				}
			}
			if verified == 0 || reset == 0 {
				t.Errorf("the fixture has %d verify and %d reset tokens", verified, reset)
			}
		})
	}
}

// Tokens that are rightly signed, and wrong.
func TestForgedMailedTokens(t *testing.T) {
	s := newMailSite(t, testdb.SQLite(t), testdb.Secrets{}, noLimits)
	u, err := s.users.Register(t.Context(), "ann@example.com", "secret", nil)
	if err != nil {
		t.Fatal(err)
	}
	exp := s.clock.Now().Add(time.Hour).Unix()
	sign := func(secret []byte, typ any, changes gojwt.MapClaims) string {
		claims := gojwt.MapClaims{"sub": u.AuthID(), "email": u.Email, "exp": exp}
		for name, value := range changes {
			claims[name] = value
			if value == nil {
				delete(claims, name)
			}
		}
		token := gojwt.NewWithClaims(gojwt.SigningMethodHS256, claims)
		token.Header["typ"] = typ
		signed, err := token.SignedString(secret)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	const verifyAud, resetAud = "fastapi-users:verify", "fastapi-users:reset"
	for what, token := range map[string]string{
		"typ of reset":      sign(verifySecret, "reset+jwt", gojwt.MapClaims{"aud": verifyAud}),
		"typ of access":     sign(verifySecret, "at+jwt", gojwt.MapClaims{"aud": verifyAud}),
		"aud of reset":      sign(verifySecret, "JWT", gojwt.MapClaims{"aud": resetAud}),
		"aud of access":     sign(verifySecret, "JWT", gojwt.MapClaims{"aud": "fastapi-users:auth"}),
		"two auds":          sign(verifySecret, "JWT", gojwt.MapClaims{"aud": []string{verifyAud, resetAud}}),
		"no aud":            sign(verifySecret, "JWT", nil),
		"no exp":            sign(verifySecret, "JWT", gojwt.MapClaims{"aud": verifyAud, "exp": nil}),
		"infinite exp":      sign(verifySecret, "JWT", gojwt.MapClaims{"aud": verifyAud, "exp": 1e300}),
		"list as exp":       sign(verifySecret, "JWT", gojwt.MapClaims{"aud": verifyAud, "exp": []int64{exp}}),
		"no sub":            sign(verifySecret, "JWT", gojwt.MapClaims{"aud": verifyAud, "sub": nil}),
		"number as sub":     sign(verifySecret, "JWT", gojwt.MapClaims{"aud": verifyAud, "sub": 7}),
		"nobody":            sign(verifySecret, "JWT", gojwt.MapClaims{"aud": verifyAud, "sub": "9221ffc9-640f-4372-86d3-ce642cba5603"}),
		"no id":             sign(verifySecret, "JWT", gojwt.MapClaims{"aud": verifyAud, "sub": "\x00"}),
		"no email":          sign(verifySecret, "JWT", gojwt.MapClaims{"aud": verifyAud, "email": nil}),
		"list as email":     sign(verifySecret, "JWT", gojwt.MapClaims{"aud": verifyAud, "email": []string{u.Email}}),
		"another email":     sign(verifySecret, "JWT", gojwt.MapClaims{"aud": verifyAud, "email": "bob@example.com"}),
		"key of reset":      sign(resetSecret, "JWT", gojwt.MapClaims{"aud": verifyAud}),
		"long":              sign(verifySecret, "JWT", gojwt.MapClaims{"aud": verifyAud, "x": strings.Repeat("x", 9000)}),
		"three dots":        "...",
		"trailing newline ": sign(verifySecret, "JWT", gojwt.MapClaims{"aud": verifyAud}) + "\n",
	} {
		s.has("verify, "+what, s.verify(token), http.StatusBadRequest, badVerify)
	}
	for what, token := range map[string]string{
		"nothing to die with":    sign(resetSecret, "JWT", gojwt.MapClaims{"aud": resetAud}),
		"a digest, foreign":      sign(resetSecret, "JWT", gojwt.MapClaims{"aud": resetAud, "password_digest": "digest"}),
		"generation, foreign":    sign(resetSecret, "JWT", gojwt.MapClaims{"aud": resetAud, "gen": 0}),
		"own without a digest":   sign(resetSecret, "reset+jwt", gojwt.MapClaims{"aud": resetAud, "gen": 0}),
		"own without generation": sign(resetSecret, "reset+jwt", gojwt.MapClaims{"aud": resetAud, "password_digest": "digest"}),
		"own of another hash":    sign(resetSecret, "reset+jwt", gojwt.MapClaims{"aud": resetAud, "gen": 7, "password_digest": "digest"}),
		"own with a fingerprint": sign(resetSecret, "reset+jwt", gojwt.MapClaims{"aud": resetAud, "password_fgpt": bcryptOf(t, u.HashedPassword)}),
		"no hash":                sign(resetSecret, "JWT", gojwt.MapClaims{"aud": resetAud, "password_fgpt": "no hash"}),
		"the hash itself":        sign(resetSecret, "JWT", gojwt.MapClaims{"aud": resetAud, "password_fgpt": u.HashedPassword}),
		"number":                 sign(resetSecret, "JWT", gojwt.MapClaims{"aud": resetAud, "password_fgpt": 7}),
		"of another hash":        sign(resetSecret, "JWT", gojwt.MapClaims{"aud": resetAud, "password_fgpt": bcryptOf(t, "another")}),
		"an endless hash":        sign(resetSecret, "JWT", gojwt.MapClaims{"aud": resetAud, "password_fgpt": "$2b$31$" + strings.Repeat("a", 53)}),
	} {
		s.has("reset, "+what, s.reset(token, "changed"), http.StatusBadRequest, badReset)
	}
	s.has("verify, as fastapi-users makes it", s.verify(sign(verifySecret, "JWT", gojwt.MapClaims{"aud": verifyAud})), http.StatusOK, "")
	s.has("reset, as fastapi-users makes it", s.reset(sign(resetSecret, "JWT", gojwt.MapClaims{"aud": resetAud, "password_fgpt": bcryptOf(t, u.HashedPassword)}), "changed"), http.StatusOK, "")
}

// Where there are no tokens there are no routes.
func TestNoTokensNoRoutes(t *testing.T) {
	s := newSite(t, testdb.SQLite(t))
	for _, path := range []string{"/auth/verify", "/auth/request-verify-token", "/auth/forgot-password", "/auth/reset-password"} {
		if got := s.json(http.MethodPost, path, `{}`, ""); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	if err := s.users.ForgotPassword(context.Background(), "ann@example.com"); err == nil {
		t.Error("ForgotPassword without tokens")
	}
}
