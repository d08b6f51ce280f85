// Command table reads the output of several rounds of go test -bench and of
// storm, and prints a Markdown table of medians: each benchmark with its ratio
// to the line "by-hand" of its group, each storm as it was measured.
package main

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	line  = regexp.MustCompile(`^Benchmark(\S+)-\d+\s+\d+\s+([\d.]+) ns/op\s+(\d+) B/op\s+(\d+) allocs/op`)
	plain = regexp.MustCompile(`^Benchmark(\S+)\s+\d+\s+([\d.]+) ns/op\s+(\d+) B/op\s+(\d+) allocs/op`)
)

func main() {
	times, allocs := map[string][]float64{}, map[string]string{}
	var order []string
	input := bufio.NewScanner(os.Stdin)
	var storms []string
	for input.Scan() {
		if strings.Contains(input.Text(), "log-in") {
			storms = append(storms, input.Text())
		}
		match := line.FindStringSubmatch(input.Text())
		if match == nil {
			match = plain.FindStringSubmatch(input.Text())
		}
		if match == nil {
			continue
		}
		ns, err := strconv.ParseFloat(match[2], 64)
		if err != nil {
			continue
		}
		if times[match[1]] == nil {
			order = append(order, match[1])
		}
		times[match[1]] = append(times[match[1]], ns)
		allocs[match[1]] = match[4]
	}
	fmt.Println("| benchmark | median | × by hand | allocations | runs |")
	fmt.Println("|---|---:|---:|---:|---:|")
	for _, name := range order {
		ratio := "—"
		if floor := times[handmade(name)]; floor != nil {
			ratio = fmt.Sprintf("%.2f", median(times[name])/median(floor))
		}
		fmt.Printf("| %s | %.2f µs | %s | %s | %d |\n", name, median(times[name])/1000, ratio, allocs[name], len(times[name]))
	}
	fmt.Println()
	for _, storm := range storms {
		fmt.Println("- " + storm)
	}
}

// handmade is the name of the floor that a benchmark is compared with:
// Load/postgres/ours/32 with Load/postgres/by-hand/32.
func handmade(name string) string {
	parts := strings.Split(name, "/")
	if len(parts) < 3 {
		return ""
	}
	parts[len(parts)-2] = "by-hand"
	return strings.Join(parts, "/")
}

func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	if n := len(values); n%2 == 0 {
		return (values[n/2-1] + values[n/2]) / 2
	}
	return values[len(values)/2]
}
