// Package openapi describes an application's routes in OpenAPI 3.1, from what
// the routes and guards say of themselves.
//
//	doc, err := openapi.New(factory, openapi.Config{Title: "Shop"})
//	echo4.Mount(e, doc.Routes()) // GET /openapi.json
//
// Each backend has a security scheme of its own name, so that a documentation
// page (package routes/swaggerui) logs in at each. Routes of the application's
// own join by [Document.Operation]; a document that is there already takes
// ours by [Document.Reflector].
package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"

	openapi "github.com/swaggest/openapi-go"
	"github.com/swaggest/openapi-go/openapi31"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/routes"
)

// Config has the options of [New]. Its zero value works.
type Config struct {
	// Title of the API. Defaults to "API".
	Title string
	// Version of the API. Defaults to "1.0.0".
	Version string
	// Description of the API, in Markdown.
	Description string
	// PublicURL is where the API's root is, such as "https://example.com/api".
	// Defaults to "./", which is where the document is: it holds behind a proxy
	// that strips a prefix, too.
	PublicURL string
	// Path of the document. Defaults to "/openapi.json".
	Path string
	// Reflector has a document of the application's own, which ours joins.
	Reflector *openapi31.Reflector
}

// Document is an OpenAPI document. Add to it before the first request is
// served; reading it is safe for concurrent use.
type Document struct {
	reflector *openapi31.Reflector
	path      string
	schemes   map[string]authn.SecurityScheme
	user      map[string]any // the schema of the key
	answers   reflect.Type   // that has the schema "User"

	once sync.Once
	text []byte
	err  error
}

