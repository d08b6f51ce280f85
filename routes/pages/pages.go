// Package pages has the two pages that mailed links lead to: one verifies an
// address, one sets a new password. Opening them uses nothing up, for mail
// scanners open links too; their form, sent by POST, does.
//
//	echo4.Mount(e, pages.Routes(users))
//
// They are plain HTML without scripts, and templates of the application's own
// where [Config] has them. Package mail builds the links.
package pages

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/routes"
)

// Config has the options of [New]. Its zero value works.
type Config struct {
	// VerifyPath is the path of the page that verifies. Defaults to "/verify".
	VerifyPath string
	// ResetPath is the path of the page that sets a new password. Defaults to
	// "/reset-password".
	ResetPath string
	// Templates are the application's own verify.html and reset-password.html,
	// with [Page] as data. Defaults to built-in ones, which also stand in for
	// one that is missing.
	Templates fs.FS
	// Next is where a person goes on when all is done, such as "/login": a link
	// on the page. Defaults to none.
	Next string
	// BodyLimit is how many bytes of a form are read; beyond it is 413.
	// Defaults to 64 KiB.
	BodyLimit int64
	// Timeout is how long a form may take; beyond it is 503. Defaults to eight
	// seconds.
	Timeout time.Duration
	// Limit bounds how often forms are sent: Limited, of the factory that makes
	// the other routes ([routes.Factory]). Defaults to no bound.
	Limit func(name string, h routes.Handler) routes.Handler
}

// Page is what templates get.
type Page struct {
	// Action is where the form goes, as a relative reference.
	Action string
	// Token is for the form's hidden field "token". The other field, of
	// reset-password.html alone, is "password".
	Token string
	// Form says whether there is a form to show.
	Form bool
	// Done says that it has happened.
	Done bool
	// Next is where a person goes on, if anywhere.
	Next string
	// Problem says why it has not happened.
	Problem Problem
	// Reason is the password policy's, of a [WeakPassword].
	Reason string
}

// Problem says why something has not happened.
type Problem string

const (
	// BadLink: the token is missing, no token, void, expired or used up.
	BadLink Problem = "bad-link"
	// AlreadyVerified: there is nothing left to verify.
	AlreadyVerified Problem = "already-verified"
	// WeakPassword: the policy refuses it, for a reason. The token isn't used up.
	WeakPassword Problem = "weak-password"
	// LongPassword: it is too long or no text. The token isn't used up.
	LongPassword Problem = "long-password"
	// TryLater: something is away or too busy. The token isn't used up.
	TryLater Problem = "try-later"
)

//go:embed templates/*.html
var builtIn embed.FS

const (
	verifyFile = "verify.html"
	resetFile  = "reset-password.html"
)

// Routes returns both pages with their defaults. For anything else call [New].
func Routes[U authn.User](users *authn.Users[U]) routes.List {
	list, err := New(users, Config{})
	if err != nil {
		panic(err) // no users
	}
	return list
}

