package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/echo-users/echo-users/authn"
)

// source is a provider as it is asked.
type source struct {
	Provider
	client *http.Client
	now    func() time.Time

	discovering chan struct{} // full while somebody does
	mu          sync.Mutex
	found       *discovered
}

// discovered is what a provider publishes of itself (OpenID Connect Discovery
// §3).
type discovered struct {
	endpoint oauth2.Endpoint
	verifier *oidc.IDTokenVerifier
	provider *oidc.Provider
	sendsIss bool // RFC 9207 §3
}

const (
	// patience is how long one question to a provider may take.
	patience = 5 * time.Second
	// maxAnswer is how much of an answer is read, in bytes.
	maxAnswer = 1 << 20
)

func newSource(p Provider, client *http.Client, now func() time.Time) *source {
	return &source{Provider: p, client: bounded(client), now: now, discovering: make(chan struct{}, 1)}
}

// bounded is a client that reads no more than maxAnswer, hands no secret on to
// where a provider redirects a POST, and isn't led out of TLS.
func bounded(client *http.Client) *http.Client {
	if client == nil {
		client = &http.Client{}
	}
	own := *client
	own.Transport = limitedTransport{own.Transport}
	own.CheckRedirect = func(to *http.Request, via []*http.Request) error {
		if len(via) > 3 || via[0].Method != http.MethodGet || via[0].Header.Get("Authorization") != "" ||
			to.URL.Scheme != "https" && (!isSafe(to.URL) || via[0].URL.Scheme == "https") {
			return http.ErrUseLastResponse
		}
		return nil
	}
	if own.Timeout == 0 || own.Timeout > patience {
		own.Timeout = patience
	}
	return &own
}

type limitedTransport struct{ next http.RoundTripper }

func (t limitedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	next := t.next
	if next == nil {
		next = http.DefaultTransport
	}
	res, err := next.RoundTrip(r)
	if err == nil {
		res.Body = limitedBody{io.LimitReader(res.Body, maxAnswer), res.Body}
	}
	return res, err
}

type limitedBody struct {
	io.Reader
	io.Closer
}

// away marks an error that says nothing about the person.
func (s *source) away(err error) error {
	return fmt.Errorf("%w: oauth: provider %q: %w", authn.ErrUnavailable, s.Name, err)
}

// discover asks an OpenID provider what it publishes, once it answers.
func (s *source) discover(ctx context.Context) (*discovered, error) {
	select { // one asks, the others wait for what it hears
	case s.discovering <- struct{}{}:
		defer func() { <-s.discovering }()
	case <-ctx.Done():
		return nil, s.away(ctx.Err())
	}
	s.mu.Lock()
	found := s.found
	s.mu.Unlock()
	if found != nil {
		return found, nil
	}
	// What is found is kept, and shall keep no request.
	own, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	provider, err := oidc.NewProvider(oidc.ClientContext(own, s.client), s.Issuer)
	if err != nil {
		var network net.Error
		var other *oidc.IssuerMismatchError
		switch {
		case errors.As(err, &other):
			err = errors.New("it publishes another issuer than the one that is set up")
		case !errors.As(err, &network): // go-oidc repeats the whole answer
			err = fmt.Errorf("its metadata can't be read: %.60q", err.Error())
		}
		return nil, s.away(err)
	}
	var more struct {
		Keys     string   `json:"jwks_uri"`
		SendsIss bool     `json:"authorization_response_iss_parameter_supported"`
		Methods  []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := provider.Claims(&more); err != nil {
		return nil, s.away(err)
	}
	published := []string{provider.Endpoint().AuthURL, provider.Endpoint().TokenURL, more.Keys}
	if info := provider.UserInfoEndpoint(); info != "" {
		published = append(published, info)
	}
	if err := s.checkPublished(published...); err != nil {
		return nil, s.away(err)
	}
	found = &discovered{endpoint: provider.Endpoint(), provider: provider, sendsIss: more.SendsIss}
	found.endpoint.AuthStyle = oauth2.AuthStyleInHeader // the default (Discovery §3)
	if len(more.Methods) > 0 && !slices.Contains(more.Methods, "client_secret_basic") {
		found.endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	found.verifier = provider.VerifierContext(oidc.ClientContext(context.Background(), s.client), &oidc.Config{ClientID: s.Client.ID, Now: s.now})
	s.mu.Lock()
	s.found = found
	s.mu.Unlock()
	return found, nil
}
