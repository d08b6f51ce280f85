package bench

import (
	"flag"
	"net/http"
	"runtime"
	"testing"
	"time"
)

// What is compared is measured in turns, so that whatever else happens hits all
// alike. A turn is long beside the time in which a server gets its users and its
// code back into the processors' caches: with 25 ms, that time is what is measured.
const turn = 100 * time.Millisecond

// takeTurns has each of so many play until a time, again and again, until each
// has had what -benchtime says.
func takeTurns(b *testing.B, players int, play func(player int, until time.Time)) {
	b.Helper()
	each, err := time.ParseDuration(flag.Lookup("test.benchtime").Value.String())
	if err != nil {
		b.Fatal("-benchtime must be a duration")
	}
	for n := range max(1, int(each/turn)) {
		for i := range players {
			play((n+i)%players, time.Now().Add(turn))
		}
	}
}

// visited is a server that is asked with one credential after the other, and
// gives each of them the same answer.
type visited struct {
	name        string
	handler     http.Handler
	want        int
	credentials []credential
}

// visit measures servers in turns: all of them, whichever -bench names.
func visit(b *testing.B, servers ...visited) {
	b.Helper()
	type measured struct {
		client                   *client
		took                     time.Duration
		requests, bytes, mallocs uint64
	}
	var all []measured
	for range servers {
		all = append(all, measured{client: newClient(b)})
	}
	takeTurns(b, len(servers), func(i int, until time.Time) {
		s, m := servers[i], &all[i]
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		for time.Now().Before(until) {
			for range 8 { // the time is asked for seldom, as that takes some, too
				with := s.credentials[m.requests*7919%uint64(len(s.credentials))]
				if got := m.client.get(s.handler, with); got != s.want {
					b.Fatal(s.name, ": ", got)
				}
				m.requests++
			}
		}
		m.took += time.Since(began)
		runtime.ReadMemStats(&after)
		m.bytes += after.TotalAlloc - before.TotalAlloc
		m.mallocs += after.Mallocs - before.Mallocs
	})
	for i, s := range servers {
		m, requests := all[i], float64(all[i].requests)
		b.Run(s.name, func(b *testing.B) { // which has nothing left to do, however often
			b.ReportAllocs()
			b.ReportMetric(float64(m.took.Nanoseconds())/requests, "ns/op")
			b.ReportMetric(float64(m.bytes)/requests, "B/op")
			b.ReportMetric(float64(m.mallocs)/requests, "allocs/op")
		})
	}
}
