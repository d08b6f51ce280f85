package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxLine is the longest line that is read for a password, in bytes.
const maxLine = 64 << 10

// readPassword asks for a new password twice on a terminal, or reads a line of
// what else the input is.
func (c *command[U]) readPassword(ctx context.Context) (string, error) {
	if file, ok := c.In.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return c.askTwice(ctx, file)
	}
	line, err := bufio.NewReader(io.LimitReader(c.In, maxLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("the password could not be read: %w", err)
	}
	password := strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if password == "" {
		return "", errors.New("there is no password: type it at a terminal, or give it as a line of standard input")
	}
	return password, nil
}

// askTwice has the terminal echo nothing from before the first prompt until
// after the second answer, so that what is typed ahead doesn't show either.
func (c *command[U]) askTwice(ctx context.Context, file *os.File) (string, error) {
	before, err := term.MakeRaw(int(file.Fd()))
	if err != nil {
		return "", err
	}
	defer term.Restore(int(file.Fd()), before)
	terminal := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{file, c.Err}, "")
	type typed struct {
		first, second string
		err           error
	}
	answers := make(chan typed, 1)
	go func() { // a read of a terminal doesn't end with a context
		var t typed
		if t.first, t.err = terminal.ReadPassword("Password: "); t.err == nil {
			t.second, t.err = terminal.ReadPassword("Again: ")
		}
		answers <- t
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case t := <-answers:
		switch {
		case errors.Is(t.err, io.EOF): // Ctrl-C, Ctrl-D
			return "", errors.New("no password was typed")
		case t.err != nil:
			return "", fmt.Errorf("the password could not be read: %w", t.err)
		case t.first == "":
			return "", errors.New("there is no password")
		case t.first != t.second:
			return "", errors.New("the two passwords differ")
		}
		return t.first, nil
	}
}
