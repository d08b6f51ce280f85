package oauth

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/linked"
	"github.com/echo-users/echo-users/routes"
)

// MethodFederated says that another provider has authenticated the person. It
// is no value of RFC 8176; Microsoft's ID tokens have it.
const MethodFederated = "fed"

// Config has the options of [New].
type Config struct {
	// PublicURL is where browsers find the application: providers send people
	// back to routes below it. Never taken from a request.
	PublicURL string
	// Keys seal the state of flows.
	Keys *linked.Keys
	// RedirectTo is where "redirect_to" may lead: paths of this host, or URLs with
	// their path. Below an entry that ends in a slash is allowed as well.
	// Defaults to nowhere.
	RedirectTo []string
	// StateLifetime is how long a person may take at a provider. Defaults to 15
	// minutes.
	StateLifetime time.Duration
	// Fresh asks who links or unlinks an account to have authenticated no longer
	// ago ([authn.Fresh]). Defaults to not at all.
	Fresh time.Duration
	// Client asks the providers, no longer than five seconds for an answer.
	// Defaults to one of its own.
	Client *http.Client
	// InsecureHTTP allows a PublicURL without TLS, for development: the cookie has
	// neither Secure nor its prefix then.
	InsecureHTTP bool
	// Now is the clock. Defaults to [time.Now].
	Now func() time.Time
}

// OAuth logs people in by accounts that they have at providers, and links
// those to users. Safe for concurrent use.
type OAuth[U authn.User] struct {
	factory  *routes.Factory[U]
	users    *authn.Users[U]
	store    linked.Store
	accounts *linked.Accounts[U]
	sources  []*source
	allowed  allowList
	cfg      Config
	guard    *authn.Guard[U] // of who links and unlinks
	reader   *authn.Guard[U]
}

// New returns the log-in by these providers, whose routes go beside those of
// the factory ([OAuth.Routes]). An error says what is wrong with the options or
// a provider. It asks no provider: one that is away now may be back later.
func New[U authn.User](factory *routes.Factory[U], store linked.Store, cfg Config, providers ...Provider) (*OAuth[U], error) {
	if factory == nil || store == nil {
		return nil, errors.New("oauth: the factory or the store of linked accounts is nil")
	}
	if cfg.Keys == nil {
		return nil, errors.New("oauth: Keys is nil: make one with linked.ParseKeys")
	}
	var err error
	if cfg.PublicURL, err = parsePublicURL(cfg.PublicURL, cfg.InsecureHTTP); err != nil {
		return nil, err
	}
	if cfg.StateLifetime == 0 {
		cfg.StateLifetime = 15 * time.Minute
	}
	if cfg.StateLifetime < time.Second || cfg.StateLifetime > 24*time.Hour {
		return nil, errors.New("oauth: StateLifetime must be between a second and a day")
	}
	if cfg.Fresh != 0 && cfg.Fresh < time.Second {
		return nil, errors.New("oauth: Fresh must be at least a second")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	o := &OAuth[U]{factory: factory, users: factory.Manager(), store: store, cfg: cfg}
	if o.allowed, err = newAllowList(cfg.RedirectTo); err != nil {
		return nil, err
	}
	var names []string
	for _, p := range providers {
		if err := p.check(); err != nil {
			return nil, err
		}
		if slices.Contains(names, p.Name) {
			return nil, fmt.Errorf("oauth: two providers are named %q", p.Name)
		}
		if _, taken := o.users.Backend(p.Name); taken {
			return nil, fmt.Errorf("oauth: %q is the name of a backend, too: give the provider another Name", p.Name)
		}
		if p.Backends, err = o.logInAt(p); err != nil {
			return nil, err
		}
		names = append(names, p.Name)
		o.sources = append(o.sources, newSource(p, cfg.Client, cfg.Now))
	}
	if o.accounts, err = linked.New(o.users, store, names...); err != nil {
		return nil, err
	}
	o.reader = o.users.CurrentUser(authn.Active)
	o.guard = o.reader
	if cfg.Fresh > 0 {
		o.guard = o.users.CurrentUser(authn.Active, authn.Fresh(cfg.Fresh))
	}
	return o, nil
}

// logInAt returns the names of the backends where a provider logs people in.
func (o *OAuth[U]) logInAt(p Provider) ([]string, error) {
	var all []string
	for _, b := range o.users.Backends() {
		if _, ok := authn.Can[authn.LoginBackend](b); ok {
			all = append(all, b.Name())
		}
	}
	if p.Backends == nil {
		if len(all) == 0 {
			return nil, errors.New("oauth: there is no backend to log in at")
		}
		return all, nil
	}
	for _, name := range p.Backends {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("oauth: provider %q: no backend %q issues credentials", p.Name, name)
		}
	}
	if len(p.Backends) == 0 {
		return nil, fmt.Errorf("oauth: provider %q has no backend", p.Name)
	}
	return slices.Clone(p.Backends), nil
}

