package userdb

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/echo-users/echo-users/authn"
)

// Store keeps users of the application's type T. It implements [authn.Store]
// for *T and is safe for concurrent use.
type Store[T any, U interface {
	*T
	authn.User
}] struct {
	db      *gorm.DB
	mapping *mapping
	timeout time.Duration

	allowDuplicates bool

	// The hot look-ups, or nil where they must go through GORM.
	byID, byEmail *lookup
	byIDs         []*lookup // for up to 2, 4, 8, … users
}

// New returns a store of users of type T in db, whose table must have been
// migrated ([Store.Migrate]). An error says what is wrong with T.
//
// Look-ups by id and by e-mail are prepared SQL on db's connection pool; they
// pass GORM's callbacks by. Where that would lose something they go through
// GORM: a model with AfterFind hooks or soft delete, a db with plugins, and
// one that came with conditions, scopes or preloads.
func New[T any, U interface {
	*T
	authn.User
}](db *gorm.DB) (*Store[T, U], error) {
	if db == nil {
		return nil, errors.New("userdb: db is nil")
	}
	m, err := newMapping(db, U(new(T)))
	if err != nil {
		return nil, fmt.Errorf("userdb: %w", err)
	}
	// With QueryFields a column that is missing is an error, and no zero value.
	s := &Store[T, U]{db: db.Session(&gorm.Session{Logger: discreet{db.Logger}, QueryFields: true}), mapping: m, timeout: DefaultTimeout}
	if plain, err := s.needsGORM(); err != nil {
		return nil, fmt.Errorf("userdb: %w", err)
	} else if !plain {
		s.byID = newLookup(s.db, m, m.key, keyCondition(s.db, m), 1)
		s.byEmail = newLookup(s.db, m, m.email, "lower(?) = lower(?)", 1)
		if db.Name() != "sqlite" { // without round trips there is nothing to save
			s.byIDs = newBatchLookups(s.db, m)
		}
	}
	return s, nil
}

// ByID returns the user with this id: [authn.ErrUserNotFound].
func (s *Store[T, U]) ByID(ctx context.Context, id string) (U, error) {
	ctx, cancel := bounded(ctx, s.timeout)
	defer cancel()
	key, err := parseKey(s.mapping.key.FieldType, id)
	if err != nil {
		return nil, authn.ErrUserNotFound
	}
	if s.byID != nil {
		u := new(T)
		return only(U(u), s.byID.scan(ctx, key, u))
	}
	u := new(T)
	return only(U(u), narrow(session(ctx, s.db), s.isKey("=", key)).Take(u).Error)
}

// ByEmail returns the user with this address, in any letter case as the
// database's lower() folds it: [authn.ErrUserNotFound].
func (s *Store[T, U]) ByEmail(ctx context.Context, email string) (U, error) {
	ctx, cancel := bounded(ctx, s.timeout)
	defer cancel()
	if !isStorable(email) {
		return nil, authn.ErrUserNotFound
	}
	if s.byEmail == nil {
		return s.byExactEmail(ctx, email)
	}
	u := new(T)
	err := s.byEmail.scan(ctx, email, u)
	if errors.Is(err, errSeveral) { // see AllowLegacyDuplicates
		return s.byExactEmail(ctx, email)
	}
	return only(U(u), err)
}

// Find returns the one user that a condition names, as GORM's Where takes it:
// [authn.ErrUserNotFound] for none, an error for several. For a column of the
// application's own, with a unique index:
//
//	store.Find(ctx, "lower(username) = lower(?)", name)
func (s *Store[T, U]) Find(ctx context.Context, condition string, values ...any) (U, error) {
	ctx, cancel := bounded(ctx, s.timeout)
	defer cancel()
	for _, value := range values {
		if text, ok := value.(string); ok && !isStorable(text) {
			return nil, authn.ErrUserNotFound
		}
	}
	var users []*T
	err := narrow(session(ctx, s.db), newSession(ctx, s.db).Statement.BuildCondition(condition, values...)...).Limit(2).Find(&users).Error
	if isDataException(err) {
		return nil, authn.ErrUserNotFound // no value of that column is like it
	}
	if err != nil {
		return nil, migrated(err)
	}
	switch len(users) {
	case 0:
		return nil, authn.ErrUserNotFound
	case 1:
		return users[0], nil
	}
	return nil, errSeveral
}

