package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/echo-users/echo-users/authn"
)

// mails prints what the application would mail, and keeps the last token of
// each address.
type mails struct {
	mu   sync.Mutex
	last map[string]string
}

func (m *mails) send(email, what, token string) {
	fmt.Printf("\nTo %s: %s with the token %s\n", email, what, token)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last == nil {
		m.last = map[string]string{}
	}
	m.last[email] = token
}

// lastTo returns the last token that was mailed to an address.
func (m *mails) lastTo(email string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last[email]
}

// mailHooks are on_after_request_verify and on_after_forgot_password.
func mailHooks[U authn.User](m *mails) authn.Hooks[U] {
	return authn.Hooks[U]{
		AfterRequestVerify: func(_ context.Context, u U, token authn.Token) error {
			m.send(u.AuthAccount().Email, "verify your address", token.Value)
			return nil
		},
		AfterForgotPassword: func(_ context.Context, u U, token authn.Token) error {
			m.send(u.AuthAccount().Email, "set a new password", token.Value)
			return nil
		},
	}
}