// Accounts returns the manager of the linked accounts.
func (o *OAuth[U]) Accounts() *linked.Accounts[U] { return o.accounts }

func (o *OAuth[U]) callback(s *source, flow flowKind) string {
	own, path := s.CallbackURL, o.factory.AuthPath("/"+s.Name+"/callback")
	if flow == flowLink {
		own, path = s.AssociateURL, o.factory.AuthPath("/associate/"+s.Name+"/callback")
	}
	if own != "" {
		return own
	}
	return o.cfg.PublicURL + path
}

// authorize begins a flow: it answers with where the person goes on, or sends
// them there where the request says whereto they want to come back.
func (o *OAuth[U]) authorize(r *http.Request, s *source, flow flowKind, backend, userID string) (*authn.Response, error) {
	query := r.URL.Query()
	scopes := query["scopes"]
	if len(scopes) == 0 {
		scopes = s.Scopes
	}
	if len(scopes) > 32 || slices.ContainsFunc(scopes, func(scope string) bool { return !isScope(scope) }) || len(query["redirect_to"]) > 1 {
		return nil, ErrInvalidRequest
	}
	name := cookieName(o.cfg.InsecureHTTP)
	browser := browserOf(r, name)
	if browser == "" {
		browser = rand.Text()
	}
	st := newState(s.Name, flow, browser, o.cfg.Now().Add(o.cfg.StateLifetime))
	st.Backend, st.User, st.Foreign = backend, userID, slices.Contains(r.Header["Sec-Fetch-Site"], crossSite)
	redirects := query.Has("redirect_to")
	if redirects {
		to, err := o.allowed.check(query.Get("redirect_to"))
		if err != nil {
			return nil, err
		}
		if flow == flowLogin && !o.isBrowsers(backend) {
			return nil, fmt.Errorf("%w: the credential of backend %q is in the body", ErrInvalidRedirect, backend)
		}
		st.Redirect = to
	}
	sealed, err := st.seal(o.cfg.Keys)
	if err != nil {
		return nil, err
	}
	address, err := s.authorizationURL(r.Context(), o.callback(s, flow), st, sealed, scopes)
	if err != nil {
		return nil, err
	}
	cookie := &http.Cookie{
		Name: name, Value: browser, Path: "/", MaxAge: int(o.cfg.StateLifetime / time.Second),
		Secure: !o.cfg.InsecureHTTP, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	res := &authn.Response{Status: http.StatusOK, Header: http.Header{"Set-Cookie": {cookie.String()}}}
	if redirects {
		res.Status = http.StatusSeeOther
		res.Header.Set("Location", address)
		return res, nil
	}
	res.Body = authorization{URL: address}
	return res, nil
}

// authorization is the contract's answer.
type authorization struct {
	URL string `json:"authorization_url"`
}

// isBrowsers reports whether a browser keeps the credential of a backend by
// itself, so that a redirect can hand it over.
func (o *OAuth[U]) isBrowsers(backend string) bool {
	b, _ := o.users.Backend(backend)
	_, ok := authn.Can[authn.OriginChecker](b)
	return ok
}

// isScope reports whether it is a scope-token (RFC 6749 §3.3), of a length that
// a URL can have.
func isScope(scope string) bool {
	return scope != "" && len(scope) <= 200 && !strings.ContainsFunc(scope, func(c rune) bool {
		return c <= ' ' || c > '~' || c == '"' || c == '\\'
	})
}

// answered is what a provider sends a person back with.
type answered struct{ state, code, iss, error string }

// readAnswer refuses parameters that are repeated (RFC 6749 §3.1).
func readAnswer(values url.Values) (answered, error) {
	for _, name := range []string{"state", "code", "iss", "error"} {
		if len(values[name]) > 1 || len(values.Get(name)) > maxState {
			return answered{}, ErrInvalidRequest
		}
	}
	return answered{values.Get("state"), values.Get("code"), values.Get("iss"), values.Get("error")}, nil
}

// finish ends a flow with the profile of the person, and the state that began
// it. The state is there with an error, too, once it is known to be good.
func (o *OAuth[U]) finish(r *http.Request, s *source, flow flowKind, userID string) (linked.Profile, state, error) {
	var none linked.Profile
	a, err := readAnswer(r.URL.Query())
	if err != nil {
		return none, state{}, err
	}
	if a.error != "" && a.state == "" {
		return none, state{}, refused(a.error)
	}
	ctx, now := r.Context(), o.cfg.Now()
	st, err := openState(o.cfg.Keys, a.state, s.Name, flow, browserOf(r, cookieName(o.cfg.InsecureHTTP)), now)
	if err != nil {
		return none, state{}, err
	}
	if st.User != userID {
		return none, state{}, ErrInvalidState
	}
	first, err := o.store.UseOnce(ctx, st.used(), time.Unix(st.Expires, 0), now)
	if err != nil {
		return none, state{}, fmt.Errorf("%w: %w", authn.ErrUnavailable, err)
	}
	if !first {
		return none, state{}, ErrInvalidState
	}
	if err := s.checkIssuer(ctx, a.iss); err != nil {
		return none, st, err
	}
	if a.error != "" {
		return none, st, refused(a.error)
	}
	if a.code == "" {
		return none, st, ErrInvalidCode
	}
	p, err := s.redeem(ctx, o.callback(s, flow), a.code, st)
	return p, st, err
}

// logIn ends a log-in.
func (o *OAuth[U]) logIn(r *http.Request, s *source) (*authn.Response, error) {
	p, st, err := o.finish(r, s, flowLogin, "")
	if err != nil {
		return goOn(st, nil, err)
	}
	if !slices.Contains(s.Backends, st.Backend) {
		return nil, ErrInvalidState
	}
	u, err := o.accounts.SignIn(r.Context(), p, s.Options)
	if err != nil {
		return goOn(st, nil, err)
	}
	res, err := o.users.Login(authn.WithProvider(r.Context(), s.Name), st.Backend, u, MethodFederated)
	if err == nil {
		res.AddCookie(o.factory.LoggedIn(st.beganWith(r), u))
	}
	return goOn(st, res, err)
}

// link ends the linking of an account to the user of the request.
func (o *OAuth[U]) link(r *http.Request, s *source, u U) (*authn.Response, error) {
	p, st, err := o.finish(r, s, flowLink, u.AuthID())
	if err == nil {
		err = o.accounts.Link(r.Context(), u, p)
	}
	return goOn(st, o.factory.UserAnswer(http.StatusOK, u), err)
}

// goOn makes the answer to who began with a redirect_to: the way there, with the
// code of an error that is theirs to know. All others get what there is.
func goOn(st state, res *authn.Response, err error) (*authn.Response, error) {
	if err != nil {
		err = answerTo(err)
	}
	if st.Redirect == "" {
		return res, err
	}
	if err != nil {
		var known *authn.HTTPError
		if !errors.As(err, &known) || known.Status >= http.StatusInternalServerError {
			return nil, err
		}
		code, ok := known.Detail.(string)
		if !ok {
			code = http.StatusText(known.Status)
		}
		return &authn.Response{Status: http.StatusSeeOther, Header: http.Header{"Location": {withError(st.Redirect, code)}}}, nil
	}
	header := http.Header{}
	if st.Flow == flowLogin {
		header = res.Header.Clone()
		if header == nil {
			header = http.Header{}
		}
	}
	header.Set("Location", st.Redirect)
	return &authn.Response{Status: http.StatusSeeOther, Header: header}, nil
}
