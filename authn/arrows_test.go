package authn_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/echo-users/echo-users"

// TestProgramsLinkWhatTheyImport holds what each room brings along: of what is
// heavy, nothing but what it is for.
func TestProgramsLinkWhatTheyImport(t *testing.T) {
	const (
		echo, gorm, pgx, redis = "github.com/labstack/", "gorm.io/", "github.com/jackc/", "github.com/redis/"
		jwt, oauth2, oidc      = "github.com/golang-jwt/", "golang.org/x/oauth2", "github.com/coreos/go-oidc/"
		gomail, otter, zxcvbn  = "github.com/wneessen/", "github.com/maypok86/otter/", "github.com/ccojocar/"
		sqlite, drivers        = "modernc.org/", "gorm.io/driver/"
		policies               = module + "/authn/passwordpolicy"
		otel, otelSDK          = "go.opentelemetry.io/", "go.opentelemetry.io/otel/sdk"
	)
	heavy := []string{otel, echo, gorm, pgx, redis, jwt, oauth2, oidc, gomail, otter, zxcvbn, sqlite, drivers, "github.com/glebarez/", policies}
	for room, may := range map[string][]string{
		"authn":                         {echo},
		"authn/linked":                  {echo},
		"authn/password":                nil,
		"authn/passwordpolicy":          {echo, policies},
		"authn/passwordpolicy/breached": {echo, policies},
		"authn/passwordpolicy/strength": {echo, policies, zxcvbn},
		"authn/telemetry":               {echo, otel},
		"authn/usercache":               {echo, otter},
		"strategies/jwt":                {echo, jwt},
		"strategies/jwt/jwks":           {echo, jwt},
		"strategies/database":           {echo},
		"strategies/redis":              {echo, redis},
		"backends":                      {echo, jwt},
		"routes":                        {echo},
		"routes/pages":                  {echo},
		"oauth":                         {echo, jwt, oauth2, oidc},
		"mail":                          {echo},
		"mail/smtp":                     {echo, gomail},
		"userdb":                        {echo, gorm},
		"userdb/notify":                 {echo, gorm, pgx},
	} {
		out, err := exec.Command("go", "list", "-deps", module+"/"+room).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, dep := range strings.Fields(string(out)) {
			within := func(prefix string) bool { return strings.HasPrefix(dep, prefix) }
			if slices.ContainsFunc(heavy, within) && (within(drivers) || within(otelSDK) || !slices.ContainsFunc(may, within)) {
				t.Errorf("%s links %s", room, dep)
			}
		}
	}
}

// TestArrowsPointDown holds which room may import which.
func TestArrowsPointDown(t *testing.T) {
	may := map[string][]string{
		"authn":                      {"authn/password"},
		"authn/command":              {"authn"},
		"authn/password":             nil,
		"authn/passwordpolicy":       {"authn"},
		"strategies/jwt":             {"authn"},
		"strategies/jwt/jwks":        {"authn", "strategies/jwt"},
		"strategies/database":        {"authn", "strategies/internal/opaque"},
		"strategies/redis":           {"authn", "strategies/internal/opaque"},
		"strategies/internal/opaque": nil,
		"authn/telemetry":            {"authn"},
		"authn/usercache":            {"authn", "internal/deepcopy"},
		"internal/deepcopy":          nil,
		"userdb":                     {"authn", "authn/linked", "internal/deepcopy"},
		"userdb/notify":              {"userdb"},
		"authn/linked":               {"authn"},
		"backends":                   {"authn", "strategies/jwt"},
		"routes":                     {"authn", "authn/linked"},
		"routes/pages":               {"authn", "routes"},
		"routes/swaggerui":           {"routes"},
		"routes/openapi":             {"authn", "routes"},
		"oauth":                      {"authn", "authn/linked", "routes"},
		"mail":                       {"authn"},
		"mail/smtp":                  {"mail"},

		"authn/passwordpolicy/strength": {"authn"},
		"authn/passwordpolicy/breached": {"authn"},
	}
	forEachImport(t, func(file, path string) {
		dir := filepath.ToSlash(filepath.Dir(file))
		allowed, isRoom := may[dir]
		if ours, ok := strings.CutPrefix(path, module+"/"); ok && isRoom && !slices.Contains(allowed, ours) {
			t.Errorf("%s imports %s", file, ours)
		}
		if strings.HasPrefix(path, "golang.org/x/crypto/") && dir != "authn/password" {
			t.Errorf("%s imports %s: every password passes the gate of authn/password", file, path)
		}
		if isRoom && strings.HasPrefix(path, "github.com/labstack/") && filepath.Base(file) != "echo.go" {
			t.Errorf("%s imports %s: Echo's types stay in echo.go", file, path)
		}
	})
}

func forEachImport(t *testing.T, f func(file, path string)) {
	t.Helper()
	forEachSource(t, func(file, text string) {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			f(file, strings.Trim(spec.Path.Value, `"`))
		}
	})
}

// forEachSource visits the module's Go files by their path in it, but for
// tests and what is for tests.
func forEachSource(t *testing.T, f func(file, text string)) {
	t.Helper()
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (path == "bench" || path == "authn/authntest" || strings.HasPrefix(path, ".") && path != ".") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := fs.ReadFile(root, path)
		if err == nil {
			f(path, string(text))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
