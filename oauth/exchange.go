package oauth

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/linked"
)

func (s *source) isOpenID() bool { return s.Profile == nil }

// endpoint returns where the provider is.
func (s *source) endpoint(ctx context.Context) (oauth2.Endpoint, error) {
	if !s.isOpenID() {
		endpoint := s.Endpoint
		if endpoint.AuthStyle == oauth2.AuthStyleAutoDetect { // it would send a code twice
			endpoint.AuthStyle = oauth2.AuthStyleInParams
		}
		return endpoint, nil
	}
	found, err := s.discover(ctx)
	if err != nil {
		return oauth2.Endpoint{}, err
	}
	return found.endpoint, nil
}

// config is the client's, for a flow that comes back to callback.
func (s *source) config(ctx context.Context, callback string) (*oauth2.Config, error) {
	endpoint, err := s.endpoint(ctx)
	if err != nil {
		return nil, err
	}
	if s.Client.Secret == "" && s.NewSecret == nil { // a public client (RFC 6749 §3.2.1)
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{ClientID: s.Client.ID, Endpoint: endpoint, RedirectURL: callback}, nil
}

// authorizationURL is where the person goes.
func (s *source) authorizationURL(ctx context.Context, callback string, st state, sealed string, scopes []string) (string, error) {
	cfg, err := s.config(ctx, callback)
	if err != nil {
		return "", err
	}
	cfg.Scopes = slices.Clone(scopes)
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(st.Verifier)}
	if s.isOpenID() {
		if !slices.Contains(cfg.Scopes, oidc.ScopeOpenID) {
			cfg.Scopes = append([]string{oidc.ScopeOpenID}, cfg.Scopes...)
		}
		options = append(options, oidc.Nonce(st.Nonce))
	}
	if s.FormPost {
		options = append(options, oauth2.SetAuthURLParam("response_mode", "form_post"))
	}
	for name, value := range s.Parameters {
		options = append(options, oauth2.SetAuthURLParam(name, value))
	}
	return cfg.AuthCodeURL(sealed, options...), nil
}

// checkIssuer holds the answer's iss to the provider's (RFC 9207 §2.4).
func (s *source) checkIssuer(ctx context.Context, iss string) error {
	if s.Issuer == "" {
		return nil
	}
	if iss != "" && iss != s.Issuer {
		return ErrInvalidIssuer
	}
	if iss == "" && s.isOpenID() {
		found, err := s.discover(ctx)
		if err != nil {
			return err
		}
		if found.sendsIss {
			return ErrInvalidIssuer
		}
	}
	return nil
}

// redeem exchanges a code, and returns what the provider says of the person.
func (s *source) redeem(ctx context.Context, callback, code string, st state) (linked.Profile, error) {
	cfg, err := s.config(ctx, callback)
	if err != nil {
		return linked.Profile{}, err
	}
	cfg.ClientSecret = s.Client.Secret
	if s.NewSecret != nil {
		if cfg.ClientSecret, err = s.NewSecret(ctx); err != nil {
			return linked.Profile{}, s.away(err)
		}
	}
	ctx = oidc.ClientContext(ctx, s.client) // x/oauth2 has the same key
	token, err := cfg.Exchange(ctx, code, oauth2.VerifierOption(st.Verifier))
	if err != nil {
		return linked.Profile{}, s.exchangeError(err)
	}
	var p linked.Profile
	if s.isOpenID() {
		p, err = s.identify(ctx, token, st.Nonce)
	} else {
		api := oauth2.NewClient(ctx, oauth2.StaticTokenSource(token))
		// It adds the token to whatever it asks.
		api.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		p, err = s.Profile(ctx, api)
	}
	if err != nil {
		if errors.Is(err, ErrInvalidIDToken) || errors.Is(err, authn.ErrUnavailable) || errors.Is(err, linked.ErrInvalidSubject) {
			return linked.Profile{}, err
		}
		return linked.Profile{}, s.away(err)
	}
	p.Provider, p.Issuer = s.Name, s.Issuer
	p.Email = strings.TrimSpace(p.Email)
	p.Tokens = linked.Tokens{Access: token.AccessToken, Refresh: token.RefreshToken, ExpiresAt: token.Expiry}
	return p, nil
}

// exchangeError tells a code that the provider doesn't take from a provider
// that is away, or that doesn't know the client. What it wrote isn't repeated.
func (s *source) exchangeError(err error) error {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		var network net.Error
		if errors.As(err, &network) {
			return s.away(err)
		}
		return s.away(errors.New("the token endpoint's answer can't be read"))
	}
	status := 0
	if answer.Response != nil {
		status = answer.Response.StatusCode
	}
	switch answer.ErrorCode {
	case "invalid_grant", "bad_verification_code": // the latter is GitHub's
		return ErrInvalidCode
	case "invalid_client", "unauthorized_client", "invalid_request", "unsupported_grant_type", "invalid_scope":
		return s.away(fmt.Errorf("the token endpoint answers %d %s", status, answer.ErrorCode))
	}
	if status == http.StatusBadRequest {
		return ErrInvalidCode
	}
	return s.away(fmt.Errorf("the token endpoint answers %d", status))
}

