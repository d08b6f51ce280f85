package userdb

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
)

// classify tells an error about the values of a write from one of the
// database itself. It does not rely on db's TranslateError.
func (s *Store[T, U]) classify(err error) error {
	if translator, ok := s.db.Dialector.(gorm.ErrorTranslator); ok {
		if known := translator.Translate(err); known != nil && known != err {
			err = fmt.Errorf("%w: %w", known, err)
		}
	}
	switch {
	case errors.Is(err, gorm.ErrDuplicatedKey), isUniqueViolation(err):
		return fmt.Errorf("%w: %w", authn.ErrConflict, err)
	case errors.Is(err, gorm.ErrCheckConstraintViolated), errors.Is(err, gorm.ErrForeignKeyViolated), isBadValue(err):
		return fmt.Errorf("%w: %w", authn.ErrRejected, err)
	}
	return migrated(err)
}

// ErrNotMigrated is the kind of error that says that a table or a column isn't
// there.
var ErrNotMigrated = errors.New("userdb: not migrated")

// migrated says what to do about a table or a column that isn't there.
func migrated(err error) error {
	if isMissing(err) {
		return fmt.Errorf("%w: %w (has Store.Migrate been run?)", ErrNotMigrated, err)
	}
	return err
}

// sessionsMigrated is migrated for the sessions' table.
func sessionsMigrated(err error) error {
	if isMissing(err) {
		return fmt.Errorf("%w: %w (has Sessions.Migrate been run?)", ErrNotMigrated, err)
	}
	return err
}

// tokensMigrated is migrated for the tokens' tables.
func tokensMigrated(err error) error {
	if isMissing(err) {
		return fmt.Errorf("%w: %w (has Tokens.Migrate been run, and is TokensConfig.PlainTable there?)", ErrNotMigrated, err)
	}
	return err
}

func isMissing(err error) bool {
	var state sqlState
	if errors.As(err, &state) {
		return state.SQLState() == "42P01" || state.SQLState() == "42703"
	}
	// SQLite has no code for it.
	return err != nil && slices.ContainsFunc([]string{"no such table", "no such column", "has no column named"},
		func(text string) bool { return strings.Contains(err.Error(), text) })
}

// sqlState is what Postgres' errors have (ISO 9075); sqliteCode what those of
// the SQLite drivers without cgo have (an extended result code).
type (
	sqlState   interface{ SQLState() string }
	sqliteCode interface{ Code() int }
)

const (
	sqliteConstraint       = 19
	sqliteConstraintKey    = 1555
	sqliteConstraintUnique = 2067
	sqliteForeignKey       = 787
)

func isUniqueViolation(err error) bool {
	var state sqlState
	if errors.As(err, &state) {
		return state.SQLState() == "23505"
	}
	var code sqliteCode
	return errors.As(err, &code) && (code.Code() == sqliteConstraintKey || code.Code() == sqliteConstraintUnique)
}

func isForeignKeyViolation(err error) bool {
	var state sqlState
	if errors.As(err, &state) {
		return state.SQLState() == "23503"
	}
	var code sqliteCode
	return errors.As(err, &code) && code.Code() == sqliteForeignKey
}

// isDataException reports that Postgres could make no value of the column's type
// of what was asked for, as of text with a NUL in it.
func isDataException(err error) bool {
	var state sqlState
	return errors.As(err, &state) && strings.HasPrefix(state.SQLState(), "22")
}

// isBadValue reports a data exception, a violated constraint, or a value beyond
// a limit of the database, as an index has for its rows.
func isBadValue(err error) bool {
	var state sqlState
	if errors.As(err, &state) && len(state.SQLState()) == 5 {
		class := state.SQLState()[:2]
		return class == "22" || class == "23" || class == "54" // data, constraint, limit
	}
	if isUnencodable(err) {
		return true
	}
	var code sqliteCode
	return errors.As(err, &code) && code.Code()&0xff == sqliteConstraint
}

// isUnencodable reports that a value doesn't fit its column's type, which pgx
// or database/sql finds before anything is sent. Neither has an error to ask
// for.
func isUnencodable(err error) bool {
	text := err.Error()
	return strings.Contains(text, "failed to encode args") || strings.Contains(text, "sql: converting argument")
}

// isSerialization reports that Postgres gave the transaction up for another
// one: a serialization failure or a deadlock.
func isSerialization(err error) bool {
	var state sqlState
	return errors.As(err, &state) && (state.SQLState() == "40001" || state.SQLState() == "40P01")
}
