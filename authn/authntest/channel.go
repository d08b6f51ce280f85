package authntest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// Channel is what package usercache asks of one.
type Channel interface {
	Publish(ctx context.Context, message string) error
	Listen(ctx context.Context, ready func(), hear func(message string)) error
}

// TestChannel runs the suite of a channel between nodes. newChannel returns
// another end of the same one each time. It waits for messages of a real one for
// up to ten seconds.
func TestChannel(t *testing.T, newChannel func(t *testing.T) Channel) {
	for name, part := range map[string]func(ctx context.Context, p *problems, a, b Channel){
		"everybody hears in order": everybodyHears,
		"ends with its context":    endsWithItsContext,
	} {
		t.Run(name, func(t *testing.T) {
			p := new(problems)
			part(t.Context(), p, newChannel(t), newChannel(t))
			p.report(t)
		})
	}
}

// ear notes what an end hears.
type ear struct {
	ready, heard chan struct{}
	ended        chan error
	cancel       context.CancelFunc

	mu       sync.Mutex
	messages []string
}

func listen(ctx context.Context, c Channel, want int) *ear {
	ctx, cancel := context.WithCancel(ctx)
	e := &ear{ready: make(chan struct{}), heard: make(chan struct{}), ended: make(chan error, 1), cancel: cancel}
	go func() {
		e.ended <- c.Listen(ctx, func() { close(e.ready) }, func(message string) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.messages = append(e.messages, message)
			if len(e.messages) == want {
				close(e.heard)
			}
		})
	}()
	return e
}

const patience = 10 * time.Second

// waits reports whether something happens.
func waits[T any](c <-chan T) bool {
	select {
	case <-c:
		return true
	case <-time.After(patience):
		return false
	}
}

func everybodyHears(ctx context.Context, p *problems, a, b Channel) {
	var want []string
	for i := range 200 {
		want = append(want, fmt.Sprintf("user %d ~!\"'\\%%{}", i))
	}
	long := make([]byte, 400)
	for i := range long {
		long[i] = 'x'
	}
	want = append(want, string(long))
	ears := []*ear{listen(ctx, a, len(want)), listen(ctx, b, len(want))}
	for _, e := range ears {
		defer e.cancel()
		if !waits(e.ready) {
			p.add("an end is never ready")
			return
		}
	}
	for _, message := range want {
		if err := a.Publish(ctx, message); err != nil {
			p.add("Publish: %v", err)
			return
		}
	}
	for _, e := range ears {
		if !waits(e.heard) {
			p.add("an end that is ready doesn't hear everything")
		}
		e.mu.Lock()
		if got := slices.Clone(e.messages); !slices.Equal(got, want) {
			p.add("an end hears %d messages, or others, or in another order, than the %d that were published", len(got), len(want))
		}
		e.mu.Unlock()
	}
}

func endsWithItsContext(ctx context.Context, p *problems, a, b Channel) {
	e := listen(ctx, a, -1)
	if !waits(e.ready) {
		p.add("an end is never ready")
	}
	e.cancel()
	select {
	case err := <-e.ended:
		if err == nil {
			p.add("Listen returns no error at the end of its context")
		}
	case <-time.After(patience):
		p.add("Listen doesn't return at the end of its context")
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := b.Publish(ended, "user"); err == nil {
		p.add("Publish ignores the end of its context")
	}
	if err := b.Listen(ended, func() { p.add("an end of an ended context is ready") }, func(string) {}); err == nil {
		p.add("Listen ignores a context that has ended")
	}
}
