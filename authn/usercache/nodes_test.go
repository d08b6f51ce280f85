package usercache_test

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/authn/usercache"
	"github.com/echo-users/echo-users/internal/faultproxy"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/strategies/redis"
	"github.com/echo-users/echo-users/userdb"
	"github.com/echo-users/echo-users/userdb/notify"
)

// overRedis returns a node's channel, whose connections go through the proxy.
func overRedis(t *testing.T, name string) (usercache.Channel, *faultproxy.Proxy) {
	options, err := goredis.ParseURL(testdb.RedisURL(t))
	if err != nil {
		t.Fatal("TEST_REDIS_URL is no URL of Redis")
	}
	proxy := faultproxy.New(t, options.Network, options.Addr)
	options.Network, options.Addr, options.ContextTimeoutEnabled = "tcp", proxy.Addr(), true
	client := goredis.NewClient(options)
	t.Cleanup(func() { client.Close() })
	channel, err := redis.NewChannel(client, redis.ChannelConfig{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return channel, proxy
}

// overPostgres is overRedis for Postgres. The users' own connections don't go
// through the proxy.
func overPostgres(t *testing.T, address, name string) (usercache.Channel, *faultproxy.Proxy) {
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal("TEST_DATABASE_URL is no URL")
	}
	network, target := "tcp", u.Host
	if socket := u.Query().Get("host"); socket != "" {
		network, target = "unix", socket+"/.s.PGSQL.5432"
	} else if _, _, err := net.SplitHostPort(target); err != nil {
		target = net.JoinHostPort(target, "5432")
	}
	proxy := faultproxy.New(t, network, target)
	query := u.Query()
	query.Del("host")
	u.Host, u.RawQuery = proxy.Addr(), query.Encode()
	db, err := gorm.Open(postgres.Open(u.String()), &gorm.Config{Logger: logger.Discard, DisableAutomaticPing: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if pool, err := db.DB(); err == nil {
			pool.Close()
		}
	})
	channel, err := notify.New(db, notify.Config{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return channel, proxy
}

// Two nodes on one database under load, whose channel, a real one, is cut, silent
// or slow at random: nobody is let in longer than MaxAge after they were
// deactivated. USERCACHE_TRIALS=10000 has it tried as often.
func TestNobodyIsLetInBeyondMaxAgeOverRealChannels(t *testing.T) {
	trials := 100
	if given, err := strconv.Atoi(os.Getenv("USERCACHE_TRIALS")); err == nil {
		trials = given
	}
	name := "test_" + crand.Text()
	t.Run("redis", func(t *testing.T) {
		deactivateUnderFaults(t, trials, testdb.SQLite(t), func(t *testing.T, _ int) (usercache.Channel, *faultproxy.Proxy) {
			return overRedis(t, name)
		})
	})
	t.Run("postgres", func(t *testing.T) {
		address := testdb.PostgresURL(t)
		db, err := gorm.Open(postgres.Open(address), &gorm.Config{Logger: logger.Discard})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if pool, err := db.DB(); err == nil {
				pool.Close()
			}
		})
		deactivateUnderFaults(t, trials, db, func(t *testing.T, _ int) (usercache.Channel, *faultproxy.Proxy) {
			return overPostgres(t, address, name)
		})
	})
}

func deactivateUnderFaults(t *testing.T, trials int, db *gorm.DB, connect func(*testing.T, int) (usercache.Channel, *faultproxy.Proxy)) {
	const people, maxAge = 50, 300 * time.Millisecond
	store, err := userdb.New[userdb.User](db)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var guards [2]*authn.Guard[*userdb.User]
	var managers [2]*authn.Users[*userdb.User]
	var proxies [2]*faultproxy.Proxy
	for i := range guards {
		channel, proxy := connect(t, i)
		cached, err := usercache.New(store, usercache.Config{MaxAge: maxAge, Channel: channel, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cached.Close() })
		if managers[i], err = authn.New(cached, authn.Config{Passwords: plain{}}, authntest.Impersonator{}); err != nil {
			t.Fatal(err)
		}
		guards[i], proxies[i] = managers[i].CurrentUser(authn.Active), proxy
	}
	ctx, cancel := context.WithCancel(t.Context())
	var breaker sync.WaitGroup
	breaker.Go(func() {
		for ctx.Err() == nil {
			proxies[rand.N(2)].Set([]faultproxy.Fault{{}, {}, {}, {Cut: true}, {Silent: true}, {Slow: 200 * time.Millisecond}}[rand.N(6)])
			select {
			case <-time.After(rand.N(300 * time.Millisecond)):
			case <-ctx.Done():
			}
		}
	})
	var checks, stale atomic.Int64
	for round := 0; round < trials; round += people {
		var crowd [people]*userdb.User
		var gone [people]atomic.Int64
		for i := range crowd {
			crowd[i], err = store.Create(t.Context(), func(u *userdb.User) error {
				u.Email, u.IsActive = fmt.Sprintf("%d-%d@example.com", round, i), true
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		over := make(chan struct{})
		var visitors, writers sync.WaitGroup
		for n := range 6 {
			guard, own := guards[min(n, 1)], n == 0
			visitors.Go(func() {
				for {
					select {
					case <-over:
						return
					case <-time.After(time.Millisecond):
					}
					i := rand.N(people)
					start, end := time.Since(began), time.Duration(gone[i].Load())
					_, _, err := guard.Check(authntest.As(httptest.NewRequest("GET", "/", nil), crowd[i]))
					checks.Add(1)
					if err != nil || end == 0 || start <= end {
						continue
					}
					stale.Add(1)
					if own {
						t.Errorf("let in %v after the deactivation, on the node that did it", start-end)
					} else if start-end > maxAge {
						t.Errorf("let in %v after the deactivation", start-end)
					}
				}
			})
		}
		for i, u := range crowd {
			writers.Go(func() {
				select {
				case <-time.After(rand.N(500 * time.Millisecond)):
				case <-ctx.Done():
				}
				if _, err := managers[0].Update(t.Context(), u.AuthID(), authn.Update[*userdb.User]{IsActive: ptr(false)}); err != nil {
					t.Error(err)
				}
				gone[i].Store(int64(time.Since(began)))
			})
		}
		writers.Wait()
		select {
		case <-time.After(maxAge + 50*time.Millisecond):
		case <-ctx.Done():
		}
		close(over)
		visitors.Wait()
	}
	cancel()
	breaker.Wait()
	t.Logf("%d deactivations, %d guards, %d of them let somebody in who had been deactivated", trials, checks.Load(), stale.Load())
}
