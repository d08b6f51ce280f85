// Package faultproxy stands between a program under test and a server, and
// does to their connections what networks do.
package faultproxy

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Fault is what happens to the connections.
type Fault struct {
	// Cut ends connections at once, those that are open too.
	Cut bool
	// Silent swallows what is sent, in both directions, and ends nothing.
	Silent bool
	// Slow holds back whatever is sent for so long.
	Slow time.Duration
}

// Proxy forwards connections to one server.
type Proxy struct {
	network, target string
	listener        net.Listener
	ended           chan struct{}
	group           sync.WaitGroup

	mu      sync.Mutex
	fault   Fault
	changed chan struct{} // closed when fault is another
	open    map[net.Conn]bool
}

// New returns a proxy for the server at this address, which ends with the test.
func New(t testing.TB, network, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{
		network: network, target: target, listener: listener, ended: make(chan struct{}),
		changed: make(chan struct{}), open: map[net.Conn]bool{},
	}
	p.group.Go(p.serve)
	t.Cleanup(func() {
		listener.Close()
		close(p.ended)
		p.Set(Fault{Cut: true})
		p.group.Wait()
	})
	return p
}

// Addr is where the program connects to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Set begins a fault, or ends it with the zero one.
func (p *Proxy) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
	close(p.changed)
	p.changed = make(chan struct{})
	if f.Cut {
		for conn := range p.open {
			reset(conn)
		}
	}
}

func (p *Proxy) now() (Fault, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault, p.changed
}

// reset ends a connection without a farewell.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}

func (p *Proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.group.Go(func() { p.forward(client) })
	}
}

func (p *Proxy) forward(client net.Conn) {
	if f, _ := p.now(); f.Cut || !p.keep(client) {
		reset(client)
		return
	}
	defer p.drop(client)
	server, err := net.Dial(p.network, p.target)
	if err != nil || !p.keep(server) {
		return
	}
	defer p.drop(server)
	var both sync.WaitGroup
	both.Go(func() { p.pipe(server, client) })
	both.Go(func() { p.pipe(client, server) })
	both.Wait()
}

func (p *Proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[conn] = true
	return !p.fault.Cut
}

func (p *Proxy) drop(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, conn)
	reset(conn)
}

// pipe forwards until one side ends, and then ends both.
func (p *Proxy) pipe(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			f, changed := p.now()
			switch {
			case f.Silent:
				continue
			case f.Slow > 0:
				timer := time.NewTimer(f.Slow)
				select {
				case <-timer.C:
				case <-changed:
				case <-p.ended:
				}
				timer.Stop()
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
