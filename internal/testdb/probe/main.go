// Command probe prints the first of the URLs that tests can use: of a Postgres
// that lets one create databases, or of a Redis that answers. With -wait it
// asks again for so long. Errors go to standard error; no password is ever
// asked for.
package main

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	_ "gorm.io/driver/postgres" // registers the driver "pgx"
)

func main() {
	wait := flag.Duration("wait", 0, "ask again for so `long`")
	flag.Parse()
	for end := time.Now().Add(*wait); ; time.Sleep(50 * time.Millisecond) {
		for _, address := range flag.Args() {
			err := probe(address)
			if err == nil {
				fmt.Println(address)
				return
			}
			if time.Now().After(end) {
				fmt.Fprintln(os.Stderr, err)
			}
		}
		if time.Now().After(end) {
			os.Exit(1)
		}
	}
}

func probe(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return errors.New("a URL cannot be parsed") // err may hold a password
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	switch u.Scheme {
	case "postgres", "postgresql":
		return postgres(ctx, address)
	case "redis":
		return redis(ctx, u)
	}
	return fmt.Errorf("%s is neither postgres nor redis", u.Scheme)
}

func postgres(ctx context.Context, address string) error {
	db, err := sql.Open("pgx", address)
	if err != nil {
		return err
	}
	defer db.Close()
	var allowed bool
	err = db.QueryRowContext(ctx, `SELECT (rolcreatedb OR rolsuper) AND NOT pg_is_in_recovery() FROM pg_roles WHERE rolname = current_user`).Scan(&allowed)
	if err == nil && !allowed {
		err = errors.New("this user may not create databases")
	}
	return err
}

func redis(ctx context.Context, u *url.URL) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	commands := []string{"PING"}
	if password, ok := u.User.Password(); ok {
		commands = []string{"AUTH " + password, "PING"}
	}
	answers := bufio.NewReader(conn)
	for _, command := range commands {
		if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
			return err
		}
		answer, err := answers.ReadString('\n')
		if err != nil {
			return err
		}
		if !strings.HasPrefix(answer, "+") {
			return errors.New("redis answered " + strings.TrimSpace(answer))
		}
	}
	return nil
}
