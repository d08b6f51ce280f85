package twoservices_test

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// start builds a service, runs it in dir until the test ends, and waits until
// it answers.
func start(t *testing.T, dir, service string, args ...string) (base string) {
	t.Helper()
	binary := filepath.Join(dir, service)
	if out, err := exec.Command("go", "build", "-o", binary, "./"+service).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	listener.Close()
	cmd := exec.Command(binary, append([]string{"-addr", addr}, args...)...)
	cmd.Dir = dir
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("after SIGTERM: %v", err)
		}
	})
	for lines := bufio.NewScanner(out); lines.Scan(); { // Echo says when it has started
		if strings.Contains(lines.Text(), "http server started on") {
			go io.Copy(io.Discard, out)
			return "http://" + addr
		}
	}
	t.Fatal("the service doesn't start")
	return ""
}

func ask(t *testing.T, r *http.Request) (int, string) {
	t.Helper()
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func request(t *testing.T, method, url, contentType, body, token string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

// Two processes, of which one has the private key; and a rotation of it.
func TestTheExample(t *testing.T) {
	dir := t.TempDir()
	auth := start(t, dir, "auth")
	orders := start(t, dir, "orders", "-keys", auth+"/.well-known/jwks.json")
	if status, body := ask(t, request(t, "POST", auth+"/auth/register", "application/json", `{"email":"ann@example.com","password":"correct horse"}`, "")); status != 201 {
		t.Fatal(status, body)
	}
	login := func() string {
		t.Helper()
		form := url.Values{"username": {"ann@example.com"}, "password": {"correct horse"}}.Encode()
		status, body := ask(t, request(t, "POST", auth+"/auth/jwt/login", "application/x-www-form-urlencoded", form, ""))
		var answer struct {
			Token string `json:"access_token"`
		}
		if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 200 {
			t.Fatal(status, body, err)
		}
		return answer.Token
	}
	opens := func(token string, want int) {
		t.Helper()
		if status, body := ask(t, request(t, "GET", orders+"/orders", "", "", token)); status != want || want == 200 && !strings.HasPrefix(body, "The orders of user ") {
			t.Errorf("%d %s, want %d", status, body, want)
		}
	}
	published := func() int {
		t.Helper()
		_, body := ask(t, request(t, "GET", auth+"/.well-known/jwks.json", "", "", ""))
		var set struct{ Keys []any }
		if err := json.Unmarshal([]byte(body), &set); err != nil {
			t.Fatal(err)
		}
		return len(set.Keys)
	}
	first := login()
	opens(first, 200)
	opens("", 401)
	opens(first[:len(first)-2], 401)

	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	key, next := filepath.Join(dir, "auth-key.pem"), filepath.Join(dir, "auth-key-next.pem")
	if err := os.WriteFile(next, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "two keys are published", func() bool { return published() == 2 })
	for _, rename := range [][2]string{{key, key + ".old"}, {next, key}, {key + ".old", next}} {
		if err := os.Rename(rename[0], rename[1]); err != nil {
			t.Fatal(err)
		}
	}
	header, _, _ := strings.Cut(first, ".")
	var second string
	await(t, "the new key signs", func() bool { second = login(); return !strings.HasPrefix(second, header) })
	opens(first, 200)
	opens(second, 200)
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	late, tick := time.After(time.Minute), time.NewTicker(200*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal(what + ": not within a minute")
		}
	}
}