var errSeveral = errors.New("userdb: several users where one was asked for")

// only returns no user beside an error.
func only[U any](u U, err error) (U, error) {
	if err == nil {
		return u, nil
	}
	var none U
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return none, authn.ErrUserNotFound
	}
	return none, migrated(err)
}

// Create inserts a user unless the address is taken: [authn.ErrUserExists],
// [authn.ErrConflict], [authn.ErrRejected]. Associations of the model are not
// saved.
func (s *Store[T, U]) Create(ctx context.Context, fill func(U) error) (U, error) {
	ctx, cancel := bounded(ctx, s.timeout)
	defer cancel()
	u := U(new(T))
	if err := fill(u); err != nil {
		return nil, err
	}
	value := reflect.ValueOf(u).Elem()
	if _, unset := s.mapping.key.ValueOf(ctx, value); unset {
		key, err := newKey(s.mapping.key.FieldType)
		if err == nil && key != nil {
			err = s.mapping.key.Set(ctx, value, key)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := s.refuseDuplicate(ctx, u.AuthAccount().Email, nil); err != nil {
		return nil, err
	}
	filled := *u
	written, err := s.insist(ctx, func(db *gorm.DB) *gorm.DB {
		*u = filled // without what hooks of the model made of it the time before
		return db.Omit(clause.Associations).Clauses(clause.OnConflict{DoNothing: true}).Create(u)
	})
	if err != nil {
		return nil, s.classify(err)
	}
	if !written {
		return nil, s.conflict(ctx, u.AuthAccount().Email, nil)
	}
	if s.db.Name() == "sqlite" && hasIntegerKey(s.mapping) {
		return s.ByID(ctx, u.AuthID()) // its generation may be another; see retireKeys
	}
	return u, nil
}

// conflict says which unique column of a write was taken.
func (s *Store[T, U]) conflict(ctx context.Context, email string, owner any) error {
	taken, err := s.isTaken(ctx, email, owner)
	switch {
	case err != nil:
		return err
	case taken:
		return authn.ErrUserExists
	}
	return authn.ErrConflict
}

// isTaken reports whether a row other than the owner's has the address.
func (s *Store[T, U]) isTaken(ctx context.Context, email string, owner any) (bool, error) {
	// The index sees rows that the model's scopes hide.
	taken := newSession(ctx, s.db).Table(s.mapping.table).Where(s.isEmail(email))
	if owner != nil {
		taken = taken.Where(clause.Neq{Column: s.column(s.mapping.key), Value: owner})
	}
	var rows int64
	err := taken.Count(&rows).Error
	return rows > 0, err
}

// Delete removes the user, softly where the model has a soft delete:
// [authn.ErrUserNotFound].
func (s *Store[T, U]) Delete(ctx context.Context, id string) error {
	ctx, cancel := bounded(ctx, s.timeout)
	defer cancel()
	u, err := s.ByID(ctx, id)
	if err != nil {
		return err
	}
	key, _ := s.mapping.key.ValueOf(ctx, reflect.ValueOf(u).Elem())
	deleted, err := s.insist(ctx, func(db *gorm.DB) *gorm.DB {
		// The condition is explicit: GORM would drop it for a zero key.
		return narrow(db, clause.Eq{Column: s.column(s.mapping.key), Value: key}).Delete(u)
	})
	if err != nil {
		return s.classify(err)
	}
	if !deleted {
		return authn.ErrUserNotFound
	}
	return nil
}

// isKey is the condition that a key stands so to a value, which was parsed.
func (s *Store[T, U]) isKey(operator string, value any) clause.Expression {
	return clause.Expr{SQL: strings.Replace(keyCondition(s.db, s.mapping), "=", operator, 1), Vars: []any{s.column(s.mapping.key), value}}
}

// isEmail is the condition that an address is this one in any letter case.
func (s *Store[T, U]) isEmail(email string) clause.Expression {
	return clause.Expr{SQL: "lower(?) = lower(?)", Vars: []any{s.column(s.mapping.email), email}}
}

func (s *Store[T, U]) column(f *schema.Field) clause.Column {
	return clause.Column{Table: clause.CurrentTable, Name: f.DBName}
}

// isStorable reports whether text can be in a column at all: Postgres refuses
// NUL and invalid UTF-8 with an error, which would look as if it were away.
func isStorable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsRune(text, 0)
}
