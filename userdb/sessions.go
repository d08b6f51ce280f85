package userdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
)

// SessionsConfig has the options of [NewSessions].
type SessionsConfig struct {
	// Table defaults to the users' with "_session" after it.
	Table string
}

// Sessions keeps sessions in a table beside the users' ([authn.SessionStore]).
// A call takes as long as the store's may ([Store.WithTimeout]). Safe for
// concurrent use.
type Sessions[T any, U interface {
	*T
	authn.User
}] struct {
	store *Store[T, U]
	table string

	lockUser, insert, count            string
	one, all, update                   string
	remove, removeOthers               string
	removeOldest, removeExpired, sweep string
}

// maxSwept is how many expired sessions of anybody a log-in removes at most:
// more than it adds.
const maxSwept = 4

// NewSessions returns sessions for the users of a store. Their table must have
// been migrated ([Sessions.Migrate]).
func NewSessions[T any, U interface {
	*T
	authn.User
}](store *Store[T, U], cfg SessionsConfig) (*Sessions[T, U], error) {
	if store == nil {
		return nil, errors.New("userdb: the store is nil")
	}
	s := &Sessions[T, U]{store: store, table: cfg.Table}
	if s.table == "" {
		s.table = store.mapping.table + "_session"
	}
	const columns = "id, user_id, backend, generation, created_at, seen_at, expires_at, auth_time, methods, scopes, address, user_agent, refresh, version"
	table := name(s.table)
	insert := []any{"INSERT INTO", table, "(" + columns + ") VALUES (", value}
	for range 13 {
		insert = append(insert, ",", value)
	}
	s.insert = store.sql(append(insert, ")")...)
	if store.db.Name() == "postgres" { // on SQLite a transaction that writes is the only one
		s.lockUser = store.sql("SELECT 1 FROM", name(store.mapping.table), "WHERE", name(store.mapping.key.DBName), "=", keyValue, "FOR NO KEY UPDATE")
	}
	s.count = store.sql("SELECT count(*) FROM", table, "WHERE user_id =", keyValue)
	s.removeOldest = store.sql("DELETE FROM", table, "WHERE id IN (SELECT id FROM", table,
		"WHERE user_id =", keyValue, "AND id <>", value, "ORDER BY created_at, id LIMIT", value, ")")
	s.removeExpired = store.sql("DELETE FROM", table, "WHERE user_id =", keyValue, "AND (expires_at <=", value, "OR generation <", value, ")")
	s.sweep = sweepSQL(store.db, s.table, "id")
	s.all = store.sql("SELECT", columns, "FROM", table, "WHERE user_id =", keyValue)
	s.one = store.sql("SELECT", columns, "FROM", table, "WHERE user_id =", keyValue, "AND id =", value)
	s.update = store.sql("UPDATE", table, "SET generation =", value, ", seen_at =", value, ", expires_at =", value,
		", address =", value, ", user_agent =", value, ", refresh =", value, ", version = version + 1",
		"WHERE user_id =", keyValue, "AND id =", value, "AND version =", value)
	s.remove = store.sql("DELETE FROM", table, "WHERE user_id =", keyValue, "AND id =", value)
	s.removeOthers = store.sql("DELETE FROM", table, "WHERE user_id =", keyValue, "AND id <>", value)
	return s, nil
}

