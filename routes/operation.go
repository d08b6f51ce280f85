package routes

import (
	"net/http"
	"reflect"

	"github.com/echo-users/echo-users/authn"
)

// Operation says what a route takes and answers, for documents that describe
// an API. Package routes/openapi makes one.
type Operation struct {
	Summary string
	// Tag groups routes: "auth" or "users".
	Tag string
	// Backend is the backend whose log-in, refresh or log-out it is; empty for
	// others.
	Backend string
	// Form says that the body is the log-in form, of the password grant of
	// RFC 6749 §4.3.2.
	Form bool
	// Query is the parameters of the query, none of which must be there.
	Query []Member
	// Body is the members of the JSON body; nil where there is none.
	Body []Member
	// Credential says that success is answered with a credential of the backend.
	Credential bool
	// Reissue says that success may be answered with one of the caller's backend.
	Reissue bool
	// Status is that of success, unless Credential says it.
	Status int
	// Answer is the type whose JSON is the body of success; nil for none.
	Answer reflect.Type
	// Null says that the body of success is null.
	Null bool
	// Problems are the answers that this route gives of its own. Those of
	// guards, bodies and limits go without saying.
	Problems []Problem
	// Demands is what the route's guard asks; nil where everybody may.
	Demands *authn.Demands
	// Limited says that too many requests are 429.
	Limited bool
	// CrossSite says that a browser's request of another site is 403.
	CrossSite bool
}

// Member is a member of a JSON object.
type Member struct {
	Name string
	// Type is the Go type of its values, or nil for an e-mail address, a
	// password or a token, which Format tells apart.
	Type     reflect.Type
	Format   string
	Required bool
	Nullable bool
}

// Problem is an answer that says why something was not done.
type Problem struct {
	Status int
	// Code is the "detail", or the "code" in it where there is a reason.
	Code    string
	Reasons bool
}

var text = reflect.TypeFor[string]()

func emailMember(required bool) Member {
	return Member{Name: "email", Type: text, Format: "email", Required: required}
}

func passwordMember(required bool) Member {
	return Member{Name: "password", Type: text, Format: "password", Required: required}
}

func tokenMember() Member { return Member{Name: "token", Type: text, Required: true} }

// flagMembers are what superusers change.
func flagMembers() []Member {
	flag := reflect.TypeFor[bool]()
	return []Member{{Name: "is_active", Type: flag}, {Name: "is_superuser", Type: flag}, {Name: "is_verified", Type: flag}}
}

// members describes what a schema declares.
func (s InputSchema[U]) members() []Member {
	if s.t == nil {
		return nil
	}
	fields, err := schemaFields(s.t)
	if err != nil {
		return nil // New has refused it
	}
	var members []Member
	for _, field := range fields {
		m := Member{Name: field.name, Type: field.t, Required: !field.optional, Nullable: field.t.Kind() == reflect.Pointer}
		if slot, ok := reflect.New(field.t).Interface().(slotted); ok {
			value, nullable := slot.slot()
			m.Type, m.Nullable = reflect.TypeOf(value).Elem(), nullable
		}
		for m.Type.Kind() == reflect.Pointer {
			m.Type = m.Type.Elem()
		}
		members = append(members, m)
	}
	return members
}

// conflicts are the problems of a body that has fields of the application's
// own, which may be unique.
func (s InputSchema[U]) conflicts() []Problem {
	if s.t == nil {
		return nil
	}
	return []Problem{{Status: http.StatusConflict, Code: http.StatusText(http.StatusConflict)}}
}
