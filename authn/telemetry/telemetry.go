package telemetry

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"

	"github.com/echo-users/echo-users/authn"
)

// ScopeName names the instrumentation scope of meters and tracers.
const ScopeName = "github.com/echo-users/echo-users/authn/telemetry"

// The attributes.
const (
	// BackendKey is the name of a backend.
	BackendKey = attribute.Key("echo_users.backend")
	// OutcomeKey is an [authn.Outcome].
	OutcomeKey = attribute.Key("echo_users.outcome")
	// LimitKey is the name of a limit, such as "login.account".
	LimitKey = attribute.Key("echo_users.limit")
	// MailKey is the kind of a mail: "verify", "reset", "welcome" or an
	// [authn.NoticeKind].
	MailKey = attribute.Key("echo_users.mail")
	// ResultKey is what a look-up in a cache came to: "hit", "miss" or
	// "bypassed".
	ResultKey = attribute.Key("echo_users.result")
	// StateKey is "running" or "waiting".
	StateKey = attribute.Key("echo_users.state")
	// WaitKey is how long of a hash's span was spent in line, in seconds.
	WaitKey = attribute.Key("echo_users.wait")
)

// Config has the options of [New]. Its zero value works.
type Config struct {
	// GuardSpans makes a span for each request that a guard is asked about, which
	// costs more than its metrics. Defaults to none.
	GuardSpans bool
}

// Telemetry is an [authn.Observer], for one manager or several. Safe for
// concurrent use.
type Telemetry struct {
	cfg       Config
	tracer    trace.Tracer // or nil
	durations map[authn.Deed]metric.Float64Histogram
	wait      metric.Float64Histogram
	limits    metric.Int64Counter

	mu       sync.Mutex
	managers []func() authn.Stats

	options atomic.Pointer[map[labels]option] // copied to be changed
}

// labels are what the attributes of a measurement are made of.
type labels struct {
	deed    authn.Deed
	outcome authn.Outcome
	name    string
}

// option is a labels' attributes, in the forms in which they are given, made
// once.
type option struct {
	record []metric.RecordOption
	add    []metric.AddOption
	set    attribute.Set
}

// maxOptions bounds what is kept. There are fewer.
const maxOptions = 2000

