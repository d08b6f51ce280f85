// Command table reads the output of several rounds of go test -bench and of
// storm, and prints Markdown tables of medians: the comparisons that matter, where
// the time of a guard goes, what servers do over loopback, what a guard costs over
// each framework, each benchmark with its ratio to the line "by-hand" of its group,
// and each storm as it was measured.
package main

import (
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/echo-users/echo-users/bench/internal/results"
)

// comparisons are of the first benchmark to the second one.
var comparisons = []struct {
	what, name, to, unit, bound string
}{
	{"JWT kept and user cache, to HMAC and JSON by hand", "Stateless/ours-verified-cached/good", "Stateless/by-hand/good", "ns/op", "at most 0.60"},
	{"JWT and user cache, to HMAC and JSON by hand", "Stateless/ours-cached/good", "Stateless/by-hand/good", "ns/op", "at most 1.30"},
	{"JWT, user from Postgres, to that and a prepared query by hand", "Load/postgres/ours/1", "Load/postgres/by-hand/1", "ns/op", "at most 1.10"},
	{"database token, to two queries through pgx", "Tokens/database/ours", "Tokens/database/by-hand", "ns/op", "at most 0.70"},
	{"a million users, to a thousand", "Growth/users/ours/1000000", "Growth/users/ours/1000", "ns/op", "at most 1.30"},
	{"JWT kept and user cache over loopback, to bare Echo", "Loopback/128/ours-verified-cached", "Loopback/128/bare", "req/s", "at least 0.85"},
	{"JWT and user cache over loopback, to bare Echo", "Loopback/128/ours-cached", "Loopback/128/bare", "req/s", ""},
	{"JWT kept and user cache over loopback, to echo-jwt and First", "Loopback/128/ours-verified-cached", "Loopback/128/echo-jwt+First", "req/s", "at least 3.00"},
	{"JWT and user cache over loopback, to echo-jwt and First", "Loopback/128/ours-cached", "Loopback/128/echo-jwt+First", "req/s", ""},
	{"a guard over Echo v5, to Echo v4", "Fronts/good/echo5", "Fronts/good/echo4", "ns/op", "at most 1.00"},
	{"a guard over net/http, to Echo v4", "Fronts/good/nethttp", "Fronts/good/echo4", "ns/op", "at most 1.00"},
	{"five backends of JWT, to one", "Growth/backends/ours/good/5", "Growth/backends/ours/good/1", "ns/op", ""},
	{"the same with tokens kept", "Growth/backends/ours-verified/good/5", "Growth/backends/ours-verified/good/1", "ns/op", ""},
	{"check of a token that is kept, to the plain one", "Verified/kept/one", "Verified/plain/one", "ns/op", ""},
	{"the same of more tokens than are kept", "Verified/kept/many", "Verified/plain/many", "ns/op", ""},
}

func main() {
	r, err := results.Read(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("## In short")
	fmt.Println()
	fmt.Println("| | ratio | wanted | allocations |")
	fmt.Println("|---|---:|---:|---:|")
	for _, c := range comparisons {
		if ratio, ok := r.Ratio(c.name, c.to, c.unit); ok {
			fmt.Printf("| %s | %.2f | %s | %s |\n", c.what, ratio, c.bound, allocations(r, c.name))
		}
	}

	const whole = "Parts/the_whole:_guarded_route"
	fmt.Println("\n## Where each nanosecond goes")
	fmt.Println()
	fmt.Println("| part | ns | of the guarded route | allocations |")
	fmt.Println("|---|---:|---:|---:|")
	for _, name := range r.Names {
		if part, ok := strings.CutPrefix(name, "Parts/"); ok {
			ns, _ := r.Median(name, "ns/op")
			share := "—"
			if ratio, ok := r.Ratio(name, whole, "ns/op"); ok {
				share = fmt.Sprintf("%.0f %%", 100*ratio)
			}
			fmt.Printf("| %s | %.0f | %s | %s |\n", strings.ReplaceAll(part, "_", " "), ns, share, allocations(r, name))
		}
	}

	fmt.Println("\n## Over loopback")
	fmt.Println()
	fmt.Println("| clients | server | requests/s | × bare Echo | p99 |")
	fmt.Println("|---:|---|---:|---:|---:|")
	for _, name := range r.Names {
		if rate, ok := r.Median(name, "req/s"); ok {
			clients, server, _ := strings.Cut(strings.TrimPrefix(name, "Loopback/"), "/")
			ratio, _ := r.Ratio(name, "Loopback/"+clients+"/bare", "req/s")
			p99, _ := r.Median(name, "p99-µs")
			fmt.Printf("| %s | %s | %.0f | %.2f | %.1f ms |\n", clients, server, rate, ratio, p99/1000)
		}
	}

	fmt.Println("\n## Over each framework")
	fmt.Println()
	fmt.Println("| framework | bare, ns | behind a guard, ns | × Echo v4 | allocations | refused, ns | × Echo v4 | allocations |")
	fmt.Println("|---|---:|---:|---:|---:|---:|---:|---:|")
	for _, name := range r.Names {
		front, ok := strings.CutPrefix(name, "Fronts/bare/")
		if !ok {
			continue
		}
		bare, _ := r.Median(name, "ns/op")
		fmt.Printf("| %s | %.0f |", front, bare)
		for _, token := range []string{"good", "refused"} {
			guarded := "Fronts/" + token + "/" + front
			ns, _ := r.Median(guarded, "ns/op")
			ratio, _ := r.Ratio(guarded, "Fronts/"+token+"/echo4", "ns/op")
			fmt.Printf(" %.0f | %.2f | %s |", ns, ratio, allocations(r, guarded))
		}
		fmt.Println()
	}

	fmt.Println("\n## Everything")
	fmt.Println()
	fmt.Println("| benchmark | median | × by hand | allocations | runs |")
	fmt.Println("|---|---:|---:|---:|---:|")
	for _, name := range r.Names {
		if strings.HasPrefix(name, "Parts/") || strings.HasPrefix(name, "Loopback/") || strings.HasPrefix(name, "Fronts/") {
			continue
		}
		ns, _ := r.Median(name, "ns/op")
		ratio := "—"
		if floor, ok := r.ByHand(name); ok {
			times, _ := r.Ratio(name, floor, "ns/op")
			ratio = fmt.Sprintf("%.2f", times)
		}
		fmt.Printf("| %s | %.2f µs | %s | %s | %d |\n", name, ns/1000, ratio, allocations(r, name), r.Rounds(name))
	}
	fmt.Println()
	if size, ok := r.Median("Verified/memory", "B"); ok {
		fmt.Printf("- All verified tokens that are kept take %.1f MB.\n", size/1e6)
	}
	for _, storm := range r.Storms {
		fmt.Println("- " + storm)
	}
}

func allocations(r *results.Results, name string) string {
	n, ok := r.Median(name, "allocs/op")
	if !ok {
		return "—"
	}
	return fmt.Sprintf("%.0f", n)
}
