package testdb

import (
	"os"
	"testing"
)

// RedisURL is the Redis of TEST_REDIS_URL. Others use it at the same time: a
// test keeps to keys that nobody else has.
func RedisURL(t testing.TB) string {
	t.Helper()
	url := os.Getenv("TEST_REDIS_URL")
	if url == "" {
		leaveOut(t, "Redis", "TEST_REDIS_URL")
	}
	return url
}
