package routes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// Config has the options of [New]. Its zero value is fastapi-users' contract.
type Config[U authn.User] struct {
	// AuthPrefix stands before /register and /<name>/login. Defaults to "/auth".
	AuthPrefix string
	// UsersPrefix stands before /me and /{id}. Defaults to "/users".
	UsersPrefix string
	// BodyLimit is how many bytes of a request are read; beyond it is 413.
	// Defaults to 64 KiB.
	BodyLimit int64
	// Timeout is how long a request may take, with everything it does to the
	// store; beyond it is 503. Defaults to eight seconds.
	Timeout time.Duration
	// RequireVerified asks a verified user at /users. The same for log-ins at
	// a backend is [authn.RequireVerified].
	RequireVerified bool

	// Reauthenticate asks more of who changes their address or password at
	// PATCH /users/me. Defaults to nothing more than a credential.
	Reauthenticate Reauthentication

	// Limits bounds how often passwords and tokens are tried, and mails and
	// accounts asked for. Its zero value has the defaults.
	Limits Limits

	// Events lists what has happened, at GET /auth/events for superusers and
	// /users/me/events for everybody. Defaults to no such routes. What keeps the
	// events is a hook of the manager's, [authn.Hooks] OnEvent.
	Events authn.EventStore

	// FindLogin finds whom the "username" of a log-in names, with
	// [authn.ErrUserNotFound] for nobody. Defaults to the user with that
	// address. See [authn.Users.AuthenticateWith].
	FindLogin func(ctx context.Context, username string) (U, error)

	// Register declares the application's own fields at registration. It
	// defaults to none: a field that no schema declares is ignored.
	Register InputSchema[U]
	// Update declares the own fields that users change at PATCH /users/me.
	Update InputSchema[U]
	// AdminUpdate declares the own fields that superusers change at
	// PATCH /users/{id}. Defaults to Update.
	AdminUpdate InputSchema[U]
	// Read makes the answer's user. Defaults to [UserRead].
	Read OutputSchema[U]
}

const (
	defaultBodyLimit = 64 << 10
	defaultTimeout   = 8 * time.Second
)

// Handler answers a request, or returns the error to answer it with
// ([authn.WriteError]).
type Handler func(w http.ResponseWriter, r *http.Request) error

// ServeHTTP answers, errors included.
func (h Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h(w, r); err != nil {
		authn.WriteError(w, err)
	}
}

// Route is one route.
type Route struct {
	Method string
	// Path is in the form of [http.ServeMux]: "/users/{id}".
	Path string
	// Name identifies the operation, as fastapi-users names it:
	// "auth:jwt.login", "register:register", "users:current_user".
	Name    string
	Handler Handler
	// Operation describes the route; nil where nothing does.
	Operation *Operation
}

// List is routes to be mounted together, by an adapter's Mount: see package
// [adapters].
//
// [adapters]: https://pkg.go.dev/github.com/echo-users/echo-users/adapters
type List []Route

// prefixed returns the routes under a prefix.
func (l List) prefixed(prefix string) List {
	under := make(List, len(l))
	for i, route := range l {
		route.Path = prefix + route.Path
		under[i] = route
	}
	return under
}

// Factory makes the routes of a manager.
type Factory[U authn.User] struct {
	users  *authn.Users[U]
	cfg    Config[U]
	limits *limiter
	fresh  *authn.Guard[U] // or nil
}

