package redis_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/strategies/redis"
)

// node is a server of a cluster.
type node struct {
	*goredis.Client
	addr string
	cmd  *exec.Cmd
}

func (n *node) kill() {
	if n.cmd.ProcessState == nil {
		_ = n.cmd.Process.Kill()
		_ = n.cmd.Wait()
	}
}

// startNode starts an empty server that is in no cluster yet.
func startNode(t *testing.T) *node {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		if binary, err = exec.LookPath("valkey-server"); err != nil {
			t.Skip("left out: a Redis Cluster (install redis-server)")
		}
	}
	for range 10 {
		addr := freeAddr(t)
		_, port, _ := net.SplitHostPort(addr)
		var out strings.Builder
		cmd := exec.Command(binary, "--port", port, "--bind", "127.0.0.1", "--cluster-enabled", "yes", "--cluster-node-timeout", "500",
			"--cluster-require-full-coverage", "no", "--save", "", "--appendonly", "no", "--dir", t.TempDir())
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		n := &node{goredis.NewClient(&goredis.Options{Addr: addr, MaxRetries: -1}), addr, cmd}
		t.Cleanup(func() { n.Close(); n.kill() })
		if until(5*time.Second, func() bool { return n.Ping(context.Background()).Err() == nil }) {
			return n
		}
		n.kill()
		t.Log(out.String())
	}
	t.Fatal("no redis-server would start")
	return nil
}

// freeAddr is one whose bus, 10,000 above, fits as well.
func freeAddr(t *testing.T) string {
	t.Helper()
	for {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := listener.Addr().(*net.TCPAddr)
		listener.Close()
		if addr.Port < 55000 {
			return addr.String()
		}
	}
}

// until polls.
func until(patience time.Duration, ok func() bool) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); ; {
		if ok() {
			return true
		}
		select {
		case <-tick.C:
		case <-late:
			return false
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (n *node) meet(t *testing.T, other *node) {
	t.Helper()
	host, port, _ := net.SplitHostPort(other.addr)
	must(t, n.ClusterMeet(t.Context(), host, port).Err())
}

// whole reports whether each of the nodes knows the others and no more, and a
// master of every slot.
func whole(nodes ...*node) func() bool {
	return func() bool {
		for _, n := range nodes {
			info, err := n.ClusterInfo(context.Background()).Result()
			if err != nil {
				return false
			}
			for _, line := range []string{"cluster_state:ok", "cluster_slots_ok:16384", fmt.Sprint("cluster_known_nodes:", len(nodes)), fmt.Sprint("cluster_size:", len(nodes))} {
				if !strings.Contains(info, line+"\r\n") {
					return false
				}
			}
		}
		return true
	}
}

func TestClusterThatLosesAMaster(t *testing.T) {
	var nodes []*node
	ranges := [][2]int{{0, 5460}, {5461, 10922}, {10923, 16383}}
	for _, slots := range ranges {
		n := startNode(t)
		must(t, n.ClusterAddSlotsRange(t.Context(), slots[0], slots[1]).Err())
		nodes = append(nodes, n)
	}
	nodes[0].meet(t, nodes[1])
	nodes[0].meet(t, nodes[2])
	if !until(30*time.Second, whole(nodes...)) {
		t.Fatal("the three masters don't become a cluster")
	}
	client := goredis.NewClusterClient(&goredis.ClusterOptions{
		Addrs: []string{nodes[0].addr, nodes[1].addr, nodes[2].addr}, ContextTimeoutEnabled: true,
	})
	defer client.Close()
	s, err := redis.New(client, redis.Config{PlainPrefix: redis.PlainPrefix})
	must(t, err)
	authntest.TestStrategy(t, func(*testing.T) authn.Strategy { return s })
	var users int
	authntest.TestSessions(t, func(t *testing.T) (authn.SessionStore, string, string) {
		sessions, err := redis.NewSessions(client, redis.SessionsConfig{})
		must(t, err)
		users++
		return sessions, fmt.Sprint("ann", users), fmt.Sprint("bob", users)
	})

	authntest.TestLimits(t, func(t *testing.T) authn.LimitStore {
		limits, err := redis.NewLimits(client, redis.LimitsConfig{})
		must(t, err)
		return limits
	})

	alive, revoked := map[string]string{}, []string{}
	for i := range 60 {
		subject := fmt.Sprint("user", i)
		alive[issue(t, s, authn.Identity{Subject: subject})] = subject
		ended := issue(t, s, authn.Identity{Subject: subject})
		must(t, s.Revoke(t.Context(), ended))
		revoked = append(revoked, ended)
	}
	// look reads every token, and counts what becomes of those alive.
	look := func() (accepted, invalid, away int) {
		t.Helper()
		for token, subject := range alive {
			id, err := s.Read(t.Context(), token)
			switch {
			case err == nil && id.Subject != subject:
				t.Errorf("%s's token is %s's", subject, id.Subject)
			case err == nil:
				accepted++
			case errors.Is(err, authn.ErrInvalidToken):
				invalid++
			default:
				away++
			}
		}
		for _, token := range revoked {
			if id, err := s.Read(t.Context(), token); err == nil {
				t.Errorf("a revoked token of %s is accepted", id.Subject)
			}
		}
		return accepted, invalid, away
	}
	if accepted, _, _ := look(); accepted != len(alive) {
		t.Fatalf("%d of %d are accepted", accepted, len(alive))
	}

	lost := nodes[1]
	lostID, err := lost.ClusterMyID(t.Context()).Result()
	must(t, err)
	lost.kill()
	accepted, invalid, away := look()
	if invalid != 0 || away == 0 || accepted == 0 || accepted+away != len(alive) {
		t.Errorf("with a master lost: %d accepted, %d invalid, %d away", accepted, invalid, away)
	}
	kept := accepted

	survivors := []*node{nodes[0], nodes[2]}
	for _, n := range survivors {
		must(t, n.ClusterForget(t.Context(), lostID).Err())
	}
	fresh := startNode(t)
	must(t, fresh.ClusterAddSlotsRange(t.Context(), ranges[1][0], ranges[1][1]).Err())
	fresh.meet(t, nodes[0])
	if !until(30*time.Second, whole(append(survivors, fresh)...)) {
		t.Fatal("the cluster isn't whole again")
	}
	if !until(5*time.Second, func() bool {
		for range 30 {
			token, err := s.Issue(t.Context(), authn.Identity{Subject: "new"})
			if err != nil {
				return false
			}
			if _, err := s.Read(t.Context(), token.Value); err != nil {
				return false
			}
		}
		return true
	}) {
		t.Fatal("no recovery within five seconds")
	}
	accepted, invalid, away = look()
	if away != 0 || accepted != kept || invalid != len(alive)-kept {
		t.Errorf("afterwards: %d accepted, %d invalid, %d away; %d were kept", accepted, invalid, away, kept)
	}
}
