package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/echo-users/echo-users/internal/fronts"
	"github.com/echo-users/echo-users/internal/testdb"
)

var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "conformance")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		panic(string(out))
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// start runs the server until the test ends, and expects it to stop cleanly.
func start(t *testing.T, env ...string) (base string) {
	t.Helper()
	cmd, base := launch(t, env...)
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("after SIGTERM: %v", err)
		}
	})
	return base
}

// launch starts the server and waits until it listens.
func launch(t *testing.T, env ...string) (cmd *exec.Cmd, base string) {
	t.Helper()
	cmd = exec.Command(binary, "-addr", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	base, _ = listening(t, cmd)
	return cmd, base
}

// listening starts a server, waits until it listens, and returns where, and what it
// prints from then on.
func listening(t *testing.T, cmd *exec.Cmd) (base string, rest io.Reader) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !ok {
		_ = cmd.Process.Kill()
		t.Fatalf("%q, %v", line, err)
	}
	return "http://" + addr, lines
}

func call(t *testing.T, method, address, contentType, body, token string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if len(data) > 0 {
		if err := json.Unmarshal(data, &answer); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
	}
	return res.StatusCode, answer
}

func login(t *testing.T, base, backend, email, password string) (int, string) {
	t.Helper()
	form := url.Values{"username": {email}, "password": {password}}
	status, answer := call(t, "POST", base+"/auth/"+backend+"/login", "application/x-www-form-urlencoded", form.Encode(), "")
	token, _ := answer["access_token"].(string)
	return status, token
}

// kinds are environments of the server, by name.
type kinds map[string]func(t *testing.T) []string

// each runs a test in every kind of environment over the first front, and in
// "memory" over the others, too.
func (k kinds) each(t *testing.T, test func(t *testing.T, env []string)) {
	t.Helper()
	for i, front := range fronts.Names {
		for name, env := range k {
			if i == 0 || name == "memory" {
				t.Run(front+", "+name, func(t *testing.T) { test(t, append(env(t), "FRONT="+front)) })
			}
		}
	}
}

func TestEveryKindOfDatabase(t *testing.T) {
	kinds{
		"memory":        func(*testing.T) []string { return nil },
		"memory, int":   func(*testing.T) []string { return []string{"USER_KEY=int"} },
		"file":          func(t *testing.T) []string { return []string{"DATABASE_URL=sqlite:" + testdb.SQLiteFile(t)} },
		"postgres":      func(t *testing.T) []string { return []string{"DATABASE_URL=" + testdb.PostgresURL(t)} },
		"postgres, int": func(t *testing.T) []string { return []string{"DATABASE_URL=" + testdb.PostgresURL(t), "USER_KEY=int"} },
	}.each(t, func(t *testing.T, env []string) {
		base := start(t, env...)
		const email = "king.arthur@camelot.example.com"
		status, user := call(t, "POST", base+"/auth/register", "application/json", `{"email":"`+email+`","password":"abc"}`, "")
		if _, number := user["id"].(float64); status != 201 || number != slices.Contains(env, "USER_KEY=int") {
			t.Fatal(status, user)
		}
		var tokens []string
		for _, backend := range []string{"jwt", "my-jwt"} {
			status, token := login(t, base, backend, email, "abc")
			if status != 200 {
				t.Fatal(backend, status)
			}
			tokens = append(tokens, token)
		}
		if status, _ := login(t, base, "strict", email, "abc"); status != 400 {
			t.Error("strict:", status)
		}
		guards := func(want map[string]int) {
			t.Helper()
			for guard, status := range want {
				for _, token := range tokens {
					got, answer := call(t, "GET", base+"/protected/"+guard, "", "", token)
					if got != status || got == 200 && guard != "optional" && answer["email"] != email {
						t.Errorf("%s: %d %v, want %d", guard, got, answer, status)
					}
				}
			}
		}
		flags := func(body string) {
			t.Helper()
			if status, answer := call(t, "POST", base+"/_test/user-flags", "application/json", `{"email":"`+email+`",`+body+`}`, ""); status != 204 {
				t.Fatal(status, answer)
			}
		}
		guards(map[string]int{"any": 200, "active": 200, "verified": 403, "superuser": 403, "optional": 200})
		flags(`"is_verified":true,"is_superuser":true`)
		guards(map[string]int{"any": 200, "active": 200, "verified": 200, "superuser": 200, "optional": 200})
		flags(`"is_active":false`)
		guards(map[string]int{"any": 200, "active": 401, "verified": 401, "superuser": 401, "optional": 200})
		flags(`"hashed_password":"!"`)
		if status, _ := login(t, base, "jwt", email, "abc"); status != 400 {
			t.Error("an unusable hash:", status)
		}
		tokens = []string{"", "x.y.z"}
		guards(map[string]int{"any": 401, "active": 401, "verified": 401, "superuser": 401, "optional": 200})
	})
}