// New returns a factory, or an error that says what is wrong with a schema or
// a prefix.
func New[U authn.User](users *authn.Users[U], cfg Config[U]) (*Factory[U], error) {
	if users == nil {
		return nil, errors.New("routes: users is nil")
	}
	if cfg.AuthPrefix == "" {
		cfg.AuthPrefix = "/auth"
	}
	if cfg.UsersPrefix == "" {
		cfg.UsersPrefix = "/users"
	}
	for _, prefix := range []string{cfg.AuthPrefix, cfg.UsersPrefix} {
		if !strings.HasPrefix(prefix, "/") || strings.HasSuffix(prefix, "/") {
			return nil, fmt.Errorf("routes: the prefix %q must begin with a slash and end without one", prefix)
		}
	}
	if cfg.BodyLimit == 0 {
		cfg.BodyLimit = defaultBodyLimit
	}
	if cfg.BodyLimit < 0 {
		return nil, errors.New("routes: the body limit is negative")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Timeout < 0 {
		return nil, errors.New("routes: the timeout is negative")
	}
	if cfg.AdminUpdate.decode == nil {
		cfg.AdminUpdate = cfg.Update
	}
	for name, schema := range map[string]InputSchema[U]{"Register": cfg.Register, "Update": cfg.Update, "AdminUpdate": cfg.AdminUpdate} {
		if schema.err != nil {
			return nil, fmt.Errorf("routes: %s: %w", name, schema.err)
		}
	}
	if cfg.FindLogin == nil {
		cfg.FindLogin = users.GetByEmail
	}
	if cfg.Read.make == nil {
		cfg.Read = Output(func(u U) UserRead { return NewUserRead(u) })
	}
	limits, err := newLimiter(cfg.Limits, users.Logger())
	if err != nil {
		return nil, err
	}
	f := &Factory[U]{users: users, cfg: cfg, limits: limits}
	if limits != nil {
		limits.observer = users.Observer()
		users.Use(authn.Hooks[U]{AfterResetPassword: f.unlock})
	}
	switch age := cfg.Reauthenticate.Fresh; {
	case age < 0 || 0 < age && age < time.Second:
		return nil, errors.New("routes: Reauthenticate.Fresh must be at least a second")
	case age > 0:
		f.fresh = users.CurrentUser(authn.Active, f.usersRules(authn.Fresh(age))...)
	}
	return f, nil
}

// All returns every route of the users with the contract's defaults. For
// anything else make a factory with [New].
func All[U authn.User](users *authn.Users[U]) List {
	factory, err := New(users, Config[U]{})
	if err != nil {
		panic(err) // no users
	}
	return factory.All()
}

// Manager returns the manager whose routes they are.
func (f *Factory[U]) Manager() *authn.Users[U] { return f.users }

// LoginPath returns where the named backend logs people in, as All mounts it.
func (f *Factory[U]) LoginPath(backend string) string {
	return f.cfg.AuthPrefix + "/" + backend + "/login"
}

// All returns every route: those of each backend, registration, verification
// and reset where the manager has tokens for them, sessions, users, and events
// where they are kept.
func (f *Factory[U]) All() List {
	var all List
	for _, b := range f.users.Backends() {
		all = append(all, f.Auth(b.Name()).prefixed(f.cfg.AuthPrefix+"/"+b.Name())...)
	}
	for _, list := range []List{f.Register(), f.Verify(), f.ResetPassword(), f.Sessions(), f.Events()} {
		all = append(all, list.prefixed(f.cfg.AuthPrefix)...)
	}
	for _, list := range []List{f.Users(), f.UserSessions(), f.MyEvents()} {
		all = append(all, list.prefixed(f.cfg.UsersPrefix)...)
	}
	return all
}

// AuthPath returns a path under [Config.AuthPrefix].
func (f *Factory[U]) AuthPath(path string) string { return f.cfg.AuthPrefix + path }

// UsersPath returns a path under [Config.UsersPrefix].
func (f *Factory[U]) UsersPath(path string) string { return f.cfg.UsersPrefix + path }

// Bounded returns a handler whose requests are held to [Config.BodyLimit] and
// [Config.Timeout], and say who sends them ([authn.ClientFrom]): for routes of a
// capability beside the factory's.
func (f *Factory[U]) Bounded(h Handler) Handler { return f.limited(h) }

// UserAnswer builds an answer with a user, as [Config.Read] shows them.
func (f *Factory[U]) UserAnswer(status int, u U) *authn.Response {
	return &authn.Response{Status: status, Body: f.cfg.Read.make(u)}
}

// LoginError returns the answer to an error of [authn.Users.Login]: 400 with
// the contract's code, or the error itself.
//
// [authn.Users.Login]: https://pkg.go.dev/github.com/echo-users/echo-users/authn#Users.Login
func LoginError(err error) error { return loginError(err) }

// withClient says in the request's context who sends it.
func (f *Factory[U]) withClient(r *http.Request) *http.Request {
	address := f.cfg.Limits.clientAddress(r)
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	return r.WithContext(authn.WithClient(r.Context(), authn.Client{Address: address, UserAgent: r.UserAgent()}))
}

// limited bounds the body that a handler may read, and its time.
func (f *Factory[U]) limited(h Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), f.cfg.Timeout)
		defer cancel()
		r = f.withClient(r.WithContext(ctx))
		r.Body = http.MaxBytesReader(w, r.Body, f.cfg.BodyLimit)
		return h(w, r)
	}
}

// answer writes a user.
func (f *Factory[U]) answer(w http.ResponseWriter, status int, u U) error {
	res := authn.Response{Status: status, Body: f.cfg.Read.make(u)}
	return res.Write(w)
}

// badRequest is a 400 with one of the contract's codes.
func badRequest(code string, cause error) error {
	return &authn.HTTPError{Status: http.StatusBadRequest, Detail: code, Err: cause}
}

// reasoned is the detail of a refused password.
type reasoned struct {
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

// writeError translates an error of registration or update: existsCode for an
// address that is taken, passwordCode for a refused password.
func writeError(err error, existsCode, passwordCode string) error {
	var refused *authn.PasswordError
	switch {
	case errors.Is(err, authn.ErrUserExists):
		return badRequest(existsCode, err)
	case errors.As(err, &refused):
		return &authn.HTTPError{
			Status: http.StatusBadRequest,
			Detail: reasoned{Code: passwordCode, Reason: refused.Reason},
			Err:    err,
		}
	case errors.Is(err, authn.ErrInvalidEmail):
		return Faults{invalidEmail}.httpError()
	case errors.Is(err, authn.ErrPasswordTooLong):
		return Faults{passwordTooLong}.httpError()
	case errors.Is(err, authn.ErrRejected):
		return Faults{{Loc: []any{"body"}, Msg: "a value can't be stored: too long, or against a constraint", Type: "value_error"}}.httpError()
	}
	var faults Faults
	if errors.As(err, &faults) {
		return faults.httpError()
	}
	return err
}
