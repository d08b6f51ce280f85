package authn

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
)

const (
	// maxHeldEvents is how many events may wait for a sink that is slow.
	maxHeldEvents = 4096
	// maxHeldLimited is how many of them may be [Limited]: whoever floods a route
	// makes as many as they like, and must not push out what else happens.
	maxHeldLimited = maxHeldEvents / 4
)

var errManyLimited = errors.New("authn: many events of what was limited wait already")

// Record has the hooks told of an event ([Hooks.OnEvent]): those of this module
// record theirs, and an application may record its own. It fills in what isn't
// set: the time, the outcome, the client of ctx, and who did it by which
// credential, as a guard found them. It neither fails nor waits: beyond 4096
// events that a hook hasn't heard yet, or 1024 of them [Limited], more are
// dropped, and counted in the log.
//
// Within a transaction the hooks hear of it once it is committed, and never if
// it isn't: see [HoldEvents] for transactions that the application began itself.
func (m *Users[U]) Record(ctx context.Context, e Event) {
	if len(m.sinks.all()) == 0 {
		return
	}
	if e.Time.IsZero() {
		e.Time = m.cfg.Now()
	}
	if e.Outcome == "" {
		e.Outcome = Succeeded
	}
	if e.Client == (Client{}) {
		e.Client = ClientFrom(ctx)
	}
	e.Client = e.Client.bounded()
	if id, ok := IdentityFrom(ctx); ok {
		if e.ActorID == "" {
			e.ActorID = id.Subject
		}
		if e.Backend == "" {
			e.Backend = id.Backend
			if e.SessionID == "" {
				e.SessionID = id.SessionID
			}
		}
	}
	if e.ActorID == e.UserID {
		e.ActorID = ""
	}
	deliver := func(around context.Context) {
		if _, within := m.outside(around); within {
			m.cfg.Logger.WarnContext(ctx, "authn: nobody hears of an event within a transaction of the application's own: see authn.HoldEvents", slog.String("kind", string(e.Kind)))
			return
		}
		ctx, _ := m.outside(ctx)
		for _, s := range m.sinks.all() {
			s.deliver(ctx, e)
		}
	}
	if h, _ := ctx.Value(heldKey{}).(*heldEvents); h != nil {
		h.add(deliver)
		return
	}
	deliver(ctx)
}

// eventSink is who hears of events, one after the other, in a goroutine that
// comes and goes with them: a sink that is slow or hangs delays no other one,
// and no mail.
type eventSink struct {
	runner  *runner
	hear    func(ctx context.Context, e Event) error
	logger  *slog.Logger
	limited atomic.Int64 // how many Limited ones wait
	dropped atomic.Int64
}

func newEventSink(hear func(context.Context, Event) error, logger *slog.Logger) *eventSink {
	return &eventSink{runner: newRunner(Background{Workers: 1, Backlog: maxHeldEvents}, logger), hear: hear, logger: logger}
}

func (s *eventSink) deliver(ctx context.Context, e Event) {
	if err := s.accept(ctx, e); err != nil {
		if s.dropped.Add(1) == 1 {
			s.logger.ErrorContext(ctx, "authn: events are dropped", slog.Any("error", err))
		}
		return
	}
	if n := s.dropped.Swap(0); n > 0 {
		s.logger.ErrorContext(ctx, "authn: events were dropped", slog.Int64("count", n))
	}
}

func (s *eventSink) accept(ctx context.Context, e Event) error {
	hear := func(ctx context.Context) error { return s.hear(ctx, e) }
	if e.Outcome != Limited {
		return s.runner.accept(ctx, "an event", hear)
	}
	err := errManyLimited
	if s.limited.Add(1) <= maxHeldLimited {
		err = s.runner.accept(ctx, "an event", func(ctx context.Context) error {
			s.limited.Add(-1)
			return hear(ctx)
		})
	}
	if err != nil {
		s.limited.Add(-1)
	}
	return err
}

// flushEvents returns when the sinks have heard of all events. With end, they
// hear of no more.
func (m *Users[U]) flushEvents(ctx context.Context, end bool) error {
	var errs error
	for _, s := range m.sinks.all() {
		if end {
			s.runner.close()
		}
		errs = errors.Join(errs, s.runner.wait(ctx))
		if end {
			s.runner.end()
		}
	}
	return errs
}

type heldKey struct{}

// heldEvents are those of a transaction that hasn't ended.
type heldEvents struct {
	around context.Context // that of before the transaction

	mu   sync.Mutex
	told bool
	list []func(around context.Context)
}

func (h *heldEvents) add(deliver func(around context.Context)) {
	h.mu.Lock()
	if !h.told {
		h.list = append(h.list, deliver)
		h.mu.Unlock()
		return
	}
	h.mu.Unlock()
	h.pass(deliver)
}

// pass hands an event to the transaction around this one, if there is one.
func (h *heldEvents) pass(deliver func(around context.Context)) {
	if parent, _ := h.around.Value(heldKey{}).(*heldEvents); parent != nil {
		parent.add(deliver)
		return
	}
	deliver(h.around)
}

func (h *heldEvents) tell() {
	h.mu.Lock()
	list := h.list
	h.told, h.list = true, nil
	h.mu.Unlock()
	for _, deliver := range list {
		h.pass(deliver)
	}
}

// HoldEvents is for a transaction that the application begins itself, and for
// stores that do ([Transactor]). It takes the context of before the transaction,
// and returns one with which events are held, and a function that has the hooks
// told of them. Call that once the transaction is committed; where it isn't,
// nobody hears of what didn't happen. Without it, events of such a transaction
// are dropped, with a line in the log. Safe for concurrent use.
func HoldEvents(ctx context.Context) (held context.Context, tell func()) {
	h := &heldEvents{around: ctx}
	return context.WithValue(ctx, heldKey{}, h), h.tell
}
