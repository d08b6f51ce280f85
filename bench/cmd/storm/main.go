// Command storm measures a log-in storm: a server in a process of its own, so
// many log-ins at once, and a cheap guarded route beside them.
//
//	go run ./cmd/storm -logins 64          the gate at its default
//	go run ./cmd/storm -logins 64 -ungated
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/authn/password"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
)

const email, secret = "ann@example.com", "correct horse"

func main() {
	logins := flag.Int("logins", 64, "log-ins at once")
	rounds := flag.Int("rounds", 3, "how often")
	ungated := flag.Bool("ungated", false, "without the admission gate")
	hangUp := flag.Bool("hang-up", false, "the clients hang up after 50 ms; then one more logs in")
	serve := flag.Bool("serve", false, "be the server")
	flag.Parse()
	if *serve {
		log.Fatal(server(*ungated))
	}
	if err := storm(*logins, *rounds, *ungated, *hangUp); err != nil {
		log.Fatal(err)
	}
}

func server(ungated bool) error {
	b, err := backends.JWT(jwt.Secret([]byte(strings.Repeat("s", 32))), backends.JWTConfig{})
	if err != nil {
		return err
	}
	hasher := new(password.Hasher)
	if ungated {
		hasher.Concurrent = 1 << 20
	}
	users, err := authn.New(new(authntest.Memory), authn.Config{Passwords: hasher}, b)
	if err != nil {
		return err
	}
	if _, err := users.Register(context.Background(), email, secret, nil); err != nil {
		return err
	}
	e := echo.New()
	factory, err := routes.New(users, routes.Config[*authntest.User]{Limits: routes.Limits{Skip: true}}) // all log-ins are one account's
	if err != nil {
		return err
	}
	echo4.Mount(e, factory.All())
	e.GET("/cheap", echo4.Handle(users.CurrentUser(authn.Active), func(c echo.Context, _ *authntest.User) error {
		return c.NoContent(http.StatusNoContent)
	}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	return http.Serve(listener, e)
}

func storm(logins, rounds int, ungated, hangUp bool) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "-serve", fmt.Sprintf("-ungated=%t", ungated))
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	defer cmd.Process.Kill()
	var addr string
	if _, err := fmt.Fscan(out, &addr); err != nil {
		return err
	}
	base := "http://" + addr
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: logins + 1}}
	login := func(ctx context.Context) (string, int, error) {
		form := url.Values{"username": {email}, "password": {secret}}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/auth/jwt/login", strings.NewReader(form.Encode()))
		if err != nil {
			return "", 0, err
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := client.Do(r)
		if err != nil {
			return "", 0, err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		_, rest, _ := strings.Cut(string(body), `"access_token":"`)
		token, _, _ := strings.Cut(rest, `"`)
		return token, res.StatusCode, err
	}
	token, _, err := login(context.Background())
	if err != nil {
		return err
	}

	for range rounds {
		if hangUp {
			impatient, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			var group sync.WaitGroup
			for range logins {
				group.Go(func() { _, _, _ = login(impatient) })
			}
			group.Wait()
			cancel()
			start := time.Now()
			_, status, err := login(context.Background())
			fmt.Printf("%d hung up; the next log-in: %d after %v, %v\n", logins, status, time.Since(start).Round(time.Millisecond), err)
			continue
		}
		done := make(chan struct{})
		var bystander []time.Duration
		var watching sync.WaitGroup
		watching.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				start := time.Now()
				r, _ := http.NewRequest(http.MethodGet, base+"/cheap", nil)
				r.Header.Set("Authorization", "Bearer "+token)
				res, err := client.Do(r)
				if err != nil {
					continue
				}
				res.Body.Close()
				bystander = append(bystander, time.Since(start))
			}
		})
		start := time.Now()
		var group sync.WaitGroup
		var mu sync.Mutex
		succeeded := 0
		for range logins {
			group.Go(func() {
				if _, status, err := login(context.Background()); err == nil && status == http.StatusOK {
					mu.Lock()
					succeeded++
					mu.Unlock()
				}
			})
		}
		group.Wait()
		took := time.Since(start)
		close(done)
		watching.Wait()
		slices.Sort(bystander)
		gate := "gate on"
		if ungated {
			gate = "gate off"
		}
		fmt.Printf("%d log-ins at once, %s: %d succeeded, %.1f/s; cheap route p99 %v; peak %s\n",
			logins, gate, succeeded, float64(succeeded)/took.Seconds(), bystander[len(bystander)*99/100].Round(100*time.Microsecond), peak(cmd.Process.Pid))
	}
	return nil
}

// peak is the most memory that the process has had, as Linux counts.
func peak(pid int) string {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return "unknown"
}
