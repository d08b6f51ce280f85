package usercache

import (
	"sync/atomic"
	"testing"
)

// BenchmarkCounter is what one count costs, and what it would on one cache line.
func BenchmarkCounter(b *testing.B) {
	var spread counter
	var single atomic.Uint64
	for name, add := range map[string]func(){"spread": spread.add, "single": func() { single.Add(1) }} {
		b.Run(name, func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					add()
				}
			})
		})
	}
}
