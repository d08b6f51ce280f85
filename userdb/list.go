package userdb

import (
	"context"
	"strings"

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
	key := s.column(s.mapping.key)
	tx := session(ctx, s.db).Order(clause.OrderByColumn{Column: key}).Limit(q.Limit)
	if q.After != "" {
		after, err := parseKey(s.mapping.key.FieldType, q.After)
		if err != nil {
			return nil, authn.ErrUserNotFound
		}
		tx = tx.Where(strings.Replace(keyCondition(s.db, s.mapping), "=", ">", 1), key, after)
	}
	if q.Search != "" {
		tx = tx.Where(`lower(?) LIKE lower(?) ESCAPE '\'`, s.column(s.mapping.email), "%"+wildcards.Replace(q.Search)+"%")
	}
	for column, want := range map[clause.Column]*bool{
		s.column(s.mapping.active):    q.Active,
		s.column(s.mapping.superuser): q.Superuser,
		s.column(s.mapping.verified):  q.Verified,
	} {
		if want != nil {
			tx = tx.Where(clause.Eq{Column: column, Value: *want})
		}
	}
	var found []*T
	if err := tx.Find(&found).Error; err != nil {
		return nil, migrated(err)
	}
	users := make([]U, len(found))
	for i, u := range found {
		users[i] = u
	}
	return users, nil
}

var wildcards = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
