package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/internal/testdb"
)

// TestTheDocumentHasEveryRoute holds the document against the server's routes,
// and its schemes against the backends.
func TestTheDocumentHasEveryRoute(t *testing.T) {
	s, err := newServer[uuid.UUID](t.Context(), testdb.SQLite(t), config{
		jwtSecret: "SECRET", myJWTSecret: "OTHER", cookieSecret: "COOKIE", resetSecret: "RESET", verifySecret: "VERIFY",
		lifetime: time.Hour, redisURL: testdb.RedisURL(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.shutdown(t.Context()) })
	w := httptest.NewRecorder()
	s.front.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	var document struct {
		Paths      map[string]map[string]any
		Components struct{ SecuritySchemes map[string]any }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	var mounted, described []string
	for _, r := range s.front.(interface{ Routes() []*echo.Route }).Routes() {
		if !strings.HasPrefix(r.Path, "/_test/") && !strings.HasPrefix(r.Path, "/docs") && r.Path != "/openapi.json" {
			mounted = append(mounted, r.Method+" "+strings.NewReplacer(":id", "{id}", ":session", "{session}").Replace(r.Path))
		}
	}
	for path, item := range document.Paths {
		for method := range item {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(mounted)
	slices.Sort(described)
	if !slices.Equal(mounted, described) {
		t.Errorf("mounted %q, described %q", mounted, described)
	}
	for _, backend := range []string{"jwt", "my-jwt", "strict", "cookie", "database", "redis", "session"} {
		if document.Components.SecuritySchemes[backend] == nil {
			t.Errorf("no scheme for %s", backend)
		}
	}
}
