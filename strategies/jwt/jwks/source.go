package jwks

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/MicahParks/jwkset"

	"github.com/echo-users/echo-users/strategies/jwt"
)

// Config has the options of [Source]. Its zero value works.
type Config struct {
	// Client asks for the document, for three seconds at most. Defaults to one
	// that follows no redirects.
	Client *http.Client
	// InsecureHTTP allows a URL without TLS, for development: whoever is in
	// between can sign as they like.
	InsecureHTTP bool
}

const (
	timeout = 3 * time.Second
	maxSize = 1 << 20 // bytes of a document
	maxKeys = 100
)

// Source is a source of the keys in a document at this URL (RFC 7517 §5), such
// as https://example.com/.well-known/jwks.json: for a [jwt.KeySet] that
// verifies. The URL is the application's, never a token's. Keys for another use
// than signatures and keys of other kinds than package jwt has are left out;
// a secret is never one. A document without a key that is left is an error.
func Source(documentURL string, cfg Config) jwt.KeySource {
	client := cfg.Client
	if client == nil {
		client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return func(ctx context.Context) ([]jwt.Key, error) {
		if err := checkURL(documentURL, cfg.InsecureHTTP); err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		document, err := get(ctx, client, documentURL)
		if err != nil {
			return nil, fmt.Errorf("jwks: %w", err)
		}
		return parse(document)
	}
}

func checkURL(text string, insecure bool) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && !(insecure && u.Scheme == "http") {
		return errors.New("jwks: the URL must be like https://example.com/.well-known/jwks.json")
	}
	return nil
}

func get(ctx context.Context, client *http.Client, documentURL string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, documentURL, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the document was answered with %s", res.Status)
	}
	document, err := io.ReadAll(io.LimitReader(res.Body, maxSize+1))
	if err == nil && len(document) > maxSize {
		err = fmt.Errorf("the document has more than %d bytes", maxSize)
	}
	return document, err
}

// parse reads the keys of a document that it can use.
func parse(document []byte) ([]jwt.Key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(document, &set); err != nil {
		return nil, errors.New("jwks: the document is no JSON Web Key Set")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("jwks: the document has more than %d keys", maxKeys)
	}
	var keys []jwt.Key
	var ids []string
	for _, text := range set.Keys {
		key, id, ok := parseKey(text)
		if !ok || slices.Contains(ids, id) {
			continue
		}
		keys, ids = append(keys, key), append(ids, id)
	}
	if len(keys) == 0 {
		return nil, errors.New("jwks: the document has no key that can be used")
	}
	return keys, nil
}

func parseKey(text json.RawMessage) (key jwt.Key, id string, ok bool) {
	jwk, err := jwkset.NewJWKFromRawJSON(text, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return key, "", false
	}
	marshalled := jwk.Marshal()
	if marshalled.USE != "" && marshalled.USE != jwkset.UseSig ||
		len(marshalled.KEYOPS) > 0 && !slices.Contains(marshalled.KEYOPS, jwkset.KeyOpsVerify) {
		return key, "", false
	}
	public := jwk.Key()
	if private, ok := public.(crypto.Signer); ok {
		public = private.Public()
	}
	key = jwt.PublicKey(public)
	if marshalled.ALG != "" {
		key = key.WithAlgorithm(jwt.Algorithm(marshalled.ALG))
	}
	if marshalled.KID != "" {
		key = key.WithID(marshalled.KID)
	}
	return key, key.ID(), key.Err() == nil
}
