package docs_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/strategies/jwt"
)

// SocketBearer finds the token where a bearer token is, and in a WebSocket
// handshake also among the subprotocols, as "bearer.<token>": a browser's
// script can set those, and no header.
type SocketBearer struct{ backends.Bearer }

func (t SocketBearer) Extract(r *http.Request) (string, error) {
	token, err := t.Bearer.Extract(r)
	if !errors.Is(err, authn.ErrNoCredential) || r.Header.Get("Upgrade") == "" {
		return token, err
	}
	for _, protocol := range strings.Split(strings.Join(r.Header.Values("Sec-WebSocket-Protocol"), ","), ",") {
		token, ok := strings.CutPrefix(strings.TrimSpace(protocol), "bearer.")
		switch {
		case ok && len(token) > authn.MaxCredentialSize:
			return "", authn.ErrInvalidToken
		case ok:
			return token, nil
		}
	}
	return "", authn.ErrNoCredential
}

// stillIn calls end as soon as the guard lets the request's user in no more:
// a connection outlives the moment at which its credential was checked.
func stillIn[U authn.User](ctx context.Context, guard *authn.Guard[U], r *http.Request, every time.Duration, end func()) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		_, _, err := guard.Check(r)
		if err != nil && !errors.Is(err, authn.ErrUnavailable) { // a store that is away for a moment ends nothing
			end()
			return
		}
	}
}

func chat(guard *authn.Guard[*AppUser], every time.Duration) echo.HandlerFunc {
	return echo4.Handle(guard, func(c echo.Context, u *AppUser) error {
		conn, err := websocket.Accept(c.Response(), c.Request(), &websocket.AcceptOptions{Subprotocols: []string{"chat"}})
		if err != nil {
			return nil // Accept has answered
		}
		defer conn.CloseNow()
		ctx, cancel := context.WithCancel(c.Request().Context())
		defer cancel()
		go stillIn(ctx, guard, c.Request(), every, func() {
			conn.Close(websocket.StatusPolicyViolation, "logged out")
		})
		for {
			_, message, err := conn.Read(ctx)
			if err != nil {
				return nil // the other side is gone
			}
			if err := conn.Write(ctx, websocket.MessageText, []byte(u.Email+": "+string(message))); err != nil {
				return nil
			}
		}
	})
}

func ticks(guard *authn.Guard[*AppUser], every time.Duration) echo.HandlerFunc {
	return echo4.Handle(guard, func(c echo.Context, u *AppUser) error {
		c.Response().Header().Set(echo.HeaderContentType, "text/event-stream")
		c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
		ctx, cancel := context.WithCancel(c.Request().Context())
		defer cancel()
		go stillIn(ctx, guard, c.Request(), every, cancel)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for n := 1; ; n++ {
			if _, err := fmt.Fprintf(c.Response(), "data: %d for %s\n\n", n, u.Email); err != nil {
				return nil
			}
			c.Response().Flush()
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
			}
		}
	})
}

func TestLongConnections(t *testing.T) {
	strategy, err := jwt.New(jwt.Secret(secret()), jwt.Config{})
	if err != nil {
		t.Fatal(err)
	}
	cookie, err := backends.CookieJWT(jwt.Secret(secret()), backends.CookieJWTConfig{Cookie: backends.CookieConfig{InsecureHTTP: true}})
	if err != nil {
		t.Fatal(err)
	}
	users, err := authn.New[*AppUser](newAppStore(t), authn.Config{}, backends.New("jwt", SocketBearer{}, strategy), cookie)
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	guard := users.CurrentUser(authn.Active)
	e.GET("/chat", chat(guard, 10*time.Millisecond))
	e.GET("/ticks", ticks(guard, 10*time.Millisecond))
	server := httptest.NewServer(e)
	defer server.Close()
	u, err := users.Register(t.Context(), "ann@example.com", "correct horse", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := users.Login(t.Context(), "jwt", u, authn.MethodPassword)
	if err != nil {
		t.Fatal(err)
	}
	token := tokenOf(t, answer)
	answer, err = users.Login(t.Context(), "cookie", u, authn.MethodPassword)
	if err != nil {
		t.Fatal(err)
	}
	jar, _, _ := strings.Cut(answer.Header.Get("Set-Cookie"), ";")

	for what, options := range map[string]*websocket.DialOptions{
		"nothing":                  {},
		"a bad token":              {Subprotocols: []string{"chat", "bearer.xxx"}},
		"a cookie of another site": {HTTPHeader: http.Header{"Cookie": {jar}, "Origin": {"https://evil.example.com"}}},
	} {
		if _, res, err := websocket.Dial(t.Context(), server.URL+"/chat", options); err == nil || res.StatusCode == http.StatusSwitchingProtocols {
			t.Errorf("with %s: %v", what, err)
		}
	}
	if _, err := users.Get(t.Context(), u.AuthID()); err != nil {
		t.Fatal(err)
	}
	var open []*websocket.Conn
	for what, options := range map[string]*websocket.DialOptions{
		"a subprotocol": {Subprotocols: []string{"chat", "bearer." + token}},
		"a header":      {HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}},
		"a cookie":      {HTTPHeader: http.Header{"Cookie": {jar}, "Origin": {server.URL}}},
	} {
		conn, _, err := websocket.Dial(t.Context(), server.URL+"/chat", options)
		if err != nil {
			t.Fatalf("with %s: %v", what, err)
		}
		defer conn.CloseNow()
		if strings.HasPrefix(conn.Subprotocol(), "bearer") {
			t.Errorf("the answer has the token")
		}
		if err := conn.Write(t.Context(), websocket.MessageText, []byte("hi")); err != nil {
			t.Fatal(err)
		}
		if _, message, err := conn.Read(t.Context()); err != nil || string(message) != "ann@example.com: hi" {
			t.Errorf("with %s: %q, %v", what, message, err)
		}
		open = append(open, conn)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/ticks", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	stream, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	lines := bufio.NewScanner(stream.Body)
	if !lines.Scan() || lines.Text() != "data: 1 for ann@example.com" {
		t.Fatalf("%q, %v", lines.Text(), lines.Err())
	}

	no := false
	if _, err := users.Update(t.Context(), u.AuthID(), authn.Update[*AppUser]{IsActive: &no}); err != nil {
		t.Fatal(err)
	}
	for _, conn := range open { // each ends by itself
		if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
			t.Errorf("%v", err)
		}
	}
	for lines.Scan() {
	}
	if err := lines.Err(); err != nil {
		t.Error(err)
	}
}
