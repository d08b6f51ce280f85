package oauth

import (
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/linked"
	"github.com/echo-users/echo-users/routes"
)

// AccountRead is a linked account in answers. It has no token.
type AccountRead struct {
	ID           string `json:"id"`
	OAuthName    string `json:"oauth_name"`
	AccountID    string `json:"account_id"`
	AccountEmail string `json:"account_email"`
}

// Routes returns, under the factory's prefixes, for each provider
//
//	GET    /auth/<provider>/authorize             log in at its first backend
//	GET    /auth/<provider>/<backend>/authorize   log in at that one
//	GET    /auth/<provider>/callback              where it sends people back to
//	GET    /auth/associate/<provider>/authorize   link an account to who is signed in
//	GET    /auth/associate/<provider>/callback
//
// and for who is signed in
//
//	GET    /users/me/oauth-accounts               the linked accounts
//	DELETE /users/me/oauth-accounts/{account}     unlink one
//
// The callbacks of a provider with FormPost take POST as well. authorize answers
// {"authorization_url"}; with redirect_to it sends the browser there itself, and
// the callback then sends it to redirect_to, with an "error" if it failed.
func (o *OAuth[U]) Routes() routes.List {
	var list routes.List
	for _, s := range o.sources {
		list = append(list, o.provider(s)...)
	}
	return append(list, o.own()...)
}

func (o *OAuth[U]) provider(s *source) routes.List {
	auth := o.factory.AuthPath
	login := func(backend string) routes.Handler {
		return o.answer(func(r *http.Request) (*authn.Response, error) { return o.authorize(r, s, flowLogin, backend, "") })
	}
	list := routes.List{
		o.route(http.MethodGet, auth("/"+s.Name+"/authorize"), "oauth:"+s.Name+".authorize", login(s.Backends[0]), "Where to log in with "+s.Name, authorizeProblems, nil),
	}
	for _, backend := range s.Backends {
		list = append(list, o.route(http.MethodGet, auth("/"+s.Name+"/"+backend+"/authorize"), "oauth:"+s.Name+"."+backend+".authorize",
			login(backend), "Where to log in with "+s.Name+" at "+backend, authorizeProblems, nil))
	}
	list = append(list, o.route(http.MethodGet, auth("/"+s.Name+"/callback"), "oauth:"+s.Name+".callback",
		o.answer(func(r *http.Request) (*authn.Response, error) { return o.logIn(r, s) }), "Log in with "+s.Name, callbackProblems, nil))

	demands := o.guard.Demands()
	list = append(list,
		o.route(http.MethodGet, auth("/associate/"+s.Name+"/authorize"), "oauth-associate:"+s.Name+".authorize",
			o.guarded(o.guard, func(r *http.Request, u U) (*authn.Response, error) {
				if err := o.checkInitiator(r); err != nil {
					return nil, err
				}
				return o.authorize(r, s, flowLink, "", u.AuthID())
			}), "Where to link an account at "+s.Name, authorizeProblems, &demands),
		o.route(http.MethodGet, auth("/associate/"+s.Name+"/callback"), "oauth-associate:"+s.Name+".callback",
			o.guarded(o.reader, func(r *http.Request, u U) (*authn.Response, error) { return o.link(r, s, u) }),
			"Link an account at "+s.Name, callbackProblems, &demands))
	if s.FormPost {
		for flow, path := range map[flowKind]string{flowLogin: "/" + s.Name + "/callback", flowLink: "/associate/" + s.Name + "/callback"} {
			list = append(list, o.route(http.MethodPost, auth(path), "oauth:"+s.Name+"."+string(flow)+"_form",
				o.answer(func(r *http.Request) (*authn.Response, error) { return o.fromForm(r, s, flow) }), "Where "+s.Name+" posts its answer to", nil, nil))
		}
	}
	for i, route := range list { // each asks the provider something
		list[i].Handler = o.factory.Limited(route.Name, route.Handler)
		list[i].Operation.Limited = o.factory.Limits()
	}
	return list
}

func (o *OAuth[U]) own() routes.List {
	read, unlink := o.reader.Demands(), o.guard.Demands()
	accounts := o.route(http.MethodGet, o.factory.UsersPath("/me/oauth-accounts"), "oauth:accounts",
		o.guarded(o.reader, o.list), "The linked accounts", nil, &read)
	accounts.Operation.Answer = reflect.TypeFor[[]AccountRead]()
	accounts.Operation.Tag = "users"
	remove := o.route(http.MethodDelete, o.factory.UsersPath("/me/oauth-accounts/{account}"), "oauth:unlink",
		o.guarded(o.guard, o.unlink), "Unlink an account",
		[]routes.Problem{{Status: http.StatusBadRequest, Code: "OAUTH_LAST_WAY_IN"}, {Status: http.StatusNotFound, Code: http.StatusText(http.StatusNotFound)}}, &unlink)
	remove.Operation.Status, remove.Operation.Tag = http.StatusNoContent, "users"
	return routes.List{accounts, remove}
}

