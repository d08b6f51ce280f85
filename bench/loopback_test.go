package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/strategies/jwt"
)

const loopbackURL = "ECHO_USERS_BENCH_URL" // of the database, for the process that serves

// With few clients, they and the server wait for each other.
var loopbackClients = []int{16, 128}

type loopbackServer struct {
	name    string
	handler http.Handler
}

func loopbackServers(b testing.TB, url string) []loopbackServer {
	db := widen(b, open(b, url))
	store := newStore(b, db)
	plain, verified := byJWT(b, jwt.Config{}), byJWT(b, jwt.Config{KeepVerified: true})
	cached := kept(b, store)
	return []loopbackServer{
		{"bare", bare(b)},
		{"by-hand", byHand(b)},
		{"by-hand+query", floor(b, db)},
		{"ours", guarded(b, store, authn.Config{}, plain)},
		{"ours-cached", guarded(b, cached, authn.Config{}, plain)},
		{"ours-verified-cached", guarded(b, cached, authn.Config{}, verified)},
		{"echo-jwt", echoJWT(b)},
		{"echo-jwt+First", echoJWTWithFirst(db)},
	}
}

// TestServeLoopback is no test: it is the process that serves, until its
// standard input ends.
func TestServeLoopback(t *testing.T) {
	url := os.Getenv(loopbackURL)
	if url == "" {
		t.Skip("BenchmarkLoopback starts it")
	}
	for _, server := range loopbackServers(t, url) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{Handler: server.handler}
		go s.Serve(listener)
		t.Cleanup(func() { s.Close() })
		fmt.Println(server.name, listener.Addr())
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// BenchmarkLoopback is servers in another process, in turns, whose clients keep
// their connections alive.
func BenchmarkLoopback(b *testing.B) {
	url := testdb.PostgresURL(b)
	ids := populate(b, newStore(b, open(b, url)), people)
	good, bad := tokens(b, ids), token(b, anotherSecret, ids[7])

	cmd := exec.Command(os.Args[0], "-test.run", "^TestServeLoopback$")
	cmd.Env = append(os.Environ(), loopbackURL+"="+url)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()

	var listening []listener
	for range loopbackServers(b, url) {
		var l listener
		if _, err := fmt.Fscan(out, &l.name, &l.address); err != nil {
			b.Fatal(err)
		}
		listening = append(listening, l)
	}
	for _, clients := range loopbackClients {
		b.Run(fmt.Sprint(clients), func(b *testing.B) { ask(b, listening, clients, good, bad) })
	}
}

type listener struct{ name, address string }

// ask has so many clients ask each server, in turns.
func ask(b *testing.B, listening []listener, clients int, good []credential, bad credential) {
	type measured struct {
		name    string
		clients []*connection
		took    time.Duration
	}
	var servers []*measured
	for _, l := range listening {
		s := &measured{name: l.name}
		servers = append(servers, s)
		for i := range clients {
			c, err := dial(l.address, good[i*len(good)/clients:(i+1)*len(good)/clients])
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			if err := c.prove(bad, s.name != "bare"); err != nil {
				b.Fatal(s.name, ": ", err)
			}
			s.clients = append(s.clients, c)
		}
	}
	takeTurns(b, len(servers), func(i int, until time.Time) {
		s := servers[i]
		var group sync.WaitGroup
		began := time.Now()
		for _, c := range s.clients {
			group.Go(func() { c.askUntil(until) })
		}
		group.Wait()
		s.took += time.Since(began)
	})
	for _, s := range servers {
		var all []time.Duration
		for _, c := range s.clients {
			if c.err != nil {
				b.Fatal(s.name, ": ", c.err)
			}
			all = append(all, c.took...)
		}
		slices.Sort(all)
		b.Run(s.name, func(b *testing.B) { // which has nothing left to do, however often
			b.ReportMetric(float64(s.took.Nanoseconds())/float64(len(all)), "ns/op")
			b.ReportMetric(float64(len(all))/s.took.Seconds(), "req/s")
			b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// connection is a client of HTTP/1.1 that is as small as it can be, as it runs
// on the same processors as the server.
type connection struct {
	net.Conn
	reader   *bufio.Reader
	requests [][]byte
	next     int
	took     []time.Duration
	err      error
}

func dial(address string, credentials []credential) (*connection, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	c := &connection{Conn: conn, reader: bufio.NewReader(conn)}
	for _, with := range credentials {
		c.requests = append(c.requests, request("/", with))
	}
	return c, nil
}

func request(path string, with credential) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: bench\r\n%s: %s\r\n\r\n", path, with.header, with.value)
}

var noContent = []byte("HTTP/1.1 204 ")

func (c *connection) askUntil(end time.Time) {
	for c.err == nil {
		began := time.Now()
		if began.After(end) {
			return
		}
		c.err = c.ask(c.requests[c.next])
		c.next = (c.next + 1) % len(c.requests)
		c.took = append(c.took, time.Since(began))
	}
}

// ask wants a 204, which has no body.
func (c *connection) ask(request []byte) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, noContent) {
		return errors.New(strings.TrimSpace(string(line)))
	}
	for len(line) > 2 {
		if line, err = c.reader.ReadSlice('\n'); err != nil {
			return err
		}
	}
	return nil
}

// prove fails unless everybody is let in, and a bad credential refused where
// there is a guard.
func (c *connection) prove(bad credential, guarded bool) error {
	for _, r := range c.requests {
		if err := c.ask(r); err != nil {
			return err
		}
	}
	if !guarded {
		return nil
	}
	if _, err := c.Write(request("/", bad)); err != nil {
		return err
	}
	res, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	if err == nil && res.StatusCode != http.StatusUnauthorized {
		err = errors.New("a bad credential: " + res.Status)
	}
	return err
}
