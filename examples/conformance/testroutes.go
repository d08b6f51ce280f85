package main

import (
	"context"
	"net/http"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
)

// mailbox keeps what would have been mailed.
type mailbox struct {
	mu    sync.Mutex
	mails []mail
}

type mail struct{ kind, email, token string }

func (m *mailbox) add(kind, email string, token authn.Token) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mails = append(m.mails, mail{kind, email, token.Value})
}

// of returns the tokens of a kind to an address, oldest first.
func (m *mailbox) of(kind, email string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	tokens := []string{}
	for _, mail := range m.mails {
		if mail.kind == kind && strings.EqualFold(mail.email, email) {
			tokens = append(tokens, mail.token)
		}
	}
	return tokens
}

// mountTestRoutes adds what suites need to look behind the server. Nothing
// like it belongs into an application.
func mountTestRoutes[U authn.User](e *echo.Echo, users *authn.Users[U], store authn.Store[U]) {
	var outbox mailbox
	users.Use(authn.Hooks[U]{
		AfterRequestVerify: func(_ context.Context, u U, token authn.Token) error {
			outbox.add("verify", u.AuthAccount().Email, token)
			return nil
		},
		AfterForgotPassword: func(_ context.Context, u U, token authn.Token) error {
			outbox.add("reset", u.AuthAccount().Email, token)
			return nil
		},
	})
	e.GET("/_test/outbox", func(c echo.Context) error {
		if err := users.Flush(c.Request().Context()); err != nil { // what is on its way
			return err
		}
		email := c.QueryParam("email")
		return c.JSON(http.StatusOK, map[string][]string{"verify": outbox.of("verify", email), "reset": outbox.of("reset", email)})
	})
	e.POST("/_test/user-flags", func(c echo.Context) error {
		var in struct {
			Email          string  `json:"email"`
			IsActive       *bool   `json:"is_active"`
			IsVerified     *bool   `json:"is_verified"`
			IsSuperuser    *bool   `json:"is_superuser"`
			HashedPassword *string `json:"hashed_password"`
		}
		if err := c.Bind(&in); err != nil {
			return err
		}
		ctx := c.Request().Context()
		u, err := users.GetByEmail(ctx, in.Email)
		if err != nil {
			return echo4.Error(c, err)
		}
		u, err = users.Update(ctx, u.AuthID(), authn.Update[U]{
			IsActive: in.IsActive, IsVerified: in.IsVerified, IsSuperuser: in.IsSuperuser,
		})
		if err == nil && in.HashedPassword != nil {
			// As given: a hash that no hasher would make.
			_, err = store.Update(ctx, u.AuthID(), func(u U) error {
				u.AuthAccount().HashedPassword = *in.HashedPassword
				return nil
			})
		}
		if err != nil {
			return echo4.Error(c, err)
		}
		return c.NoContent(http.StatusNoContent)
	})
}