// idTokenClaims are what is read of an ID token, or of the userinfo endpoint.
type idTokenClaims struct {
	Subject         string
	AuthorizedParty string
	Email           string
	EmailVerified   any // Apple's is a string
}

// protocolClaims say whose word it is, about whom and to whom.
var protocolClaims = []string{"iss", "sub", "aud", "exp", "iat", "nbf", "nonce", "azp", "at_hash"}

// readClaims reads claims by their exact names: encoding/json would take
// "Email_Verified" for ours, and people choose names at some providers. One that
// go-oidc may have taken for a claim of the protocol is an error.
func readClaims(decode func(into any) error) (c idTokenClaims, err error) {
	var all map[string]json.RawMessage
	if err := decode(&all); err != nil {
		return c, err
	}
	for name := range all {
		if slices.ContainsFunc(protocolClaims, func(known string) bool { return name != known && strings.EqualFold(name, known) }) {
			return c, fmt.Errorf("a claim is named %q", name)
		}
	}
	for name, into := range map[string]any{"sub": &c.Subject, "azp": &c.AuthorizedParty, "email": &c.Email, "email_verified": &c.EmailVerified} {
		if value, ok := all[name]; ok && err == nil {
			err = json.Unmarshal(value, into)
		}
	}
	return c, err
}

func (c idTokenClaims) verification() linked.Verification {
	switch c.EmailVerified {
	case true, "true":
		return linked.Verified
	}
	return linked.Unverified // who leaves it out doesn't vouch for the address (Core §5.1)
}

func invalid(format string, values ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalidIDToken}, values...)...)
}

// identify verifies the ID token of a code (OpenID Connect Core §3.1.3.7).
func (s *source) identify(ctx context.Context, token *oauth2.Token, nonce string) (linked.Profile, error) {
	raw, ok := token.Extra("id_token").(string)
	if !ok || raw == "" {
		return linked.Profile{}, invalid("there is none")
	}
	if len(raw) > 64<<10 {
		return linked.Profile{}, invalid("too long")
	}
	found, err := s.discover(ctx)
	if err != nil {
		return linked.Profile{}, err
	}
	id, err := found.verifier.Verify(ctx, raw)
	if err != nil {
		// go-oidc has no kind for keys that could not be fetched.
		if ctx.Err() != nil || strings.Contains(err.Error(), "fetching keys") {
			return linked.Profile{}, s.away(errors.New("its keys can't be fetched"))
		}
		return linked.Profile{}, invalid("%w", err)
	}
	c, err := readClaims(id.Claims)
	if err != nil {
		return linked.Profile{}, invalid("%w", err)
	}
	switch {
	case id.Nonce == "" || subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(nonce)) != 1:
		return linked.Profile{}, invalid("another nonce")
	case c.AuthorizedParty != "" && c.AuthorizedParty != s.Client.ID, len(id.Audience) > 1 && c.AuthorizedParty == "":
		return linked.Profile{}, invalid("it is for another party")
	case id.IssuedAt.IsZero(): // required (Core §2)
		return linked.Profile{}, invalid("it doesn't say when it was issued")
	case id.IssuedAt.After(s.now().Add(5 * time.Minute)):
		return linked.Profile{}, invalid("issued in the future")
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(token.AccessToken); err != nil {
			return linked.Profile{}, invalid("it is of another access token")
		}
	}
	p := linked.Profile{Subject: id.Subject, Email: c.Email, Verification: c.verification()}
	if p.Email == "" && found.provider.UserInfoEndpoint() != "" {
		if err := s.ask(ctx, found, token, &p); err != nil {
			return linked.Profile{}, err
		}
	}
	for _, complete := range []func(func(any) error, *linked.Profile) error{s.own, s.Claims} {
		if complete == nil {
			continue
		}
		if err := complete(id.Claims, &p); err != nil {
			return linked.Profile{}, invalid("%w", err)
		}
	}
	return p, nil
}

// ask has the userinfo endpoint tell the address that the ID token doesn't, of
// the same person (OpenID Connect Core §5.3.4).
func (s *source) ask(ctx context.Context, found *discovered, token *oauth2.Token, p *linked.Profile) error {
	info, err := found.provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return s.away(errors.New("the userinfo endpoint can't be asked"))
	}
	c, err := readClaims(info.Claims)
	if err != nil || c.Subject != p.Subject {
		return invalid("the userinfo endpoint speaks of somebody else")
	}
	p.Email, p.Verification = c.Email, c.verification()
	return nil
}

// GetJSON asks an API and decodes its answer, of at most 1 MiB. Any other status
// than 200 is an error, which says that and repeats nothing.
func GetJSON(ctx context.Context, api *http.Client, address string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return errors.New("the API's address is no URL")
	}
	r.Header.Set("Accept", "application/json")
	res, err := api.Do(r)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) { // without the address, which may have a token in it
			err = inner.Err
		}
		return fmt.Errorf("%s can't be asked: %w", r.URL.Hostname(), err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d", r.URL.Hostname(), res.StatusCode)
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("the answer of %s can't be read", r.URL.Hostname())
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// originOf returns scheme and host of a URL.
func originOf(u *url.URL) string { return u.Scheme + "://" + u.Host }
