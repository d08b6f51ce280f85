package usercache

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Channel carries messages between the nodes of an application: over Redis
// (strategies/redis), Postgres (userdb/notify), or whatever you have. Messages
// are printable ASCII of at most 400 bytes, and have no secret in them.
type Channel interface {
	// Publish sends a message to every node that listens, this one included. A
	// context that carries a transaction may have it sent when that commits.
	Publish(ctx context.Context, message string) error
	// Listen receives messages until ctx ends or something is lost, and returns
	// why. It calls ready once it misses nothing from then on, and hear with each
	// message, in the order in which they were published; neither at the same
	// time as the other, and neither after it has returned.
	Listen(ctx context.Context, ready func(), hear func(message string)) error
}

const (
	publishTimeout = 500 * time.Millisecond
	minPause       = 50 * time.Millisecond
	maxPause       = 5 * time.Second
	maxID          = 255 // bytes of a user's id that travel
	maxSilence     = 10  // beats, until another connection is tried
)

// link is a node's end of a channel. It is up while messages come through: each
// node hears its own beats, and what was published before a beat was heard
// before it.
type link struct {
	channel   Channel
	logger    *slog.Logger
	forget    func(id string, hold time.Duration)
	forgetAll func(hold time.Duration)

	node  string
	every time.Duration // between beats
	trust time.Duration // after a beat was sent that came back

	began  time.Time
	until  atomic.Int64 // when trust ends, since began
	heard  atomic.Int64 // when a beat was sent that came back, since began
	unsent atomic.Int64 // 0, or others missed something: 1 + the milliseconds for which it holds

	cancel context.CancelFunc
	ended  chan struct{}
}

func newLink(channel Channel, maxAge time.Duration, logger *slog.Logger, forget func(string, time.Duration), forgetAll func(time.Duration)) *link {
	every := min(max(maxAge/5, 20*time.Millisecond), time.Second)
	ctx, cancel := context.WithCancel(context.Background())
	l := &link{
		channel: channel, logger: logger, forget: forget, forgetAll: forgetAll,
		node: rand.Text(), every: every, trust: 3 * every,
		began: time.Now(), cancel: cancel, ended: make(chan struct{}),
	}
	go l.run(ctx)
	return l
}

func (l *link) isUp() bool { return int64(time.Since(l.began)) < l.until.Load() }

func (l *link) close() {
	l.cancel()
	<-l.ended
}

// run listens, again and again.
func (l *link) run(ctx context.Context) {
	defer close(l.ended)
	pause := minPause
	for ctx.Err() == nil {
		up := false
		err := l.listen(ctx, func() { up = true })
		l.until.Store(0)
		l.forgetAll(0)
		if ctx.Err() != nil {
			return
		}
		if up {
			pause = minPause
		}
		if err == nil {
			err = errors.New("it ended without an error")
		}
		l.logger.WarnContext(ctx, "usercache: the channel is down, and guards read the store", slog.Any("error", err), slog.Duration("retry", pause))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, maxPause)
	}
}

// listen is one connection's life.
func (l *link) listen(ctx context.Context, up func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var beating sync.WaitGroup
	defer beating.Wait()
	defer cancel(nil)
	ready := func() {
		l.forgetAll(0) // what was published before is lost
		l.heard.Store(int64(time.Since(l.began)))
		beating.Go(func() { cancel(l.beat(ctx)) })
	}
	err := survive(func() error {
		return l.channel.Listen(ctx, ready, func(message string) {
			if l.hear(message) {
				up()
			}
		})
	})
	if cause := context.Cause(ctx); cause == errSilent {
		err = cause
	}
	return err
}

// survive makes an error of a channel's panic: in a goroutine of ours it would
// end the process, and a writer's change is done already.
func survive(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it panicked: %v", r)
		}
	}()
	return f()
}

var errSilent = errors.New("it is silent")

// beat sends beats, until none has come back for long: errSilent, or the end of
// ctx.
func (l *link) beat(ctx context.Context) error {
	ticker := time.NewTicker(l.every)
	defer ticker.Stop()
	for {
		sent := time.Since(l.began)
		if sent-time.Duration(l.heard.Load()) > maxSilence*l.every {
			return errSilent
		}
		if missed := l.unsent.Swap(0); missed > 0 {
			hold := time.Duration(missed-1) * time.Millisecond
			l.send(ctx, everybody(hold), hold)
		}
		l.send(ctx, "beat "+l.node+" "+strconv.FormatInt(int64(sent), 10), 0)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *link) send(ctx context.Context, message string, hold time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if err := survive(func() error { return l.channel.Publish(ctx, message) }); err != nil && !strings.HasPrefix(message, "beat ") {
		l.missed(hold) // others are told to forget everybody, once that is possible
		l.logger.WarnContext(ctx, "usercache: other nodes were not told of a change", slog.Any("error", err))
	}
}

// missed notes that others weren't told of something.
func (l *link) missed(hold time.Duration) {
	now := 1 + hold.Milliseconds()
	for was := l.unsent.Load(); was < now && !l.unsent.CompareAndSwap(was, now); was = l.unsent.Load() {
	}
}

func everybody(hold time.Duration) string {
	return "all " + strconv.FormatInt(hold.Milliseconds(), 10)
}

// publish tells the others to forget a user. An error isn't the writer's: what
// others keep ends with its age.
func (l *link) publish(ctx context.Context, id string, hold time.Duration) {
	message := everybody(hold)
	if len(id) <= maxID && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		message = "user " + strconv.FormatInt(hold.Milliseconds(), 10) + " " + id
	}
	l.send(context.WithoutCancel(ctx), message, hold)
}

// hear does what a message says, and reports whether it is a beat of this node.
// One that it doesn't know may say anything.
func (l *link) hear(message string) bool {
	kind, rest, _ := strings.Cut(message, " ")
	first, second, _ := strings.Cut(rest, " ")
	n, err := strconv.ParseInt(first, 10, 64)
	var hold time.Duration
	if err == nil {
		hold = time.Duration(min(max(n, 0), maxHold.Milliseconds())) * time.Millisecond
	}
	switch {
	case kind == "user" && err == nil && n >= 0 && second != "":
		l.forget(second, hold)
		return false
	case kind == "all":
		l.forgetAll(hold)
		return false
	case kind == "beat" && first != l.node:
		return false
	case kind == "beat":
		sent, err := strconv.ParseInt(second, 10, 64)
		if err != nil || time.Duration(sent) > time.Since(l.began) {
			return false
		}
		l.heard.Store(sent)
		l.until.Store(sent + int64(l.trust))
		return true
	}
	l.forgetAll(0)
	return false
}
