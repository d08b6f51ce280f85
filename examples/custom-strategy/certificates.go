package main

import (
	"net/http"

	"github.com/echo-users/echo-users/authn"
)

// Certificates is a backend without a token: it recognises the machines whose
// client certificates the server's TLS configuration has verified, by the name
// in the certificate.
type Certificates struct {
	// Users maps the names to users' ids.
	Users map[string]string
}

// Name returns "certificate".
func (Certificates) Name() string { return "certificate" }

// Authenticate looks at a verified certificate, never at one that was merely
// presented.
func (c Certificates) Authenticate(r *http.Request) (authn.Identity, error) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return authn.Identity{}, authn.ErrNoCredential
	}
	certificate := r.TLS.VerifiedChains[0][0]
	id, ok := c.Users[certificate.Subject.CommonName]
	if !ok {
		return authn.Identity{}, authn.ErrInvalidToken
	}
	return authn.Identity{Subject: id, ExpiresAt: certificate.NotAfter}, nil
}
