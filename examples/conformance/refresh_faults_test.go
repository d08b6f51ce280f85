package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/echo-users/echo-users/internal/faultproxy"
	"github.com/echo-users/echo-users/internal/testdb"
)

// renewer is a client that goes on refreshing, and tries again what failed.
type renewer struct {
	base    string
	token   string
	history []string // tokens that were exchanged
}

func (c *renewer) refresh() (int, error) {
	body, err := json.Marshal(map[string]string{"refresh_token": c.token})
	if err != nil {
		return 0, err
	}
	res, err := http.Post(c.base+"/auth/session/refresh", "application/json", strings.NewReader(string(body)))
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		return res.StatusCode, err
	}
	var answer struct {
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return 0, err
	}
	c.history = append(c.history, c.token)
	c.token = answer.Refresh
	return 200, nil
}

// TestRefreshesWhileTheStoreFails cuts the store's connections in the middle of
// refreshes, so that some writes are lost and the answers of others: nobody is
// logged out, and no token lives but the last.
func TestRefreshesWhileTheStoreFails(t *testing.T) {
	for name, newServer := range map[string]func(t *testing.T) (string, *faultproxy.Proxy){
		"postgres": func(t *testing.T) (string, *faultproxy.Proxy) {
			database := testdb.PostgresURL(t)
			proxy := proxyOfPostgres(t, database)
			return start(t, "DATABASE_URL="+behind(t, database, proxy), "REFRESH_GRACE=300"), proxy
		},
		"redis": func(t *testing.T) (string, *faultproxy.Proxy) {
			redis := testdb.RedisURL(t)
			proxy := proxyOfRedis(t, redis)
			return start(t, "REDIS_URL="+behind(t, redis, proxy), "SESSION_STORE=redis", "REFRESH_GRACE=300"), proxy
		},
	} {
		t.Run(name, func(t *testing.T) {
			base, proxy := newServer(t)
			register(t, base, arthur)
			clients := make([]*renewer, 8)
			for i := range clients {
				clients[i] = &renewer{base: base}
				_, clients[i].token = logIn(t, base, arthur, "abc")
			}
			var renewed, failed atomic.Int64
			ctx, stop := context.WithCancel(t.Context())
			var group sync.WaitGroup
			for i, c := range clients {
				group.Go(func() {
					for ctx.Err() == nil {
						switch status, err := c.refresh(); {
						case err != nil || status != 200 && status != 503:
							t.Errorf("client %d after %d refreshes: %d, %v", i, len(c.history), status, err)
							return
						case status == 200:
							renewed.Add(1)
						default:
							failed.Add(1)
						}
					}
				})
			}
			more := func(what string, counter *atomic.Int64, n int64) {
				t.Helper()
				from, late, tick := counter.Load(), time.After(20*time.Second), time.NewTicker(time.Millisecond)
				defer tick.Stop()
				for counter.Load() < from+n {
					select {
					case <-tick.C:
					case <-late:
						t.Fatalf("no more %s", what)
					}
				}
			}
			defer group.Wait()
			defer stop()
			for range 12 {
				more("refreshes", &renewed, 20)
				proxy.Set(faultproxy.Fault{Cut: true})
				more("failures", &failed, 4)
				proxy.Set(faultproxy.Fault{})
			}
			more("refreshes", &renewed, 20)
			stop()
			group.Wait()
			for i, c := range clients {
				// The last attempt may have failed, and been heard all the same.
				if status, err := c.refresh(); status != 200 || err != nil {
					t.Errorf("client %d, with the store back: %d, %v", i, status, err)
				}
				old := &renewer{base: base, token: c.history[len(c.history)-1]}
				if status, err := old.refresh(); status != 200 || err != nil || old.token != c.token {
					t.Errorf("client %d: the token before the last has another successor: %d, %v", i, status, err)
				}
				if status, err := c.refresh(); status != 200 || err != nil {
					t.Errorf("client %d: the last token is dead: %d, %v", i, status, err)
				}
				stolen := &renewer{base: base, token: c.history[0]}
				if status, err := stolen.refresh(); status != 401 || err != nil {
					t.Errorf("client %d: the first token lives: %d, %v", i, status, err)
				}
				if status, err := c.refresh(); status != 401 || err != nil {
					t.Errorf("client %d: the session outlives a theft: %d, %v", i, status, err)
				}
			}
			t.Log(fmt.Sprint(renewed.Load()), "refreshes,", failed.Load(), "failures")
		})
	}
}
