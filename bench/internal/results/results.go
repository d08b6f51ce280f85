// Package results reads what several rounds of go test -bench and of storm
// printed.
package results

import (
	"bufio"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Results are the medians of benchmarks, in the order in which they first came.
type Results struct {
	Names  []string
	Storms []string
	values map[string]map[string][]float64
}

// processors is what go test adds to names, unless there is one processor.
var processors = regexp.MustCompile(`-\d+$`)

// Read reads to the end.
func Read(r io.Reader) (*Results, error) {
	results := &Results{values: map[string]map[string][]float64{}}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "log-in") {
			results.Storms = append(results.Storms, lines.Text())
		}
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := processors.ReplaceAllString(strings.TrimPrefix(fields[0], "Benchmark"), "")
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				break
			}
			if results.values[name] == nil {
				results.Names = append(results.Names, name)
				results.values[name] = map[string][]float64{}
			}
			results.values[name][fields[i+1]] = append(results.values[name][fields[i+1]], value)
		}
	}
	return results, lines.Err()
}

// Median is that of a benchmark in a unit, such as "ns/op", and whether there is
// one.
func (r *Results) Median(name, unit string) (float64, bool) {
	values := slices.Sorted(slices.Values(r.values[name][unit]))
	if len(values) == 0 {
		return 0, false
	}
	if n := len(values); n%2 == 0 {
		return (values[n/2-1] + values[n/2]) / 2, true
	}
	return values[len(values)/2], true
}

// Ratio is that of two benchmarks' medians.
func (r *Results) Ratio(name, to, unit string) (float64, bool) {
	a, ok := r.Median(name, unit)
	b, also := r.Median(to, unit)
	return a / b, ok && also && b != 0
}

// Rounds is how often a benchmark was run.
func (r *Results) Rounds(name string) int { return len(r.values[name]["ns/op"]) }

// ByHand is the name of the floor that a benchmark is compared with, if there is
// one: Load/postgres/by-hand/32 for Load/postgres/ours/32.
func (r *Results) ByHand(name string) (string, bool) {
	parts := strings.Split(name, "/")
	for i := 1; i < len(parts); i++ {
		floor := slices.Clone(parts)
		floor[i] = "by-hand"
		if joined := strings.Join(floor, "/"); r.values[joined] != nil {
			return joined, true
		}
	}
	return "", false
}