// New describes the factory's routes, or returns an error that says what can't
// be described.
func New[U authn.User](factory *routes.Factory[U], cfg Config) (*Document, error) {
	if factory == nil {
		return nil, errors.New("openapi: the factory is nil")
	}
	if cfg.Title == "" {
		cfg.Title = "API"
	}
	if cfg.Version == "" {
		cfg.Version = "1.0.0"
	}
	if cfg.Path == "" {
		cfg.Path = "/openapi.json"
	}
	if !strings.HasPrefix(cfg.Path, "/") || strings.ContainsAny(cfg.Path, "{}?#") {
		return nil, fmt.Errorf("openapi: the path %q must begin with a slash and have no parameters", cfg.Path)
	}
	server, err := serverURL(cfg.PublicURL)
	if err != nil {
		return nil, err
	}
	d := &Document{reflector: cfg.Reflector, path: cfg.Path, schemes: map[string]authn.SecurityScheme{}, user: keySchema[U]()}
	if d.reflector == nil {
		d.reflector = openapi31.NewReflector()
		d.reflector.SpecEns().Info.WithTitle(cfg.Title).WithVersion(cfg.Version)
		if cfg.Description != "" {
			d.reflector.Spec.Info.WithDescription(cfg.Description)
		}
	}
	if len(d.reflector.SpecEns().Servers) == 0 {
		d.reflector.Spec.WithServers(openapi31.Server{URL: server})
	}
	for name, schema := range map[string]map[string]any{"BearerToken": tokenSchema, "Problem": problemSchema, "Faults": faultsSchema} {
		if err := d.name(name, schema); err != nil {
			return nil, err
		}
	}
	for _, b := range factory.Manager().Backends() {
		d.describe(b, factory.LoginPath(b.Name()))
	}
	for _, route := range factory.All() {
		if err := d.Add(route); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// serverURL is what the document's paths are appended to.
func serverURL(publicURL string) (string, error) {
	if publicURL == "" {
		return "./", nil
	}
	u, err := url.Parse(publicURL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("openapi: PublicURL must be like https://example.com/api")
	}
	return strings.TrimSuffix(publicURL, "/") + "/", nil
}

// describe adds the security scheme of a backend.
func (d *Document) describe(b authn.Backend, loginPath string) {
	name := b.Name()
	scheme := authn.SecurityScheme{Type: "http", Scheme: name}
	if c, ok := authn.Can[authn.Challenger](b); ok {
		scheme.Scheme = strings.ToLower(c.Challenge())
	}
	if described, ok := authn.Can[authn.SchemeDescriber](b); ok {
		scheme = described.SecurityScheme()
	}
	_, canLogin := authn.Can[authn.LoginBackend](b)
	if scheme.Type == "oauth2" && !canLogin {
		scheme.Type = "http" // its tokens come from elsewhere
	}
	d.schemes[name] = scheme

	var s openapi31.SecurityScheme
	switch scheme.Type {
	case "oauth2":
		tokenURL := scheme.TokenURL
		if tokenURL == "" || tokenURL == "auth/"+name+"/login" { // nobody chose it
			tokenURL = strings.TrimPrefix(loginPath, "/")
		}
		s.WithDescription(fmt.Sprintf("A bearer token of the backend %q.", name))
		s.Oauth2Ens().Flows.PasswordEns().WithTokenURL(tokenURL).WithScopes(map[string]string{})
	case "apiKey":
		s.WithDescription(fmt.Sprintf("The cookie of the backend %q. Log in by Try it out at POST %s: the browser keeps the cookie, and sends it to this origin by itself.", name, loginPath))
		if scheme.In != "cookie" {
			s.WithDescription(fmt.Sprintf("A credential of the backend %q.", name))
		}
		s.APIKeyEns().WithIn(openapi31.SecuritySchemeAPIKeyIn(scheme.In)).WithName(scheme.Name)
	default:
		s.WithDescription(fmt.Sprintf("A credential of the backend %q.", name))
		if scheme.Scheme == "bearer" {
			s.HTTPBearerEns().WithScheme("bearer")
		} else {
			s.HTTPEns().WithScheme(scheme.Scheme)
		}
	}
	d.reflector.Spec.ComponentsEns().WithSecuritySchemesItem(name, openapi31.SecuritySchemeOrReference{SecurityScheme: &s})
}

// Reflector returns what holds the document, for everything that this package
// has no word for.
func (d *Document) Reflector() *openapi31.Reflector { return d.reflector }

// Guard is what [Document.Operation] asks of a guard; every [authn.Guard] has
// it.
type Guard interface {
	Demands() authn.Demands
}

// Operation begins the description of a route of the application's own, with
// what its guard says: the schemes in their order, 401 and 403. guard is nil
// for a route without one. Describe what it takes and answers, and add it:
//
//	op, err := doc.Operation(http.MethodGet, "/orders/{id}", active)
//	op.SetSummary("An order")
//	op.AddRespStructure(new(Order), openapi.WithHTTPStatus(http.StatusOK))
//	err = doc.AddOperation(op)
func (d *Document) Operation(method, path string, guard Guard) (openapi.OperationContext, error) {
	op, err := d.reflector.NewOperationContext(method, path)
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	if guard != nil {
		exposed := op.(openapi31.OperationExposer).Operation()
		d.guard(exposed, guard.Demands(), method)
	}
	return op, nil
}

// AddOperation adds what Operation began.
func (d *Document) AddOperation(op openapi.OperationContext) error {
	if err := d.reflector.AddOperation(op); err != nil {
		return fmt.Errorf("openapi: %w", err)
	}
	return nil
}

// JSON returns the document.
func (d *Document) JSON() ([]byte, error) {
	d.once.Do(func() {
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if d.err = encoder.Encode(d.reflector.Spec); d.err == nil {
			d.text = out.Bytes()
		}
	})
	return d.text, d.err
}

// Routes returns the route that serves the document, to everybody.
func (d *Document) Routes() routes.List {
	return routes.List{{Method: http.MethodGet, Path: d.path, Name: "openapi", Handler: func(w http.ResponseWriter, _ *http.Request) error {
		text, err := d.JSON()
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, err = w.Write(text)
		return err
	}}}
}
