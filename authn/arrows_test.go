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

// TestProgramsLinkWhatTheyImport holds what each room brings along.
func TestProgramsLinkWhatTheyImport(t *testing.T) {
	const gorm, redis, jwt, pgx = "gorm.io/", "github.com/redis/", "github.com/golang-jwt/", "github.com/jackc/"
	const gomail = "github.com/wneessen/"
	const oauth2, oidc = "golang.org/x/oauth2", "github.com/coreos/go-oidc/"
	const otter = "github.com/maypok86/otter/"
	for room, heavy := range map[string][]string{
		"authn":               {otter, gorm, redis, jwt, pgx, oauth2, oidc},
		"authn/password":      {otter, gorm, redis, jwt, pgx, "github.com/labstack/"},
		"strategies/jwt":      {otter, gorm, redis, pgx, oauth2, oidc},
		"strategies/jwt/jwks": {otter, gorm, redis, pgx},
		"strategies/database": {otter, gorm, redis, jwt, pgx},
		"strategies/redis":    {otter, gorm, jwt, pgx},
		"backends":            {otter, gorm, redis, pgx, oauth2, oidc},
		"routes":              {otter, gorm, redis, pgx, jwt, gomail, oauth2, oidc},
		"mail":                {otter, gorm, redis, jwt, pgx, gomail, oauth2, oidc},
		"mail/smtp":           {otter, gorm, redis, jwt, pgx},
		"routes/pages":        {otter, gorm, redis, pgx, jwt, gomail, oauth2, oidc},
		"authn/usercache":     {gorm, redis, jwt, pgx, oauth2, oidc},
		"userdb/notify":       {otter, redis, jwt, oauth2, oidc},
		"authn/linked":        {otter, gorm, redis, jwt, pgx, oauth2, oidc},
		"oauth":               {otter, gorm, redis, pgx},
		"userdb":              {otter, redis, jwt, pgx, "modernc.org/", "github.com/glebarez/", "gorm.io/driver/", oauth2, oidc},
	} {
		out, err := exec.Command("go", "list", "-deps", module+"/"+room).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, dep := range strings.Fields(string(out)) {
			for _, prefix := range heavy {
				if strings.HasPrefix(dep, prefix) {
					t.Errorf("%s links %s", room, dep)
				}
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
		"strategies/jwt":             {"authn"},
		"strategies/jwt/jwks":        {"authn", "strategies/jwt"},
		"strategies/database":        {"authn", "strategies/internal/opaque"},
		"strategies/redis":           {"authn", "strategies/internal/opaque"},
		"strategies/internal/opaque": nil,
		"authn/usercache":            {"authn", "internal/deepcopy"},
		"internal/deepcopy":          nil,
		"userdb":                     {"authn", "authn/linked", "internal/deepcopy"},
		"userdb/notify":              {"userdb"},
		"authn/linked":               {"authn"},
		"backends":                   {"authn", "strategies/jwt"},
		"routes":                     {"authn"},
		"routes/pages":               {"authn", "routes"},
		"routes/swaggerui":           {"routes"},
		"routes/openapi":             {"authn", "routes"},
		"oauth":                      {"authn", "authn/linked", "routes"},
		"mail":                       {"authn"},
		"mail/smtp":                  {"mail"},
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
