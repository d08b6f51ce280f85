// Command overload has 256 clients log in over and over for ten seconds, at a
// server in a process of its own with a user cache around its database, while
// a guarded route is visited. It tells what the log-ins reached of the rate of
// the hash alone on the same processors, what the visits took, what was
// answered, and the most memory that the server had. Unless GOGC and GODEBUG are
// set, the server has those that docs/performance recommends, and unless told
// otherwise it is scheduled by SCHED_BATCH, of which docs/performance says more.
//
//	go run ./cmd/overload                             SQLite
//	DATABASE_URL=postgres://… go run ./cmd/overload   a database to be thrown away
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/glebarez/sqlite"
	"github.com/labstack/echo/v4"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/password"
	"github.com/echo-users/echo-users/authn/usercache"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

const secret = "correct horse"

// scenario is what the flags say.
type scenario struct {
	clients, users, concurrent, spare int
	lasts, pause, patience            time.Duration
	limited, batch                    bool
}

func main() {
	var s scenario
	flag.IntVar(&s.clients, "clients", 256, "log-ins at once")
	flag.IntVar(&s.users, "users", 16, "the users who log in")
	flag.IntVar(&s.concurrent, "concurrent", 0, "hashes at once; 0 is the default")
	flag.IntVar(&s.spare, "spare", 1, "how many more threads the server has than processors")
	flag.DurationVar(&s.lasts, "for", 10*time.Second, "how long")
	flag.DurationVar(&s.pause, "every", 20*time.Millisecond, "the time from one visit of the guarded route to the next")
	flag.DurationVar(&s.patience, "patience", 0, "how long a client waits that was turned away; 0 is not at all")
	flag.BoolVar(&s.limited, "limits", false, "with the limits that are on by default")
	flag.BoolVar(&s.batch, "batch", true, "the kernel schedules the server by SCHED_BATCH, where there is chrt (util-linux)")
	rounds := flag.Int("rounds", 3, "how often")
	serve := flag.Bool("serve", false, "be the server")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *serve {
		if err := server(ctx, s); err != nil {
			log.Fatal(err)
		}
		return
	}
	for range *rounds {
		if err := round(ctx, s); err != nil {
			log.Fatal(err)
		}
	}
}

func email(i int) string { return fmt.Sprintf("user%d@example.com", i) }

func server(ctx context.Context, s scenario) error {
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + s.spare)
	dir, err := os.MkdirTemp("", "overload")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	opened := sqlite.Open(filepath.Join(dir, "users.db") + "?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&_txlock=immediate")
	if address := os.Getenv("DATABASE_URL"); address != "" {
		opened = postgres.Open(address)
	}
	db, err := gorm.Open(opened, &gorm.Config{})
	if err != nil {
		return err
	}
	pool, err := db.DB()
	if err != nil {
		return err
	}
	pool.SetMaxOpenConns(20)
	pool.SetMaxIdleConns(20)
	store, err := userdb.New[userdb.User](db)
	if err != nil {
		return err
	}
	if err := store.Migrate(ctx); err != nil {
		return err
	}
	cached, err := usercache.New(store, usercache.Config{})
	if err != nil {
		return err
	}
	defer cached.Close()
	b, err := backends.JWT(jwt.Secret([]byte(strings.Repeat("s", 32))), backends.JWTConfig{})
	if err != nil {
		return err
	}
	users, err := authn.New(cached, authn.Config{Passwords: &password.Hasher{Concurrent: s.concurrent}}, b)
	if err != nil {
		return err
	}
	for i := range s.users {
		if _, err := users.Register(ctx, email(i), secret, nil); err != nil && !errors.Is(err, authn.ErrUserExists) {
			return err
		}
	}
	factory, err := routes.New(users, routes.Config[*userdb.User]{Limits: routes.Limits{Skip: !s.limited}})
	if err != nil {
		return err
	}
	e := echo.New()
	e.HTTPErrorHandler = echo4.ErrorHandler
	echo4.Mount(e, factory.All())
	e.GET("/guarded", echo4.Handle(users.CurrentUser(authn.Active), func(c echo.Context, _ *userdb.User) error {
		return c.NoContent(http.StatusNoContent)
	}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	served := make(chan error, 1)
	front := &http.Server{Handler: e, ReadHeaderTimeout: 10 * time.Second}
	go func() { served <- front.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return front.Close()
	}
}

// processors is how many Go programs use here.
var processors = runtime.GOMAXPROCS(0)

// alone is how many hashes a second these processors make with nothing else to
// do, for as long as lasts.
func alone(lasts time.Duration) float64 {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
	var hasher password.Hasher // the same parameters
	var done atomic.Int64
	var group sync.WaitGroup
	start := time.Now()
	for range processors {
		group.Go(func() {
			for time.Since(start) < lasts {
				if _, err := hasher.Hash(context.Background(), secret); err != nil {
					log.Fatal(err)
				}
				done.Add(1)
			}
		})
	}
	group.Wait()
	return float64(done.Load()) / time.Since(start).Seconds()
}

func round(ctx context.Context, s scenario) error {
	cmd, base, err := start(s)
	if err != nil {
		return err
	}
	defer cmd.Wait()
	defer cmd.Process.Signal(syscall.SIGTERM)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // which is enough for the clients
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: s.clients + 64}}
	token, status, _, err := login(client, base, email(0))
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("the first log-in: %d, %v", status, err)
	}

	before := alone(3 * time.Second)
	calm := visit(client, base, token, s.pause, time.After(2*time.Second))
	var mu sync.Mutex
	statuses := map[string]int{}
	var waits []time.Duration
	end := make(chan struct{})
	var group sync.WaitGroup
	for i := range s.clients {
		group.Go(func() {
			for {
				select {
				case <-end:
					return
				case <-ctx.Done():
					return
				default:
				}
				begun := time.Now()
				_, status, retry, err := login(client, base, email(i%s.users))
				took := time.Since(begun)
				mu.Lock()
				switch {
				case err != nil:
					statuses["no answer"]++
				case status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests:
					statuses[fmt.Sprintf("%d Retry-After %q", status, retry)]++
				default:
					statuses[fmt.Sprint(status)]++
				}
				if status == http.StatusOK {
					waits = append(waits, took)
				}
				mu.Unlock()
				if err != nil {
					time.Sleep(time.Second)
				} else if status != http.StatusOK {
					time.Sleep(s.patience)
				}
			}
		})
	}
	begun := time.Now()
	visits := visit(client, base, token, s.pause, time.After(s.lasts))
	mu.Lock()
	rate := float64(statuses["200"]) / time.Since(begun).Seconds()
	mu.Unlock()
	memory := peak(cmd.Process.Pid)
	close(end)
	group.Wait()
	after := alone(3 * time.Second)

	best := (before + after) / 2
	fmt.Printf("%d clients: %.1f log-ins/s, the hash alone %.1f/s before and %.1f/s after: %.2f ×\n", s.clients, rate, before, after, rate/best)
	fmt.Printf("  a log-in takes %s\n", quantiles(waits))
	fmt.Printf("  the guarded route takes %s; without log-ins %s\n", quantiles(visits), quantiles(calm))
	for _, status := range slices.Sorted(maps.Keys(statuses)) {
		fmt.Printf("  %s: %d\n", status, statuses[status])
	}
	fmt.Printf("  peak %s\n", memory)
	return nil
}

