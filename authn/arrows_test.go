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
		echo4, echo5          = "github.com/labstack/echo/v4", "github.com/labstack/echo/v5"
		gommon                = "github.com/labstack/gommon/"
		gorm, pgx, redis      = "gorm.io/", "github.com/jackc/", "github.com/redis/"
		jwt, oauth2, oidc     = "github.com/golang-jwt/", "golang.org/x/oauth2", "github.com/coreos/go-oidc/"
		gomail, otter, zxcvbn = "github.com/wneessen/", "github.com/maypok86/otter/", "github.com/ccojocar/"
		sqlite, drivers       = "modernc.org/", "gorm.io/driver/"
		policies              = module + "/authn/passwordpolicy"
		otel, otelSDK         = "go.opentelemetry.io/", "go.opentelemetry.io/otel/sdk"
	)
	heavy := []string{otel, echo4, echo5, gommon, gorm, pgx, redis, jwt, oauth2, oidc, gomail, otter, zxcvbn, sqlite, drivers, "github.com/glebarez/", policies}
	for room, may := range map[string][]string{
		"authn":                         nil,
		"authn/linked":                  nil,
		"authn/password":                nil,
		"authn/passwordpolicy":          {policies},
		"authn/passwordpolicy/breached": {policies},
		"authn/passwordpolicy/strength": {policies, zxcvbn},
		"authn/telemetry":               {otel},
		"authn/usercache":               {otter},
		"strategies/jwt":                {jwt},
		"strategies/jwt/jwks":           {jwt},
		"strategies/database":           nil,
		"strategies/redis":              {redis},
		"backends":                      {jwt},
		"routes":                        nil,
		"routes/pages":                  nil,
		"oauth":                         {jwt, oauth2, oidc},
		"mail":                          nil,
		"mail/smtp":                     {gomail},
		"adapters/echo4":                {echo4, gommon},
		"adapters/echo5":                {echo5},
		"adapters/nethttp":              nil,
		"userdb":                        {gorm},
		"userdb/notify":                 {gorm, pgx},
	} {
		for _, dep := range linked(t, room) {
			within := func(prefix string) bool { return strings.HasPrefix(dep, prefix) }
			if slices.ContainsFunc(heavy, within) && (within(drivers) || within(otelSDK) || !slices.ContainsFunc(may, within)) {
				t.Errorf("%s links %s", room, dep)
			}
		}
	}
}

// TestProgramsLinkTheirFrameworkAlone holds that who builds a program on one
// framework compiles nothing of another: a whole application on either Echo,
// and on net/http everything that an application can mount.
func TestProgramsLinkTheirFrameworkAlone(t *testing.T) {
	for name, program := range map[string]struct{ rooms, frameworks []string }{
		"Echo v4": {[]string{"examples/quickstart"}, []string{"github.com/labstack/echo/v4", "github.com/labstack/gommon"}},
		"Echo v5": {[]string{"examples/quickstart-v5"}, []string{"github.com/labstack/echo/v5"}},
		"net/http": {[]string{
			"adapters/nethttp", "authn/command", "backends", "mail/smtp", "oauth", "routes", "routes/openapi", "routes/pages",
			"routes/swaggerui", "strategies/database", "strategies/jwt/jwks", "strategies/redis", "userdb", "userdb/notify",
		}, nil},
	} {
		found := map[string]bool{}
		for _, dep := range linked(t, program.rooms...) {
			if !strings.HasPrefix(dep, "github.com/labstack/") {
				continue
			}
			own := slices.IndexFunc(program.frameworks, func(framework string) bool { return dep == framework || strings.HasPrefix(dep, framework+"/") })
			if own < 0 {
				t.Errorf("%s: %v links %s", name, program.rooms, dep)
			} else {
				found[program.frameworks[own]] = true
			}
		}
		if len(found) != len(program.frameworks) {
			t.Errorf("%s: of %q it links %v", name, program.frameworks, found)
		}
	}
}

// linked returns what programs of these rooms compile.
func linked(t *testing.T, rooms ...string) []string {
	t.Helper()
	args := []string{"list", "-deps"}
	for _, room := range rooms {
		args = append(args, module+"/"+room)
	}
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
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
		"routes/swaggerui":           {"authn", "routes"},
		"routes/openapi":             {"authn", "routes"},
		"oauth":                      {"authn", "authn/linked", "routes"},
		"adapters":                   nil,
		"adapters/internal/echos":    {"authn"},
		"adapters/echo4":             {"adapters/internal/echos", "authn", "routes"},
		"adapters/echo5":             {"adapters/internal/echos", "authn", "routes"},
		"adapters/nethttp":           {"authn", "routes"},
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
		if strings.HasPrefix(path, "github.com/labstack/") && !strings.HasPrefix(dir, "adapters/") && !strings.HasPrefix(dir, "examples/") && dir != "internal/fronts" {
			t.Errorf("%s imports %s: Echo's types stay in adapters", file, path)
		}
	})
}

// TestNoSecretIsOfMathRand holds that what is random and secret comes from
// crypto/rand alone, which ends the process rather than return anything else.
func TestNoSecretIsOfMathRand(t *testing.T) {
	chance := map[string]bool{ // what somebody may guess
		"authn/usercache/stats.go": true, // which counter is counted on
		"userdb/update.go":         true, // how long to wait before another try
	}
	forEachImport(t, func(file, path string) {
		if strings.HasPrefix(path, "math/rand") && !chance[file] {
			t.Errorf("%s imports %s", file, path)
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
