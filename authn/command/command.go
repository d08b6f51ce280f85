// Package command manages users from a terminal: it creates them, switches
// them on and off, makes superusers, sets passwords and lists.
//
// Start with [Run], which an application builds into its own program, so that
// its user type, policies and hooks apply. For a table without columns of the
// application's own, cmd/echo-users is a program of its own.
//
// A password is never an argument, which other users of the machine could see:
// it is read from the terminal without an echo, or from standard input.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/echo-users/echo-users/authn"
)

// Config has the options of [Run]. Its zero value works.
type Config[U authn.User] struct {
	// Name is what the program is called in its help. Defaults to "users".
	Name string
	// New sets the own fields of a user who is created here. Defaults to
	// leaving them as they are.
	New func(u U) error

	// In is where passwords come from: a terminal, which doesn't echo them, or
	// anything else, of which it is a line. Defaults to [os.Stdin].
	In io.Reader
	// Out gets what was asked for. Defaults to [os.Stdout].
	Out io.Writer
	// Err gets prompts and help. Defaults to [os.Stderr].
	Err io.Writer
}

// verb is one of the commands.
type verb[U authn.User] struct {
	name, arguments, help string
	// flags declares the verb's own, and returns what it does.
	flags func(c *command[U], set *flag.FlagSet) func(ctx context.Context, who string) error
}

func verbs[U authn.User]() []verb[U] {
	yes, no := true, false
	return []verb[U]{
		{"create", "EMAIL", "create a user; the password is asked for", (*command[U]).create},
		{"password", "EMAIL", "set a password; it is asked for, and every log-in of before ends", (*command[U]).password},
		{"activate", "EMAIL", "let a user log in again", sets[U]("is active", authn.Update[U]{IsActive: &yes})},
		{"deactivate", "EMAIL", "let a user log in no more, and end every log-in", sets[U]("is inactive", authn.Update[U]{IsActive: &no})},
		{"promote", "EMAIL", "make a user a superuser", sets[U]("is a superuser", authn.Update[U]{IsSuperuser: &yes})},
		{"demote", "EMAIL", "make a superuser a user", sets[U]("is no superuser", authn.Update[U]{IsSuperuser: &no})},
		{"verify", "EMAIL", "take a user's address for verified", sets[U]("is verified", authn.Update[U]{IsVerified: &yes})},
		{"list", "", "list users", (*command[U]).list},
	}
}

// command is one run.
type command[U authn.User] struct {
	Config[U]
	users *authn.Users[U]
}

// Run does what the arguments say, such as "create ann@example.com -superuser";
// with "help" it lists what they can be. Flags may stand before and after the
// address; a user's id does in place of an address that is there. It returns
// when the mails that hooks send are sent. Errors say what to do, and hold no
// password. [flag.ErrHelp] where help was asked for.
func Run[U authn.User](ctx context.Context, users *authn.Users[U], args []string, cfg Config[U]) error {
	c := &command[U]{cfg, users}
	if c.Name == "" {
		c.Name = "users"
	}
	if c.In == nil {
		c.In = os.Stdin
	}
	if c.Out == nil {
		c.Out = os.Stdout
	}
	if c.Err == nil {
		c.Err = os.Stderr
	}
	if len(args) == 0 || args[0] == "help" || strings.TrimLeft(args[0], "-") == "help" || args[0] == "-h" {
		c.usage()
		return flag.ErrHelp
	}
	for _, v := range verbs[U]() {
		if v.name == args[0] {
			err := c.do(ctx, v, args[1:])
			return errors.Join(err, users.Flush(ctx))
		}
	}
	return fmt.Errorf("there is no command %q: see %s help", args[0], c.Name)
}

func (c *command[U]) usage() {
	fmt.Fprintf(c.Err, "Usage: %s COMMAND [FLAGS] [EMAIL]\n\n", c.Name)
	for _, v := range verbs[U]() {
		fmt.Fprintf(c.Err, "  %-17s %s\n", strings.TrimSpace(v.name+" "+v.arguments), v.help)
	}
	fmt.Fprintf(c.Err, "\nThe flags of a command: %s COMMAND -help\n", c.Name)
}

