package jwt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"

	"github.com/echo-users/echo-users/authn"
)

// DefaultAudience is the audience of fastapi-users' access tokens.
const DefaultAudience = "fastapi-users:auth"

// reservedAudience begins the audiences of fastapi-users' tokens of every
// kind: an access token is for [DefaultAudience] or for none of them.
const reservedAudience = "fastapi-users:"

// Config has the options of [New]. Its zero value makes and reads the tokens
// of fastapi-users' JWTStrategy.
type Config struct {
	// Algorithm must fit the key. Defaults to HS256, RS256, ES256 or EdDSA,
	// after the kind of key.
	Algorithm Algorithm
	// Lifetime of the tokens. Defaults to one hour.
	Lifetime time.Duration
	// Audience is written into tokens; a token is accepted that names one of
	// them. Defaults to [DefaultAudience] alone.
	Audience []string
	// Issuer is written into tokens and demanded of them. Defaults to none,
	// and then any is accepted.
	Issuer string
	// Leeway is how far clocks may differ at exp and nbf. Defaults to zero;
	// at most five minutes.
	Leeway time.Duration
	// RenewFor is how long after the log-in a valid token gets a fresh one for
	// nothing but itself ([Strategy.Renew]), and when the last of them ends.
	// Whoever has a copy of one can go on with it until then; refresh tokens
	// ([backends.WithSessions]) notice that. Defaults to not at all.
	//
	// [backends.WithSessions]: https://pkg.go.dev/github.com/echo-users/echo-users/backends#WithSessions
	RenewFor time.Duration
	// Claims adds claims of the application's own; see [ClaimsOf].
	Claims ClaimsFunc
	// KeepVerified keeps what tokens say that were verified lately, 4096 of them
	// of up to 2 KiB, by their SHA-256, so that one that comes again isn't
	// verified again: not after it expires, nor when the keys change, nor where a
	// [Revocable] knows it as revoked. docs/performance has what it saves.
	KeepVerified bool

	// InsecureShortSecret allows a secret shorter than its hash, which can be
	// guessed offline from a single token (RFC 8725 §3.5).
	InsecureShortSecret bool
	// SkipAudience accepts tokens for any audience, and writes none unless
	// Audience is set. Tokens that say that they are for another purpose are
	// refused all the same. Those that fastapi-users mails to verify an address
	// say it by their audience alone: where the Python application has another
	// verification_token_audience, give them a key of their own.
	SkipAudience bool
	// SkipExpiry accepts tokens without exp, which nothing but a new password
	// ends, and writes none unless Lifetime is set. An exp that is there counts.
	SkipExpiry bool

	// Now is the clock. Defaults to [time.Now].
	Now func() time.Time
}

const (
	defaultLifetime = time.Hour
	maxLeeway       = 5 * time.Minute
)

// Strategy issues and reads JSON Web Tokens. It implements [authn.Strategy]
// and is safe for concurrent use.
type Strategy struct {
	signer
	cfg   Config
	newID func() string // makes the jti of tokens, or is nil
}

