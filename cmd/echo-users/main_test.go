package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/echo-users/echo-users/internal/testdb"
)

var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "echo-users")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "echo-users")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		panic(string(out))
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

const correct = "correct horse"

func commandFor(ctx context.Context, database string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "DATABASE_URL="+database)
	return cmd
}

// tell runs the program with that standard input, and returns what it printed
// and whether it succeeded.
func tell(t *testing.T, database, input string, args ...string) (string, bool) {
	t.Helper()
	cmd := commandFor(t.Context(), database, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	if strings.Contains(string(out), correct) || strings.Contains(string(out), "hunter") {
		t.Errorf("%v prints a password: %s", args, out)
	}
	return string(out), err == nil
}

func eachDatabase(t *testing.T, f func(t *testing.T, database string)) {
	t.Run("sqlite", func(t *testing.T) { f(t, testdb.SQLiteFile(t)) })
	t.Run("postgres", func(t *testing.T) { f(t, testdb.PostgresURL(t)) })
}

func TestTheFirstSuperuser(t *testing.T) {
	eachDatabase(t, func(t *testing.T, database string) {
		for _, step := range []struct {
			args  string
			input string
			ok    bool
			says  string
		}{
			{"create ann@example.com -superuser", correct + "\n", false, "migrate"},
			{"migrate", "", true, ""},
			{"migrate", "", true, ""},
			{"create -superuser ann@example.com", correct + "\n", true, "ann@example.com"},
			{"create ANN@example.com", correct + "\n", false, "already exists"},
			{"create bob@example.com -inactive", correct, true, "was created"},
			{"create nobody", correct, false, "e-mail"},
			{"create eve@example.com", "short", false, "at least 8 characters"},
			{"create eve@example.com", "", false, "there is no password"},
			{"create eve@example.com hunter2hunter2", "", false, "an argument too many"},
			{"create", "", false, "name the user's address"},
			{"create eve@example.com -password=hunter2hunter2", "", false, "flag provided but not defined"},
			{"activate bob@example.com", "", true, "is active"},
			{"deactivate BOB@example.com", "", true, "is inactive"},
			{"promote bob@example.com", "", true, "is a superuser"},
			{"demote bob@example.com", "", true, "is no superuser"},
			{"verify bob@example.com", "", true, "is verified"},
			{"password bob@example.com", "another horse", true, "has a new password"},
			{"password eve@example.com", correct, false, "nobody has the address or the id"},
			{"list", "", true, "ann@example.com"},
			{"list -superuser", "", true, "superuser verified"},
			{"list -after nobody", "", false, "not found"},
			{"-key uuid -table nowhere list", "", false, "migrate"},
			{"frobnicate", "", false, "there is no command"},
			{"help", "", true, "promote EMAIL"},
			{"create -help", "", true, "-superuser"},
		} {
			out, ok := tell(t, database, step.input, strings.Fields(step.args)...)
			if ok != step.ok || !strings.Contains(out, step.says) {
				t.Errorf("%s: %v, %s", step.args, ok, out)
			}
		}

		out, _ := tell(t, database, "", "list", "-json", "-limit", "1")
		line, rest, _ := strings.Cut(out, "\n")
		var first struct {
			ID          string
			Email       string
			IsSuperuser bool `json:"is_superuser"`
		}
		if err := json.Unmarshal([]byte(line), &first); err != nil || first.Email != "ann@example.com" || !first.IsSuperuser || !strings.Contains(rest, "-after "+first.ID) {
			t.Errorf("%s, %v", out, err)
		}
		if out, _ = tell(t, database, "", "list", "-after", first.ID, "-search", "B@EX"); !strings.Contains(out, "bob@example.com  inactive verified") || strings.Contains(out, "ann") {
			t.Errorf("the second page: %s", out)
		}
		if out, ok := tell(t, database, "", "promote", first.ID); !ok {
			t.Errorf("by id: %s", out)
		}
	})
}

func TestNoSecretOfTheDatabaseIsPrinted(t *testing.T) {
	for _, url := range []string{"postgres://u:hunter2@127.0.0.1:1/x", "postgres://u:hunter2@127.0.0.1:port/x", "mysql://u:hunter2@127.0.0.1/x"} {
		for _, args := range [][]string{{"list"}, {"-help"}, {}} {
			if out, ok := tell(t, url, "", args...); ok && len(args) > 0 && args[0] == "list" {
				t.Errorf("%s", out)
			}
			if out, _ := tell(t, "", "", append([]string{"-db", url}, args...)...); out == "" {
				t.Error("nothing is said")
			}
		}
	}
}

// TestTheTerminalDoesNotEcho types at a real pseudo-terminal.
func TestTheTerminalDoesNotEcho(t *testing.T) {
	database := testdb.SQLiteFile(t)
	if out, ok := tell(t, database, "", "migrate"); !ok {
		t.Fatal(out)
	}
	for what, c := range map[string]struct {
		typed []string
		ok    bool
	}{
		"alike":     {[]string{correct, correct}, true},
		"different": {[]string{correct, "correct house"}, false},
		"empty":     {[]string{"", ""}, false},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := commandFor(ctx, database, "create", what+"@example.com")
		terminal, err := pty.Start(cmd)
		if err != nil {
			t.Fatal(err)
		}
		var screen bytes.Buffer
		for i, prompt := range []string{"Password: ", "Again: "} {
			if err := readUntil(terminal, &screen, prompt); err != nil {
				t.Fatalf("%s: no prompt %q: %v, %q", what, prompt, err, screen.String())
			}
			if _, err := terminal.WriteString(c.typed[i] + "\n"); err != nil {
				t.Fatal(err)
			}
		}
		_, _ = io.Copy(&screen, terminal) // ends with an error where the program ends
		if err := cmd.Wait(); (err == nil) != c.ok {
			t.Errorf("%s: %v, %q", what, err, screen.String())
		}
		if strings.Contains(screen.String(), "horse") || strings.Contains(screen.String(), "house") {
			t.Errorf("%s: the password is on the screen: %q", what, screen.String())
		}
		terminal.Close()
	}
}

// readUntil reads until the text is there.
func readUntil(r io.Reader, into *bytes.Buffer, text string) error {
	one := make([]byte, 1)
	for !strings.HasSuffix(into.String(), text) {
		if _, err := r.Read(one); err != nil {
			return err
		}
		into.Write(one)
	}
	return nil
}
