package bench

import (
	"crypto/rand"
	"runtime"
	"testing"

	"github.com/echo-users/echo-users/strategies/jwt"
)

// BenchmarkVerified is the check of a token alone, with [jwt.Config] KeepVerified
// and without: of one that comes again and again, of a hundred thousand in turn,
// which are more than are kept, and of one that is refused.
func BenchmarkVerified(b *testing.B) {
	newStrategy := func(cfg jwt.Config) *jwt.Strategy {
		strategy, err := jwt.New(jwt.Secret(secret), cfg)
		if err != nil {
			b.Fatal(err)
		}
		return strategy
	}
	one := token(b, secret, subject).value[len("Bearer "):]
	bad := token(b, anotherSecret, subject).value[len("Bearer "):]
	var many []string
	for range 100_000 {
		many = append(many, token(b, secret, rand.Text()).value[len("Bearer "):])
	}
	for _, traffic := range []struct {
		name   string
		tokens []string
		good   bool
	}{{"one", []string{one}, true}, {"many", many, true}, {"refused", []string{bad}, false}} {
		for name, cfg := range map[string]jwt.Config{"plain": {}, "kept": {KeepVerified: true}} {
			strategy := newStrategy(cfg)
			b.Run(name+"/"+traffic.name, func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if _, err := strategy.Read(b.Context(), traffic.tokens[i%len(traffic.tokens)]); (err == nil) != traffic.good {
						b.Fatal(err)
					}
				}
			})
		}
	}
	b.Run("memory", func(b *testing.B) {
		var before, after runtime.MemStats
		for b.Loop() {
			runtime.GC()
			runtime.ReadMemStats(&before)
			strategy := newStrategy(jwt.Config{KeepVerified: true})
			for _, token := range many {
				if _, err := strategy.Read(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			runtime.KeepAlive(strategy)
		}
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc), "B")
	})
}
