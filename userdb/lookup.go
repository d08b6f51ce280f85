package userdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/echo-users/echo-users/authn"
)

// lookup is a SELECT of one user by one column, its SQL built once. It goes
// to GORM's connection pool and past everything else of it: a guard's user
// costs hardly more than the round trip.
type lookup struct {
	db     *gorm.DB
	query  string
	fields []*schema.Field
	direct []bool // scanned into the struct itself
}

// newLookup builds SELECT … WHERE condition, in which the first ? is the
// column and the second the value, and the union of so many of them.
func newLookup(db *gorm.DB, m *mapping, by *schema.Field, condition string, size int) *lookup {
	l := newUserLookup(db, m)
	stmt := newStatement(db)
	left, right, _ := strings.Cut(condition, "?")
	middle, right, _ := strings.Cut(right, "?")
	for n := range size {
		if n > 0 {
			stmt.WriteString(" UNION ALL ")
		}
		stmt.WriteString("SELECT ")
		l.writeColumns(stmt, m.table)
		stmt.WriteString(" FROM ")
		stmt.WriteQuoted(m.table)
		stmt.WriteString(" WHERE " + left)
		stmt.WriteQuoted(by.DBName)
		stmt.WriteString(middle)
		stmt.AddVar(stmt, "")
		stmt.WriteString(right)
	}
	l.query = stmt.SQL.String()
	return l
}

// newUserLookup returns a look-up of the user's columns that has no query yet.
func newUserLookup(db *gorm.DB, m *mapping) *lookup {
	l := &lookup{db: db}
	known := append(m.account(), m.key)
	for _, field := range m.schema.Fields {
		if field.DBName != "" && field.Readable {
			l.fields = append(l.fields, field)
			l.direct = append(l.direct, field.Serializer == nil && slices.Contains(known, field))
		}
	}
	return l
}

// newStatement returns an empty statement in db's dialect.
func newStatement(db *gorm.DB) *gorm.Statement {
	return &gorm.Statement{DB: db, Clauses: map[string]clause.Clause{}}
}

// writeColumns writes what scanRow reads.
func (l *lookup) writeColumns(stmt *gorm.Statement, table string) {
	for i, field := range l.fields {
		if i > 0 {
			stmt.WriteString(", ")
		}
		stmt.WriteQuoted(clause.Column{Table: table, Name: field.DBName})
	}
}

// run sends the query.
func (l *lookup) run(ctx context.Context, values ...any) (*sql.Rows, error) {
	if err := makePlain(values); err != nil {
		return nil, err
	}
	return poolOf(ctx, l.db).QueryContext(ctx, l.query, values...)
}

// makePlain makes of each value what it is in the database, so that the driver
// needn't find out.
func makePlain(values []any) error {
	for i, value := range values {
		if valuer, ok := value.(driver.Valuer); ok {
			plain, err := valuer.Value()
			if err != nil {
				return err
			}
			values[i] = plain
		}
	}
	return nil
}

// scan reads the row that matches into each of the structs, which share no
// memory afterwards: [authn.ErrUserNotFound], or errSeveral.
func (l *lookup) scan(ctx context.Context, value any, into ...any) error {
	return l.scanWith(ctx, value, nil, into...)
}

// scanWith is scan of a query that selects other columns first.
func (l *lookup) scanWith(ctx context.Context, value any, first []any, into ...any) error {
	rows, err := l.run(ctx, value)
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return err
		}
		return authn.ErrUserNotFound
	}
	for _, u := range into {
		if err := l.scanRow(ctx, rows, reflect.ValueOf(u).Elem(), first...); err != nil {
			return err
		}
	}
	if rows.Next() {
		return errSeveral
	}
	return errors.Join(rows.Err(), rows.Close())
}

func (l *lookup) scanRow(ctx context.Context, rows *sql.Rows, u reflect.Value, first ...any) error {
	targets := make([]any, len(first)+len(l.fields))
	columns := targets[copy(targets, first):]
	for i, field := range l.fields {
		if l.direct[i] {
			columns[i] = field.ReflectValueOf(ctx, u).Addr().Interface()
		} else {
			columns[i] = field.NewValuePool.Get()
		}
	}
	err := rows.Scan(targets...)
	for i, field := range l.fields {
		if l.direct[i] {
			continue
		}
		if err == nil {
			err = field.Set(ctx, u, columns[i])
		}
		field.NewValuePool.Put(columns[i])
	}
	return err
}

// needsGORM reports whether look-ups past GORM would lose something.
func (s *Store[T, U]) needsGORM() (bool, error) {
	m := s.mapping
	if len(m.schema.QueryClauses) > 0 || m.schema.AfterFind || len(s.db.Plugins) > 0 {
		return true, nil
	}
	if stmt := s.db.Statement; len(stmt.Preloads) > 0 || len(stmt.Joins) > 0 || stmt.Table != "" && stmt.Table != m.schema.Table {
		return true, nil
	}
	// Conditions and scopes show in the SQL that GORM would run.
	given, err := drySQL(s.db.Session(&gorm.Session{DryRun: true}), new(T))
	if err != nil {
		return false, err
	}
	bare, err := drySQL(s.db.Session(&gorm.Session{DryRun: true, NewDB: true}), new(T))
	return given != bare, err
}

func drySQL(dry *gorm.DB, u any) (string, error) {
	tx := dry.Take(u)
	if errors.Is(tx.Error, gorm.ErrRecordNotFound) {
		tx.Error = nil
	}
	return strings.TrimSpace(tx.Statement.SQL.String()), tx.Error
}