// InsertSession keeps a session, and holds the user to the limit:
// [authn.ErrUserNotFound], [authn.ErrTooManySessions]. It also removes some
// sessions of anybody that have expired.
func (s *Sessions[T, U]) InsertSession(ctx context.Context, session authn.Session, now time.Time, limit authn.SessionLimit) error {
	key, ok := s.key(session.Subject)
	if !ok {
		return authn.ErrUserNotFound
	}
	row, err := sessionRow(session, key)
	if err != nil {
		return err
	}
	ctx, cancel := bounded(ctx, s.store.timeout)
	defer cancel()
	err = newSession(ctx, s.store.db).Transaction(func(tx *gorm.DB) error {
		ctx := WithTx(ctx, tx)
		if limit.Max > 0 && s.lockUser != "" {
			if err := s.scanInt(ctx, new(int), s.lockUser, key); err != nil {
				return err
			}
		}
		if _, err := s.store.exec(ctx, s.removeExpired, key, toNanos(now), session.Generation); err != nil {
			return err
		}
		if _, err := s.store.exec(ctx, s.insert, row...); err != nil {
			return err
		}
		if limit.Max == 0 {
			return nil
		}
		var sessions int
		if err := s.scanInt(ctx, &sessions, s.count, key); err != nil || sessions <= limit.Max {
			return err
		}
		if limit.Refuse {
			return authn.ErrTooManySessions
		}
		_, err := s.store.exec(ctx, s.removeOldest, key, session.ID, sessions-limit.Max)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) || isForeignKeyViolation(err) {
		return authn.ErrUserNotFound
	}
	if err != nil {
		return sessionsMigrated(err)
	}
	// The session is there, whatever becomes of the others.
	_, _ = s.DeleteExpired(ctx, now, maxSwept)
	return nil
}

func (s *Sessions[T, U]) scanInt(ctx context.Context, into *int, query string, values ...any) error {
	if err := makePlain(values); err != nil {
		return err
	}
	return poolOf(ctx, s.store.db).QueryRowContext(ctx, query, values...).Scan(into)
}

// key returns the user's key, if the text is one.
func (s *Sessions[T, U]) key(subject string) (any, bool) {
	key, err := parseKey(s.store.mapping.key.FieldType, subject)
	return key, err == nil
}

// sessionRow is a session in the order of the table's columns.
func sessionRow(session authn.Session, key any) ([]any, error) {
	methods, err := toList(session.Methods)
	if err != nil {
		return nil, err
	}
	scopes, err := toList(session.Scopes)
	if err != nil {
		return nil, err
	}
	return []any{
		session.ID, key, session.Backend, session.Generation,
		toNanos(session.CreatedAt), toNanos(session.SeenAt), toNanos(session.ExpiresAt), toNanos(session.AuthTime),
		methods, scopes, session.Client.Address, session.Client.UserAgent, blob(session.Refresh), session.Version,
	}, nil
}

// blob is bytes that are never NULL.
func blob(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}

// Session returns a session: [authn.ErrSessionNotFound].
func (s *Sessions[T, U]) Session(ctx context.Context, subject, id string) (authn.Session, error) {
	if !isStorable(id) {
		return authn.Session{}, authn.ErrSessionNotFound
	}
	found, err := s.query(ctx, subject, s.one, id)
	if err == nil && len(found) == 0 {
		err = authn.ErrSessionNotFound
	}
	if err != nil {
		return authn.Session{}, err
	}
	return found[0], nil
}

// Sessions returns all sessions of a user.
func (s *Sessions[T, U]) Sessions(ctx context.Context, subject string) ([]authn.Session, error) {
	return s.query(ctx, subject, s.all)
}

// query returns the sessions of a user that a query selects.
func (s *Sessions[T, U]) query(ctx context.Context, subject, query string, more ...any) ([]authn.Session, error) {
	ctx, cancel := bounded(ctx, s.store.timeout)
	defer cancel()
	key, ok := s.key(subject)
	if !ok {
		return nil, nil
	}
	values := append([]any{key}, more...)
	if err := makePlain(values); err != nil {
		return nil, err
	}
	rows, err := poolOf(ctx, s.store.db).QueryContext(ctx, query, values...)
	if err != nil {
		return nil, sessionsMigrated(err)
	}
	defer rows.Close()
	var found []authn.Session
	for rows.Next() {
		session := authn.Session{Subject: subject}
		var user sql.RawBytes // as the database spells it
		var created, seen, expires, authenticated int64
		var methods, scopes string
		err := rows.Scan(&session.ID, &user, &session.Backend, &session.Generation, &created, &seen, &expires, &authenticated,
			&methods, &scopes, &session.Client.Address, &session.Client.UserAgent, &session.Refresh, &session.Version)
		if err != nil {
			return nil, err
		}
		session.CreatedAt, session.SeenAt = fromNanos(created), fromNanos(seen)
		session.ExpiresAt, session.AuthTime = fromNanos(expires), fromNanos(authenticated)
		session.Methods, session.Scopes = fromList(methods), fromList(scopes)
		if len(session.Refresh) == 0 {
			session.Refresh = nil
		}
		found = append(found, session)
	}
	return found, sessionsMigrated(rows.Err())
}

// UpdateSession writes what may change of a session, if its version is this one
// still.
func (s *Sessions[T, U]) UpdateSession(ctx context.Context, session authn.Session, _ time.Time) (bool, error) {
	key, ok := s.key(session.Subject)
	if !ok || !isStorable(session.ID) {
		return false, nil
	}
	written, err := s.store.exec(ctx, s.update,
		session.Generation, toNanos(session.SeenAt), toNanos(session.ExpiresAt),
		session.Client.Address, session.Client.UserAgent, blob(session.Refresh),
		key, session.ID, session.Version)
	if isSerialization(err) && !isTransaction(newSession(ctx, s.store.db)) {
		return false, nil // another one has precedence
	}
	return written > 0, sessionsMigrated(err)
}

// DeleteSession ends a session: [authn.ErrSessionNotFound].
func (s *Sessions[T, U]) DeleteSession(ctx context.Context, subject, id string) error {
	key, ok := s.key(subject)
	if !ok || !isStorable(id) {
		return authn.ErrSessionNotFound
	}
	removed, err := s.store.exec(ctx, s.remove, key, id)
	if err == nil && removed == 0 {
		return authn.ErrSessionNotFound
	}
	return sessionsMigrated(err)
}

// DeleteSessions ends all sessions of a user but one.
func (s *Sessions[T, U]) DeleteSessions(ctx context.Context, subject, but string) error {
	key, ok := s.key(subject)
	if !ok {
		return nil
	}
	if !isStorable(but) {
		but = ""
	}
	_, err := s.store.exec(ctx, s.removeOthers, key, but)
	return sessionsMigrated(err)
}

// DeleteExpired removes at most n sessions of anybody that had expired by then,
// and returns how many. Log-ins do that on the way; a program with few of them
// may want to do it by a timer.
func (s *Sessions[T, U]) DeleteExpired(ctx context.Context, by time.Time, n int) (int, error) {
	removed, err := s.store.exec(ctx, s.sweep, toNanos(by), n)
	return int(removed), sessionsMigrated(err)
}

// Migrate creates the table of sessions, unless it is there. The users' must be
// there ([Store.Migrate]): a deleted user's sessions go with the user.
func (s *Sessions[T, U]) Migrate(ctx context.Context) error {
	db := s.store.db.Session(&gorm.Session{NewDB: true, Context: ctx})
	err := db.Transaction(func(tx *gorm.DB) error {
		m := &migrator{mapping: s.store.mapping, tx: tx, dialect: tx.Name()}
		key, err := m.columnType(m.key.DBName)
		if err != nil {
			return err
		}
		return runOnce(tx,
			fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %s (
				id varchar(64) PRIMARY KEY,
				user_id %s NOT NULL REFERENCES %s (%s) ON DELETE CASCADE,
				backend varchar(255) NOT NULL,
				generation bigint NOT NULL,
				created_at bigint NOT NULL,
				seen_at bigint NOT NULL,
				expires_at bigint NOT NULL,
				auth_time bigint NOT NULL,
				methods varchar(255) NOT NULL,
				scopes text NOT NULL,
				address varchar(64) NOT NULL,
				user_agent varchar(255) NOT NULL,
				refresh %s NOT NULL,
				version bigint NOT NULL
			)`, m.quote(s.table), key, m.quote(m.table), m.quote(m.key.DBName), blobType(tx)),
			m.createIndex(s.table, "user_id"), m.createIndex(s.table, "expires_at"))
	})
	if err != nil {
		return fmt.Errorf("userdb: migration of table %q: %w", s.table, err)
	}
	return nil
}
