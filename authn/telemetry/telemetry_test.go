package telemetry_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/authn/password"
	"github.com/echo-users/echo-users/authn/telemetry"
	"github.com/echo-users/echo-users/authn/usercache"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
)

// app is an application whose telemetry is kept.
type app struct {
	users   *authn.Users[*authntest.User]
	handler http.Handler
	reader  *sdkmetric.ManualReader
	spans   *tracetest.SpanRecorder
}

const (
	email  = "ann.somebody@example.com"
	secret = "correct horse battery staple"
)

func newApp(t testing.TB, cfg telemetry.Config) *app {
	t.Helper()
	a := &app{reader: sdkmetric.NewManualReader(), spans: tracetest.NewSpanRecorder()}
	observer, err := telemetry.New(sdkmetric.NewMeterProvider(sdkmetric.WithReader(a.reader)),
		sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(a.spans)), cfg)
	if err != nil {
		t.Fatal(err)
	}
	store, err := usercache.New(new(authntest.Memory), usercache.Config{})
	if err != nil {
		t.Fatal(err)
	}
	web, err := backends.JWT(jwt.Secret([]byte(strings.Repeat("k", 32))), backends.JWTConfig{})
	if err != nil {
		t.Fatal(err)
	}
	a.users, err = authn.New(store, authn.Config{
		Observer: observer, Passwords: &password.Hasher{Params: password.Params{Memory: 64, Time: 1}},
	}, web)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.users.Register(t.Context(), email, secret, nil); err != nil {
		t.Fatal(err)
	}
	factory, err := routes.New(a.users, routes.Config[*authntest.User]{})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, route := range factory.All() {
		mux.Handle(route.Method+" "+route.Path, route.Handler)
	}
	a.handler = mux
	return a
}

// login logs in, and returns the answer.
func (a *app) login(password string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/auth/jwt/login", strings.NewReader("username="+email+"&password="+strings.ReplaceAll(password, " ", "+")))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	return w
}

func (a *app) me(token string) int {
	r := httptest.NewRequest(http.MethodGet, "/users/me", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	return w.Code
}

// points are the counts of an instrument by its attributes.
func (a *app) points(t *testing.T, name string) map[string]int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := a.reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	points := map[string]int64{}
	for _, scope := range all.ScopeMetrics {
		if scope.Scope.Name != telemetry.ScopeName {
			t.Errorf("the scope is %q", scope.Scope.Name)
		}
		for _, m := range scope.Metrics {
			if m.Name != name {
				continue
			}
			switch data := m.Data.(type) {
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					points[text(p.Attributes)] = int64(p.Count)
				}
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					points[text(p.Attributes)] = p.Value
				}
			}
		}
	}
	return points
}

func text(set attribute.Set) string {
	var parts []string
	for _, kv := range set.ToSlice() {
		parts = append(parts, strings.TrimPrefix(string(kv.Key), "echo_users.")+"="+kv.Value.String())
	}
	return strings.Join(parts, " ")
}

