package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/echo-users/echo-users/internal/faultproxy"
	"github.com/echo-users/echo-users/internal/testdb"
)

// client is somebody who connects from an address of this machine, and keeps
// cookies.
func client(t *testing.T, address string) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 50}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport}
}

// signIn returns the status of a log-in that claims to come from anywhere.
func signIn(t *testing.T, c *http.Client, base, path, email, password string, i int) int {
	t.Helper()
	r, err := http.NewRequest("POST", base+path, strings.NewReader(url.Values{"username": {email}, "password": {password}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", formType)
	r.Header.Set("X-Forwarded-For", fmt.Sprintf("198.51.%d.%d", i/250, i%250))
	r.Header.Set("X-Real-IP", fmt.Sprintf("2001:db8:%x::1", i))
	res, err := c.Do(r)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// guesses sends a thousand, and returns how many passwords were looked at.
// half is called in the middle.
func guesses(t *testing.T, c *http.Client, bases []string, email func(i int) string, half func()) int64 {
	t.Helper()
	paths := []string{"/auth/jwt/login", "/auth/redis/login", "//auth/jwt/login", "/AUTH/JWT/LOGIN", "/auth/cookie/login", "/auth/jwt/login/"}
	var group sync.WaitGroup
	var next, looked atomic.Int64
	for range 20 {
		group.Go(func() {
			for i := int(next.Add(1)); i <= 1000; i = int(next.Add(1)) {
				if i == 500 {
					half()
				}
				switch got := signIn(t, c, bases[i%len(bases)], paths[i/2%len(paths)], email(i), "wrong", i); got {
				case 400:
					looked.Add(1)
				case 404, 429:
				default:
					t.Errorf("%s: %d", paths[i/2%len(paths)], got)
				}
			}
		})
	}
	group.Wait()
	return looked.Load()
}

func TestHardened(t *testing.T) {
	spellings := func(i int) string { return []string{ann, "ANN@example.com", " Ann@Example.COM"}[i%3] }
	accounts := func(i int) string { return fmt.Sprintf("user%d@example.com", i) }
	for _, c := range []struct {
		name      string
		email     func(i int) string
		redis     bool
		fault     faultproxy.Fault
		processes int
		from      string
		locks     bool // everywhere else, too
	}{
		{"one account", spellings, false, faultproxy.Fault{}, 1, "127.0.0.1", false},
		{"accounts, Redis, cut", accounts, true, faultproxy.Fault{Cut: true}, 1, "127.0.0.1", false},
		{"one account, Redis, silent", spellings, true, faultproxy.Fault{Silent: true}, 1, "127.0.0.2", true},
		{"one account, Redis, two processes", spellings, true, faultproxy.Fault{}, 2, "127.0.0.2", true},
		{"accounts, Redis, two processes", accounts, true, faultproxy.Fault{}, 2, "127.0.0.2", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := []string{"HARDENED=1"}
			half := func() {}
			if c.redis {
				proxy := proxyOfRedis(t, testdb.RedisURL(t))
				env = append(env, "DATABASE_URL=sqlite:"+testdb.SQLiteFile(t), "REDIS_URL="+behind(t, testdb.RedisURL(t), proxy))
				half = func() { proxy.Set(c.fault) }
			}
			var bases []string
			for range c.processes {
				bases = append(bases, start(t, env...))
			}
			if status, answer := call(t, "POST", bases[0]+"/auth/register", "application/json", `{"email":"`+ann+`","password":"abc"}`, ""); status != 201 {
				t.Fatal(status, answer)
			}
			owner := client(t, "127.0.0.1")
			enters := func(when string) {
				t.Helper()
				for _, base := range bases {
					if got := signIn(t, owner, base, "/auth/jwt/login", ann, "abc", 0); got != 200 {
						t.Errorf("the owner, %s: %d", when, got)
					}
				}
			}
			enters("before")
			looked := guesses(t, client(t, c.from), bases, c.email, func() { half(); enters("meanwhile") })
			enters("after")
			if looked >= 25 || looked < 5 {
				t.Errorf("%d passwords were looked at", looked)
			}
			t.Logf("%d passwords were looked at", looked)
			if got := signIn(t, client(t, "127.0.0.3"), bases[0], "/auth/jwt/login", ann, "abc", 0); (got == 429) != c.locks {
				t.Errorf("from an unknown device: %d", got)
			}
		})
	}
}

// Without HARDENED nothing is limited, and no device is known.
func TestNotHardened(t *testing.T) {
	base := start(t)
	if status, _ := call(t, "POST", base+"/auth/register", "application/json", `{"email":"`+ann+`","password":"abc"}`, ""); status != 201 {
		t.Fatal(status)
	}
	somebody := client(t, "127.0.0.1")
	for i := range 30 {
		if got := signIn(t, somebody, base, "/auth/jwt/login", ann, "wrong", i); got != 400 {
			t.Fatal(got)
		}
	}
	if got := signIn(t, somebody, base, "/auth/jwt/login", ann, "abc", 0); got != 200 {
		t.Error(got)
	}
	if at, _ := url.Parse(base); len(somebody.Jar.Cookies(at)) != 0 {
		t.Error("a cookie was set")
	}
}
