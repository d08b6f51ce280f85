package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/echo-users/echo-users/internal/faultproxy"
	"github.com/echo-users/echo-users/internal/testdb"
)

// What an application's people may have to wait for.
const (
	longestAnswer   = 10 * time.Second
	longestRecovery = 5 * time.Second
)

// behind returns a URL of the same server by way of the proxy.
func behind(t *testing.T, given string, proxy *faultproxy.Proxy) string {
	t.Helper()
	u, err := url.Parse(given)
	if err != nil {
		t.Fatal("a URL of a service can't be parsed") // err may hold the password
	}
	u.Host = proxy.Addr()
	query := u.Query()
	query.Del("host")
	if strings.HasPrefix(u.Scheme, "postgres") {
		query.Set("sslmode", "disable")
	}
	u.RawQuery = query.Encode()
	return u.String()
}

func proxyOfPostgres(t *testing.T, given string) *faultproxy.Proxy {
	t.Helper()
	cfg, err := pgconn.ParseConfig(given)
	if err != nil {
		t.Fatal("TEST_DATABASE_URL can't be parsed")
	}
	network, address := pgconn.NetworkAddress(cfg.Host, cfg.Port)
	return faultproxy.New(t, network, address)
}

func proxyOfRedis(t *testing.T, given string) *faultproxy.Proxy {
	t.Helper()
	u, err := url.Parse(given)
	if err != nil {
		t.Fatal("TEST_REDIS_URL can't be parsed")
	}
	port := u.Port()
	if port == "" {
		port = "6379"
	}
	return faultproxy.New(t, "tcp", net.JoinHostPort(u.Hostname(), port))
}

// people is what goes on at the server all the time.
type people struct {
	base   string
	tokens map[string]string // by backend

	mu           sync.Mutex
	acknowledged []string
	slowest      time.Duration
	statuses     map[string]map[int]int // by what was asked
	wrong        []string
}

type asked struct {
	what, method, path, contentType, body, token string
	may                                          []int // besides 503
}

func (p *people) ask(ctx context.Context, a asked) int {
	r, err := http.NewRequestWithContext(ctx, a.method, p.base+a.path, strings.NewReader(a.body))
	if err != nil {
		panic(err)
	}
	if a.contentType != "" {
		r.Header.Set("Content-Type", a.contentType)
	}
	if a.token != "" {
		r.Header.Set("Authorization", "Bearer "+a.token)
	}
	begun := time.Now()
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		p.note(func() { p.wrong = append(p.wrong, fmt.Sprintf("%s: no answer: %v", a.what, err)) })
		return 0
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	took := time.Since(begun)
	p.note(func() {
		p.slowest = max(p.slowest, took)
		if p.statuses[a.what] == nil {
			p.statuses[a.what] = map[int]int{}
		}
		p.statuses[a.what][res.StatusCode]++
		may := res.StatusCode == 503
		for _, status := range a.may {
			may = may || res.StatusCode == status
		}
		if !may || err != nil {
			p.wrong = append(p.wrong, fmt.Sprintf("%s: %d %s %v", a.what, res.StatusCode, body, err))
		}
		if res.StatusCode == 503 && (!bytes.Equal(bytes.TrimSpace(body), []byte(`{"detail":"Service Unavailable"}`)) || res.Header.Get("Retry-After") == "" || !json.Valid(body)) {
			p.wrong = append(p.wrong, fmt.Sprintf("%s: a 503 of %s, %v", a.what, body, res.Header))
		}
	})
	return res.StatusCode
}

func (p *people) note(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func form(email, password string) string {
	return url.Values{"username": {email}, "password": {password}}.Encode()
}

const (
	formType = "application/x-www-form-urlencoded"
	ann      = "ann@example.com"
)

// guards are requests whose answer is known while all is well.
func (p *people) guards() []asked {
	var list []asked
	for backend, token := range p.tokens {
		list = append(list, asked{what: "guard " + backend, method: "GET", path: "/protected/active", token: token, may: []int{200}})
	}
	return append(list,
		asked{what: "nobody", method: "GET", path: "/protected/active", may: []int{401}},
		asked{what: "forged", method: "GET", path: "/protected/active", token: strings.Repeat("a", 43), may: []int{401}},
		asked{what: "forged, optional", method: "GET", path: "/protected/optional", token: strings.Repeat("a", 43), may: []int{200}},
		asked{what: "not a superuser", method: "GET", path: "/protected/superuser", token: p.tokens["database"], may: []int{403}},
	)
}

// run keeps asking until ctx ends. Requests that are under way are answered.
func (p *people) run(ctx context.Context, name string) {
	var group sync.WaitGroup
	until := func(f func(n int)) {
		group.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				f(n)
			}
		})
	}
	for _, a := range p.guards() {
		until(func(int) { p.ask(context.Background(), a) })
	}
	until(func(n int) {
		email := fmt.Sprintf("%s%d@example.com", name, n)
		body := fmt.Sprintf(`{"email":%q,"password":"abc"}`, email)
		if p.ask(context.Background(), asked{what: "register", method: "POST", path: "/auth/register", contentType: "application/json", body: body, may: []int{201}}) == 201 {
			p.note(func() { p.acknowledged = append(p.acknowledged, email) })
		}
	})
	until(func(int) {
		p.ask(context.Background(), asked{what: "wrong password", method: "POST", path: "/auth/redis/login", contentType: formType, body: form(ann, "abd"), may: []int{400}})
	})
	for _, backend := range []string{"jwt", "database", "redis"} {
		until(func(int) {
			p.ask(context.Background(), asked{what: "login " + backend, method: "POST", path: "/auth/" + backend + "/login", contentType: formType, body: form(ann, "abc"), may: []int{200}})
		})
	}
	group.Wait()
}

