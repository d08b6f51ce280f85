package userdb

import (
	"context"
	"reflect"
)

// copyColumns returns a user whose columns hold what u's hold, and share no
// memory with them. What isn't in a column is zero.
func (s *Store[T, U]) copyColumns(ctx context.Context, u U) U {
	twin := U(new(T))
	from, to := reflect.ValueOf(u).Elem(), reflect.ValueOf(twin).Elem()
	for _, field := range s.mapping.schema.Fields {
		if field.DBName != "" {
			field.ReflectValueOf(ctx, to).Set(deepCopy(field.ReflectValueOf(ctx, from)))
		}
	}
	return twin
}

// deepCopy copies what is behind pointers, too, and in slices, maps and
// interfaces. A type's fields that aren't exported are copied as they are: what
// is behind them is the type's own affair, as in a [time.Time].
func deepCopy(v reflect.Value) reflect.Value {
	twin := reflect.New(v.Type()).Elem()
	twin.Set(v)
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			twin.Set(reflect.New(v.Type().Elem()))
			twin.Elem().Set(deepCopy(v.Elem()))
		}
	case reflect.Interface:
		if !v.IsNil() {
			twin.Set(deepCopy(v.Elem()))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				twin.Field(i).Set(deepCopy(v.Field(i)))
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			twin.Index(i).Set(deepCopy(v.Index(i)))
		}
	case reflect.Slice:
		if !v.IsNil() {
			twin.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			for i := range v.Len() {
				twin.Index(i).Set(deepCopy(v.Index(i)))
			}
		}
	case reflect.Map:
		if !v.IsNil() {
			twin.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
			for key, value := range v.Seq2() {
				twin.SetMapIndex(key, deepCopy(value))
			}
		}
	}
	return twin
}
