package routes

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/echo-users/echo-users/authn"
)

// UserRead is the user in answers: fastapi-users' fields. A read schema of
// the application's embeds it and adds its own.
type UserRead struct {
	ID          any    `json:"id"`
	Email       string `json:"email"`
	IsActive    bool   `json:"is_active"`
	IsSuperuser bool   `json:"is_superuser"`
	IsVerified  bool   `json:"is_verified"`
}

// NewUserRead fills a UserRead. The id is the user's AuthKey where it has that
// method (so that an integer stays one), else its text.
func NewUserRead(u authn.User) UserRead {
	var id any = u.AuthID()
	if k, ok := u.(interface{ AuthKey() any }); ok {
		id = k.AuthKey()
	}
	a := u.AuthAccount()
	return UserRead{ID: id, Email: a.Email, IsActive: a.IsActive, IsSuperuser: a.IsSuperuser, IsVerified: a.IsVerified}
}

// OutputSchema is a declared schema of answers; [Output] makes it.
type OutputSchema[U authn.User] struct {
	make func(U) any
	t    reflect.Type
}

// Output declares R as what answers show of a user.
//
//	routes.Output(func(u *AppUser) ProfileRead {
//		return ProfileRead{routes.NewUserRead(u), u.FirstName}
//	})
func Output[R any, U authn.User](f func(u U) R) OutputSchema[U] {
	return OutputSchema[U]{make: func(u U) any { return f(u) }, t: reflect.TypeFor[R]()}
}

// InputSchema is a declared schema of requests; [Input] makes it.
type InputSchema[U authn.User] struct {
	decode func(body object, faults *Faults) func(U) error
	names  []string
	err    error
	t      reflect.Type // of the schema
}

// Validator is a schema with rules over its values. The faults of Validate
// join those of the other fields.
type Validator interface {
	Validate() Faults
}

// accountNames are the members that belong to the account; no schema can
// declare them.
var accountNames = []string{"id", "email", "password", "hashed_password", "is_active", "is_superuser", "is_verified"}

// Input declares the struct S as the application's own fields of a request,
// under their exact JSON names; apply writes them into a user. At update,
// apply may run more than once.
//
// A field is required and not null, unless it is a pointer (absent or null is
// nil), has the json option omitempty (absent is zero), or is an [Optional]
// or a [Nullable]. All faulty fields are told at once; a [Validator] is asked
// when every field could be read.
func Input[S any, U authn.User](apply func(in S, u U) error) InputSchema[U] {
	schema := InputSchema[U]{t: reflect.TypeFor[S]()}
	schema.names, schema.err = declaredNames(reflect.TypeFor[S]())
	schema.decode = func(body object, faults *Faults) func(U) error {
		var in S
		var own Faults
		decodeStruct(body, reflect.ValueOf(&in).Elem(), &own, "body")
		if v, ok := any(in).(Validator); ok && len(own) == 0 {
			own = v.Validate()
		} else if v, ok := any(&in).(Validator); ok && len(own) == 0 {
			own = v.Validate()
		}
		*faults = append(*faults, own...)
		return func(u U) error { return apply(in, u) }
	}
	return schema
}

// declaredNames returns the members that a schema declares, or what is wrong
// with it.
func declaredNames(t reflect.Type) ([]string, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("a schema is a struct, and %v is none", t)
	}
	fields, err := schemaFields(t)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, field := range fields {
		if slices.ContainsFunc(accountNames, func(name string) bool { return strings.EqualFold(name, field.name) }) {
			return nil, fmt.Errorf("%v declares %q, which is the account's", t, field.name)
		}
		if err := checkType(field.t, map[reflect.Type]bool{}); err != nil {
			return nil, err
		}
		names = append(names, field.name)
	}
	return names, nil
}

// read decodes the own fields of a body; nil where the schema declares none.
func (s InputSchema[U]) read(body object, faults *Faults) func(U) error {
	if s.decode == nil {
		return nil
	}
	return s.decode(body, faults)
}

// named returns the declared names that the body has.
func (s InputSchema[U]) named(body object) []string {
	var names []string
	for _, name := range s.names {
		if _, ok := body[name]; ok {
			names = append(names, name)
		}
	}
	return names
}

// Optional is a schema field that may be absent, and isn't null.
type Optional[T any] struct {
	Value   T
	Present bool
}

// Apply sets *to if the field was there.
func (o Optional[T]) Apply(to *T) {
	if o.Present {
		*to = o.Value
	}
}

func (o *Optional[T]) slot() (value any, nullable bool) {
	o.Present = true
	return &o.Value, false
}

// Nullable is a schema field that may be absent, null (Value is nil) or a value.
type Nullable[T any] struct {
	Value   *T
	Present bool
}

// Apply sets *to, to nil for null, if the field was there.
func (n Nullable[T]) Apply(to **T) {
	if n.Present {
		*to = n.Value
	}
}

func (n *Nullable[T]) slot() (value any, nullable bool) {
	n.Present = true
	return &n.Value, true
}

// slotted is an Optional or a Nullable.
type slotted interface {
	slot() (value any, nullable bool)
}
