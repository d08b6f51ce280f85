package userdb

import (
	"context"
	"fmt"
	"strings"

	"gorm.io/gorm"
)

// name is a name in sql, of a table or a column.
type name string

type placeholder int

// value stands for a value in sql, and keyValue for a key of a user.
const (
	value placeholder = iota
	keyValue
)

// sql joins parts of a statement in the database's dialect.
func (s *Store[T, U]) sql(parts ...any) string { return joinSQL(s.db, s.mapping, parts...) }

func joinSQL(db *gorm.DB, m *mapping, parts ...any) string {
	stmt := newStatement(db)
	for i, part := range parts {
		if i > 0 {
			stmt.WriteByte(' ')
		}
		switch part := part.(type) {
		case name:
			stmt.WriteQuoted(string(part))
		case placeholder:
			if part == keyValue && db.Name() == "postgres" && hasIntegerKey(m) {
				stmt.WriteString("CAST(") // see keyCondition
				stmt.AddVar(stmt, "")
				stmt.WriteString(" AS bigint)")
			} else {
				stmt.AddVar(stmt, "")
			}
		case string:
			stmt.WriteString(part)
		}
	}
	return stmt.SQL.String()
}

// sweepSQL is the statement that removes rows which had expired by a time, of
// which there may be so many. Zero in expires_at is never.
func sweepSQL(db *gorm.DB, table, key string) string {
	sweep := []any{"DELETE FROM", name(table), "WHERE", name(key), "IN (SELECT", name(key), "FROM", name(table),
		"WHERE expires_at > 0 AND expires_at <=", value, "ORDER BY expires_at LIMIT", value}
	if db.Name() == "postgres" { // who sweeps at the same time takes others
		sweep = append(sweep, "FOR UPDATE SKIP LOCKED")
	}
	return joinSQL(db, nil, append(sweep, ")")...)
}

// exec runs a statement past GORM, and returns how many rows it has written.
func (s *Store[T, U]) exec(ctx context.Context, query string, values ...any) (int64, error) {
	ctx, cancel := bounded(ctx, s.timeout)
	defer cancel()
	if err := makePlain(values); err != nil {
		return 0, err
	}
	result, err := poolOf(ctx, s.db).ExecContext(ctx, query, values...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// blobType is the type of a column of bytes.
func blobType(db *gorm.DB) string {
	if db.Name() == "postgres" {
		return "bytea"
	}
	return "blob"
}

// createIndex is the statement that makes an index of one column.
func (m *migrator) createIndex(table, column string) string {
	plain := table[strings.LastIndexByte(table, '.')+1:]
	return fmt.Sprintf("CREATE INDEX IF NOT EXISTS %s ON %s (%s)", m.quote(shorten("ix_"+plain+"_"+column)), m.quote(table), column)
}
