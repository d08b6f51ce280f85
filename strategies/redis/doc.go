// Package redis is the strategy of opaque tokens in Redis, over go-redis: one
// server, Sentinel, or Cluster. A token is random text; the key has its
// SHA-256, and lives as long as the token.
//
//	client := goredis.NewClient(&goredis.Options{Addr: addr, ContextTimeoutEnabled: true})
//	strategy, err := redis.New(client, redis.Config{})
//	backend := backends.New("redis", backends.Bearer{}, strategy)
//
// Redis may forget a log-out: a server that restarts from an old snapshot, and
// a replica that takes over before it has heard of it, know the token again,
// until it expires or the user's password changes. Give a Redis that keeps
// sessions an append-only file, or none at all.
package redis
