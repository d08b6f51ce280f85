package command

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf16"

	"github.com/echo-users/echo-users/authn"
)

// row is a user as list shows it, in the names of the users' routes.
type row struct {
	ID          string `json:"id"`
	Email       string `json:"email"`
	IsActive    bool   `json:"is_active"`
	IsSuperuser bool   `json:"is_superuser"`
	IsVerified  bool   `json:"is_verified"`
}

func newRow(u authn.User) row {
	account := u.AuthAccount()
	return row{u.AuthID(), account.Email, account.IsActive, account.IsSuperuser, account.IsVerified}
}

func (r row) flags() string {
	var flags []string
	for _, f := range []struct {
		name string
		set  bool
	}{{"inactive", !r.IsActive}, {"superuser", r.IsSuperuser}, {"verified", r.IsVerified}} {
		if f.set {
			flags = append(flags, f.name)
		}
	}
	return strings.Join(flags, " ")
}

func (c *command[U]) list(set *flag.FlagSet) func(context.Context, string) error {
	var q authn.Query
	set.StringVar(&q.Search, "search", "", "users with this `text` in their addresses")
	set.StringVar(&q.After, "after", "", "the page after the user with this `id`")
	set.IntVar(&q.Limit, "limit", 50, "how `many`, at most 500")
	flags := map[string]**bool{"active": &q.Active, "superuser": &q.Superuser, "verified": &q.Verified}
	for name, field := range flags {
		set.BoolFunc(name, "users who are "+name+"; -"+name+"=false: who are not", func(text string) error {
			value, err := strconv.ParseBool(text)
			*field = &value
			return err
		})
	}
	asJSON := set.Bool("json", false, "a line of JSON for each")
	return func(ctx context.Context, _ string) error {
		page, err := c.users.List(ctx, q)
		if err != nil {
			return err
		}
		if *asJSON {
			for _, u := range page.Users {
				row, err := json.Marshal(newRow(u))
				if err != nil {
					return err
				}
				if _, err := fmt.Fprintln(c.Out, printableJSON(row)); err != nil {
					return err
				}
			}
		} else {
			table := tabwriter.NewWriter(c.Out, 0, 8, 2, ' ', 0)
			for _, u := range page.Users {
				r := newRow(u)
				fmt.Fprintf(table, "%s\t%s\t%s\n", printable(r.ID), printable(r.Email), r.flags())
			}
			if err := table.Flush(); err != nil {
				return err
			}
		}
		if page.Next != "" {
			fmt.Fprintf(c.Err, "There are more: -after %s\n", printable(page.Next))
		}
		return nil
	}
}

// printableJSON is JSON whose strings have escapes for what a terminal would
// take for a command.
func printableJSON(text []byte) string {
	var out strings.Builder
	for _, r := range string(text) {
		if unicode.IsPrint(r) {
			out.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&out, `\u%04x`, unit)
		}
	}
	return out.String()
}

// printable is text as it is, unless a terminal would take some of it for a
// command.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) || strings.ContainsRune(text, unicode.ReplacementChar) {
		return strconv.Quote(text)
	}
	return text
}
