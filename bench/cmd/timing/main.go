// Command timing asks whether a server's answers tell by their time who has an
// account. It sends 400 pairs of requests, one about a known address and one
// about an unknown one, in turn and in random order, to log-in (with a wrong
// password), forgot-password and register, and compares the two samples with
// the Mann-Whitney test.
//
//	go run ./examples/conformance -addr 127.0.0.1:8000 &
//	cd bench && go run ./cmd/timing -url http://127.0.0.1:8000
//
// p is how often samples of one distribution differ as much; AUC, how often a
// request about a known address takes longer than one about an unknown one: a
// half where nobody can tell. The server needs to be the contract server, or
// one that has its limits off. Each registration makes a user: use a database
// to be thrown away, and a machine with nothing else to do.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

const password = "correct horse"

func main() {
	base := flag.String("url", "http://127.0.0.1:8000", "the server's `URL`")
	pairs := flag.Int("pairs", 400, "how many pairs for each route")
	pause := flag.Duration("pause", 5*time.Millisecond, "the time between requests, for what goes on after an answer")
	flag.Parse()
	p := probe{base: *base, pause: *pause, client: &http.Client{Timeout: 30 * time.Second}}
	differ, err := p.run(context.Background(), *pairs)
	if err != nil {
		log.Fatal(err)
	}
	if differ {
		os.Exit(1)
	}
}

// probe times requests to a server.
type probe struct {
	base   string
	pause  time.Duration
	client *http.Client
}

// run probes each route and reports whether any tells.
func (p probe) run(ctx context.Context, pairs int) (differ bool, err error) {
	// Accounts of their own for each pair: none is warmer than another.
	known := make([]string, 64)
	for i := range known {
		known[i] = address()
		if status, _, err := p.postJSON(ctx, "/auth/register", map[string]string{"email": known[i], "password": password}); err != nil || status != http.StatusCreated {
			return false, fmt.Errorf("registering: %d, %w", status, err)
		}
	}
	for _, route := range []struct {
		name string
		send func(email string) (int, time.Duration, error)
		// The answers to a known and to an unknown address.
		known, unknown int
	}{
		{"log-in", func(email string) (int, time.Duration, error) {
			form := url.Values{"username": {email}, "password": {"a wrong one"}}
			return p.post(ctx, "/auth/jwt/login", "application/x-www-form-urlencoded", form.Encode())
		}, http.StatusBadRequest, http.StatusBadRequest},
		{"forgot-password", func(email string) (int, time.Duration, error) {
			return p.postJSON(ctx, "/auth/forgot-password", map[string]string{"email": email})
		}, http.StatusAccepted, http.StatusAccepted},
		{"register", func(email string) (int, time.Duration, error) {
			return p.postJSON(ctx, "/auth/register", map[string]string{"email": email, "password": password})
		}, http.StatusBadRequest, http.StatusCreated},
	} {
		var samples [2][]float64 // of unknown and of known addresses
		for i := range pairs + 10 {
			order := []int{0, 1}
			if mathrand.N(2) == 0 {
				order = []int{1, 0}
			}
			for _, which := range order {
				email, want := address(), route.unknown
				if which == 1 {
					email, want = known[i%len(known)], route.known
				}
				status, took, err := route.send(email)
				if err != nil || status != want {
					return false, fmt.Errorf("%s: %d, want %d, %w", route.name, status, want, err)
				}
				if i >= 10 { // else it warms up
					samples[which] = append(samples[which], took.Seconds()*1e3)
				}
				time.Sleep(p.pause)
			}
		}
		z, probability, auc := rankSum(samples[1], samples[0])
		verdict := "no difference"
		if probability < 0.01 {
			verdict, differ = "THEY DIFFER", true
		}
		fmt.Printf("%-16s %d pairs: known %.2f ms, unknown %.2f ms (medians); z %+.2f, p %.3f, AUC %.3f: %s\n",
			route.name, pairs, median(samples[1]), median(samples[0]), z, probability, auc, verdict)
	}
	return differ, nil
}

func address() string { return strings.ToLower(rand.Text()) + "@example.com" }

func (p probe) postJSON(ctx context.Context, path string, body any) (int, time.Duration, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return 0, 0, err
	}
	return p.post(ctx, path, "application/json", string(data))
}

// post returns the status, and how long the answer took.
func (p probe) post(ctx context.Context, path, contentType, body string) (int, time.Duration, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+path, strings.NewReader(body))
	if err != nil {
		return 0, 0, err
	}
	r.Header.Set("Content-Type", contentType)
	begun := time.Now()
	res, err := p.client.Do(r)
	if err != nil {
		return 0, 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, time.Since(begun), err
}

func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

// rankSum is the Mann-Whitney test of a against b, two-sided, by its normal
// approximation; ties share their ranks.
func rankSum(a, b []float64) (z, p, auc float64) {
	type value struct {
		at   float64
		ofA  bool
		rank float64
	}
	all := make([]value, 0, len(a)+len(b))
	for _, x := range a {
		all = append(all, value{at: x, ofA: true})
	}
	for _, x := range b {
		all = append(all, value{at: x})
	}
	slices.SortFunc(all, func(x, y value) int { return cmp.Compare(x.at, y.at) })
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].at == all[i].at {
			j++
		}
		for k := i; k < j; k++ {
			all[k].rank = float64(i+j+1) / 2
		}
		i = j
	}
	var ranks float64
	for _, v := range all {
		if v.ofA {
			ranks += v.rank
		}
	}
	n, m := float64(len(a)), float64(len(b))
	u := ranks - n*(n+1)/2
	z = (u - n*m/2) / math.Sqrt(n*m*(n+m+1)/12)
	return z, math.Erfc(math.Abs(z) / math.Sqrt2), u / (n * m)
}