// TestStoresThatFail has a store cut, silent and slow in the middle of load.
func TestStoresThatFail(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	database, redis := testdb.PostgresURL(t), testdb.RedisURL(t)
	postgresProxy, redisProxy := proxyOfPostgres(t, database), proxyOfRedis(t, redis)
	base := start(t, "DATABASE_URL="+behind(t, database, postgresProxy), "REDIS_URL="+behind(t, redis, redisProxy))

	if status, answer := call(t, "POST", base+"/auth/register", "application/json", `{"email":"`+ann+`","password":"abc"}`, ""); status != 201 {
		t.Fatal(status, answer)
	}
	tokens := map[string]string{}
	for _, backend := range []string{"jwt", "database", "redis"} {
		status, token := login(t, base, backend, ann, "abc")
		if status != 200 {
			t.Fatal(backend, status)
		}
		tokens[backend] = token
	}
	var acknowledged []string
	for _, store := range []struct {
		name  string
		proxy *faultproxy.Proxy
		needs []string // the store
	}{
		{"postgres", postgresProxy, []string{"guard jwt", "guard database", "guard redis", "forged", "register", "login jwt", "login database", "login redis"}},
		{"redis", redisProxy, []string{"guard redis", "forged", "login redis"}},
	} {
		for _, fault := range []struct {
			name string
			faultproxy.Fault
		}{
			{"cut", faultproxy.Fault{Cut: true}},
			{"silent", faultproxy.Fault{Silent: true}},
			{"slow", faultproxy.Fault{Slow: 5 * time.Second}},
		} {
			t.Run(store.name+" is "+fault.name, func(t *testing.T) {
				p := &people{base: base, tokens: tokens, statuses: map[string]map[int]int{}}
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				done := make(chan struct{})
				go func() { defer close(done); p.run(ctx, store.name+fault.name) }()

				await(t, p, longestAnswer, "answers 2xx before", func(seen map[string]map[int]int) bool {
					return seen["guard redis"][200] > 10 && seen["register"][201] > 0 && seen["login redis"][200] > 0
				})
				store.proxy.Set(fault.Fault)
				p.note(func() { p.statuses = map[string]map[int]int{} })
				for _, what := range store.needs {
					await(t, p, 2*longestAnswer, what+" is 503", func(seen map[string]map[int]int) bool { return seen[what][503] > 0 })
				}
				if store.name == "redis" {
					p.note(func() { p.statuses = map[string]map[int]int{} })
					for _, what := range []string{"guard jwt", "guard database", "login jwt", "login database"} {
						await(t, p, longestAnswer, what+" needs no Redis", func(seen map[string]map[int]int) bool { return seen[what][200] > 0 && seen[what][503] == 0 })
					}
				}

				store.proxy.Set(faultproxy.Fault{})
				healed := time.Now()
				p.note(func() { p.statuses = map[string]map[int]int{} })
				for _, what := range store.needs {
					if what == "forged" {
						await(t, p, longestRecovery-time.Since(healed), "forged is 401 again", func(seen map[string]map[int]int) bool { return seen["forged"][401] > 0 })
						continue
					}
					await(t, p, longestRecovery-time.Since(healed), what+" is 2xx again", func(seen map[string]map[int]int) bool { return seen[what][200]+seen[what][201] > 0 })
				}
				stop()
				<-done
				p.note(func() {
					if p.slowest > longestAnswer {
						t.Errorf("an answer took %v", p.slowest)
					}
					for _, wrong := range p.wrong[:min(len(p.wrong), 5)] {
						t.Error(wrong)
					}
					acknowledged = append(acknowledged, p.acknowledged...)
					t.Logf("slowest answer %v", p.slowest)
				})
			})
		}
	}
	for _, email := range acknowledged {
		if status, _ := login(t, base, "jwt", email, "abc"); status != 200 {
			t.Errorf("%s was acknowledged and can't log in: %d", email, status)
		}
	}
	t.Logf("%d registrations", len(acknowledged))
}

// await polls what the people saw.
func await(t *testing.T, p *people, patience time.Duration, what string, seen func(map[string]map[int]int) bool) {
	t.Helper()
	late := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		var ok bool
		p.note(func() { ok = seen(p.statuses) })
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			p.note(func() { t.Fatalf("%s: not within %v: %v", what, patience, p.statuses) })
		}
	}
}