func problems(codes ...string) []routes.Problem {
	var all []routes.Problem
	for _, code := range codes {
		all = append(all, routes.Problem{Status: http.StatusBadRequest, Code: code})
	}
	return all
}

var (
	authorizeProblems = problems("OAUTH_INVALID_REQUEST", "OAUTH_INVALID_REDIRECT")
	callbackProblems  = problems("OAUTH_INVALID_REQUEST", "OAUTH_INVALID_STATE", "ACCESS_TOKEN_DECODE_ERROR", "ACCESS_TOKEN_ALREADY_EXPIRED",
		"OAUTH_INVALID_CODE", "OAUTH_INVALID_ID_TOKEN", "OAUTH_INVALID_ISSUER", "OAUTH_INVALID_SUBJECT",
		"OAUTH_NOT_AVAILABLE_EMAIL", "OAUTH_USER_ALREADY_EXISTS", "OAUTH_ACCOUNT_ALREADY_LINKED", "LOGIN_BAD_CREDENTIALS", "LOGIN_USER_NOT_VERIFIED")
)

func (o *OAuth[U]) route(method, path, name string, h routes.Handler, summary string, may []routes.Problem, demands *authn.Demands) routes.Route {
	return routes.Route{Method: method, Path: path, Name: name, Handler: o.factory.Bounded(h), Operation: &routes.Operation{
		Summary: summary, Tag: "auth", Status: http.StatusOK, Problems: may, Demands: demands,
	}}
}

// answer makes a handler that writes what f returns.
func (o *OAuth[U]) answer(f func(r *http.Request) (*authn.Response, error)) routes.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		res, err := f(r)
		if err != nil {
			return answerTo(err)
		}
		w.Header().Set("Referrer-Policy", "no-referrer") // code and state are in this page's URL
		return res.Write(w)
	}
}

func (o *OAuth[U]) guarded(g *authn.Guard[U], f func(r *http.Request, u U) (*authn.Response, error)) routes.Handler {
	return o.answer(func(r *http.Request) (*authn.Response, error) {
		u, r, err := g.Check(r)
		if err != nil {
			return nil, err
		}
		return f(r, u)
	})
}

// checkInitiator refuses to begin linking an account for another site: it could
// have signed its visitor in to an account of its own at the provider before,
// which would then log it in here. A GET changes nothing as a rule, so that no
// guard looks ([authn.OriginChecker]).
func (o *OAuth[U]) checkInitiator(r *http.Request) error {
	id, _ := authn.IdentityFrom(r.Context())
	if !o.isBrowsers(id.Backend) {
		return nil
	}
	switch strings.Join(r.Header["Sec-Fetch-Site"], ",") {
	case "same-origin", "none":
		return nil
	case "":
		if !r.URL.Query().Has("redirect_to") { // what another site can't read doesn't lead on
			return nil
		}
	}
	return authn.ErrCrossSite
}

// fromForm has the browser ask for the callback itself: with the POST of another
// site it doesn't send the cookie that the state is bound to (RFC 6265bis
// §5.2, SameSite=Lax).
func (o *OAuth[U]) fromForm(r *http.Request, s *source, flow flowKind) (*authn.Response, error) {
	if err := r.ParseForm(); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, err
		}
		return nil, ErrInvalidRequest
	}
	a, err := readAnswer(r.PostForm)
	if err != nil {
		return nil, err
	}
	query := url.Values{}
	for name, value := range map[string]string{"state": a.state, "code": a.code, "iss": a.iss, "error": a.error} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return &authn.Response{Status: http.StatusSeeOther, Header: http.Header{"Location": {o.callback(s, flow) + "?" + query.Encode()}}}, nil
}

func (o *OAuth[U]) list(r *http.Request, u U) (*authn.Response, error) {
	links, err := o.accounts.Of(r.Context(), u.AuthID())
	if err != nil {
		return nil, err
	}
	read := []AccountRead{}
	for _, link := range links {
		read = append(read, newAccountRead(link))
	}
	return &authn.Response{Status: http.StatusOK, Body: read}, nil
}

func newAccountRead(a linked.Account) AccountRead {
	return AccountRead{ID: a.ID, OAuthName: a.Provider, AccountID: a.Subject, AccountEmail: a.Email}
}

func (o *OAuth[U]) unlink(r *http.Request, u U) (*authn.Response, error) {
	if err := o.accounts.Unlink(r.Context(), u, r.PathValue("account")); err != nil {
		return nil, err
	}
	return &authn.Response{Status: http.StatusNoContent}, nil
}
