package userdb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/echo-users/echo-users/authn"
)

// PlainTokenTable is where fastapi-users keeps access tokens.
const PlainTokenTable = "accesstoken"

// TokensConfig has the options of [NewTokens].
type TokensConfig struct {
	// Table defaults to the users' with "_access_token" after it.
	Table string
	// PlainTable is a table of fastapi-users' with tokens in the clear, such as
	// [PlainTokenTable]: those in it open what they opened, and a log-out
	// deletes them. Nothing is ever added. Defaults to none.
	PlainTable string
}

// Tokens keeps access tokens in a table beside the users', by their hash: the
// Store of package strategies/database. The user is loaded in the query that
// looks a token up, unless look-ups go through GORM ([New]). A call takes as
// long as the store's may ([Store.WithTimeout]). Safe for concurrent use.
type Tokens[T any, U interface {
	*T
	authn.User
}] struct {
	store *Store[T, U]
	table string

	hashed                *tokenLookup
	insert, touch, remove string
	sweep                 string

	plain       *tokenLookup // or nil
	removePlain string
}

// NewTokens returns tokens for the users of a store. Their table must have been
// migrated ([Tokens.Migrate]).
func NewTokens[T any, U interface {
	*T
	authn.User
}](store *Store[T, U], cfg TokensConfig) (*Tokens[T, U], error) {
	if store == nil {
		return nil, errors.New("userdb: the store is nil")
	}
	t := &Tokens[T, U]{store: store, table: cfg.Table}
	if t.table == "" {
		t.table = store.mapping.table + "_access_token"
	}
	if strings.EqualFold(cfg.PlainTable, t.table) {
		return nil, fmt.Errorf("userdb: tokens in the clear and hashes can't both be in table %q: a hash would be a token", t.table)
	}
	t.hashed = t.newLookup(t.table, "token_hash", "generation", "session_id", "issued_at", "auth_time", "expires_at", "used_at", "methods", "scopes")
	t.insert = store.sql("INSERT INTO", name(t.table), "(token_hash, user_id, generation, session_id, issued_at, auth_time, expires_at, used_at, methods, scopes) VALUES (",
		value, ",", value, ",", value, ",", value, ",", value, ",", value, ",", value, ",", value, ",", value, ",", value, ")")
	t.touch = store.sql("UPDATE", name(t.table), "SET used_at =", value, "WHERE token_hash =", value, "AND used_at <=", value)
	t.remove = store.sql("DELETE FROM", name(t.table), "WHERE token_hash =", value)
	t.sweep = sweepSQL(store.db, t.table, "token_hash")
	if cfg.PlainTable != "" {
		t.plain = t.newLookup(cfg.PlainTable, "token", "created_at")
		t.removePlain = store.sql("DELETE FROM", name(cfg.PlainTable), "WHERE token =", value)
	}
	return t, nil
}

// tokenLookup selects columns of a token, and then the user's; where users
// are loaded through GORM, only their key.
type tokenLookup struct {
	*lookup
	joined bool
}

func (t *Tokens[T, U]) newLookup(table, by string, columns ...string) *tokenLookup {
	m := t.store.mapping
	l := &tokenLookup{lookup: newUserLookup(t.store.db, m), joined: t.store.byID != nil}
	stmt := newStatement(t.store.db)
	stmt.WriteString("SELECT ")
	for _, column := range columns {
		stmt.WriteQuoted(clause.Column{Table: "t", Name: column})
		stmt.WriteString(", ")
	}
	if l.joined {
		l.writeColumns(stmt, "u")
	} else {
		l.fields, l.direct = l.fields[:0], l.direct[:0]
		l.fields, l.direct = append(l.fields, m.key), append(l.direct, true)
		stmt.WriteQuoted(clause.Column{Table: "t", Name: "user_id"})
	}
	stmt.WriteString(" FROM ")
	stmt.WriteQuoted(clause.Table{Name: table, Alias: "t"})
	if l.joined {
		stmt.WriteString(" JOIN ")
		stmt.WriteQuoted(clause.Table{Name: m.table, Alias: "u"})
		stmt.WriteString(" ON ")
		stmt.WriteQuoted(clause.Column{Table: "u", Name: m.key.DBName})
		stmt.WriteString(" = ")
		stmt.WriteQuoted(clause.Column{Table: "t", Name: "user_id"})
	}
	stmt.WriteString(" WHERE ")
	stmt.WriteQuoted(clause.Column{Table: "t", Name: by})
	stmt.WriteString(" = ")
	stmt.AddVar(stmt, "")
	l.query = stmt.SQL.String()
	return l
}

// find runs a look-up: [authn.ErrInvalidToken].
func (t *Tokens[T, U]) find(ctx context.Context, l *tokenLookup, by any, columns ...any) (authn.Identity, error) {
	ctx, cancel := bounded(ctx, t.store.timeout)
	defer cancel()
	u := U(new(T))
	if err := l.scanWith(ctx, by, columns, u); err != nil {
		if errors.Is(err, authn.ErrUserNotFound) {
			err = authn.ErrInvalidToken
		}
		return authn.Identity{}, tokensMigrated(err)
	}
	id := authn.Identity{Subject: u.AuthID()}
	if l.joined {
		id.Loaded = u
	}
	return id, nil
}

