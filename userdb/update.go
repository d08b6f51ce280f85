package userdb

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/echo-users/echo-users/authn"
)

// maxAttempts is how often a write begins anew because another one came between,
// before the database counts as busy; longestPause is how long it pauses before
// that at most.
const (
	maxAttempts  = 100
	longestPause = 20 * time.Millisecond
)

var errContended = errors.New("userdb: the user is being changed by others all the time")

// Update loads the user, has it changed, and writes the columns that differ,
// provided that no column of the account was changed meanwhile:
// [authn.ErrUserNotFound], [authn.ErrUserExists], [authn.ErrConflict],
// [authn.ErrRejected].
func (s *Store[T, U]) Update(ctx context.Context, id string, change func(U) error) (U, error) {
	ctx, cancel := bounded(ctx, s.timeout)
	defer cancel()
	for attempt := range maxAttempts {
		if err := pause(ctx, attempt); err != nil {
			return nil, err
		}
		before, after, err := s.loadTwice(ctx, id)
		if err != nil {
			return nil, err
		}
		if err := change(after); err != nil {
			return nil, err
		}
		written, err := s.writeDifference(ctx, before, after)
		if err != nil {
			return nil, err
		}
		if written {
			return after, nil
		}
	}
	return nil, errContended
}

// pause lets others finish first, for a time by chance that grows with the
// attempts.
func pause(ctx context.Context, attempt int) error {
	if attempt == 0 {
		return nil
	}
	most := min(time.Duration(attempt)*time.Millisecond, longestPause)
	timer := time.NewTimer(rand.N(most))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// loadTwice returns two copies of a user that share no memory, of one SELECT: a
// column that another update changed between two of them would count as changed
// by ours.
func (s *Store[T, U]) loadTwice(ctx context.Context, id string) (U, U, error) {
	if s.byID == nil {
		after, err := s.ByID(ctx, id)
		if err != nil {
			return nil, nil, err
		}
		return s.copyColumns(ctx, after), after, nil
	}
	key, err := parseKey(s.mapping.key.FieldType, id)
	if err != nil {
		return nil, nil, authn.ErrUserNotFound
	}
	before, after := new(T), new(T)
	if err := s.byID.scan(ctx, key, before, after); err != nil {
		return nil, nil, migrated(err)
	}
	return before, after, nil
}

// writeDifference updates the columns in which after differs from before. It
// reports false where the row's account isn't before's any more, or another
// transaction had precedence.
func (s *Store[T, U]) writeDifference(ctx context.Context, before, after U) (bool, error) {
	old, new := reflect.ValueOf(before).Elem(), reflect.ValueOf(after).Elem()
	var columns []string
	for _, field := range s.mapping.schema.Fields {
		if field.DBName != "" && field.Updatable && field != s.mapping.key && differs(ctx, field, old, new) {
			columns = append(columns, field.DBName)
		}
	}
	if len(columns) == 0 {
		return true, nil
	}
	key, _ := s.mapping.key.ValueOf(ctx, old)
	if slices.Contains(columns, s.mapping.email.DBName) {
		if err := s.refuseDuplicate(ctx, after.AuthAccount().Email, key); err != nil {
			return false, err
		}
	}
	written, err := s.write(ctx, func(db *gorm.DB) *gorm.DB {
		unchanged := []clause.Expression{clause.Eq{Column: s.column(s.mapping.key), Value: key}}
		for _, field := range s.mapping.account() {
			value, _ := field.ValueOf(ctx, old)
			unchanged = append(unchanged, clause.Eq{Column: s.column(field), Value: value})
		}
		return narrow(db.Model(after), unchanged...).Select(columns).Updates(after)
	})
	if errors.Is(err, errGivenUp) {
		return false, nil
	}
	if err != nil {
		return false, s.updateError(ctx, err, after, key, slices.Contains(columns, s.mapping.email.DBName))
	}
	return written, nil
}

func differs(ctx context.Context, field *schema.Field, old, new reflect.Value) bool {
	return !reflect.DeepEqual(
		field.ReflectValueOf(ctx, old).Interface(),
		field.ReflectValueOf(ctx, new).Interface(),
	)
}

// updateError says which unique column was taken, of an update of the address
// or of others alone.
func (s *Store[T, U]) updateError(ctx context.Context, err error, u U, key any, ofEmail bool) error {
	err = s.classify(err)
	if ofEmail && errors.Is(err, authn.ErrConflict) {
		return s.conflict(ctx, u.AuthAccount().Email, key)
	}
	return err
}
