// Package authntest proves plugs right: whoever writes a [authn.Store],
// [authn.Strategy], [authn.Transport] or [authn.Backend] runs its suite in a
// test of their own, in the spirit of testing/slogtest.
//
//	func TestMyStore(t *testing.T) {
//		authntest.TestStore(t, func(t *testing.T) authn.Store[*AppUser] { return newMyStore(t) })
//	}
//
// Each suite fires many goroutines at what must be atomic; run it with -race.
//
// It also has what an application's own tests need: [Memory], a store without
// a database; [Impersonator], a backend that makes a request come from any
// user in one line; [Clock]; and [Outbox].
package authntest

import (
	"fmt"
	"sync"
	"testing"
)

// problems collects what a suite finds. Safe for concurrent use.
type problems struct {
	mu   sync.Mutex
	list []problem
}

// problem is one of a kind, which is its format.
type problem struct{ kind, text string }

func (p *problems) add(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, problem{format, fmt.Sprintf(format, args...)})
}

// shown is how many problems of a kind are told.
const shown = 3

// texts are the problems by kind, the first of each.
func (p *problems) texts() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var kinds []string
	byKind := map[string][]string{}
	for _, found := range p.list {
		if byKind[found.kind] == nil {
			kinds = append(kinds, found.kind)
		}
		byKind[found.kind] = append(byKind[found.kind], found.text)
	}
	var texts []string
	for _, kind := range kinds {
		all := byKind[kind]
		texts = append(texts, all[:min(shown, len(all))]...)
		if more := len(all) - shown; more > 0 {
			texts = append(texts, fmt.Sprintf("and %d more like that", more))
		}
	}
	return texts
}

// report makes each problem an error of the test.
func (p *problems) report(t *testing.T) {
	t.Helper()
	for _, text := range p.texts() {
		t.Error(text)
	}
}

// atOnce runs f n times at the same moment, and waits.
func atOnce(n int, f func(i int)) {
	start := make(chan struct{})
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	group.Wait()
}
