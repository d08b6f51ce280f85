package routes

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

type schemaField struct {
	name     string
	index    []int
	t        reflect.Type
	optional bool
}

// schemaFields lists a struct's fields as encoding/json names them: those of
// embedded structs that have no name of their own belong to the outer one, and
// an outer field hides an inner one. Other than there, one tagged "-" does so
// too, by its Go name.
func schemaFields(t reflect.Type) ([]schemaField, error) {
	var fields []schemaField
	var omitted []string
	for level := []embedded{{t: t}}; len(level) > 0; {
		var next []embedded
		var here []schemaField
		hidden := omitted
		for _, e := range level {
			for f := range e.t.Fields() {
				if slices.Contains(hidden, f.Name) {
					continue
				}
				if f.Tag.Get("json") == "-" {
					omitted = append(omitted, f.Name)
					continue
				}
				name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
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
