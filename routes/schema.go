package routes

import (
	"encoding"
	"encoding/json"
	"errors"
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
}

// Output declares R as what answers show of a user.
//
//	routes.Output(func(u *AppUser) ProfileRead {
//		return ProfileRead{routes.NewUserRead(u), u.FirstName}
//	})
func Output[R any, U authn.User](f func(u U) R) OutputSchema[U] {
	return OutputSchema[U]{make: func(u U) any { return f(u) }}
}

// InputSchema is a declared schema of requests; [Input] makes it.
type InputSchema[U authn.User] struct {
	decode func(body object, faults *Faults) func(U) error
	names  []string
	err    error
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
	schema := InputSchema[U]{}
	if reflect.TypeFor[S]().Kind() != reflect.Struct {
		schema.err = fmt.Errorf("a schema is a struct, and %v is none", reflect.TypeFor[S]())
	} else {
		for _, field := range schemaFields(reflect.TypeFor[S]()) {
			schema.names = append(schema.names, field.name)
			if slices.ContainsFunc(accountNames, func(name string) bool { return strings.EqualFold(name, field.name) }) {
				schema.err = fmt.Errorf("%v declares %q, which is the account's", reflect.TypeFor[S](), field.name)
			}
		}
	}
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

type schemaField struct {
	name     string
	index    []int
	optional bool
}

// schemaFields lists a struct's fields as encoding/json names them.
func schemaFields(t reflect.Type) []schemaField {
	var fields []schemaField
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() || f.Anonymous && name == "" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		optional := f.Type.Kind() == reflect.Pointer || slices.Contains(strings.Split(options, ","), "omitempty") ||
			reflect.PointerTo(f.Type).Implements(reflect.TypeFor[slotted]())
		fields = append(fields, schemaField{name, f.Index, optional})
	}
	return fields
}

func decodeStruct(members object, into reflect.Value, faults *Faults, loc ...any) {
	for _, field := range schemaFields(into.Type()) {
		data, ok := members[field.name]
		at := append(slices.Clone(loc), field.name)
		switch {
		case ok:
			decodeValue(data, into.FieldByIndex(field.index), faults, at...)
		case !field.optional:
			*faults = append(*faults, missing(at...))
		}
	}
}

// decodeValue decodes one value, taking the members of structs under their
// exact names, where [json.Unmarshal] would take them in any letter case.
func decodeValue(data json.RawMessage, into reflect.Value, faults *Faults, loc ...any) {
	null := string(data) == "null"
	if s, ok := into.Addr().Interface().(slotted); ok {
		value, nullable := s.slot()
		if null && !nullable {
			*faults = append(*faults, isNull(loc...))
			return
		}
		decodeValue(data, reflect.ValueOf(value).Elem(), faults, loc...)
		return
	}
	if into.Kind() == reflect.Pointer {
		if !null {
			into.Set(reflect.New(into.Type().Elem()))
			decodeValue(data, into.Elem(), faults, loc...)
		}
		return
	}
	if null {
		*faults = append(*faults, isNull(loc...))
		return
	}
	if !decodesItself(into) {
		switch into.Kind() {
		case reflect.Struct:
			members, fault := decodeObject(data, loc...)
			if fault != nil {
				*faults = append(*faults, *fault)
				return
			}
			decodeStruct(members, into, faults, loc...)
			return
		case reflect.Slice:
			var elements []json.RawMessage
			if into.Type().Elem().Kind() == reflect.Uint8 || json.Unmarshal(data, &elements) != nil {
				break
			}
			into.Set(reflect.MakeSlice(into.Type(), len(elements), len(elements)))
			for i, element := range elements {
				decodeValue(element, into.Index(i), faults, append(slices.Clone(loc), i)...)
			}
			return
		}
	}
	if hasNUL(data) {
		*faults = append(*faults, badText(loc...))
		return
	}
	if err := json.Unmarshal(data, into.Addr().Interface()); err != nil {
		*faults = append(*faults, decodeFault(err, into, loc))
	}
}

func decodesItself(v reflect.Value) bool {
	switch v.Addr().Interface().(type) {
	case json.Unmarshaler, encoding.TextUnmarshaler:
		return true
	}
	return false
}

// decodeFault tells a wrong type, or what the application's own type says.
func decodeFault(err error, into reflect.Value, loc []any) Fault {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) || !decodesItself(into) {
		return Fault{loc, fmt.Sprintf("value is not a valid %v", into.Kind()), "type_error"}
	}
	return Fault{loc, err.Error(), "value_error"}
}

// hasNUL reports whether a text within valid JSON has U+0000, which databases
// can't store.
func hasNUL(data []byte) bool {
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		if unit, ok := unicodeEscape(data[i:]); ok && unit == 0 {
			return true
		}
		i++
	}
	return false
}
