// Command echo-users manages the users of a database: it creates them, switches
// them on and off, makes superusers, sets passwords and lists.
//
//	export DATABASE_URL=postgres://…
//	echo-users create ann@example.com -superuser
//
// It knows the columns that every user has. Where yours must have values in
// others, build package authn/command into your application.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/glebarez/sqlite"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/command"
	"github.com/echo-users/echo-users/authn/password"
	"github.com/echo-users/echo-users/authn/passwordpolicy"
	"github.com/echo-users/echo-users/userdb"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "echo-users:", err)
		os.Exit(1)
	}
}

// settings say where the users are.
type settings struct {
	url, key, table string
	bcryptCost      int
}

func run(ctx context.Context, args []string) error {
	var s settings
	flags := flag.NewFlagSet("echo-users", flag.ContinueOnError)
	flags.StringVar(&s.url, "db", os.Getenv("DATABASE_URL"), "the `database`: postgres://user@host/name, or a SQLite file; DATABASE_URL, where a password in it is out of sight")
	flags.StringVar(&s.key, "key", "uuid", "the kind of the users' `keys`: uuid, int or text")
	flags.StringVar(&s.table, "table", "user", "the users' `table`")
	flags.IntVar(&s.bcryptCost, "bcrypt", 0, "write bcrypt hashes of this `cost`, as fastapi-users before version 13 needs them (12)")
	flags.Usage = func() {
		fmt.Fprint(os.Stderr, "Usage: echo-users [FLAGS] COMMAND …\n\n")
		flags.PrintDefaults()
		fmt.Fprint(os.Stderr, "\n  migrate           make the users' table, or bring it up to date\n  help              list the other commands\n")
	}
	flags.Lookup("db").DefValue = "" // help shows it, and it may hold a password
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		flags.Usage()
		return flag.ErrHelp
	}
	if flags.Arg(0) == "help" {
		return command.Run(ctx, nil, flags.Args(), command.Config[*userdb.User]{Name: "echo-users"})
	}
	switch s.key {
	case "uuid":
		return manage[uuid.UUID](ctx, s, flags.Args())
	case "int":
		return manage[int64](ctx, s, flags.Args())
	case "text":
		return manage[string](ctx, s, flags.Args())
	}
	return errors.New("-key must be uuid, int or text")
}

func manage[K userdb.Key](ctx context.Context, s settings, args []string) error {
	db, err := open(s.url, args[0] == "migrate")
	if err != nil {
		return err
	}
	pool, err := db.DB()
	if err != nil {
		return err
	}
	defer pool.Close()
	store, err := userdb.New[userdb.Model[K]](db.Table(s.table))
	if err != nil {
		return err
	}
	if args[0] == "migrate" {
		return store.Migrate(ctx)
	}
	policy, err := passwordpolicy.New(passwordpolicy.Config{})
	if err != nil {
		return err
	}
	// Where spellings of one address are several users', each has its own.
	users, err := authn.New(store.AllowLegacyDuplicates(), authn.Config{
		Passwords:      &password.Hasher{LegacyBcryptCost: s.bcryptCost},
		PasswordPolicy: policy,
	}, nobody{})
	if err != nil {
		return err
	}
	err = command.Run(ctx, users, args, command.Config[*userdb.Model[K]]{Name: "echo-users"})
	if errors.Is(err, userdb.ErrNotMigrated) {
		err = fmt.Errorf("there is no table %q with the columns of users: start your application once, or run echo-users migrate: %w", s.table, err)
	}
	return errors.Join(err, users.Shutdown(ctx))
}

// nobody is a backend, which a manager must have, that recognises nobody.
type nobody struct{ authn.Backend }

func (nobody) Name() string { return "nobody" }

// open opens a database. Its errors never repeat the URL, which may hold a
// password, but where it is the name of a file and nothing else.
func open(url string, create bool) (*gorm.DB, error) {
	quiet := &gorm.Config{Logger: logger.Discard}
	switch file, isSQLite := sqliteFile(url); {
	case url == "":
		return nil, errors.New("which database? set DATABASE_URL, or -db")
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		return openPostgres(url, quiet)
	case !isSQLite && (strings.ContainsAny(url, "=@") || strings.Contains(url, "://")):
		return nil, errors.New("the database must be like postgres://user:password@host/name, or a SQLite file")
	default:
		if _, err := os.Stat(file); err != nil && !create {
			return nil, fmt.Errorf("%w (echo-users -db %s migrate makes it)", err, file)
		}
		if create { // for its owner's eyes: it has hashes of passwords
			f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
			if err != nil {
				return nil, err
			}
			if err := f.Close(); err != nil {
				return nil, err
			}
		}
		return gorm.Open(sqlite.Open(file+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&_txlock=immediate"), quiet)
	}
}

// sqliteFile returns the file of sqlite:FILE, and of SQLAlchemy's
// sqlite:///FILE and sqlite+aiosqlite:///FILE; else the text as it is.
func sqliteFile(url string) (file string, ok bool) {
	for _, prefix := range []string{"sqlite:///", "sqlite+aiosqlite:///", "sqlite:"} {
		if file, ok := strings.CutPrefix(url, prefix); ok {
			return file, true
		}
	}
	return url, false
}

func openPostgres(url string, cfg *gorm.Config) (*gorm.DB, error) {
	if _, err := pgconn.ParseConfig(url); err != nil { // which may repeat a part of it
		return nil, errors.New("the URL of the database can't be read: is a character of the password to be escaped, as # by %23, / by %2F, ? by %3F?")
	}
	return gorm.Open(postgres.Open(url), cfg)
}
