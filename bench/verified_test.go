package bench

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/strategies/jwt"
)

// verified is a prototype of what was not built: a strategy that keeps what it
// has verified, by the SHA-256 of the token, until exp or until there are too
// many. It lacks what it would need: to forget when a key is retired or a token
// revoked.
type verified struct {
	authn.Strategy
	kept *otter.Cache[[sha256.Size]byte, authn.Identity]
}

const verifiedSize = 10_000

func newVerified(b testing.TB) *verified {
	strategy, err := jwt.New(jwt.Secret(secret), jwt.Config{})
	if err != nil {
		b.Fatal(err)
	}
	kept, err := otter.New(&otter.Options[[sha256.Size]byte, authn.Identity]{MaximumSize: verifiedSize})
	if err != nil {
		b.Fatal(err)
	}
	return &verified{strategy, kept}
}

func (v *verified) Read(ctx context.Context, token string) (authn.Identity, error) {
	sum := sha256.Sum256([]byte(token))
	if id, ok := v.kept.GetIfPresent(sum); ok && time.Now().Before(id.ExpiresAt) {
		id.Methods, id.Scopes = slices.Clone(id.Methods), slices.Clone(id.Scopes)
		return id, nil
	}
	id, err := v.Strategy.Read(ctx, token)
	if err == nil {
		v.kept.Set(sum, id)
		id.Methods, id.Scopes = slices.Clone(id.Methods), slices.Clone(id.Scopes)
	}
	return id, err
}

func oursVerified(b testing.TB) http.Handler {
	return guarded(b, inMemory{}, authn.Config{}, backends.New("jwt", backends.Bearer{}, newVerified(b)))
}

// BenchmarkVerified is the check of a token alone: of one that comes again and
// again, of a hundred thousand in turn, which are more than are kept, and of one
// that is refused.
func BenchmarkVerified(b *testing.B) {
	one := token(b, secret, subject).value[len("Bearer "):]
	bad := token(b, anotherSecret, subject).value[len("Bearer "):]
	var many []string
	for range 100_000 {
		many = append(many, token(b, secret, rand.Text()).value[len("Bearer "):])
	}
	plain, err := jwt.New(jwt.Secret(secret), jwt.Config{})
	if err != nil {
		b.Fatal(err)
	}
	fast, err := jwt.New(jwt.Secret(secret), jwt.Config{FastHMAC: true})
	if err != nil {
		b.Fatal(err)
	}
	for _, strategy := range []struct {
		name string
		authn.Strategy
	}{{"plain", plain}, {"fast", fast}, {"verified", newVerified(b)}} {
		for _, traffic := range []struct {
			name   string
			tokens []string
			good   bool
		}{{"one", []string{one}, true}, {"many", many, true}, {"refused", []string{bad}, false}} {
			b.Run(strategy.name+"/"+traffic.name, func(b *testing.B) {
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
			v := newVerified(b)
			runtime.GC()
			runtime.ReadMemStats(&before)
			for _, token := range many[:verifiedSize] {
				if _, err := v.Read(b.Context(), strings.Clone(token)); err != nil {
					b.Fatal(err)
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			runtime.KeepAlive(v)
		}
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/verifiedSize, "B/token")
	})
}
