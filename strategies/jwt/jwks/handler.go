package jwks

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/MicahParks/jwkset"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/strategies/jwt"
)

// publisher is a strategy with public keys, as [jwt.Strategy] is.
type publisher interface {
	PublicKeys() []jwt.VerificationKey
}

// Handler serves the public keys of these backends, as they are when they are
// asked for. A backend of secrets publishes none; one that has no JWTs at all
// is an error, and so is none that could ever publish a key.
func Handler(backends ...authn.Backend) (http.Handler, error) {
	var publishers []publisher
	for _, b := range backends {
		strategy, _ := authn.Can[authn.Strategy](b)
		p, ok := strategy.(publisher)
		if !ok {
			return nil, fmt.Errorf("jwks: the backend %q has no JSON Web Tokens", b.Name())
		}
		publishers = append(publishers, p)
	}
	if len(publishers) == 0 {
		return nil, errors.New("jwks: no backend")
	}
	return handler(publishers), nil
}

type handler []publisher

// ServeHTTP answers with the key set.
func (h handler) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	set, err := h.marshal()
	if err != nil {
		authn.WriteError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "public, max-age=60")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(set) // a client that is gone needs no answer
}

func (h handler) marshal() ([]byte, error) {
	set := jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{}}
	published := map[string]bool{}
	for _, p := range h {
		for _, key := range p.PublicKeys() {
			if published[key.ID] {
				continue // of two backends
			}
			published[key.ID] = true
			jwk, err := jwkset.NewJWKFromKey(key.Key, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{
				ALG: jwkset.ALG(key.Algorithm), KID: key.ID, USE: jwkset.UseSig,
			}})
			if err != nil {
				return nil, fmt.Errorf("jwks: %w", err)
			}
			set.Keys = append(set.Keys, jwk.Marshal())
		}
	}
	return json.Marshal(set)
}
