package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	swaggest "github.com/swaggest/openapi-go"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/linked"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/internal/fronts"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/routes/openapi"
	"github.com/echo-users/echo-users/routes/swaggerui"
	"github.com/echo-users/echo-users/strategies/database"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/strategies/redis"
	"github.com/echo-users/echo-users/userdb"
)

// user is a user without fields of its own, of either kind of key.
type user[K userdb.Key] struct {
	userdb.Model[K]
}

// server is the routes, and what ends after them.
type server struct {
	front    fronts.Front
	shutdown func(context.Context) error
}

// newServer migrates the database and builds the server over it.
func newServer[K userdb.Key](ctx context.Context, db *gorm.DB, cfg config) (*server, error) {
	store, err := userdb.New[user[K]](db)
	if err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, err
	}
	list, err := newBackends(cfg)
	if err != nil {
		return nil, err
	}
	stored, err := newDatabaseBackend(ctx, store, db, cfg)
	if err != nil {
		return nil, err
	}
	list = append(list, stored)
	closeRedis := func() error { return nil }
	var client *goredis.Client
	if cfg.redisURL != "" {
		var backend authn.Backend
		if client, backend, err = newRedisBackend(cfg); err != nil {
			return nil, err
		}
		list, closeRedis = append(list, backend), client.Close
	}
	sessions, err := newSessions(ctx, store, client, cfg)
	if err != nil {
		return nil, err
	}
	session, err := newSessionBackend(sessions, cfg)
	if err != nil {
		return nil, err
	}
	list = append(list, session)
	verify, err := jwt.NewVerifyTokens(jwt.Secret([]byte(cfg.verifySecret)), jwt.MailedConfig{InsecureShortSecret: true})
	if err != nil {
		return nil, err
	}
	reset, err := jwt.NewResetTokens(jwt.Secret([]byte(cfg.resetSecret)), jwt.MailedConfig{InsecureShortSecret: true})
	if err != nil {
		return nil, err
	}
	users, err := authn.New(store, authn.Config{
		Logger:         slog.New(slog.DiscardHandler),
		PasswordPolicy: authn.MinLength(3),
		VerifyTokens:   verify,
		ResetTokens:    reset,
	}, list...)
	if err != nil {
		return nil, err
	}
	limits, err := newLimits(client, cfg)
	if err != nil {
		return nil, err
	}
	factory, err := routes.New(users, routes.Config[*user[K]]{Limits: limits})
	if err != nil {
		return nil, err
	}
	front, err := fronts.New(cmp.Or(cfg.front, fronts.Names[0]))
	if err != nil {
		return nil, fmt.Errorf("FRONT: %w", err)
	}
	doc, err := openapi.New(factory, openapi.Config{Title: "Contract server"})
	if err != nil {
		return nil, err
	}
	front.Mount(factory.All(), doc.Routes(), swaggerui.Routes(), testRoutes(users, store))
	if err := mountProtected(front, doc, users); err != nil {
		return nil, err
	}
	shutdown := func(ctx context.Context) error { return errors.Join(users.Shutdown(ctx), closeRedis()) }
	return &server{front: front, shutdown: shutdown}, nil
}

// newDatabaseBackend keeps tokens beside the users, and reads fastapi-users'
// where it has made the database.
func newDatabaseBackend[K userdb.Key](ctx context.Context, store *userdb.Store[user[K], *user[K]], db *gorm.DB, cfg config) (authn.Backend, error) {
	var tables userdb.TokensConfig
	if db.Migrator().HasTable(userdb.PlainTokenTable) {
		tables.PlainTable = userdb.PlainTokenTable
	}
	tokens, err := userdb.NewTokens(store, tables)
	if err != nil {
		return nil, err
	}
	if err := tokens.Migrate(ctx); err != nil {
		return nil, err
	}
	strategy, err := database.New(tokens, database.Config{Lifetime: cfg.lifetime})
	if err != nil {
		return nil, err
	}
	return backends.New("database", backends.Bearer{}, strategy), nil
}

// newSessions is where sessions are kept.
func newSessions[K userdb.Key](ctx context.Context, store *userdb.Store[user[K], *user[K]], client *goredis.Client, cfg config) (authn.SessionStore, error) {
	switch cfg.sessionStore {
	case "", "database":
		sessions, err := userdb.NewSessions(store, userdb.SessionsConfig{})
		if err != nil {
			return nil, err
		}
		return sessions, sessions.Migrate(ctx)
	case "redis":
		if client == nil {
			return nil, errors.New("SESSION_STORE=redis needs REDIS_URL")
		}
		return redis.NewSessions(client, redis.SessionsConfig{})
	}
	return nil, fmt.Errorf("SESSION_STORE is %q; it can be database or redis", cfg.sessionStore)
}