// New returns the pages: GET, HEAD and POST for each that the manager has
// tokens for ([authn.Config] VerifyTokens, ResetTokens). It tries the templates.
//
// Their answers are pages, with the status and Retry-After of the routes in
// package routes. The causes of 5xx are logged.
func New[U authn.User](users *authn.Users[U], cfg Config) (routes.List, error) {
	if users == nil {
		return nil, errors.New("pages: users is nil")
	}
	if cfg.VerifyPath == "" {
		cfg.VerifyPath = "/verify"
	}
	if cfg.ResetPath == "" {
		cfg.ResetPath = "/reset-password"
	}
	for _, p := range []string{cfg.VerifyPath, cfg.ResetPath} {
		if !strings.HasPrefix(p, "/") || path.Clean(p) != p || p == "/" || strings.ContainsAny(p, ":*{}?#%") {
			return nil, fmt.Errorf("pages: the path %q must begin with a slash, end without one, and have no parameters", p)
		}
	}
	if cfg.BodyLimit == 0 {
		cfg.BodyLimit = 64 << 10
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 8 * time.Second
	}
	if cfg.BodyLimit < 0 || cfg.Timeout < 0 {
		return nil, errors.New("pages: the body limit or the timeout is negative")
	}
	var list routes.List
	add := func(path, name, file string, submit func(ctx context.Context, form url.Values) error) error {
		t, err := parse(cfg.Templates, file)
		if err != nil {
			return err
		}
		p := page{cfg: cfg, path: path, template: t, logger: users.Logger(), submit: submit}
		if cfg.Limit != nil {
			p.limit = func(h routes.Handler) routes.Handler { return cfg.Limit("pages:"+name, h) }
		}
		list = append(list,
			routes.Route{Method: http.MethodGet, Path: path, Name: "pages:" + name, Handler: p.show},
			routes.Route{Method: http.MethodHead, Path: path, Name: "pages:" + name, Handler: p.show},
			routes.Route{Method: http.MethodPost, Path: path, Name: "pages:" + name, Handler: p.post})
		return nil
	}
	var err error
	if users.CanVerify() {
		err = add(cfg.VerifyPath, "verify", verifyFile, func(ctx context.Context, form url.Values) error {
			_, err := users.Verify(ctx, form.Get("token"))
			return err
		})
	}
	if users.CanResetPassword() && err == nil {
		err = add(cfg.ResetPath, "reset-password", resetFile, func(ctx context.Context, form url.Values) error {
			password := form.Get("password")
			if !utf8.ValidString(password) {
				return authn.ErrPasswordTooLong
			}
			_, err := users.ResetPassword(ctx, form.Get("token"), password)
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	return list, nil
}

// parse reads a template, and tries it with every kind of page.
func parse(own fs.FS, file string) (*template.Template, error) {
	source, err := fs.ReadFile(builtIn, "templates/"+file)
	if own != nil {
		if data, ownErr := fs.ReadFile(own, file); ownErr == nil {
			source = data
		} else if !errors.Is(ownErr, fs.ErrNotExist) {
			err = ownErr
		}
	}
	if err != nil {
		return nil, fmt.Errorf("pages: the template %s: %w", file, err)
	}
	t, err := template.New(file).Parse(string(source))
	if err != nil {
		return nil, fmt.Errorf("pages: the template %w", err)
	}
	samples := []Page{{Form: true}, {Done: true}, {Done: true, Next: "/login"}}
	for _, problem := range []Problem{BadLink, AlreadyVerified, WeakPassword, LongPassword, TryLater} {
		samples = append(samples, Page{Problem: problem, Reason: "Reason"}, Page{Problem: problem, Reason: "Reason", Form: true})
	}
	for _, sample := range samples {
		sample.Action, sample.Token = "action", "sampletoken"
		var shown strings.Builder
		if err := t.Execute(&shown, sample); err != nil {
			return nil, fmt.Errorf("pages: the template %w", err)
		}
		if sample.Form && !strings.Contains(shown.String(), sample.Token) {
			return nil, fmt.Errorf("pages: the template %s has a form without .Token", file)
		}
	}
	return t, nil
}

// page is one of the pages.
type page struct {
	cfg      Config
	path     string
	template *template.Template
	logger   *slog.Logger
	submit   func(ctx context.Context, form url.Values) error
	limit    func(routes.Handler) routes.Handler // or nil
}

// show shows the form.
func (p page) show(w http.ResponseWriter, r *http.Request) error {
	query, _ := url.ParseQuery(r.URL.RawQuery) // what can't be read is no token
	token := query.Get("token")
	if token == "" || len(token) > authn.MaxCredentialSize {
		return p.answer(w, r, http.StatusBadRequest, Page{Problem: BadLink})
	}
	return p.answer(w, r, http.StatusOK, Page{Form: true, Token: token})
}

// post does what the form is for.
func (p page) post(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), p.cfg.Timeout)
	defer cancel()
	if authn.ClientFrom(ctx) == (authn.Client{}) {
		ctx = authn.WithClient(ctx, connection(r))
	}
	r = r.WithContext(ctx)
	form, err := p.read(w, r)
	if err == nil {
		var submit routes.Handler = func(_ http.ResponseWriter, r *http.Request) error { return p.submit(r.Context(), form) }
		if p.limit != nil {
			submit = p.limit(submit)
		}
		err = submit(w, r)
	}
	if err == nil {
		return p.answer(w, r, http.StatusOK, Page{Done: true, Next: p.cfg.Next})
	}

	refusal := authn.AsHTTPError(err)
	status, data := refusal.Status, Page{Problem: TryLater, Form: true, Token: form.Get("token")}
	var weak *authn.PasswordError
	switch {
	case errors.Is(err, authn.ErrInvalidToken):
		status, data = http.StatusBadRequest, Page{Problem: BadLink}
	case errors.Is(err, authn.ErrAlreadyVerified):
		data = Page{Problem: AlreadyVerified, Next: p.cfg.Next}
	case errors.As(err, &weak):
		data.Problem, data.Reason = WeakPassword, weak.Reason
	case errors.Is(err, authn.ErrPasswordTooLong):
		data.Problem = LongPassword
	case status == http.StatusTooManyRequests: // as it is
	case status < http.StatusInternalServerError:
		data = Page{Problem: BadLink}
	default:
		p.logger.ErrorContext(ctx, "pages: a form failed", slog.String("path", p.path), slog.Any("error", err))
	}
	data.Form = data.Form && data.Token != ""
	maps.Copy(w.Header(), refusal.Header)
	return p.answer(w, r, status, data)
}

// connection is who sends a request, for events. Limited knows better behind a
// proxy.
func connection(r *http.Request) authn.Client {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return authn.Client{Address: host, UserAgent: r.UserAgent()}
}

// read returns the fields of the form. The query counts for nothing.
func (p page) read(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	unprocessable := func(err error) error {
		return &authn.HTTPError{Status: http.StatusUnprocessableEntity, Err: err}
	}
	form := r.PostForm // of something before us
	if form == nil {
		media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if media != "application/x-www-form-urlencoded" {
			return nil, unprocessable(errors.New("pages: the body is no form"))
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, p.cfg.BodyLimit))
		if err != nil && authn.AsHTTPError(err).Status == http.StatusRequestEntityTooLarge {
			return nil, err
		}
		if err == nil {
			form, err = url.ParseQuery(string(body))
		}
		if err != nil {
			return nil, unprocessable(errors.New("pages: the form can't be read"))
		}
	}
	if len(form["token"]) != 1 || form.Get("token") == "" || len(form["password"]) > 1 {
		return nil, unprocessable(errors.New("pages: the form has no token, or a field twice"))
	}
	return form, nil
}

// answer writes the page. Nothing of it is kept, and its address, which has
// the token, is told to nobody.
func (p page) answer(w http.ResponseWriter, r *http.Request, status int, data Page) error {
	data.Action = path.Base(p.path)
	var body bytes.Buffer
	if err := p.template.Execute(&body, data); err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body.Bytes()) // a client that is gone needs no answer
	}
	return nil
}