// start starts the server and returns where it listens.
func start(s scenario) (*exec.Cmd, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	args := []string{self, "-serve", fmt.Sprintf("-users=%d", s.users), fmt.Sprintf("-concurrent=%d", s.concurrent), fmt.Sprintf("-spare=%d", s.spare), fmt.Sprintf("-limits=%t", s.limited)}
	if chrt, err := exec.LookPath("chrt"); s.batch && err == nil {
		args = append([]string{chrt, "--batch", "0"}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	cmd.Env = append([]string{"GOGC=150", "GODEBUG=madvdontneed=0"}, os.Environ()...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	var addr string
	if _, err := fmt.Fscan(out, &addr); err != nil {
		return nil, "", errors.Join(err, cmd.Process.Kill())
	}
	go io.Copy(io.Discard, out) // what Echo logs of 503; a full pipe would stop it
	return cmd, "http://" + addr, nil
}

func login(client *http.Client, base, who string) (token string, status int, retry string, err error) {
	res, err := client.PostForm(base+"/auth/jwt/login", url.Values{"username": {who}, "password": {secret}})
	if err != nil {
		return "", 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	_, rest, _ := strings.Cut(string(body), `"access_token":"`)
	token, _, _ = strings.Cut(rest, `"`)
	return token, res.StatusCode, res.Header.Get("Retry-After"), err
}

// visit visits the guarded route until end, each time when it is due, whether
// the last visit is through or not.
func visit(client *http.Client, base, token string, every time.Duration, end <-chan time.Time) []time.Duration {
	var mu sync.Mutex
	var took []time.Duration
	var group sync.WaitGroup
	defer group.Wait()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-end:
			group.Wait()
			return took
		case due := <-tick.C:
			group.Go(func() {
				r, err := http.NewRequest(http.MethodGet, base+"/guarded", nil)
				if err != nil {
					log.Fatal(err)
				}
				r.Header.Set("Authorization", "Bearer "+token)
				res, err := client.Do(r)
				if err != nil {
					log.Fatal(err)
				}
				res.Body.Close()
				if res.StatusCode != http.StatusNoContent {
					log.Fatal("the guarded route: ", res.Status)
				}
				mu.Lock()
				took = append(took, time.Since(due))
				mu.Unlock()
			})
		}
	}
}

func quantiles(took []time.Duration) string {
	if len(took) == 0 {
		return "nothing"
	}
	slices.Sort(took)
	at := func(percent int) time.Duration { return took[len(took)*percent/100].Round(100 * time.Microsecond) }
	return fmt.Sprintf("p50 %v, p99 %v (%d)", at(50), at(99), len(took))
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