// Boundaries in seconds: what is read from memory takes microseconds, from a
// database milliseconds, and a hash many of them.
var (
	fine   = []float64{10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
	coarse = []float64{1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
)

// New returns what observes managers ([authn.Config.Observer]). meters makes the
// instruments and tracers the spans; nil makes none. An error is that of an
// instrument.
func New(meters metric.MeterProvider, tracers trace.TracerProvider, cfg Config) (*Telemetry, error) {
	t := &Telemetry{cfg: cfg, durations: map[authn.Deed]metric.Float64Histogram{}}
	t.options.Store(&map[labels]option{})
	if tracers != nil {
		t.tracer = tracers.Tracer(ScopeName)
	}
	if meters == nil {
		meters = metricnoop.NewMeterProvider()
	}
	if err := t.instrument(meters.Meter(ScopeName)); err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	return t, nil
}

func (t *Telemetry) instrument(meter metric.Meter) (err error) {
	for _, i := range []struct {
		deed        authn.Deed
		description string
		boundaries  []float64
	}{
		{authn.DeedGuard, "How long guards took to let a request pass or to refuse it.", fine},
		{authn.DeedAuthenticate, "How long checks of passwords took, hashes included.", coarse},
		{authn.DeedLogin, "How long it took to issue a credential to who was authenticated, or to refuse it.", coarse},
		{authn.DeedRefresh, "How long it took to renew a credential, or to refuse it.", coarse},
		{authn.DeedHash, "How long hashes of passwords took, the wait in line included.", coarse},
		{authn.DeedMail, "How long it took to send a mail, or to fail.", coarse},
		{authn.DeedOutbox, "How long each look into the outbox took, what was due included.", coarse},
	} {
		t.durations[i.deed], err = meter.Float64Histogram("echo_users."+string(i.deed)+".duration", metric.WithUnit("s"),
			metric.WithDescription(i.description), metric.WithExplicitBucketBoundaries(i.boundaries...))
		if err != nil {
			return err
		}
	}
	t.wait, err = meter.Float64Histogram("echo_users.hash.wait", metric.WithUnit("s"),
		metric.WithDescription("How long hashes of passwords waited in line."), metric.WithExplicitBucketBoundaries(coarse...))
	if err != nil {
		return err
	}
	t.limits, err = meter.Int64Counter("echo_users.limit.hits", metric.WithUnit("{request}"),
		metric.WithDescription("Requests that were refused for being beyond a limit."))
	if err != nil {
		return err
	}
	return t.observe(meter)
}

// Begin starts a span ([authn.Observer]).
func (t *Telemetry) Begin(ctx context.Context, deed authn.Deed) context.Context {
	if t.tracer == nil {
		return ctx
	}
	ctx, _ = t.tracer.Start(ctx, spanName(deed))
	return ctx
}

// End records a measurement and ends the span ([authn.Observer]).
func (t *Telemetry) End(ctx context.Context, o authn.Observation) {
	opt := t.option(labels{o.Deed, o.Outcome, o.Name})
	switch o.Deed {
	case authn.DeedLimit:
		t.limits.Add(ctx, 1, opt.add...)
		return
	case authn.DeedHash:
		t.wait.Record(ctx, o.Waited.Seconds(), opt.record...)
	}
	if duration, ok := t.durations[o.Deed]; ok {
		duration.Record(ctx, o.Took.Seconds(), opt.record...)
	}
	if t.tracer != nil {
		t.endSpan(ctx, o, opt)
	}
}

func (t *Telemetry) endSpan(ctx context.Context, o authn.Observation, opt option) {
	var span trace.Span
	switch {
	case o.Deed != authn.DeedGuard:
		span = trace.SpanFromContext(ctx) // what Begin started
	case t.cfg.GuardSpans:
		_, span = t.tracer.Start(ctx, spanName(o.Deed), trace.WithTimestamp(time.Now().Add(-o.Took)))
	default:
		return
	}
	if span.IsRecording() {
		span.SetAttributes(opt.set.ToSlice()...)
		if o.Deed == authn.DeedHash {
			span.SetAttributes(WaitKey.Float64(o.Waited.Seconds()))
		}
		switch o.Outcome {
		case authn.OutcomeUnavailable, authn.OutcomeOverloaded, authn.OutcomeFailed:
			span.SetStatus(codes.Error, string(o.Outcome))
		}
	}
	span.End()
}

func spanName(deed authn.Deed) string { return "echo_users." + string(deed) }

// option returns the attributes of labels.
func (t *Telemetry) option(of labels) option {
	kept := t.options.Load()
	if opt, ok := (*kept)[of]; ok {
		return opt
	}
	set := attribute.NewSet(of.attributes()...)
	with := metric.WithAttributeSet(set)
	opt := option{[]metric.RecordOption{with}, []metric.AddOption{with}, set}
	t.mu.Lock()
	defer t.mu.Unlock()
	if kept = t.options.Load(); len(*kept) < maxOptions {
		more := make(map[labels]option, len(*kept)+1)
		for l, o := range *kept {
			more[l] = o
		}
		more[of] = opt
		t.options.Store(&more)
	}
	return opt
}

func (l labels) attributes() []attribute.KeyValue {
	name := BackendKey
	switch l.deed {
	case authn.DeedLimit:
		return []attribute.KeyValue{LimitKey.String(l.name)}
	case authn.DeedMail:
		name = MailKey
	}
	outcome := OutcomeKey.String(string(l.outcome))
	if l.name == "" {
		return []attribute.KeyValue{outcome}
	}
	return []attribute.KeyValue{outcome, name.String(l.name)}
}
