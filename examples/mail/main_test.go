package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/mail"
	"github.com/echo-users/echo-users/mail/smtp"
)

// box is a mailer for the test.
type box chan mail.Message

func (b box) Send(_ context.Context, m mail.Message) error { b <- m; return nil }

var link = regexp.MustCompile(`(?m)^https://app\.example\.com(/\S+)$`)

func TestTheExample(t *testing.T) {
	mails := make(box, 9)
	users, err := newUsers(t.Context(), testdb.SQLite(t), mails, "https://app.example.com")
	if err != nil {
		t.Fatal(err)
	}
	e, err := newServer(users)
	if err != nil {
		t.Fatal(err)
	}
	const json, form = "application/json", "application/x-www-form-urlencoded"
	ask(t, e, "POST", "/auth/register", json, `{"email":"ann@example.com","password":"correct horse","language":"de-AT"}`, http.StatusCreated)
	// follow opens the link of the next mail, and presses its button.
	follow := func(subject string, fields url.Values) {
		t.Helper()
		m := <-mails
		found := link.FindStringSubmatch(m.Text)
		if m.To != "ann@example.com" || m.Subject != subject || found == nil {
			t.Fatalf("%v\n%s", m, m.Text)
		}
		ask(t, e, "GET", found[1], "", "", http.StatusOK)
		page, _ := url.Parse(found[1])
		fields.Set("token", page.Query().Get("token"))
		ask(t, e, "POST", page.Path, form, fields.Encode(), http.StatusOK)
	}
	follow("Willkommen bei Example", url.Values{})
	if ann, err := users.GetByEmail(t.Context(), "ann@example.com"); err != nil || !ann.IsVerified {
		t.Errorf("not verified, %v", err)
	}
	ask(t, e, "POST", "/auth/forgot-password", json, `{"email":"ann@example.com"}`, http.StatusAccepted)
	follow("Neues Passwort für Example", url.Values{"password": {"battery staple"}})
	if m := <-mails; m.Subject != "Your password for Example was changed" { // there is no German one
		t.Error(m)
	}
	login := url.Values{"username": {"ann@example.com"}, "password": {"battery staple"}}
	ask(t, e, "POST", "/auth/jwt/login", form, login.Encode(), http.StatusOK)
	if err := users.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func ask(t *testing.T, e *echo.Echo, method, path, contentType, body string, want int) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	if w.Code != want {
		t.Errorf("%s %s: %d %s, want %d", method, path, w.Code, w.Body, want)
	}
}

func TestMailers(t *testing.T) {
	for server, ok := range map[smtp.Config]bool{
		{}: true,
		{Addr: "mail.example.com:587", From: "a@example.com"}:                  true,
		{Addr: "mail.example.com", From: "a@example.com"}:                      false,
		{Addr: "mail.example.com:587", From: "a@example.com", Username: "app"}: false,
	} {
		if _, err := newMailer(server); (err == nil) != ok {
			t.Errorf("%s: %v", server.Addr, err)
		}
	}
}
