package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/labstack/echo/v4"
	goredis "github.com/redis/go-redis/v9"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/password"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/database"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/strategies/redis"
	"github.com/echo-users/echo-users/userdb"
)

// AppUser is the row of the Python application's User class.
type AppUser[K userdb.Key] struct {
	userdb.Model[K]
	FirstName *string `gorm:"size:50"`
}

// Profile is what requests say beside e-mail and password: UserCreate and
// UserUpdate of the Python application.
type Profile struct {
	FirstName routes.Nullable[string] `json:"first_name"`
}

// UserRead is what answers show, as the Python application's UserRead does.
type UserRead struct {
	routes.UserRead
	FirstName *string `json:"first_name"`
}

// secrets are those of the Python application, so that its tokens are good.
type secrets struct {
	JWT    string `json:"jwt"`
	Cookie string `json:"cookie"`
	Reset  string `json:"reset"`
	Verify string `json:"verify"`
}

func secretsFromEnvironment() secrets {
	return secrets{
		JWT:    os.Getenv("JWT_SECRET"),
		Cookie: os.Getenv("COOKIE_SECRET"),
		Reset:  os.Getenv("RESET_SECRET"),
		Verify: os.Getenv("VERIFY_SECRET"),
	}
}

type config struct {
	secrets                secrets
	redisURL               string
	lifetime               time.Duration // of tokens, as in the Python application
	allowDuplicates        bool
	pythonKnowsBcryptAlone bool
	insecure               bool          // plain HTTP, and secrets of a few letters
	timeout                time.Duration // of a route; the default where it is zero
}

// application is the routes, and what ends after them.
type application struct {
	echo     *echo.Echo
	mails    *mails
	shutdown func(context.Context) error
}

func newApplication[K userdb.Key](ctx context.Context, db *gorm.DB, cfg config) (*application, error) {
	store, err := openTable[K](ctx, db, cfg)
	if err != nil {
		return nil, err
	}
	list, closeRedis, err := newBackends(ctx, store, cfg)
	if err != nil {
		return nil, err
	}
	mailed := jwt.MailedConfig{InsecureShortSecret: cfg.insecure}
	verify, err := jwt.NewVerifyTokens(jwt.Secret([]byte(cfg.secrets.Verify)), mailed)
	if err != nil {
		return nil, fmt.Errorf("VERIFY_SECRET: %w", err)
	}
	reset, err := jwt.NewResetTokens(jwt.Secret([]byte(cfg.secrets.Reset)), mailed)
	if err != nil {
		return nil, fmt.Errorf("RESET_SECRET: %w", err)
	}
	users, err := authn.New(store, authn.Config{
		Passwords:    newHasher(cfg),
		VerifyTokens: verify,
		ResetTokens:  reset,
	}, list...)
	if err != nil {
		return nil, err
	}
	sent := new(mails)
	users.Use(mailHooks[*AppUser[K]](sent))

	profile := routes.Input(func(in Profile, u *AppUser[K]) error { in.FirstName.Apply(&u.FirstName); return nil })
	factory, err := routes.New(users, routes.Config[*AppUser[K]]{
		Timeout:  cfg.timeout,
		Register: profile,
		Update:   profile,
		Read: routes.Output(func(u *AppUser[K]) UserRead {
			return UserRead{routes.NewUserRead(u), u.FirstName}
		}),
	})
	if err != nil {
		return nil, err
	}
	e := echo.New()
	e.HTTPErrorHandler = echo4.ErrorHandler
	echo4.Mount(e, factory.All())
	e.GET("/authenticated-route", echo4.Handle(users.CurrentUser(authn.Active), func(c echo.Context, u *AppUser[K]) error {
		return c.JSON(http.StatusOK, map[string]string{"message": "Hello " + u.Email + "!"})
	}))
	shutdown := func(ctx context.Context) error { return errors.Join(users.Shutdown(ctx), closeRedis()) }
	return &application{echo: e, mails: sent, shutdown: shutdown}, nil
}

// openTable migrates the Python application's table, which only ever adds to it.
func openTable[K userdb.Key](ctx context.Context, db *gorm.DB, cfg config) (*userdb.Store[AppUser[K], *AppUser[K]], error) {
	store, err := userdb.New[AppUser[K]](db)
	if err != nil {
		return nil, err
	}
	if cfg.allowDuplicates {
		store = store.AllowLegacyDuplicates()
	}
	return store, store.Migrate(ctx)
}

// someBcryptHash is nobody's: an unknown user costs what most users cost, who
// have such a hash until they log in.
const someBcryptHash = "$2b$12$dwxz8CWvUuWIAFovo7QLlOq80t1VaAYGiEFE5ihdmAbUXk6RwbiMO"

func newHasher(cfg config) *password.Hasher {
	if cfg.pythonKnowsBcryptAlone {
		return &password.Hasher{LegacyBcryptCost: 12}
	}
	return &password.Hasher{Dummy: someBcryptHash}
}

// newBackends are those of the Python application, under their names.
func newBackends[K userdb.Key](ctx context.Context, store *userdb.Store[AppUser[K], *AppUser[K]], cfg config) ([]authn.Backend, func() error, error) {
	tokens := jwt.Config{Lifetime: cfg.lifetime, InsecureShortSecret: cfg.insecure}
	bearer, err := backends.JWT(jwt.Secret([]byte(cfg.secrets.JWT)), backends.JWTConfig{Name: "jwt", Config: tokens})
	if err != nil {
		return nil, nil, fmt.Errorf("JWT_SECRET: %w", err)
	}
	cookie, err := backends.CookieJWT(jwt.Secret([]byte(cfg.secrets.Cookie)), backends.CookieJWTConfig{
		Cookie: backends.CookieConfig{InsecureHTTP: cfg.insecure},
		Config: tokens,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("COOKIE_SECRET: %w", err)
	}
	stored, err := newDatabaseBackend(ctx, store, cfg)
	if err != nil {
		return nil, nil, err
	}
	list := []authn.Backend{bearer, cookie, stored}
	if cfg.redisURL == "" {
		return list, func() error { return nil }, nil
	}
	client, inRedis, err := newRedisBackend(cfg)
	if err != nil {
		return nil, nil, err
	}
	return append(list, inRedis), client.Close, nil
}

func newDatabaseBackend[K userdb.Key](ctx context.Context, store *userdb.Store[AppUser[K], *AppUser[K]], cfg config) (authn.Backend, error) {
	tokens, err := userdb.NewTokens(store, userdb.TokensConfig{PlainTable: userdb.PlainTokenTable})
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

func newRedisBackend(cfg config) (*goredis.Client, authn.Backend, error) {
	options, err := goredis.ParseURL(cfg.redisURL)
	if err != nil {
		return nil, nil, errors.New("REDIS_URL must be like redis://user:password@host:6379/0") // err may hold the password
	}
	options.ContextTimeoutEnabled = true
	client := goredis.NewClient(options)
	strategy, err := redis.New(client, redis.Config{Lifetime: cfg.lifetime, PlainPrefix: redis.PlainPrefix})
	if err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	return client, backends.New("redis", backends.Bearer{}, strategy), nil
}
