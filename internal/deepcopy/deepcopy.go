// Package deepcopy copies values so that they share no memory.
package deepcopy

import (
	"fmt"
	"reflect"
	"time"
)

// Of returns a copy of what v holds, and of what is behind its pointers, slices,
// maps and interfaces. A type's fields that aren't exported are copied as they
// are: what is behind them is the type's own affair, as in a [time.Time].
func Of(v reflect.Value) reflect.Value {
	twin := reflect.New(v.Type()).Elem()
	twin.Set(v)
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			twin.Set(reflect.New(v.Type().Elem()))
			twin.Elem().Set(Of(v.Elem()))
		}
	case reflect.Interface:
		if !v.IsNil() {
			twin.Set(Of(v.Elem()))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				twin.Field(i).Set(Of(v.Field(i)))
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			twin.Index(i).Set(Of(v.Index(i)))
		}
	case reflect.Slice:
		if !v.IsNil() {
			twin.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			for i := range v.Len() {
				twin.Index(i).Set(Of(v.Index(i)))
			}
		}
	case reflect.Map:
		if !v.IsNil() {
			twin.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
			for key, value := range v.Seq2() {
				twin.SetMapIndex(key, Of(value))
			}
		}
	}
	return twin
}

// Copier copies structs of type T.
type Copier[T any] struct {
	deep []int // the fields that an assignment shares; those of embedded structs count as one
}

// NewCopier returns a copier of a struct type, or an error that names what in it
// [Of] would share, or can't know: fields of other types that aren't exported,
// interfaces, channels, functions, and types that contain themselves.
func NewCopier[T any]() (*Copier[T], error) {
	t := reflect.TypeFor[T]()
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%v is no struct", t)
	}
	c := new(Copier[T])
	for i := range t.NumField() {
		field := t.Field(i)
		if isFlat(field.Type) {
			continue
		}
		if !field.IsExported() {
			return nil, fmt.Errorf("%v.%s isn't exported", t, field.Name)
		}
		if err := check(field.Type, fmt.Sprintf("%v.%s", t, field.Name), nil); err != nil {
			return nil, err
		}
		c.deep = append(c.deep, i)
	}
	return c, nil
}

// Copy returns a copy of what from points to.
func (c *Copier[T]) Copy(from *T) *T {
	twin := new(T)
	*twin = *from
	if len(c.deep) > 0 {
		of, to := reflect.ValueOf(from).Elem(), reflect.ValueOf(twin).Elem()
		for _, i := range c.deep {
			to.Field(i).Set(Of(of.Field(i)))
		}
	}
	return twin
}

// isFlat reports whether an assignment copies a type whole.
func isFlat(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return isFlat(t.Elem())
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return true // what it points to never changes
		}
		for i := range t.NumField() {
			if !isFlat(t.Field(i).Type) {
				return false
			}
		}
		return true
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return false
	}
	return true
}

// check returns an error where Of makes no copy of its own of a type.
func check(t reflect.Type, path string, within []reflect.Type) error {
	if isFlat(t) {
		return nil
	}
	for _, outer := range within {
		if outer == t {
			return fmt.Errorf("%s: %v contains itself", path, t)
		}
	}
	within = append(within[:len(within):len(within)], t)
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return check(t.Elem(), path, within)
	case reflect.Map:
		if !isFlat(t.Key()) {
			return fmt.Errorf("%s: the keys of %v can't be copied", path, t)
		}
		return check(t.Elem(), path, within)
	case reflect.Struct:
		for i := range t.NumField() {
			field := t.Field(i)
			if !field.IsExported() && !isFlat(field.Type) {
				return fmt.Errorf("%s: %v.%s isn't exported", path, t, field.Name)
			}
			if err := check(field.Type, path+"."+field.Name, within); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("%s: a %v can't be copied", path, t)
}
