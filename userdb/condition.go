package userdb

import (
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// narrow limits a statement to the rows that meet all conditions. GORM joins
// conditions with AND and OR as they come, so that one of ours beside a or b of
// the db's would leave a alone; therefore the db's, and those of its scopes, are
// put into parentheses first.
func narrow(db *gorm.DB, conditions ...clause.Expression) *gorm.DB {
	if len(conditions) == 0 {
		return db
	}
	return db.Scopes(func(tx *gorm.DB) *gorm.DB {
		where := clause.Where{}
		if given, ok := tx.Statement.Clauses["WHERE"].Expression.(clause.Where); ok && len(given.Exprs) > 0 {
			where.Exprs = append(where.Exprs, group(slices.Clone(given.Exprs)))
		}
		for _, condition := range conditions {
			where.Exprs = append(where.Exprs, group{condition})
		}
		delete(tx.Statement.Clauses, where.Name())
		return tx.Clauses(where)
	})
}

// group is conditions in parentheses.
type group []clause.Expression

// Build implements [clause.Expression].
func (g group) Build(builder clause.Builder) {
	builder.WriteByte('(')
	clause.Where{Exprs: slices.Clone(g)}.Build(builder) // which changes their order
	builder.WriteByte(')')
}
