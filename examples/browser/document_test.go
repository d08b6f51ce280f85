package browser

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
)

// documentOf returns the OpenAPI document of a server.
func documentOf(t *testing.T, base string) []byte {
	t.Helper()
	res, err := http.Get(base + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res.Status, err)
	}
	return text
}

// TestDocumentsAreValid holds the documents against OpenAPI's own schema.
func TestDocumentsAreValid(t *testing.T) {
	for example, args := range map[string][]string{
		"quickstart":  {"-db", filepath.Join(t.TempDir(), "quickstart.db")},
		"conformance": nil,
	} {
		t.Run(example, func(t *testing.T) {
			document, err := libopenapi.NewDocument(documentOf(t, serve(t, example, args...).String()))
			if err != nil {
				t.Fatal(err)
			}
			if model, err := document.BuildV3Model(); err != nil || model.Model.Version != "3.1.0" {
				t.Fatal(err)
			}
			v, errs := validator.NewValidator(document)
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			if ok, problems := v.ValidateDocument(); !ok {
				for _, problem := range problems {
					t.Errorf("%s: %s", problem.Message, problem.Reason)
					for _, e := range problem.SchemaValidationErrors {
						t.Errorf("%+v", e)
					}
				}
			}
		})
	}
}

// TestATypeScriptClient generates one from the document, compiles it, and lets
// it register, log in and ask who is logged in.
func TestATypeScriptClient(t *testing.T) {
	if _, err := exec.LookPath("npm"); err != nil {
		if os.Getenv("BROWSER_REQUIRED") == "1" {
			t.Fatal("no npm: install Node.js")
		}
		t.Skip("no npm: install Node.js")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("typescript")); err != nil {
		t.Fatal(err)
	}
	base := serve(t, "quickstart", "-db", filepath.Join(t.TempDir(), "quickstart.db")).String()
	if err := os.WriteFile(filepath.Join(dir, "openapi.json"), documentOf(t, base), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, step := range [][]string{
		{"npm", "ci", "--no-audit", "--no-fund"},
		{"npm", "run", "--silent", "generate"},
		{"npm", "run", "--silent", "compile"},
		{"node", "out/client.js", base},
	} {
		cmd := exec.CommandContext(t.Context(), step[0], step[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", step, err, out)
		}
	}
}
