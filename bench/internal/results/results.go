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
	return median(r.values[name][unit])
}

func median(values []float64) (float64, bool) {
	values = slices.Sorted(slices.Values(values))
	n := len(values)
	if n == 0 {
		return 0, false
	}
	return (values[(n-1)/2] + values[n/2]) / 2, true
}

// Ratio is the median of the ratios of two benchmarks, each of one round, as
// both have met the same in it. Every round has printed all of them.
func (r *Results) Ratio(name, to, unit string) (float64, bool) {
	a, b := r.values[name][unit], r.values[to][unit]
	var ratios []float64
	for i := range min(len(a), len(b)) {
		ratios = append(ratios, a[i]/b[i])
	}
	return median(ratios)
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
