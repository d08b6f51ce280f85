package userdb

import (
	"context"

	"gorm.io/gorm/logger"
)

// discreet is a GORM logger that is given no values: a slow or failed
// statement would otherwise be logged with the hash of a password in it.
type discreet struct {
	logger.Interface
}

// LogMode keeps the logger discreet at every level.
func (l discreet) LogMode(level logger.LogLevel) logger.Interface {
	return discreet{l.Interface.LogMode(level)}
}

// ParamsFilter drops the values of a statement.
func (discreet) ParamsFilter(_ context.Context, sql string, _ ...any) (string, []any) {
	return sql, nil
}
