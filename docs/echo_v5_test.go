package docs_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/labstack/echo/v5"

	"github.com/echo-users/echo-users/adapters/echo5"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/routes"
)

func writeProblemV5(c *echo.Context, err error) {
	if r, _ := echo.UnwrapResponse(c.Response()); r != nil && r.Committed {
		return
	}
	answer := echo5.AsHTTPError(err)
	if answer.Status >= http.StatusInternalServerError {
		c.Logger().ErrorContext(c.Request().Context(), "request failed", "error", err) // never a password or a token
	}
	for name, values := range answer.Header {
		c.Response().Header()[name] = values // Retry-After, WWW-Authenticate
	}
	c.Response().Header().Set(echo.HeaderContentType, "application/problem+json")
	c.Response().WriteHeader(answer.Status)
	problem := Problem{Type: "about:blank", Title: http.StatusText(answer.Status), Status: answer.Status, Code: answer.Detail}
	if err := json.NewEncoder(c.Response()).Encode(problem); err != nil {
		c.Logger().ErrorContext(c.Request().Context(), "not answered", "error", err)
	}
}

func TestProblemsV5(t *testing.T) {
	users := newAppUsers(t)
	e := echo.New()
	e.Logger = slog.New(slog.DiscardHandler)
	e.HTTPErrorHandler = writeProblemV5
	echo5.Mount(e, routes.All(users))
	e.Group("/admin", echo5.Middleware(users.CurrentUser(authn.Active)))
	for path, want := range map[string]string{
		"/users/me": `401 {"type":"about:blank","title":"Unauthorized","status":401,"code":"Unauthorized"}`,
		"/nowhere":  `404 {"type":"about:blank","title":"Not Found","status":404,"code":"Not Found"}`,

		"/admin/nowhere": `401 {"type":"about:blank","title":"Unauthorized","status":401,"code":"Unauthorized"}`,
	} {
		if got := get(e, path, ""); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
}

var (
	replacing = regexp.MustCompile(`(?m)^    find \. -name .*\n(?:        .*\n)*`)
	diffFence = regexp.MustCompile("(?ms)^```diff\n(.*?)^```$")
)

// TestThePageMovesTheQuickstart does with the quickstart what the page says,
// and holds the outcome against its twin on Echo v5: nothing else is different
// but its name.
func TestThePageMovesTheQuickstart(t *testing.T) {
	page, file := read(t, "echo-v5.md"), filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(read(t, "../examples/quickstart/main.go")), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", replacing.FindString(page))
	cmd.Dir = filepath.Dir(file)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s, %v", out, err)
	}
	program := read(t, file)
	for _, diff := range diffFence.FindAllStringSubmatch(page, -1) {
		var before, after strings.Builder
		for line := range strings.Lines(diff[1]) {
			if line[0] != '+' {
				before.WriteString(line[1:])
			}
			if line[0] != '-' {
				after.WriteString(line[1:])
			}
		}
		if strings.Count(program, before.String()) != 1 {
			t.Errorf("the program has not this, once:\n%s", before.String())
		}
		program = strings.Replace(program, before.String(), after.String(), 1)
	}
	program = strings.NewReplacer(
		"Command quickstart is an Echo server", "Command quickstart-v5 is an Echo v5 server",
		"quickstart users", "quickstart-v5 users",
	).Replace(program)
	moved, twin := strings.SplitAfter(program, "\n"), strings.SplitAfter(read(t, "../examples/quickstart-v5/main.go"), "\n")
	for i := range min(len(moved), len(twin)) {
		if moved[i] != twin[i] {
			t.Fatalf("line %d is %q, its twin's %q", i+1, moved[i], twin[i])
		}
	}
	if len(moved) != len(twin) {
		t.Errorf("%d lines, and %d", len(moved), len(twin))
	}
}
