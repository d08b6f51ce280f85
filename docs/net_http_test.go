package docs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/echo-users/echo-users/adapters/nethttp"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/routes"
)

func newMux(users *authn.Users[*AppUser]) http.Handler {
	mux := http.NewServeMux()
	nethttp.Mount(mux, routes.All(users))

	// The handler gets the user as a parameter, and may return an error.
	active := users.CurrentUser(authn.Active)
	mux.Handle("GET /hello", nethttp.Handle(active, func(w http.ResponseWriter, r *http.Request, u *AppUser) error {
		fmt.Fprintf(w, "Hello, %s", u.Email)
		return nil
	}))

	// Or all beneath a path is guarded, and a handler asks for the user.
	admins := users.CurrentUser(authn.Active, authn.Superuser)
	admin := http.NewServeMux()
	admin.HandleFunc("GET /admin/report", func(w http.ResponseWriter, r *http.Request) {
		u, _ := nethttp.User(admins, r) // never nil behind nethttp.Middleware(admins)
		fmt.Fprintf(w, "Report for %s", u.Email)
	})
	mux.Handle("/admin/", nethttp.Middleware(admins)(nethttp.Handler(admin)))

	return nethttp.Handler(mux)
}

func mountWith(mux *http.ServeMux, list routes.List, fail func(http.ResponseWriter, *http.Request, error)) {
	for _, route := range list {
		mux.HandleFunc(route.Method+" "+route.Path, func(w http.ResponseWriter, r *http.Request) {
			if err := route.Handler(w, r); err != nil {
				fail(w, r, err) // authn.AsHTTPError(err) has status, detail and header
			}
		})
	}
}

func underPrefix(mux *http.ServeMux, users *authn.Users[*AppUser]) {
	api := http.NewServeMux()
	nethttp.Mount(api, routes.All(users))
	mux.Handle("/api/", http.StripPrefix("/api", nethttp.Handler(api)))
}

func serveUntil(ctx context.Context, addr string, users *authn.Users[*AppUser], handler http.Handler) error {
	server := &http.Server{
		Addr: addr, Handler: handler,
		// No client takes up the server for nothing.
		ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 32 << 10,
		ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelError),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		// What was accepted is answered, and the mails are sent.
		answering, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if server.Shutdown(answering) != nil {
			server.Close() // who is slower than that is cut off
		}
		mailing, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		stopped <- users.Shutdown(mailing)
	})
	defer stop()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

func TestNetHTTP(t *testing.T) {
	users := newAppUsers(t)
	ann, err := users.Register(t.Context(), "ann@example.com", "correct horse", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := users.Login(t.Context(), "jwt", ann, authn.MethodPassword)
	if err != nil {
		t.Fatal(err)
	}
	token, mux := tokenOf(t, answer), http.NewServeMux()
	mux.Handle("/", newMux(users))
	underPrefix(mux, users)
	problems := http.NewServeMux()
	mountWith(problems, routes.All(users), func(w http.ResponseWriter, _ *http.Request, err error) {
		http.Error(w, "a problem", authn.AsHTTPError(err).Status)
	})
	mux.Handle("/problems/", http.StripPrefix("/problems", problems))
	ask := func(what, token, want string) {
		t.Helper()
		if got := get(mux, what, token); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	ask("/hello", token, "200 Hello, ann@example.com")
	ask("/hello", "", `401 {"detail":"Unauthorized"}`)
	ask("/nowhere", "", `404 {"detail":"Not Found"}`)
	ask("/auth/register", "", `405 {"detail":"Method Not Allowed"}`)
	ask("/admin/report", token, `403 {"detail":"Forbidden"}`)
	ask("/admin/nowhere", "", `401 {"detail":"Unauthorized"}`)
	ask("/api/users/me", "", `401 {"detail":"Unauthorized"}`)
	ask("/api/nowhere", "", `404 {"detail":"Not Found"}`)
	ask("/problems/users/me", "", "401 a problem")
	yes := true
	if _, err := users.Update(t.Context(), ann.AuthID(), authn.Update[*AppUser]{IsSuperuser: &yes}); err != nil {
		t.Fatal(err)
	}
	ask("/admin/report", token, "200 Report for ann@example.com")
	ask("/admin/nowhere", token, `404 {"detail":"Not Found"}`)
	w := httptest.NewRecorder()
	if mux.ServeHTTP(w, request(http.MethodHead, "/hello", "")); w.Code != http.StatusUnauthorized {
		t.Errorf("HEAD: %d", w.Code)
	}

	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- serveUntil(ctx, "127.0.0.1:0", users, mux) }()
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