// Token returns what was kept of a token, with its user, and when it was last
// used: [authn.ErrInvalidToken].
func (t *Tokens[T, U]) Token(ctx context.Context, hash [32]byte) (authn.Identity, time.Time, error) {
	var row struct {
		generation, issued, authenticated, expires, used int64
		session, methods, scopes                         string
	}
	id, err := t.find(ctx, t.hashed, hash[:],
		&row.generation, &row.session, &row.issued, &row.authenticated, &row.expires, &row.used, &row.methods, &row.scopes)
	if err != nil {
		return authn.Identity{}, time.Time{}, err
	}
	id.Generation, id.SessionID = row.generation, row.session
	id.IssuedAt, id.AuthTime, id.ExpiresAt = fromNanos(row.issued), fromNanos(row.authenticated), fromNanos(row.expires)
	id.Methods, id.Scopes = fromList(row.methods), fromList(row.scopes)
	return id, fromNanos(row.used), nil
}

// PlainToken returns whose token of fastapi-users' it is, and since when:
// [authn.ErrInvalidToken].
func (t *Tokens[T, U]) PlainToken(ctx context.Context, token string) (authn.Identity, error) {
	if t.plain == nil || !isStorable(token) {
		return authn.Identity{}, authn.ErrInvalidToken
	}
	var created time.Time
	id, err := t.find(ctx, t.plain, token, &created)
	id.IssuedAt = created
	return id, withoutToken(err, token)
}

// InsertToken keeps a token: [authn.ErrUserNotFound].
func (t *Tokens[T, U]) InsertToken(ctx context.Context, hash [32]byte, id authn.Identity) error {
	key, err := parseKey(t.store.mapping.key.FieldType, id.Subject)
	if err != nil {
		return authn.ErrUserNotFound
	}
	methods, err := toList(id.Methods)
	if err != nil {
		return err
	}
	scopes, err := toList(id.Scopes)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, t.insert, hash[:], key, id.Generation, id.SessionID,
		toNanos(id.IssuedAt), toNanos(id.AuthTime), toNanos(id.ExpiresAt), toNanos(id.IssuedAt), methods, scopes)
	if isForeignKeyViolation(err) {
		return authn.ErrUserNotFound
	}
	return err
}

// TouchToken notes that a token was used at this time, unless it was after since.
func (t *Tokens[T, U]) TouchToken(ctx context.Context, hash [32]byte, at, since time.Time) error {
	_, err := t.exec(ctx, t.touch, toNanos(at), hash[:], toNanos(since))
	return err
}

// DeleteToken removes a token.
func (t *Tokens[T, U]) DeleteToken(ctx context.Context, hash [32]byte) error {
	_, err := t.exec(ctx, t.remove, hash[:])
	return err
}

// DeletePlainToken removes a token of fastapi-users'.
func (t *Tokens[T, U]) DeletePlainToken(ctx context.Context, token string) error {
	if t.plain == nil || !isStorable(token) {
		return nil
	}
	_, err := t.exec(ctx, t.removePlain, token)
	return withoutToken(err, token)
}

// withoutToken replaces an error that repeats the token, as a database's does
// that takes it for a value of another type.
func withoutToken(err error, token string) error {
	if err != nil && strings.Contains(err.Error(), token) {
		return errors.New("userdb: the table of tokens in the clear has another type of column for them")
	}
	return err
}

// DeleteExpired removes at most n tokens that had expired by then, and returns
// how many.
func (t *Tokens[T, U]) DeleteExpired(ctx context.Context, by time.Time, n int) (int, error) {
	removed, err := t.exec(ctx, t.sweep, toNanos(by), n)
	return int(removed), err
}

func (t *Tokens[T, U]) exec(ctx context.Context, query string, values ...any) (rows int64, err error) {
	rows, err = t.store.exec(ctx, query, values...)
	return rows, tokensMigrated(err)
}

// Migrate creates the table of tokens, unless it is there. The users' must be
// there ([Store.Migrate]): a deleted user's tokens go with the user.
func (t *Tokens[T, U]) Migrate(ctx context.Context) error {
	db := t.store.db.Session(&gorm.Session{NewDB: true, Context: ctx})
	err := db.Transaction(func(tx *gorm.DB) error {
		m := &migrator{mapping: t.store.mapping, tx: tx, dialect: tx.Name()}
		key, err := m.columnType(m.key.DBName)
		if err != nil {
			return err
		}
		blob := blobType(tx)
		index := func(column string) string { return m.createIndex(t.table, column) }
		return runOnce(tx,
			fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %s (
				token_hash %s PRIMARY KEY,
				user_id %s NOT NULL REFERENCES %s (%s) ON DELETE CASCADE,
				generation bigint NOT NULL,
				session_id varchar(255) NOT NULL,
				issued_at bigint NOT NULL,
				auth_time bigint NOT NULL,
				expires_at bigint NOT NULL,
				used_at bigint NOT NULL,
				methods varchar(255) NOT NULL,
				scopes text NOT NULL
			)`, m.quote(t.table), blob, key, m.quote(m.table), m.quote(m.key.DBName)),
			index("user_id"), index("expires_at"))
	})
	if err != nil {
		return fmt.Errorf("userdb: migration of table %q: %w", t.table, err)
	}
	return nil
}

// toList joins words without spaces (RFC 6749 §3.3, RFC 8176 §2).
func toList(words []string) (string, error) {
	for _, word := range words {
		if word == "" || strings.ContainsAny(word, " \t\r\n") {
			return "", fmt.Errorf("userdb: %q is no scope or method: it must be a word without spaces", word)
		}
	}
	return strings.Join(words, " "), nil
}

func fromList(words string) []string {
	if words == "" {
		return nil
	}
	return strings.Split(words, " ")
}

// toNanos is the time in nanoseconds since 1970, as the tables have it; zero
// for the zero time.
func toNanos(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Unix() >= math.MaxInt64/int64(time.Second): // the year 2262
		return math.MaxInt64
	case t.Unix() < 0:
		return 1
	}
	return max(t.UnixNano(), 1)
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}
