package openapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	swaggest "github.com/swaggest/openapi-go"
	"github.com/swaggest/openapi-go/openapi31"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/routes/openapi"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

// member has a field of each kind.
type member struct {
	userdb.Model[int64]
	Name string `gorm:"uniqueIndex"`
	Nick *string
	Tags []string `gorm:"serializer:json"`
}

type memberInput struct {
	Name string                    `json:"name"`
	Nick routes.Nullable[string]   `json:"nick"`
	Tags routes.Optional[[]string] `json:"tags"`
}

type memberRead struct {
	routes.UserRead
	Name string   `json:"name"`
	Nick *string  `json:"nick"`
	Tags []string `json:"tags,omitempty"`
}

// noLogin is a transport that OpenAPI has no word for, of a strategy that only reads.
type noLogin struct{ authn.Strategy }

func (noLogin) CanIssue() bool { return false }

type odd struct{ backends.Bearer }

func (odd) SecurityScheme() authn.SecurityScheme {
	return authn.SecurityScheme{Type: "apiKey", In: "header", Name: "X-Key"}
}

func newFactory(t *testing.T, cfg routes.Config[*member]) *routes.Factory[*member] {
	t.Helper()
	strategy, err := jwt.New(jwt.Secret([]byte(strings.Repeat("s", 32))), jwt.Config{})
	if err != nil {
		t.Fatal(err)
	}
	cookie, err := backends.NewCookie(backends.CookieConfig{Name: "__Host-session"})
	if err != nil {
		t.Fatal(err)
	}
	store, err := userdb.New[member](testdb.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	verify, err := jwt.NewVerifyTokens(jwt.Secret([]byte(strings.Repeat("v", 32))), jwt.MailedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	reset, err := jwt.NewResetTokens(jwt.Secret([]byte(strings.Repeat("r", 32))), jwt.MailedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	users, err := authn.New(store, authn.Config{VerifyTokens: verify, ResetTokens: reset},
		backends.New("web", backends.Bearer{}, strategy),
		authn.RequireVerified(backends.New("partner", backends.Bearer{TokenURL: "https://login.example.com/token"}, strategy)),
		backends.New("session", cookie, strategy),
		backends.New("elsewhere", backends.Bearer{}, noLogin{strategy}),
		backends.New("key", odd{}, strategy),
		authntest.Impersonator{},
	)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Register = routes.Input(func(memberInput, *member) error { return nil })
	cfg.Read = routes.Output(func(u *member) memberRead { return memberRead{routes.NewUserRead(u), u.Name, u.Nick, u.Tags} })
	factory, err := routes.New(users, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return factory
}

// document is what JSON says, with a way into it.
func document(t *testing.T, doc *openapi.Document) map[string]any {
	t.Helper()
	text, err := doc.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var parsed map[string]any
	if err := json.Unmarshal(text, &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed
}

func at(value any, way ...string) any {
	for _, step := range way {
		members, _ := value.(map[string]any)
		value = members[step]
	}
	return value
}

func TestEveryRouteHasAnEntryAndEveryEntryARoute(t *testing.T) {
	factory := newFactory(t, routes.Config[*member]{})
	doc, err := openapi.New(factory, openapi.Config{})
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	echo4.Mount(e, factory.All())
	mounted, described := map[string]bool{}, map[string]bool{}
	for _, r := range e.Routes() {
		mounted[r.Method+" "+strings.ReplaceAll(r.Path, ":id", "{id}")+" "+r.Name] = true
	}
	for path, item := range at(document(t, doc), "paths").(map[string]any) {
		for method, operation := range item.(map[string]any) {
			described[strings.ToUpper(method)+" "+path+" "+at(operation, "operationId").(string)] = true
			if at(operation, "summary") == "" || at(operation, "tags") == nil {
				t.Errorf("%s %s has no summary or no tag", method, path)
			}
		}
	}
	if len(mounted) < 15 || fmt.Sprint(mounted) != fmt.Sprint(described) {
		t.Errorf("mounted %v, described %v", mounted, described)
	}
}

func TestASchemeForEachBackend(t *testing.T) {
	doc, err := openapi.New(newFactory(t, routes.Config[*member]{AuthPrefix: "/api/auth"}), openapi.Config{PublicURL: "https://example.com/app"})
	if err != nil {
		t.Fatal(err)
	}
	parsed := document(t, doc)
	schemes := at(parsed, "components", "securitySchemes")
	for name, want := range map[string][]string{
		"web":          {"oauth2", "api/auth/web/login"},
		"partner":      {"oauth2", "https://login.example.com/token"},
		"session":      {"apiKey", "cookie", "__Host-session", "/api/auth/session/login"},
		"elsewhere":    {"http", "bearer"},
		"key":          {"apiKey", "header", "X-Key"},
		"impersonator": {"http", "impersonator"},
	} {
		text := fmt.Sprint(at(schemes, name))
		for _, part := range want {
			if !strings.Contains(text, part) {
				t.Errorf("%s: %s, want %s", name, text, part)
			}
		}
	}
	var order []string
	for _, scheme := range at(parsed, "paths", "/users/me", "get", "security").([]any) {
		for name := range scheme.(map[string]any) {
			order = append(order, name)
		}
	}
	if want := []string{"web", "partner", "session", "elsewhere", "key", "impersonator"}; !slices.Equal(order, want) {
		t.Errorf("tried in the order %v", order)
	}
	if servers := fmt.Sprint(at(parsed, "servers")); servers != "[map[url:https://example.com/app/]]" {
		t.Error(servers)
	}
}

func TestWhatTheAnswersAre(t *testing.T) {
	doc, err := openapi.New(newFactory(t, routes.Config[*member]{}), openapi.Config{})
	if err != nil {
		t.Fatal(err)
	}
	paths := at(document(t, doc), "paths")
	for operation, want := range map[string]string{
		"/auth/web/login post":            "200 400 413 422 429 503",
		"/auth/session/login post":        "204 400 403 413 422 429 503",
		"/auth/session/logout post":       "204 401 403 503",
		"/auth/register post":             "201 400 409 413 422 429 503",
		"/auth/verify post":               "200 400 413 422 429 503",
		"/auth/request-verify-token post": "202 413 422 429 503",
		"/auth/forgot-password post":      "202 413 422 429 503",
		"/auth/reset-password post":       "200 400 413 422 429 503",
		"/users/me get":                   "200 401 403 503",
		"/users/{id} delete":              "204 401 403 404 503",
		"/users/{id} patch":               "200 400 401 403 404 413 422 503",
	} {
		path, method, _ := strings.Cut(operation, " ")
		var codes []string
		for code := range at(paths, path, method, "responses").(map[string]any) {
			codes = append(codes, code)
		}
		slices.Sort(codes)
		if got := strings.Join(codes, " "); got != want {
			t.Errorf("%s: %s, want %s", operation, got, want)
		}
	}
	if examples := fmt.Sprint(at(paths, "/auth/partner/login", "post", "responses", "400")); !strings.Contains(examples, "LOGIN_USER_NOT_VERIFIED") {
		t.Error(examples)
	}
	if examples := fmt.Sprint(at(paths, "/auth/web/login", "post", "responses", "400")); strings.Contains(examples, "LOGIN_USER_NOT_VERIFIED") {
		t.Error("a code that the route never answers with")
	}
}

func TestOwnFieldsAreDescribed(t *testing.T) {
	doc, err := openapi.New(newFactory(t, routes.Config[*member]{}), openapi.Config{})
	if err != nil {
		t.Fatal(err)
	}
	parsed := document(t, doc)
	body := at(parsed, "paths", "/auth/register", "post", "requestBody", "content", "application/json", "schema")
	for way, want := range map[string]string{
		"required":   "[email password name]",
		"properties": "map[email:map[format:email type:string] name:map[type:string] nick:map[anyOf:[map[type:string] map[type:null]]] password:map[format:password type:string] tags:map[items:map[type:string] type:array]]",
	} {
		if got := fmt.Sprint(at(body, way)); got != want {
			t.Errorf("%s: %s", way, got)
		}
	}
	user := at(parsed, "components", "schemas", "User")
	if got := fmt.Sprint(at(user, "required")); got != "[email id is_active is_superuser is_verified name nick]" {
		t.Error(got)
	}
	if got := fmt.Sprint(at(user, "properties", "id"), at(user, "properties", "nick"), at(user, "properties", "tags")); got != "map[format:int64 type:integer] map[type:[null string]] map[items:map[type:string] type:array]" {
		t.Error(got)
	}
}

type order struct {
	ID    int64  `json:"id"`
	Title string `json:"title"`
}

func TestAnApplicationsRoutesJoin(t *testing.T) {
	factory := newFactory(t, routes.Config[*member]{})
	own := openapi31.NewReflector()
	own.SpecEns().Info.WithTitle("Shop").WithVersion("7")
	doc, err := openapi.New(factory, openapi.Config{Reflector: own})
	if err != nil {
		t.Fatal(err)
	}
	users := factory.Manager()
	for path, guard := range map[string]openapi.Guard{
		"/open":     nil,
		"/any":      users.CurrentUser(authn.Active, authn.Only("web")),
		"/optional": users.CurrentUser(authn.Active, authn.Only("web"), authn.Optional),
		"/editors":  users.CurrentUser(authn.Active, authn.Only("web")).Require(func(*member) error { return nil }),
		"/cookies":  users.CurrentUser(authn.Active, authn.Only("session")),
		"/fresh":    users.CurrentUser(authn.Active, authn.Only("web"), authn.Fresh(time.Minute)),
	} {
		for _, method := range []string{http.MethodGet, http.MethodPut} {
			op, err := doc.Operation(method, path+"/{id}", guard)
			if err != nil {
				t.Fatal(err)
			}
			op.AddReqStructure(new(struct {
				ID int64 `path:"id"`
			}))
			op.AddRespStructure(new(order), swaggest.WithHTTPStatus(http.StatusOK))
			if err := doc.AddOperation(op); err != nil {
				t.Fatal(err)
			}
		}
	}
	parsed := document(t, doc)
	if title := at(parsed, "info", "title"); title != "Shop" {
		t.Error(title)
	}
	for operation, want := range map[string]string{
		"/open get": "200; <nil>", "/any get": "200 401 503; [map[web:[]]]", "/optional get": "200 503; [map[web:[]] map[]]",
		"/editors get": "200 401 403 503; [map[web:[]]]", "/cookies get": "200 401 503; [map[session:[]]]", "/cookies put": "200 401 403 503; [map[session:[]]]",
	} {
		path, method, _ := strings.Cut(operation, " ")
		entry := at(parsed, "paths", path+"/{id}", method)
		var codes []string
		for code := range at(entry, "responses").(map[string]any) {
			codes = append(codes, code)
		}
		slices.Sort(codes)
		if got := fmt.Sprintf("%s; %v", strings.Join(codes, " "), at(entry, "security")); got != want {
			t.Errorf("%s: %s, want %s", operation, got, want)
		}
	}
	refusals := at(parsed, "paths", "/fresh/{id}", "get", "responses", "401", "content", "application/json", "examples")
	if at(refusals, "insufficient_user_authentication", "value", "detail") != "insufficient_user_authentication" || at(refusals, "Unauthorized") == nil {
		t.Error(refusals)
	}
	if _, err := doc.Operation(http.MethodGet, "/users/me", nil); err == nil {
		t.Error("a route is described twice")
	}
}

func TestTheDocumentIsServed(t *testing.T) {
	doc, err := openapi.New(newFactory(t, routes.Config[*member]{}), openapi.Config{Path: "/api/openapi.json"})
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	echo4.Mount(e, doc.Routes())
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/openapi.json", nil))
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" || !json.Valid(w.Body.Bytes()) {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	factory := newFactory(t, routes.Config[*member]{})
	for _, cfg := range []openapi.Config{{Path: "openapi.json"}, {Path: "/{id}"}, {PublicURL: "example.com"}, {PublicURL: "https://example.com/?x"}, {PublicURL: "javascript:x"}} {
		if _, err := openapi.New(factory, cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
	if _, err := openapi.New[*member](nil, openapi.Config{}); err == nil {
		t.Error("no factory is accepted")
	}
}
