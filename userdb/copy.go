package userdb

import (
	"context"
	"reflect"

	"github.com/echo-users/echo-users/internal/deepcopy"
)

// copyColumns returns a user whose columns hold what u's hold, and share no
// memory with them. What isn't in a column is zero.
func (s *Store[T, U]) copyColumns(ctx context.Context, u U) U {
	twin := U(new(T))
	from, to := reflect.ValueOf(u).Elem(), reflect.ValueOf(twin).Elem()
	for _, field := range s.mapping.schema.Fields {
		if field.DBName != "" {
			field.ReflectValueOf(ctx, to).Set(deepcopy.Of(field.ReflectValueOf(ctx, from)))
		}
	}
	return twin
}
