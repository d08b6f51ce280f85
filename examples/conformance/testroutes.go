package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/routes"
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

// testRoutes are what suites need to look behind the server. Nothing like them
// belongs into an application.
func testRoutes[U authn.User](users *authn.Users[U], store authn.Store[U]) routes.List {
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
	readOutbox := func(w http.ResponseWriter, r *http.Request) error {
		if err := users.Flush(r.Context()); err != nil { // what is on its way
			return err
		}
		email := r.URL.Query().Get("email")
		return writeJSON(w, map[string][]string{"verify": outbox.of("verify", email), "reset": outbox.of("reset", email)})
	}
	setFlags := func(w http.ResponseWriter, r *http.Request) error {
		var in struct {
			Email          string  `json:"email"`
			IsActive       *bool   `json:"is_active"`
			IsVerified     *bool   `json:"is_verified"`
			IsSuperuser    *bool   `json:"is_superuser"`
			HashedPassword *string `json:"hashed_password"`
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			return &authn.HTTPError{Status: http.StatusBadRequest, Detail: "Bad Request", Err: err}
		}
		u, err := users.GetByEmail(r.Context(), in.Email)
		if err != nil {
			return err
		}
		u, err = users.Update(r.Context(), u.AuthID(), authn.Update[U]{
			IsActive: in.IsActive, IsVerified: in.IsVerified, IsSuperuser: in.IsSuperuser,
		})
		if err == nil && in.HashedPassword != nil {
			// As given: a hash that no hasher would make.
			_, err = store.Update(r.Context(), u.AuthID(), func(u U) error {
				u.AuthAccount().HashedPassword = *in.HashedPassword
				return nil
			})
		}
		if err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return routes.List{
		{Method: http.MethodGet, Path: "/_test/outbox", Name: "test:outbox", Handler: readOutbox},
		{Method: http.MethodPost, Path: "/_test/user-flags", Name: "test:user-flags", Handler: setFlags},
	}
}

func writeJSON(w http.ResponseWriter, value any) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store") // all of it is a person's
	return json.NewEncoder(w).Encode(value)
}
