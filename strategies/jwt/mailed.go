package jwt

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"

	"github.com/echo-users/echo-users/authn"
)

// The audiences of fastapi-users' mailed tokens.
const (
	VerifyAudience = reservedAudience + "verify"
	ResetAudience  = reservedAudience + "reset"
)

// MailedConfig has the options of [NewVerifyTokens] and [NewResetTokens]. Its
// zero value is fastapi-users'.
type MailedConfig struct {
	// Algorithm must fit the key. Defaults to HS256, RS256, ES256 or EdDSA,
	// after the kind of key.
	Algorithm Algorithm
	// Lifetime of the tokens. Defaults to one hour.
	Lifetime time.Duration
	// Audience is the tokens' only one. Defaults to [VerifyAudience] or
	// [ResetAudience]; set it where the Python application had another
	// verification_token_audience or reset_password_token_audience. Never one
	// that other tokens under the same key have.
	Audience string

	// InsecureShortSecret allows a secret shorter than its hash, which can be
	// guessed offline from a single token (RFC 8725 §3.5).
	InsecureShortSecret bool

	// Now is the clock. Defaults to [time.Now].
	Now func() time.Time
}

// MailedTokens are the tokens of one purpose that are mailed to a person. It
// implements [authn.MailedTokens] and is safe for concurrent use.
//
// Each purpose has a typ of its own in the header (RFC 8725 §3.11), beside
// fastapi-users' audience, so that one never passes for another, also where
// they share a key. The tokens of fastapi-users, whose typ is "JWT", are read
// too.
type MailedTokens struct {
	signer
	reset    bool
	audience string
	lifetime time.Duration
	now      func() time.Time
}

// NewVerifyTokens returns the tokens that prove an address, for
// [authn.Config], or an error that says what is wrong with the keys or the
// options. The first key must be able to sign.
func NewVerifyTokens(keys Keys, cfg MailedConfig) (*MailedTokens, error) {
	return newMailedTokens(keys, cfg, "verify+jwt", VerifyAudience, false)
}

// NewResetTokens returns the tokens with which a forgotten password is
// replaced, for [authn.Config]. See [NewVerifyTokens].
func NewResetTokens(keys Keys, cfg MailedConfig) (*MailedTokens, error) {
	return newMailedTokens(keys, cfg, "reset+jwt", ResetAudience, true)
}

func newMailedTokens(keys Keys, cfg MailedConfig, typ, audience string, reset bool) (*MailedTokens, error) {
	signer, err := newSigner(keys, cfg.Algorithm, cfg.InsecureShortSecret, false, typ, func(typ string) bool { return typ == "jwt" })
	switch {
	case err != nil:
	case !signer.canSign():
		err = errors.New("a public key verifies and can't sign")
	case cfg.Audience != "" && cfg.Audience != audience && strings.HasPrefix(cfg.Audience, reservedAudience):
		err = fmt.Errorf("audience %q is for tokens of another purpose", cfg.Audience)
	case cfg.Lifetime < 0 || 0 < cfg.Lifetime && cfg.Lifetime < time.Second:
		err = errors.New("the lifetime must be at least a second")
	}
	if err != nil {
		return nil, fmt.Errorf("jwt: %s tokens: %w", audience, err)
	}
	if cfg.Lifetime == 0 {
		cfg.Lifetime = defaultLifetime
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Audience != "" {
		audience = cfg.Audience
	}
	return &MailedTokens{signer: signer, reset: reset, audience: audience, lifetime: cfg.Lifetime, now: cfg.Now}, nil
}

// Make returns a token that says what m says, from now for the lifetime.
func (t *MailedTokens) Make(_ context.Context, m authn.Mailed) (authn.Token, error) {
	if m.Subject == "" || m.Email == "" || t.reset && m.PasswordDigest == "" {
		return authn.Token{}, errors.New("jwt: a mailed token needs a subject and an address, and one for a reset the password's digest")
	}
	now := t.now()
	expiresAt := now.Add(t.lifetime).Truncate(time.Second) // as exp says it
	claims := gojwt.MapClaims{
		"sub":   m.Subject,
		"email": m.Email,
		"aud":   t.audience,
		"iat":   now.Unix(),
		"exp":   expiresAt.Unix(),
	}
	if t.reset {
		claims["gen"], claims["password_digest"] = m.Generation, m.PasswordDigest
	}
	value, err := t.sign(claims)
	return authn.Token{Value: value, ExpiresAt: expiresAt}, err
}

// Open verifies a token of this purpose: [authn.ErrInvalidToken], joined with
// golang-jwt's error of that kind.
func (t *MailedTokens) Open(ctx context.Context, token string) (authn.Mailed, error) {
	_, own, err := t.verify(ctx, token)
	if err != nil {
		return authn.Mailed{}, err
	}
	var c mailedClaims
	if err := decodeClaims(payload(token), c.set); err != nil {
		return authn.Mailed{}, err
	}
	now := t.now()
	audiences, ours := 0, false
	if err := c.audience.each(func(aud string) {
		audiences++
		ours = aud == t.audience
	}); err != nil {
		return authn.Mailed{}, err
	}
	switch {
	case c.says.ExpiresAt.IsZero():
		return authn.Mailed{}, errRequiredClaimMissing
	case !now.Before(c.says.ExpiresAt):
		return authn.Mailed{}, errExpired
	case !c.notBefore.IsZero() && now.Before(c.notBefore):
		return authn.Mailed{}, errNotValidYet
	case audiences != 1 || !ours:
		return authn.Mailed{}, errInvalidAudience
	case c.owner() == "":
		return authn.Mailed{}, errInvalidSubject
	}
	mailed := authn.Mailed{Subject: c.owner(), ExpiresAt: c.says.ExpiresAt}
	// What the token dies with, of which it must say something.
	switch {
	case t.reset && !own:
		mailed.PasswordFingerprint = c.fingerprint
		if c.fingerprint == "" {
			return authn.Mailed{}, errRequiredClaimMissing
		}
	case c.email == "" || t.reset && (c.digest == "" || !c.hasGeneration):
		return authn.Mailed{}, errRequiredClaimMissing
	default:
		mailed.Email = c.email
		if t.reset {
			mailed.Generation, mailed.PasswordDigest = c.says.Generation, c.digest
		}
	}
	return mailed, nil
}

// mailedClaims is what is read of a mailed token.
type mailedClaims struct {
	claims
	email, digest, fingerprint string
	hasGeneration              bool
}

func (c *mailedClaims) set(name, value string) (err error) {
	switch name {
	case "email":
		c.email, err = text(value)
	case "password_fgpt":
		c.fingerprint, err = text(value)
	case "gen":
		c.says.Generation, err = strconv.ParseInt(value, 10, 64)
		c.hasGeneration = err == nil
	case "password_digest":
		c.digest, err = text(value)
	default:
		err = c.claims.set(name, value)
	}
	return err
}
