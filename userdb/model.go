package userdb

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/echo-users/echo-users/authn"
)

// Key is what a user's primary key can be.
type Key interface {
	uuid.UUID | int64 | string
}

// User is the model with the usual kind of key. Embed it.
type User = Model[uuid.UUID]

// Model is what an application's user type embeds: the primary key and the
// account, in the table "user" unless the type has a TableName of its own.
//
// New users get a UUID of version 7 (RFC 9562 §5.7) unless the key is set; an
// int64 key comes from the database, and a text key that isn't set is a UUID.
//
// Columns of other names need no Model: a type with fields and GORM tags of
// its own implements [authn.User], as the example shows.
type Model[K Key] struct {
	ID K `json:"id" gorm:"primaryKey"`
	authn.Account
}

// AuthID returns the key as text.
func (m *Model[K]) AuthID() string { return fmt.Sprint(m.ID) }

// AuthKey returns the key itself, as answers show it.
func (m *Model[K]) AuthKey() any { return m.ID }

// AuthAccount returns the account.
func (m *Model[K]) AuthAccount() *authn.Account { return &m.Account }

// TableName returns "user".
func (Model[K]) TableName() string { return "user" }
