package userdb

import (
	"context"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/echo-users/echo-users/authn"
)

// List returns users in the order of their keys ([authn.Lister]), with what
// db's conditions and preloads add to them.
func (s *Store[T, U]) List(ctx context.Context, q authn.Query) ([]U, error) {
	ctx, cancel := bounded(ctx, s.timeout)
	defer cancel()
	if !isStorable(q.Search) {
		return nil, nil
	}
	var conditions []clause.Expression
	if q.After != "" {
		after, err := parseKey(s.mapping.key.FieldType, q.After)
		if err != nil {
			return nil, authn.ErrUserNotFound
		}
		conditions = append(conditions, s.isKey(">", after))
	}
	if q.Search != "" {
		conditions = append(conditions, clause.Expr{
			SQL:  `lower(?) LIKE lower(?) ESCAPE '\'`,
			Vars: []any{s.column(s.mapping.email), "%" + wildcards.Replace(q.Search) + "%"},
		})
	}
	for column, want := range map[clause.Column]*bool{
		s.column(s.mapping.active):    q.Active,
		s.column(s.mapping.superuser): q.Superuser,
		s.column(s.mapping.verified):  q.Verified,
	} {
		if want != nil {
			conditions = append(conditions, clause.Eq{Column: column, Value: *want})
		}
	}
	byKey := func(tx *gorm.DB) *gorm.DB {
		return tx.Order(clause.OrderByColumn{Column: s.column(s.mapping.key), Reorder: true}).Limit(q.Limit).Offset(-1)
	}
	var found []*T
	if err := narrow(session(ctx, s.db), conditions...).Scopes(byKey).Find(&found).Error; err != nil {
		return nil, migrated(err)
	}
	users := make([]U, len(found))
	for i, u := range found {
		users[i] = u
	}
	return users, nil
}

var wildcards = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
