package routes

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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

type schemaField struct {
	name     string
	index    []int
	t        reflect.Type
	optional bool
}

// schemaFields lists a struct's fields as encoding/json names them: those of
// embedded structs that have no name of their own belong to the outer one, and
// an outer field hides an inner one.
func schemaFields(t reflect.Type) ([]schemaField, error) {
	var fields []schemaField
	for level := []embedded{{t: t}}; len(level) > 0; {
		var next []embedded
		var here []schemaField
		for _, e := range level {
			for f := range e.t.Fields() {
				name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
				if f.Tag.Get("json") == "-" {
					continue
				}
				index := append(slices.Clone(e.index), f.Index...)
				if f.Anonymous && name == "" {
					switch {
					case f.Type.Kind() == reflect.Struct && !decodesItself(f.Type):
						next = append(next, embedded{f.Type, index})
						continue
					case f.Type.Kind() == reflect.Pointer:
						return nil, fmt.Errorf("%v embeds a pointer, %v: embed the struct itself, or name the field", e.t, f.Type)
					}
				}
				if !f.IsExported() {
					continue
				}
				if name == "" {
					name = f.Name
				}
				optional := f.Type.Kind() == reflect.Pointer || slices.Contains(strings.Split(options, ","), "omitempty") ||
					reflect.PointerTo(f.Type).Implements(reflect.TypeFor[slotted]())
				here = append(here, schemaField{name, index, f.Type, optional})
			}
		}
		outer := len(fields)
		for _, field := range here {
			same := func(other schemaField) bool { return other.name == field.name }
			if slices.ContainsFunc(fields[:outer], same) {
				continue
			}
			if slices.ContainsFunc(fields[outer:], same) {
				return nil, fmt.Errorf("%v has two fields of the JSON name %q", t, field.name)
			}
			fields = append(fields, field)
		}
		level = next
	}
	return fields, nil
}

// embedded is a struct within another one.
type embedded struct {
	t     reflect.Type
	index []int
}

// checkType finds out whether values of a type can be decoded under the exact
// names of all members, however deep.
func checkType(t reflect.Type, seen map[reflect.Type]bool) error {
	if seen[t] || decodesItself(t) {
		return nil
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Struct:
		fields, err := schemaFields(t)
		for _, field := range fields {
			if err == nil {
				err = checkType(field.t, seen)
			}
		}
		return err
	case reflect.Map:
		if t.Key().Kind() != reflect.String || decodesItself(t.Key()) {
			return fmt.Errorf("%v has keys that are no strings", t)
		}
		return checkType(t.Elem(), seen)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return checkType(t.Elem(), seen)
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return fmt.Errorf("%v can't be decoded from JSON", t)
	}
	return nil
}

func decodeStruct(members object, into reflect.Value, faults *Faults, loc ...any) {
	fields, _ := schemaFields(into.Type()) // checked by Input
	for _, field := range fields {
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
	if !decodesItself(into.Type()) {
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
			decodeElements(elements, into, faults, loc)
			return
		case reflect.Array:
			var elements []json.RawMessage
			if json.Unmarshal(data, &elements) != nil || len(elements) != into.Len() {
				*faults = append(*faults, Fault{loc, fmt.Sprintf("value is not a list of %d", into.Len()), "type_error"})
				return
			}
			decodeElements(elements, into, faults, loc)
			return
		case reflect.Map:
			members, fault := decodeObject(data, loc...)
			if fault != nil {
				*faults = append(*faults, *fault)
				return
			}
			decodeMap(members, into, faults, loc)
			return
		}
	}
	if hasNUL(data) {
		*faults = append(*faults, badText(loc...))
		return
	}
	if err := json.Unmarshal(data, into.Addr().Interface()); err != nil {
		*faults = append(*faults, decodeFault(err, data, into, loc))
	}
}

// maxFaults is how many faults an answer has at most: a short body could be
// answered with a long one.
const maxFaults = 100

func decodeElements(elements []json.RawMessage, into reflect.Value, faults *Faults, loc []any) {
	for i, element := range elements {
		if len(*faults) >= maxFaults {
			return
		}
		decodeValue(element, into.Index(i), faults, append(slices.Clone(loc), i)...)
	}
}

func decodeMap(members object, into reflect.Value, faults *Faults, loc []any) {
	into.Set(reflect.MakeMapWithSize(into.Type(), len(members)))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if len(*faults) >= maxFaults {
			return
		}
		at := append(slices.Clone(loc), name)
		if strings.ContainsRune(name, 0) {
			*faults = append(*faults, badText(at...))
			continue
		}
		value := reflect.New(into.Type().Elem()).Elem()
		decodeValue(members[name], value, faults, at...)
		into.SetMapIndex(reflect.ValueOf(name).Convert(into.Type().Key()), value)
	}
}

// decodesItself reports whether a type has a decoder of its own.
func decodesItself(t reflect.Type) bool {
	pointer := reflect.PointerTo(t)
	return pointer.Implements(reflect.TypeFor[json.Unmarshaler]()) || pointer.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// decodeFault tells a wrong type, or what the application's own type says,
// unless that repeats what was sent.
func decodeFault(err error, data json.RawMessage, into reflect.Value, loc []any) Fault {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) || !decodesItself(into.Type()) {
		return Fault{loc, fmt.Sprintf("value is not a valid %v", into.Kind()), "type_error"}
	}
	msg, sent := err.Error(), string(data)
	_ = json.Unmarshal(data, &sent) // as it is unless it's text
	if strings.Contains(msg, sent) {
		msg = "value is not valid"
	}
	return Fault{loc, msg, "value_error"}
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