// New returns a strategy of these keys, or an error that says what is wrong
// with them or the options. With a [PublicKey] it is a verifier, which can't
// issue.
func New(keys Keys, cfg Config) (*Strategy, error) {
	signer, err := newSigner(keys, cfg.Algorithm, cfg.InsecureShortSecret, cfg.KeepVerified, "JWT", isAccessType)
	if err != nil {
		return nil, fmt.Errorf("jwt: %w", err)
	}
	if cfg.Lifetime < 0 || 0 < cfg.Lifetime && cfg.Lifetime < time.Second {
		return nil, errors.New("jwt: the lifetime must be at least a second") // exp counts seconds
	}
	if cfg.RenewFor < 0 {
		return nil, errors.New("jwt: RenewFor must not be negative")
	}
	if cfg.Leeway < 0 || cfg.Leeway > maxLeeway {
		return nil, fmt.Errorf("jwt: the leeway must be between 0 and %v", maxLeeway)
	}
	if cfg.Lifetime == 0 && !cfg.SkipExpiry {
		cfg.Lifetime = defaultLifetime
	}
	cfg.Audience = slices.Clone(cfg.Audience)
	if len(cfg.Audience) == 0 && !cfg.SkipAudience {
		cfg.Audience = []string{DefaultAudience}
	}
	for _, aud := range cfg.Audience {
		if aud == "" {
			return nil, errors.New("jwt: an audience is empty")
		}
		if isForeignPurpose(aud) {
			return nil, fmt.Errorf("jwt: audience %q is for tokens of another purpose", aud)
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Strategy{signer: signer, cfg: cfg}, nil
}

// isAccessType accepts "JWT", as fastapi-users writes it, and "at+jwt" of
// RFC 9068 §2.1.
func isAccessType(typ string) bool { return typ == "jwt" || typ == "at+jwt" }

// CanIssue reports whether the strategy has a key that signs.
func (s *Strategy) CanIssue() bool { return s.canSign() }

// Issue makes a token that says what id says, from now for the strategy's
// lifetime.
func (s *Strategy) Issue(ctx context.Context, id authn.Identity) (authn.Token, error) {
	if !s.CanIssue() {
		return authn.Token{}, fmt.Errorf("%w: jwt: a public key verifies and can't sign", authn.ErrNotSupported)
	}
	if id.Subject == "" {
		return authn.Token{}, errors.New("jwt: the identity has no subject")
	}
	set := gojwt.MapClaims{"sub": id.Subject}
	now := s.cfg.Now()
	set["iat"] = now.Unix()
	var expiresAt time.Time
	if s.cfg.Lifetime > 0 {
		expiresAt = now.Add(s.cfg.Lifetime)
	}
	if !id.ExpiresAt.IsZero() && (expiresAt.IsZero() || id.ExpiresAt.Before(expiresAt)) {
		expiresAt = id.ExpiresAt
	}
	if !expiresAt.IsZero() {
		expiresAt = expiresAt.Truncate(time.Second) // as exp says it
		set["exp"] = expiresAt.Unix()
	}
	if len(s.cfg.Audience) > 0 {
		set["aud"] = s.cfg.Audience
	}
	if s.cfg.Issuer != "" {
		set["iss"] = s.cfg.Issuer
	}
	if id.Generation != 0 {
		set["gen"] = id.Generation
	}
	if !id.AuthTime.IsZero() { // iat says nothing of it (OpenID Connect Core §2)
		set["auth_time"] = id.AuthTime.Unix()
	}
	if id.SessionID == "" && s.newID != nil && s.cfg.RenewFor > 0 {
		id.SessionID = s.newID() // what a log-out ends, however often it was renewed
	}
	if id.SessionID != "" {
		set["sid"] = id.SessionID
	}
	if len(id.Methods) > 0 {
		set["amr"] = id.Methods
	}
	if s.newID != nil {
		set["jti"] = s.newID()
	}
	if id.Renewed {
		set["renewed"] = true
	}
	if len(id.Scopes) > 0 {
		set["scope"] = strings.Join(id.Scopes, " ")
	}
	if s.cfg.Claims != nil {
		custom, err := s.cfg.Claims(ctx, id)
		if err != nil {
			return authn.Token{}, err
		}
		if err := addCustom(set, custom); err != nil {
			return authn.Token{}, err
		}
	}
	value, err := s.sign(set)
	if err != nil {
		return authn.Token{}, err
	}
	return authn.Token{Value: value, ExpiresAt: expiresAt}, nil
}

// CanRenew reports whether [Config.RenewFor] lets tokens be renewed.
func (s *Strategy) CanRenew() bool { return s.cfg.RenewFor > 0 && s.CanIssue() }

// Renew returns what the token says that comes after one of id: the same but
// for times. [authn.ErrInvalidToken] where the log-in is too long ago, or
// unknown.
func (s *Strategy) Renew(id authn.Identity) (authn.Identity, error) {
	end := id.AuthTime.Add(s.cfg.RenewFor)
	if !s.CanRenew() || id.AuthTime.IsZero() || !s.cfg.Now().Before(end) {
		return authn.Identity{}, errExpired
	}
	id.Renewed, id.ExpiresAt, id.Claims = true, end, ""
	return id, nil
}

// Read verifies a token: signature first, then its claims. Whatever is wrong
// with it is [authn.ErrInvalidToken], joined with golang-jwt's error of that
// kind, such as jwt.ErrTokenExpired. Any other error means that a [KeySet] could
// not look for the key that the token names.
func (s *Strategy) Read(ctx context.Context, token string) (id authn.Identity, err error) {
	var room claims
	c, err := s.read(ctx, token, &room)
	if err == nil {
		id = c.identity()
	}
	return id, err
}

// read verifies a token and returns its claims: decoded into room, or those that
// are kept, which are nobody's to change.
func (s *Strategy) read(ctx context.Context, token string, room *claims) (*claims, error) {
	var sum digest
	keeps := s.cfg.KeepVerified && len(token) <= maxVerifiedSize
	if keeps {
		sum = digestOf(token)
		if kept := s.ring.Load().verified.recall(&sum); kept != nil {
			return kept, s.validateTimes(kept)
		}
	}
	by, _, err := s.verify(ctx, token)
	if err != nil {
		return nil, err
	}
	if err := decodeClaims(payload(token), room.set); err != nil {
		return nil, err
	}
	if err := s.validateTimes(room); err != nil {
		return nil, err
	}
	if err := s.validate(room); err != nil {
		return nil, err
	}
	room.says.Subject, room.says.Claims = room.owner(), payload(token)
	if keeps {
		by.verified.keep(&sum, room, s.cfg.Now())
	}
	return room, nil
}

// validateTimes checks the times of a token whose signature is good
// (RFC 7519 §4.1.4, §4.1.5).
func (s *Strategy) validateTimes(c *claims) error {
	now := s.cfg.Now()
	if c.says.ExpiresAt.IsZero() {
		if !s.cfg.SkipExpiry {
			return errRequiredClaimMissing
		}
	} else if !now.Before(c.says.ExpiresAt.Add(s.cfg.Leeway)) {
		return errExpired
	}
	if !c.notBefore.IsZero() && now.Before(c.notBefore.Add(-s.cfg.Leeway)) {
		return errNotValidYet
	}
	return nil
}

// validate checks what a token whose signature is good says for ever: for whom
// it is, from whom, and about whom (RFC 7519 §4.1, RFC 8725 §3.8 to §3.12).
func (s *Strategy) validate(c *claims) error {
	if s.cfg.Issuer != "" && c.issuer != s.cfg.Issuer {
		return errInvalidIssuer
	}
	ours, foreign := s.cfg.SkipAudience, c.mailed
	if err := c.audience.each(func(aud string) {
		ours = ours || slices.Contains(s.cfg.Audience, aud)
		foreign = foreign || isForeignPurpose(aud)
	}); err != nil {
		return err
	}
	if foreign || !ours {
		return errInvalidAudience
	}
	if c.owner() == "" {
		return errInvalidSubject
	}
	return nil
}

func isForeignPurpose(aud string) bool {
	return strings.HasPrefix(aud, reservedAudience) && aud != DefaultAudience
}
