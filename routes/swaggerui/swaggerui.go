// Package swaggerui has the page on which a person reads an OpenAPI document,
// logs in and tries the routes: Swagger UI (github.com/swaggest/swgui), without
// a file from elsewhere.
//
//	echo4.Mount(e, swaggerui.Routes())
//
// It shows the document at "openapi.json" beside it, which package
// routes/openapi makes.
package swaggerui

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/swaggest/swgui/v5/static"
	"github.com/vearutop/statigz"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/routes"
)

// Config has the options of [New]. Its zero value works.
type Config struct {
	// Path of the page. Defaults to "/docs". Its files are below it.
	Path string
	// Title of the page. Defaults to "API".
	Title string
	// Document is where the document is, as a reference that the browser
	// resolves against the page's address, so that it also finds it behind a
	// proxy that strips a prefix. Defaults to "openapi.json".
	Document string
	// Connect are the origins, such as "https://api.example.com", that the page
	// may send requests to beside its own: where the document names them as
	// servers.
	Connect []string
}

var (
	//go:embed index.html
	indexHTML string
	//go:embed start.js
	startJS []byte

	index = template.Must(template.New("index.html").Parse(indexHTML))
	files = statigz.FileServer(static.FS)
)

// Routes returns the page and its files with the defaults. For anything else
// call [New].
func Routes() routes.List {
	list, err := New(Config{})
	if err != nil {
		panic(err) // the defaults are right
	}
	return list
}

// New returns the page and its files, or an error that says which option is
// wrong. Anybody may read them: mount them behind a guard where the routes are
// nobody's business.
func New(cfg Config) (routes.List, error) {
	if cfg.Path == "" {
		cfg.Path = "/docs"
	}
	if cfg.Title == "" {
		cfg.Title = "API"
	}
	if cfg.Document == "" {
		cfg.Document = "openapi.json"
	}
	if !strings.HasPrefix(cfg.Path, "/") || path.Clean(cfg.Path) != cfg.Path || cfg.Path == "/" || strings.ContainsAny(cfg.Path, ":*{}?#%") {
		return nil, fmt.Errorf("swaggerui: the path %q must begin with a slash, end without one, and have no parameters", cfg.Path)
	}
	document, err := url.Parse(cfg.Document)
	if err != nil || document.Scheme != "" && document.Scheme != "https" && document.Scheme != "http" {
		return nil, errors.New("swaggerui: Document must be a reference to a document over HTTP")
	}
	policy, err := contentPolicy(cfg, document)
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	if err := index.Execute(&page, struct{ Title, Document, Assets string }{cfg.Title, cfg.Document, path.Base(cfg.Path)}); err != nil {
		return nil, err
	}
	show := func(w http.ResponseWriter, _ *http.Request) error {
		header := w.Header()
		header.Set("Content-Type", "text/html; charset=utf-8")
		header.Set("Content-Security-Policy", policy)
		header.Set("Cache-Control", "no-cache")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("X-Content-Type-Options", "nosniff")
		_, err := w.Write(page.Bytes())
		return err
	}
	return routes.List{
		{Method: http.MethodGet, Path: cfg.Path, Name: "docs", Handler: show},
		{Method: http.MethodGet, Path: cfg.Path + "/{file}", Name: "docs:file", Handler: serveFile},
	}, nil
}

// serveFile answers with a file of the page.
func serveFile(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("file")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch name {
	case "start.js":
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		_, err := w.Write(startJS)
		return err
	case "swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png":
		other := r.Clone(r.Context())
		other.URL.Path, other.URL.RawPath = "/"+name, ""
		files.ServeHTTP(w, other)
		return nil
	}
	return &authn.HTTPError{Status: http.StatusNotFound, Detail: http.StatusText(http.StatusNotFound)}
}

// contentPolicy allows what the page needs: its own scripts and requests, and
// styles within elements, which Swagger UI has.
func contentPolicy(cfg Config, document *url.URL) (string, error) {
	connect := []string{"'self'"}
	if document.Host != "" {
		connect = append(connect, document.Scheme+"://"+document.Host)
	}
	for _, origin := range cfg.Connect {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Scheme+"://"+u.Host != origin || strings.ContainsAny(origin, " ;,'\"") {
			return "", fmt.Errorf("swaggerui: %q is no origin, such as https://api.example.com", origin)
		}
		connect = append(connect, origin)
	}
	return "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src " +
		strings.Join(connect, " ") + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", nil
}