// Whoever starts the server may read nothing but its first line: another one
// for each request would fill a pipe, and the server would wait.
func TestFailuresAreNotWritten(t *testing.T) {
	for _, front := range fronts.Names {
		file := testdb.SQLiteFile(t)
		cmd := exec.Command(binary, "-addr", "127.0.0.1:0")
		cmd.Env = append(os.Environ(), "FRONT="+front, "DATABASE_URL=sqlite:"+file)
		var errs strings.Builder
		cmd.Stderr = &errs
		base, out := listening(t, cmd)
		register(t, base, arthur)
		_, token := login(t, base, "jwt", arthur, "abc")
		db, err := openDatabase("sqlite:" + file)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Exec(`DROP TABLE "user"`).Error; err != nil {
			t.Fatal(err)
		}
		for method, path := range map[string]string{"GET": "/protected/any", "POST": "/_test/user-flags"} {
			if status, answer := call(t, method, base+path, "application/json", `{"email":"`+arthur+`"}`, token); status < 500 || answer["detail"] == nil {
				t.Errorf("%s, %s: %d %v", front, path, status, answer)
			}
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(out)
		if err := errors.Join(err, cmd.Wait()); err != nil || len(rest) > 0 || errs.Len() > 0 {
			t.Errorf("%s: %v, wrote %q and %q", front, err, rest, errs.String())
		}
	}
}

// What fastapi-users wrote goes on working: tokens, and hashes twice, since the
// first log-in replaces them.
func TestDatabasesOfFastAPIUsers(t *testing.T) {
	for _, key := range []string{"uuid", "int"} {
		t.Run(key, func(t *testing.T) {
			db, fixture := testdb.FastAPIUsers(t, "sqlite", key)
			var file string
			if err := db.Raw("SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&file).Error; err != nil {
				t.Fatal(err)
			}
			base := start(t, "DATABASE_URL=sqlite:"+file, "USER_KEY="+key)
			for email, user := range fixture.Users {
				status, answer := call(t, "GET", base+"/protected/any", "", "", user.JWT)
				if status != 200 || answer["email"] != email {
					t.Errorf("%s: %d %v", email, status, answer)
				}
				if status, _ := call(t, "GET", base+"/protected/any", "", "", user.ResetToken); user.ResetToken != "" && status != 401 {
					t.Errorf("%s: a reset token passes a guard: %d", email, status)
				}
				want := 400
				if user.IsActive {
					want = 200
				}
				for range 2 {
					if status, _ := login(t, base, "jwt", email, user.Password); status != want {
						t.Errorf("%s: log-in %d, want %d", email, status, want)
					}
					if status, _ := login(t, base, "jwt", email, user.Password+"x"); status != 400 && !(user.Hash == "bcrypt" && len(user.Password) >= 72) {
						t.Errorf("%s: wrong password: %d", email, status)
					}
				}
				var hash string
				if err := db.Raw(`SELECT hashed_password FROM "user" WHERE email = ?`, email).Scan(&hash).Error; err != nil {
					t.Fatal(err)
				}
				if upgraded := strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$"); upgraded != user.IsActive {
					t.Errorf("%s: upgraded %t", email, upgraded)
				}
			}
		})
	}
}

func TestWrongSettingsAreErrors(t *testing.T) {
	for _, env := range []string{"USER_KEY=float", "DATABASE_URL=mysql://x", "TOKEN_LIFETIME=soon", "FRONT=gin"} {
		cmd := exec.Command(binary, "-addr", "127.0.0.1:0")
		cmd.Env = append(os.Environ(), env)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), strings.Split(env, "=")[0]) {
			t.Errorf("%s: %s, %v", env, out, err)
		}
	}
}