// newSessionBackend has bearer tokens that are refreshed.
func newSessionBackend(sessions authn.SessionStore, cfg config) (authn.Backend, error) {
	access, err := backends.JWT(jwt.Secret([]byte(cfg.jwtSecret+"-session")), backends.JWTConfig{Name: "session", Config: cfg.tokens()})
	if err != nil {
		return nil, err
	}
	return backends.WithSessions(access, sessions, backends.SessionConfig{Grace: cfg.refreshGrace})
}

// newLimits are the library's own, counted for the users of one database.
func newLimits(client *goredis.Client, cfg config) (routes.Limits, error) {
	if !cfg.hardened {
		return routes.Limits{Skip: true}, nil
	}
	key := sha256.Sum256([]byte("known devices " + cfg.jwtSecret)) // others have a key of its own: openssl rand -base64 32
	keys, err := linked.NewKeys(key[:])
	if err != nil {
		return routes.Limits{}, err
	}
	limits := routes.Limits{Devices: routes.Devices{Keys: keys, InsecureHTTP: true}}
	if client == nil {
		return limits, nil
	}
	database := sha256.Sum256([]byte(cmp.Or(cfg.databaseURL, rand.Text()))) // in memory, all are new
	limits.Store, err = redis.NewLimits(client, redis.LimitsConfig{Prefix: fmt.Sprintf("echo_users_limit:%x:", database[:8])})
	return limits, err
}

func newRedisBackend(cfg config) (*goredis.Client, authn.Backend, error) {
	options, err := goredis.ParseURL(cfg.redisURL)
	if err != nil {
		return nil, nil, errors.New("REDIS_URL must be like redis://user:password@host:6379/0") // err may hold the password
	}
	options.ContextTimeoutEnabled = true
	logging.Disable() // as all that isn't the first line
	client := goredis.NewClient(options)
	strategy, err := redis.New(client, redis.Config{Lifetime: cfg.lifetime, PlainPrefix: redis.PlainPrefix})
	if err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	return client, backends.New("redis", backends.Bearer{}, strategy), nil
}

func newBackends(cfg config) ([]authn.Backend, error) {
	var list []authn.Backend
	for _, b := range []struct {
		name, secret string
		verified     bool
	}{
		{"jwt", cfg.jwtSecret, false},
		{"my-jwt", cfg.myJWTSecret, false},
		{"strict", cfg.jwtSecret + "-strict", true},
	} {
		backend, err := backends.JWT(jwt.Secret([]byte(b.secret)), backends.JWTConfig{Name: b.name, Config: cfg.tokens()})
		if err != nil {
			return nil, err
		}
		if b.verified {
			list = append(list, authn.RequireVerified(backend))
		} else {
			list = append(list, backend)
		}
	}
	cookie, err := backends.CookieJWT(jwt.Secret([]byte(cfg.cookieSecret)), backends.CookieJWTConfig{
		Cookie: backends.CookieConfig{InsecureHTTP: true},
		Config: cfg.tokens(),
	})
	if err != nil {
		return nil, err
	}
	return append(list, cookie), nil
}

func (cfg config) tokens() jwt.Config {
	return jwt.Config{Lifetime: cfg.lifetime, InsecureShortSecret: true}
}

// mountProtected adds a route for each kind of guard.
func mountProtected[U authn.User](front fronts.Front, doc *openapi.Document, users *authn.Users[U]) error {
	whoami := func(w http.ResponseWriter, r *http.Request, _ U) error {
		var email any
		if u, ok := authn.UserFrom[U](r.Context()); ok {
			email = u.AuthAccount().Email
		}
		return writeJSON(w, map[string]any{"email": email})
	}
	for path, guard := range map[string]*authn.Guard[U]{
		"any":       users.CurrentUser(authn.AnyStatus),
		"active":    users.CurrentUser(authn.Active),
		"verified":  users.CurrentUser(authn.Active, authn.Verified),
		"superuser": users.CurrentUser(authn.Active, authn.Superuser),
		"optional":  users.CurrentUser(authn.AnyStatus, authn.Optional),
	} {
		fronts.Middleware(front, "/protected/"+path, guard, whoami)
		op, err := doc.Operation(http.MethodGet, "/protected/"+path, guard)
		if err != nil {
			return err
		}
		op.SetID("protected:" + path)
		op.SetTags("protected")
		op.AddRespStructure(new(struct {
			Email *string `json:"email"`
		}), swaggest.WithHTTPStatus(http.StatusOK))
		if err := doc.AddOperation(op); err != nil {
			return err
		}
	}
	return nil
}
