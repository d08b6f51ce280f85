package docs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/authn/telemetry"
)

// slowness logs what takes long.
type slowness struct {
	limit  time.Duration
	logger *slog.Logger
}

func (s slowness) Begin(ctx context.Context, _ authn.Deed) context.Context { return ctx }

func (s slowness) End(ctx context.Context, o authn.Observation) {
	if o.Took > s.limit {
		s.logger.WarnContext(ctx, "slow", "what", o.Deed, "of", o.Name, "outcome", o.Outcome, "took", o.Took)
	}
}

func TestSlowness(t *testing.T) {
	var log bytes.Buffer
	users, err := authn.New(newAppStore(t), authn.Config{Observer: slowness{0, slog.New(slog.NewTextHandler(&log, nil))}}, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	_, _, _ = users.CurrentUser(authn.Active).Check(request("GET", "/", ""))
	if !strings.Contains(log.String(), "what=guard") {
		t.Error(log.String())
	}
}

// instrument is what the page says of one.
type instrument struct{ unit, kind, attributes string }

// instruments are those that the code makes, each of which was used.
func instruments(t *testing.T) map[string]instrument {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	observer, err := telemetry.New(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), nil, telemetry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	observer.Watch(func() authn.Stats { return authn.Stats{Cache: new(authn.CacheStats)} })
	for deed, named := range map[authn.Deed]bool{
		authn.DeedGuard: true, authn.DeedAuthenticate: false, authn.DeedLogin: true, authn.DeedRefresh: true,
		authn.DeedHash: false, authn.DeedLimit: true, authn.DeedMail: true, authn.DeedOutbox: false,
	} {
		o := authn.Observation{Deed: deed, Outcome: authn.OutcomeOK}
		if named {
			o.Name = "name"
		}
		observer.End(t.Context(), o)
	}
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	made := map[string]instrument{}
	for _, m := range all.ScopeMetrics[0].Metrics {
		var kind string
		keys := map[attribute.Key]bool{}
		switch data := m.Data.(type) {
		case metricdata.Histogram[float64]:
			kind = "histogram"
			for _, p := range data.DataPoints {
				addKeys(keys, p.Attributes)
			}
		case metricdata.Sum[int64]:
			kind = "up-down counter"
			if data.IsMonotonic {
				kind = "counter"
			}
			for _, p := range data.DataPoints {
				addKeys(keys, p.Attributes)
			}
		default:
			t.Errorf("%s is a %T", m.Name, data)
		}
		var names []string
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			names = append(names, "`"+string(key)+"`")
		}
		made[m.Name] = instrument{m.Unit, kind, strings.Join(names, ", ")}
	}
	return made
}

func addKeys(keys map[attribute.Key]bool, set attribute.Set) {
	for _, kv := range set.ToSlice() {
		keys[kv.Key] = true
	}
}

var (
	instrumentRow = regexp.MustCompile("(?m)^\\| `(echo_users[^`]+)` \\| `([^`]+)` \\| ([a-z -]+) \\| ([^|]*?) ?\\| .+ \\|$")
	outcomeRow    = regexp.MustCompile("(?m)^\\| (`[a-z_]+`(?:, `[a-z_]+`)*) \\| [^|]+ \\|$")
	outcomeConst  = regexp.MustCompile(`(?m)^\tOutcome\w+\s+Outcome = "(\w+)"$`)
)

// TestThePageHasEveryInstrument holds the table of the page against what the
// code makes.
func TestThePageHasEveryInstrument(t *testing.T) {
	told := map[string]instrument{}
	for _, row := range instrumentRow.FindAllStringSubmatch(read(t, "telemetry.md"), -1) {
		told[row[1]] = instrument{row[2], row[3], row[4]}
	}
	made := instruments(t)
	for name, is := range made {
		if told[name] != is {
			t.Errorf("%s: the page says %+v, it is %+v", name, told[name], is)
		}
	}
	for name := range told {
		if _, ok := made[name]; !ok {
			t.Errorf("there is no %s", name)
		}
	}
}

func outcomes(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, match := range outcomeConst.FindAllStringSubmatch(read(t, "../authn/observer.go"), -1) {
		all = append(all, match[1])
	}
	if len(all) < 10 {
		t.Fatalf("only %d outcomes were found", len(all))
	}
	return slices.Sorted(slices.Values(all))
}

func TestThePageHasEveryOutcome(t *testing.T) {
	_, table, _ := strings.Cut(read(t, "telemetry.md"), "| outcome | is |")
	table, _, _ = strings.Cut(table, "\n\n")
	var told []string
	for _, row := range outcomeRow.FindAllStringSubmatch(table, -1) {
		for name := range strings.SplitSeq(row[1], ", ") {
			told = append(told, strings.Trim(name, "`"))
		}
	}
	slices.Sort(told)
	if want := outcomes(t); !slices.Equal(told, want) {
		t.Errorf("the page has %q, the code %q", told, want)
	}
}

// TestDashboardAndAlertsAskForWhatIsThere holds every metric and label that they
// name against the instruments, as Prometheus names them: see the
// specification's "Prometheus and OpenMetrics Compatibility". What an exporter
// makes of them is held by examples/telemetry.
func TestDashboardAndAlertsAskForWhatIsThere(t *testing.T) {
	known, used := map[string]string{}, map[string]bool{} // by the instrument that it is of
	made := instruments(t)
	underscored := strings.NewReplacer(".", "_", "`", "").Replace
	for name, is := range made {
		series := underscored(name)
		if is.unit == "s" {
			series += "_seconds"
		}
		switch is.kind {
		case "counter":
			known[series+"_total"] = name
		case "histogram":
			for _, suffix := range []string{"_bucket", "_count", "_sum"} {
				known[series+suffix] = name
			}
		default:
			known[series] = name
		}
		for label := range strings.SplitSeq(underscored(is.attributes), ", ") {
			known[label] = label
		}
	}
	dashboard := read(t, "telemetry/dashboard.json")
	if !json.Valid([]byte(dashboard)) {
		t.Error("the dashboard is no JSON")
	}
	all := outcomes(t)
	asked := regexp.MustCompile(`echo_users_\w+`)
	for file, text := range map[string]string{"dashboard.json": dashboard, "alerts.yaml": read(t, "telemetry/alerts.yaml")} {
		names := asked.FindAllString(text, -1)
		if len(names) < 10 {
			t.Errorf("%s names %d metrics and labels", file, len(names))
		}
		for _, name := range names {
			used[known[name]] = true
			if known[name] == "" {
				t.Errorf("%s names %s, which isn't there", file, name)
			}
		}
		for _, match := range regexp.MustCompile(`echo_users_outcome=\\?"(\w+)`).FindAllStringSubmatch(text, -1) {
			if !slices.Contains(all, match[1]) {
				t.Errorf("%s asks for the outcome %q", file, match[1])
			}
		}
	}
	for name := range made {
		if !used[name] {
			t.Errorf("nothing shows %s", name)
		}
	}
}