func (c *command[U]) do(ctx context.Context, v verb[U], args []string) error {
	set := flag.NewFlagSet(v.name, flag.ContinueOnError)
	set.SetOutput(c.Err)
	set.Usage = func() {
		fmt.Fprintf(c.Err, "Usage: %s %s\n%s.\n", c.Name, strings.TrimSpace(v.name+" [FLAGS] "+v.arguments), v.help)
		set.PrintDefaults()
	}
	run := v.flags(c, set)
	var who []string
	for {
		if err := set.Parse(args); err != nil {
			return err
		}
		args = set.Args()
		if len(args) == 0 {
			break
		}
		who, args = append(who, args[0]), args[1:]
	}
	switch wanted := strings.Count(v.arguments, "EMAIL"); {
	case len(who) < wanted:
		return fmt.Errorf("%s: name the user's address: %s %s EMAIL", v.name, c.Name, v.name)
	case len(who) > wanted: // which isn't repeated: it may be a password
		return fmt.Errorf("%s: there is an argument too many; a password is never one, it is asked for", v.name)
	case wanted == 0:
		return run(ctx, "")
	}
	return run(ctx, who[0])
}

// find returns the user with this address, or id.
func (c *command[U]) find(ctx context.Context, who string) (U, error) {
	u, err := c.users.GetByEmail(ctx, who)
	if errors.Is(err, authn.ErrUserNotFound) {
		u, err = c.users.Get(ctx, who)
	}
	if errors.Is(err, authn.ErrUserNotFound) {
		err = fmt.Errorf("%w: nobody has the address or the id %s", authn.ErrUserNotFound, printable(who))
	}
	return u, err
}

func (c *command[U]) create(set *flag.FlagSet) func(context.Context, string) error {
	superuser := set.Bool("superuser", false, "make it a superuser, with a verified address")
	verified := set.Bool("verified", false, "take the address for verified")
	inactive := set.Bool("inactive", false, "don't let it log in yet")
	return func(ctx context.Context, email string) error {
		if _, err := authn.NormalizeEmail(email); err != nil {
			return fmt.Errorf("%w: %s", err, printable(email))
		}
		_, err := c.users.GetByEmail(ctx, email) // before the password is asked for
		if err == nil {
			return fmt.Errorf("%w: %s", authn.ErrUserExists, printable(email))
		}
		if !errors.Is(err, authn.ErrUserNotFound) {
			return err
		}
		password, err := c.readPassword(ctx)
		if err != nil {
			return err
		}
		u, err := c.users.Register(ctx, email, password, func(u U) error {
			account := u.AuthAccount()
			account.IsSuperuser, account.IsVerified, account.IsActive = *superuser, *verified || *superuser, !*inactive
			if c.New != nil {
				return c.New(u)
			}
			return nil
		})
		if errors.Is(err, authn.ErrRejected) {
			err = fmt.Errorf("the table has columns that need a value: build the command into your application, with command.Config.New: %w", err)
		}
		return c.tell(u, "was created", err)
	}
}

func (c *command[U]) password(*flag.FlagSet) func(context.Context, string) error {
	return func(ctx context.Context, who string) error {
		u, err := c.find(ctx, who)
		if err != nil {
			return err
		}
		password, err := c.readPassword(ctx)
		if err != nil {
			return err
		}
		u, err = c.users.Update(ctx, u.AuthID(), authn.Update[U]{Password: &password})
		return c.tell(u, "has a new password", err)
	}
}

// sets returns the flags of a verb that makes one update.
func sets[U authn.User](says string, up authn.Update[U]) func(*command[U], *flag.FlagSet) func(context.Context, string) error {
	return func(c *command[U], _ *flag.FlagSet) func(context.Context, string) error {
		return func(ctx context.Context, who string) error {
			u, err := c.find(ctx, who)
			if err != nil {
				return err
			}
			u, err = c.users.Update(ctx, u.AuthID(), up)
			return c.tell(u, says, err)
		}
	}
}

// tell says what became of a user.
func (c *command[U]) tell(u U, says string, err error) error {
	if err == nil {
		_, err = fmt.Fprintf(c.Out, "%s (%s) %s\n", printable(u.AuthAccount().Email), printable(u.AuthID()), says)
	}
	return err
}
