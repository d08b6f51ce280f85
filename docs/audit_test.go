package docs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"gorm.io/gorm"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/userdb"
)

func logEvents(users *authn.Users[*AppUser]) {
	logger := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	users.Use(authn.Hooks[*AppUser]{OnEvent: authn.LogEvents(logger)})
}

func keepEvents(ctx context.Context, db *gorm.DB, users *authn.Users[*AppUser]) (*routes.Factory[*AppUser], error) {
	events, err := userdb.NewEvents(db, userdb.EventsConfig{Retention: 90 * 24 * time.Hour})
	if err != nil {
		return nil, err
	}
	if err := events.Migrate(ctx); err != nil {
		return nil, err
	}
	users.Use(authn.Hooks[*AppUser]{OnEvent: events.Append})
	return routes.New(users, routes.Config[*AppUser]{Events: events})
}

func alarm(users *authn.Users[*AppUser], page func(ctx context.Context, text string) error) {
	users.Use(authn.Hooks[*AppUser]{OnEvent: func(ctx context.Context, e authn.Event) error {
		if e.Outcome != authn.Succeeded {
			return nil
		}
		switch e.Kind {
		case authn.EventSuperuserGranted:
			return page(ctx, e.ActorID+" made "+e.UserID+" a superuser")
		case authn.EventTokenReused:
			return page(ctx, "somebody has a copy of a refresh token of "+e.UserID)
		}
		return nil
	}})
}

const eventKeyMade authn.EventKind = "api-key-made"

func makeKey(users *authn.Users[*AppUser]) func(c echo.Context, u *AppUser) error {
	return func(c echo.Context, u *AppUser) error {
		ctx := authn.WithClient(c.Request().Context(), authn.Client{Address: c.RealIP(), UserAgent: c.Request().UserAgent()})
		users.Record(ctx, authn.Event{Kind: eventKeyMade, UserID: u.AuthID()})
		return c.NoContent(http.StatusNoContent)
	}
}

func importAnn(ctx context.Context, db *gorm.DB, users *authn.Users[*AppUser]) error {
	ctx, tell := authn.HoldEvents(ctx)
	err := db.Transaction(func(tx *gorm.DB) error {
		_, err := users.Register(userdb.WithTx(ctx, tx), "ann@example.com", "correct horse", nil)
		return err
	})
	if err == nil {
		tell() // it is committed
	}
	return err
}

func forgetEvents(ctx context.Context, events *userdb.Events, before time.Time) error {
	for {
		n, err := events.DeleteBefore(ctx, before, 1000)
		if err != nil || n == 0 {
			return err
		}
	}
}

func tellOfDevices(users *authn.Users[*AppUser]) (*routes.Factory[*AppUser], error) {
	return routes.New(users, routes.Config[*AppUser]{
		Limits: routes.Limits{Devices: routes.Devices{Notify: true}},
	})
}

func TestTheAuditPage(t *testing.T) {
	db := testdb.SQLite(t)
	users, err := newUsers(t.Context(), db, secret())
	if err != nil {
		t.Fatal(err)
	}
	factory, err := keepEvents(t.Context(), db, users)
	if err != nil {
		t.Fatal(err)
	}
	var paged []string
	alarm(users, func(_ context.Context, text string) error { paged = append(paged, text); return nil })
	logEvents(users)
	if _, err := tellOfDevices(users); err != nil {
		t.Error(err)
	}
	e := echo.New()
	echo4.Mount(e, factory.All())
	e.POST("/keys", echo4.Handle(users.CurrentUser(authn.Active), makeKey(users)))
	if err := errors.Join(importAnn(t.Context(), db, users), makeSuperuser(t.Context(), users, "root@example.com", "correct horse")); err != nil {
		t.Fatal(err)
	}
	const form = "application/x-www-form-urlencoded"
	post(e, "/auth/jwt/login", form, "username=ann%40example.com&password=wrong")
	w := post(e, "/auth/jwt/login", form, "username=root%40example.com&password=correct+horse")
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	ask := func(method, path string) *bytes.Buffer {
		t.Helper()
		r := request(method, path, "")
		r.Header.Set("Authorization", "Bearer "+answer.Token)
		w := serve(e, r)
		if w.Code >= 300 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		return w.Body
	}
	ask("POST", "/keys")
	if err := users.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := ask("GET", "/auth/events?kind=login").String(); strings.Count(got, `"kind"`) != 2 || !strings.Contains(got, `"reason":"wrong-password"`) {
		t.Error(got)
	}
	if got := ask("GET", "/users/me/events").String(); !strings.Contains(got, "api-key-made") || !strings.Contains(got, "registered") {
		t.Error(got)
	}
	events, err := userdb.NewEvents(db, userdb.EventsConfig{})
	if err == nil {
		err = forgetEvents(t.Context(), events, time.Now().Add(time.Hour))
	}
	if left, more := events.Events(t.Context(), authn.EventQuery{}); err != nil || more != nil || len(left) != 0 {
		t.Error(err, more, left)
	}
	if len(paged) != 0 { // who registers as a superuser was made one by nobody
		t.Error(paged)
	}
}
