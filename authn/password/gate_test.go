package password

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// visitor enters a gate in the background.
type visitor struct {
	leave  func()
	err    error
	inside bool
}

func visit(ctx context.Context, g *gate, weight int) *visitor {
	v := new(visitor)
	go func() {
		v.leave, v.err = g.enter(ctx, weight)
		v.inside = v.err == nil
	}()
	synctest.Wait()
	return v
}

func TestGateWeighsMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(3, time.Hour)
		heavy := visit(t.Context(), g, 3)
		light := visit(t.Context(), g, 1)
		if !heavy.inside || light.inside {
			t.Fatal("a heavy one must fill the gate")
		}
		heavy.leave()
		synctest.Wait()
		another := visit(t.Context(), g, 2)
		if !light.inside || !another.inside {
			t.Fatal("there is room for one and two")
		}

		giant := visit(t.Context(), g, 100)
		late := visit(t.Context(), g, 1)
		light.leave()
		synctest.Wait()
		if giant.inside || late.inside {
			t.Fatal("the first in the queue was overtaken")
		}
		another.leave()
		synctest.Wait()
		if !giant.inside || late.inside {
			t.Fatal("what is heavier than the gate goes in alone")
		}
		giant.leave()
		synctest.Wait()
		if !late.inside {
			t.Fatal("the last is still waiting")
		}
		late.leave()
		if g.inside != 0 || g.waiting != 0 {
			t.Errorf("%d inside, %d waiting", g.inside, g.waiting)
		}
	})
}

func TestGateTurnsAwayWhoWouldWaitTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(2, 5*time.Second)
		for range 50 { // it learns that a place is taken for a second
			v := visit(t.Context(), g, 1)
			<-time.After(time.Second)
			v.leave()
		}
		var inside, refused int
		var last *visitor
		for range 100 {
			last = visit(t.Context(), g, 1)
			switch {
			case last.inside:
				inside++
			case last.err != nil:
				refused++
			}
		}
		// Two are inside, and it takes five seconds for ten to pass.
		if waiting := 100 - inside - refused; inside != 2 || waiting < 8 || waiting > 10 {
			t.Errorf("%d inside, %d waiting, %d refused", inside, waiting, refused)
		}
		var retry interface{ RetryAfter() time.Duration }
		if !errors.Is(last.err, ErrOverloaded) || !errors.As(last.err, &retry) {
			t.Fatalf("%v", last.err)
		}
		if after := retry.RetryAfter(); after < 4*time.Second || after > 7*time.Second {
			t.Errorf("retry after %v", after)
		}
	})
}

// lined returns a gate of one place, which is taken for a second each, and has a
// queue that is too long for another one.
func lined(t *testing.T) (g *gate, first *visitor) {
	g = newGate(1, 2*time.Second)
	for range 50 {
		v := visit(t.Context(), g, 1)
		<-time.After(time.Second)
		v.leave()
	}
	first = visit(t.Context(), g, 1)
	for g.full() == nil {
		visit(t.Context(), g, 1)
	}
	return g, first
}

func TestGateHoldsWhoAsksAndWouldBeTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, first := lined(t)
		err := errors.New("no answer")
		go func() { err = g.overloaded(t.Context()) }()
		synctest.Wait()
		first.leave()
		<-time.After(holdFor)
		synctest.Wait()
		if err != nil {
			t.Errorf("with room by the end: %v", err)
		}
		for g.full() == nil {
			visit(t.Context(), g, 1)
		}
		start := time.Now()
		if err := g.overloaded(t.Context()); !errors.Is(err, ErrOverloaded) || time.Since(start) != holdFor {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		short, cancel := context.WithTimeout(t.Context(), holdFor/2)
		defer cancel()
		if err := g.overloaded(short); !errors.Is(err, ErrOverloaded) {
			t.Errorf("short of time: %v", err)
		}
		start = time.Now()
		if _, err := g.enter(t.Context(), 1); !errors.Is(err, ErrOverloaded) || time.Since(start) != 0 {
			t.Errorf("without asking: %v after %v", err, time.Since(start))
		}
		if held := g.held.Load(); held != 0 {
			t.Errorf("%d held", held)
		}
	})
}

func TestGateHoldsSoManyAndNoneWhoHungUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := lined(t)
		ctx, hangUp := context.WithCancel(t.Context())
		held := make([]error, maxHeld)
		for i := range held {
			go func() { held[i] = g.overloaded(ctx) }()
		}
		synctest.Wait()
		start := time.Now()
		if err := g.overloaded(t.Context()); !errors.Is(err, ErrOverloaded) || time.Since(start) != 0 {
			t.Errorf("one too many: %v after %v", err, time.Since(start))
		}
		hangUp()
		synctest.Wait()
		for _, err := range held {
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		if held := g.held.Load(); held != 0 {
			t.Errorf("%d held", held)
		}
	})
}

func TestGateTakesABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(2, defaultMaxWait)
		for range 200 {
			if v := visit(t.Context(), g, 1); v.err != nil {
				t.Fatal(v.err)
			}
		}
	})
}

func TestGateGivesAPlaceBackWhenTheCallerHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, time.Hour)
		first := visit(t.Context(), g, 1)
		ctx, hangUp := context.WithCancel(t.Context())
		var gone []*visitor
		for range 200 {
			gone = append(gone, visit(ctx, g, 1))
		}
		patient := visit(t.Context(), g, 1)
		hangUp()
		synctest.Wait()
		for _, v := range gone {
			if !errors.Is(v.err, context.Canceled) {
				t.Fatal(v.err)
			}
		}
		if g.waiting != 1 || g.queue.Len() != 1 {
			t.Errorf("%d waiting", g.waiting)
		}
		first.leave()
		synctest.Wait()
		if !patient.inside {
			t.Error("those who hung up are still in front")
		}
	})
}

func TestGateEndsAWaitThatWasNotExpected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 5*time.Second)
		visit(t.Context(), g, 1) // and never leaves
		start := time.Now()
		_, err := g.enter(t.Context(), 1)
		if took := time.Since(start); !errors.Is(err, ErrOverloaded) || took != 10*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

func TestUnknownUsersCostTheDummy(t *testing.T) {
	h, computed := counting()
	h.Dummy = cheap2i
	if match, outdated := verify(t, h, "grail", ""); match || outdated || computed.Load() != 1 {
		t.Errorf("match %t, outdated %t, %d computed", match, outdated, computed.Load())
	}
	if d, ok := h.dummy.(argon2Hash); !ok || d.kind != argon2i {
		t.Errorf("the dummy is %+v", h.dummy)
	}
	bad := &Hasher{Params: cheap, Dummy: "no hash"}
	if _, _, err := bad.Verify(t.Context(), "grail", ""); !errors.Is(err, errDummy) {
		t.Error(err)
	}
}

func TestWeightsAreByMemory(t *testing.T) {
	h := new(Hasher)
	if err := h.init(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, hash string
		want       int
	}{
		{"our own", "$argon2id$v=19$m=19456,t=2,p=1$fKFQb68aB6JAK+mJW3U+5A$BsENFPEzQT3AWhUEPFI4vk97uIFTuu1hAkTX0FQRt6A", 1},
		{"pwdlib's", "$argon2id$v=19$m=65536,t=3,p=4$tFhCmB2mIjislyw67iXXgw$IdCH6i1OXEqo1PcKVRQRz8cAIKTflqr3LhYd8qfA+Hg", 3},
		{"passlib's", "$argon2id$v=19$m=102400,t=2,p=8$L13PO7pwvaCuWnTqoSfNig$qVggGrMYaHiep5zdaAGk2A", 5},
		{"bcrypt", ofBcrypt2a, 1},
	} {
		d, ok := parse(c.hash)
		if !ok {
			t.Fatal(c.name)
		}
		if got := h.weight(d.memory()); got != c.want {
			t.Errorf("%s weighs %d, want %d", c.name, got, c.want)
		}
	}
}

// Every computation, of whatever kind and for whomever, is inside the gate.
func TestEveryHashPassesTheGate(t *testing.T) {
	h := &Hasher{Params: cheap}
	computed, outside := 0, 0
	h.computing = func() {
		computed++
		if h.gate.inside == 0 {
			outside++
		}
	}
	if _, err := h.Hash(t.Context(), "grail"); err != nil {
		t.Fatal(err)
	}
	for _, hash := range []string{"", "no hash", hashOfNFC, cheap2i, ofBcrypt2a} {
		verify(t, h, nfd, hash) // in two forms
	}
	if computed != 11 || outside != 0 || h.gate.inside != 0 {
		t.Errorf("%d computed, %d of them outside; %d still inside", computed, outside, h.gate.inside)
	}
}

// More threads than processors, so that cheap requests needn't wait for a hash
// to give way, are not for hashes.
func TestNoMoreHashesAtOnceThanProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.NumCPU() + 1))
	h := &Hasher{Params: cheap}
	if _, err := h.Hash(t.Context(), "guinevere"); err != nil {
		t.Fatal(err)
	}
	if h.gate.capacity != runtime.NumCPU() {
		t.Errorf("%d at once on %d processors", h.gate.capacity, runtime.NumCPU())
	}
}