func TestMetricsOfAnApplication(t *testing.T) {
	a := newApp(t, telemetry.Config{})
	w := a.login(secret)
	_, token, _ := strings.Cut(w.Body.String(), `"access_token":"`)
	token, _, _ = strings.Cut(token, `"`)
	if w.Code != http.StatusOK || a.me(token) != http.StatusOK || a.me(token) != http.StatusOK || a.me("none") != http.StatusUnauthorized {
		t.Fatal(w.Code, w.Body)
	}
	limited := 0
	for range 10 {
		if a.login("wrong").Code == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited == 0 {
		t.Fatal("nobody was limited")
	}
	wrong := int64(10 - limited)
	for name, want := range map[string]map[string]int64{
		"echo_users.guard.duration":        {"backend=jwt outcome=ok": 2, "outcome=unauthorized": 1},
		"echo_users.authenticate.duration": {"outcome=ok": 1, "outcome=bad_credentials": wrong},
		"echo_users.login.duration":        {"backend=jwt outcome=ok": 1},
		"echo_users.hash.duration":         {"outcome=ok": 2 + wrong},
		"echo_users.hash.wait":             {"outcome=ok": 2 + wrong},
		"echo_users.limit.hits":            {"limit=login.device": int64(limited)},
		"echo_users.cache.lookups":         {"result=hit": 1, "result=miss": 1, "result=bypassed": 0},
		"echo_users.cache.users":           {"": 1},
		"echo_users.cache.channels":        {"": 0},
		"echo_users.hash.queue":            {"state=running": 0, "state=waiting": 0},
		"echo_users.background.failures":   {"": 0},
		"echo_users.refresh.duration":      {},
	} {
		got := a.points(t, name)
		if len(got) != len(want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		for labels, n := range want {
			if got[labels] != n {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
		}
	}
}

func TestSpansOfALogIn(t *testing.T) {
	a := newApp(t, telemetry.Config{})
	began := len(a.spans.Ended())
	a.login(secret)
	ended := a.spans.Ended()[began:]
	var names []string
	for _, span := range ended {
		names = append(names, span.Name())
	}
	if want := []string{"echo_users.hash", "echo_users.authenticate", "echo_users.login"}; !slices.Equal(names, want) {
		t.Fatalf("%q, want %q", names, want)
	}
	hash, authenticate, login := ended[0], ended[1], ended[2]
	if hash.Parent().SpanID() != authenticate.SpanContext().SpanID() {
		t.Error("the hash isn't within the check of the password")
	}
	if got := text(attribute.NewSet(login.Attributes()...)); got != "backend=jwt outcome=ok" {
		t.Error(got)
	}
	if got := text(attribute.NewSet(hash.Attributes()...)); !strings.HasPrefix(got, "outcome=ok wait=") {
		t.Error(got)
	}
	if len(a.spans.Started()) != len(a.spans.Ended()) {
		t.Error("a span was not ended")
	}
}

func TestGuardsHaveSpansWhereTheyAreAskedFor(t *testing.T) {
	for cfg, want := range map[telemetry.Config]int{{}: 0, {GuardSpans: true}: 1} {
		a := newApp(t, cfg)
		before := len(a.spans.Ended())
		a.me("none")
		ended := a.spans.Ended()[before:]
		if len(ended) != want {
			t.Fatalf("%d spans, want %d", len(ended), want)
		}
		if want > 0 && (ended[0].Name() != "echo_users.guard" || ended[0].EndTime().Before(ended[0].StartTime())) {
			t.Error(ended[0])
		}
	}
}

// TestTelemetryTellsNoSecret looks for who logged in, and with what, in all that
// leaves.
func TestTelemetryTellsNoSecret(t *testing.T) {
	a := newApp(t, telemetry.Config{GuardSpans: true})
	w := a.login(secret)
	_, token, _ := strings.Cut(w.Body.String(), `"access_token":"`)
	token, _, _ = strings.Cut(token, `"`)
	a.me(token)
	u, err := a.users.GetByEmail(t.Context(), email)
	if err != nil {
		t.Fatal(err)
	}
	var all metricdata.ResourceMetrics
	if err := a.reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	keys := []attribute.Key{telemetry.BackendKey, telemetry.OutcomeKey, telemetry.LimitKey, telemetry.MailKey, telemetry.ResultKey, telemetry.StateKey, telemetry.WaitKey}
	check := func(attributes []attribute.KeyValue) {
		for _, kv := range attributes {
			value := kv.Value.String()
			if !slices.Contains(keys, kv.Key) || value == u.AuthID() || strings.Contains(value, token) ||
				strings.Contains(value, "ann") || strings.Contains(value, "horse") || strings.Contains(value, "192.0.2") {
				t.Errorf("%s: %s", kv.Key, value)
			}
		}
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if data, ok := m.Data.(metricdata.Histogram[float64]); ok {
				for _, p := range data.DataPoints {
					check(p.Attributes.ToSlice())
				}
			}
		}
	}
	for _, span := range a.spans.Ended() {
		check(span.Attributes())
		if len(span.Events()) != 0 {
			t.Errorf("%s has events", span.Name())
		}
	}
}

func TestWhatIsBrokenIsAnErrorOfItsSpan(t *testing.T) {
	a := newApp(t, telemetry.Config{})
	away := errors.New("connection refused")
	_, _ = a.users.AuthenticateWith(t.Context(), func(context.Context) (*authntest.User, error) { return nil, away }, secret)
	_, _ = a.users.Authenticate(t.Context(), email, "wrong")
	var statuses []codes.Code
	for _, span := range a.spans.Ended() {
		if span.Name() == "echo_users.authenticate" {
			statuses = append(statuses, span.Status().Code)
		}
		if strings.Contains(span.Status().Description, "refused") {
			t.Error(span.Status().Description)
		}
	}
	if want := []codes.Code{codes.Error, codes.Unset}; !slices.Equal(statuses, want) {
		t.Errorf("%v, want %v", statuses, want)
	}
}

func TestNoProvidersMakeNothing(t *testing.T) {
	observer, err := telemetry.New(nil, nil, telemetry.Config{GuardSpans: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx := observer.Begin(t.Context(), authn.DeedLogin)
	if ctx != t.Context() {
		t.Error("there is a span")
	}
	observer.End(ctx, authn.Observation{Deed: authn.DeedLogin, Outcome: authn.OutcomeOK})
	observer.End(ctx, authn.Observation{Deed: authn.DeedGuard, Outcome: authn.OutcomeOK})
	observer.End(ctx, authn.Observation{Deed: "of a later version"})
}

func TestCountsOfSeveralManagersAreAddedUp(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	observer, err := telemetry.New(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), nil, telemetry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	observer.Watch(func() authn.Stats {
		return authn.Stats{LoadQueries: 2, LoadUsers: 3, Cache: &authn.CacheStats{Channel: true, ChannelUp: true}}
	})
	observer.Watch(func() authn.Stats { return authn.Stats{LoadQueries: 5, Cache: &authn.CacheStats{Channel: true}} })
	a := &app{reader: reader}
	for name, want := range map[string]int64{"load.queries": 7, "load.users": 3, "cache.channels": 2, "cache.channels_up": 1} {
		if got := a.points(t, "echo_users."+name)[""]; got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}

// BenchmarkGuard is a guard with a JSON Web Token over a user who is kept.
func BenchmarkGuard(b *testing.B) {
	none := func() authn.Observer { return nil }
	metrics := func() authn.Observer {
		observer, err := telemetry.New(sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())), nil, telemetry.Config{})
		if err != nil {
			b.Fatal(err)
		}
		return observer
	}
	spans := func() authn.Observer {
		observer, err := telemetry.New(sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())), sdktrace.NewTracerProvider(), telemetry.Config{GuardSpans: true})
		if err != nil {
			b.Fatal(err)
		}
		return observer
	}
	for _, c := range []struct {
		name string
		make func() authn.Observer
	}{{"none", none}, {"metrics", metrics}, {"metrics-and-spans", spans}} {
		b.Run(c.name, func(b *testing.B) {
			store, err := usercache.New(new(authntest.Memory), usercache.Config{MaxAge: time.Minute})
			if err != nil {
				b.Fatal(err)
			}
			web, err := backends.JWT(jwt.Secret([]byte(strings.Repeat("k", 32))), backends.JWTConfig{Config: jwt.Config{KeepVerified: true}})
			if err != nil {
				b.Fatal(err)
			}
			users, err := authn.New(store, authn.Config{Observer: c.make(), Passwords: &password.Hasher{Params: password.Params{Memory: 64, Time: 1}}}, web)
			if err != nil {
				b.Fatal(err)
			}
			u, err := users.Register(b.Context(), email, secret, nil)
			if err != nil {
				b.Fatal(err)
			}
			res, err := users.Login(b.Context(), web.Name(), u)
			if err != nil {
				b.Fatal(err)
			}
			w := httptest.NewRecorder()
			if err := res.Write(w); err != nil {
				b.Fatal(err)
			}
			_, token, _ := strings.Cut(w.Body.String(), `"access_token":"`)
			token, _, _ = strings.Cut(token, `"`)
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			active := users.CurrentUser(authn.Active)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := active.Check(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
