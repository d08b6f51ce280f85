package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// dial opens a connection that is given up after half a minute.
func dial(t *testing.T, base string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestASlowClientIsCutOff(t *testing.T) {
	t.Parallel()
	conn := dial(t, start(t))
	if _, err := io.WriteString(conn, "GET /protected/any HTTP/1.1\r\nHost: x\r\nX-Slow: "); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for time.Since(begun) < 20*time.Second {
		if err := conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		_, err := conn.Read(make([]byte, 1))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return // it hung up
		}
		_, _ = io.WriteString(conn, "a")
	}
	t.Error("a client that never ends its header keeps its connection")
}

func TestALongHeaderIsRefused(t *testing.T) {
	t.Parallel()
	r, err := http.NewRequest(http.MethodGet, start(t)+"/protected/any", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Long", strings.Repeat("a", 64<<10))
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Error(res.Status)
	}
}

// A log-in that was accepted before SIGTERM is answered, though it ends after
// it; who comes later isn't let in.
func TestAnAcceptedLogInIsAnswered(t *testing.T) {
	t.Parallel()
	cmd, base := launch(t)
	defer cmd.Process.Kill() // it has ended by then
	if status, answer := call(t, "POST", base+"/auth/register", "application/json", `{"email":"ann@example.com","password":"abc"}`, ""); status != 201 {
		t.Fatal(status, answer)
	}
	conn := dial(t, base)
	answers := bufio.NewReader(conn)
	form := url.Values{"username": {"ann@example.com"}, "password": {"abc"}}.Encode()
	fmt.Fprintf(conn, "POST /auth/jwt/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(form))
	if res, err := http.ReadResponse(answers, nil); err != nil || res.StatusCode != http.StatusContinue {
		t.Fatal(res, err) // else the route has begun, and waits for the form
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); ; {
		late, err := net.Dial("tcp", conn.RemoteAddr().String())
		if err != nil {
			break
		}
		late.Close()
		if time.Since(begun) > 9*time.Second {
			t.Fatal("it takes new connections after SIGTERM")
		}
	}
	if _, err := io.WriteString(conn, form); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(body), "access_token") {
		t.Errorf("%d %s, %v", res.StatusCode, body, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}

func TestASlowClientHoldsNoShutdownUp(t *testing.T) {
	t.Parallel()
	cmd, base := launch(t)
	conn := dial(t, base)
	if _, err := io.WriteString(conn, "POST /auth/jwt/login HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 60\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "100") { // a handler reads the body
		t.Fatal(line, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM, with half a request: %v", err)
	}
}
