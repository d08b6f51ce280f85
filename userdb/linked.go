package userdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/linked"
)

// OAuthAccountTable is where fastapi-users keeps linked accounts, and we do.
const OAuthAccountTable = "oauth_account"

// LinkedAccountsConfig has the options of [NewLinkedAccounts].
type LinkedAccountsConfig struct {
	// Keys seal the providers' tokens.
	Keys *linked.Keys
	// Table defaults to [OAuthAccountTable].
	Table string
}

// LinkedAccounts keeps accounts at other providers in fastapi-users' table
// ([linked.Store]). The providers' tokens go into columns of their own, sealed;
// what fastapi-users left in the clear is read, and emptied when its owner signs
// in. Tokens that none of the keys opens are empty. A call takes as long as the
// store's may ([Store.WithTimeout]). Safe for concurrent use.
type LinkedAccounts[T any, U interface {
	*T
	authn.User
}] struct {
	store *Store[T, U]
	table string
	keys  *linked.Keys

	byIdentity, byUser string
	insert, update     string
	lockUser, holdUser string
	remove, removeAll  string
	use, sweep         string
}

// NewLinkedAccounts returns the linked accounts of a store's users. Their table
// must have been migrated ([LinkedAccounts.Migrate]).
func NewLinkedAccounts[T any, U interface {
	*T
	authn.User
}](store *Store[T, U], cfg LinkedAccountsConfig) (*LinkedAccounts[T, U], error) {
	if store == nil {
		return nil, errors.New("userdb: the store is nil")
	}
	if cfg.Keys == nil {
		return nil, errors.New("userdb: linked accounts need keys, to seal the providers' tokens with")
	}
	l := &LinkedAccounts[T, U]{store: store, table: cfg.Table, keys: cfg.Keys}
	if l.table == "" {
		l.table = OAuthAccountTable
	}
	table := name(l.table)
	const columns = `CAST(id AS text), CAST(user_id AS text), oauth_name, coalesce(issuer, ''), account_id, account_email,
		access_token, coalesce(refresh_token, ''), coalesce(sealed_access_token, ''), coalesce(sealed_refresh_token, ''), coalesce(expires_at, 0), coalesce(email_verification, 0)`
	l.byIdentity = store.sql("SELECT", columns, "FROM", table, "WHERE oauth_name =", value, "AND account_id =", value,
		"AND (issuer IS NULL OR issuer =", value, ") ORDER BY issuer IS NULL, id")
	l.byUser = store.sql("SELECT", columns, "FROM", table, "WHERE user_id =", keyValue, "ORDER BY id")

	written := "user_id, oauth_name, issuer, account_id, account_email, access_token, refresh_token, sealed_access_token, sealed_refresh_token, expires_at, email_verification"
	insert := []any{"INSERT INTO", table, "(" + written}
	if !hasIntegerKey(store.mapping) {
		insert = append(insert, ", id")
	}
	insert = append(insert, ") VALUES (", keyValue)
	for range 4 {
		insert = append(insert, ",", value)
	}
	insert = append(insert, ", '', NULL,", value, ",", value, ",", value, ",", value)
	if !hasIntegerKey(store.mapping) {
		insert = append(insert, ",", value)
	}
	l.insert = store.sql(append(insert, ") ON CONFLICT DO NOTHING RETURNING CAST(id AS text)")...)
	l.update = store.sql("UPDATE", table, "SET issuer =", value, ", account_email =", value,
		", access_token = '', refresh_token = NULL, sealed_access_token =", value, ", sealed_refresh_token =", value, ", expires_at =", value, ", email_verification =", value,
		"WHERE user_id =", keyValue, "AND id =", keyValue)

	if store.db.Name() == "postgres" { // on SQLite a transaction that writes is the only one
		l.lockUser = store.sql("SELECT 1 FROM", name(store.mapping.table), "WHERE", name(store.mapping.key.DBName), "=", keyValue, "FOR NO KEY UPDATE")
	}
	generation := name(store.mapping.generation.DBName)
	l.holdUser = store.sql("UPDATE", name(store.mapping.table), "SET", generation, "=", generation,
		"WHERE", name(store.mapping.key.DBName), "=", keyValue, "AND", generation, "=", value)
	l.remove = store.sql("DELETE FROM", table, "WHERE user_id =", keyValue, "AND id =", keyValue)
	l.removeAll = store.sql("DELETE FROM", table, "WHERE user_id =", keyValue)
	l.use = store.sql("INSERT INTO", name(l.usedTable()), "(id, expires_at) VALUES (", value, ",", value, ") ON CONFLICT (id) DO NOTHING")
	l.sweep = sweepSQL(store.db, l.usedTable(), "id")
	return l, nil
}

// usedTable is where it is noted what was used.
func (l *LinkedAccounts[T, U]) usedTable() string { return l.table + "_used_state" }

// ByIdentity returns the account that a provider names by issuer and subject:
// [linked.ErrNotFound], [linked.ErrTaken] where several users have it.
func (l *LinkedAccounts[T, U]) ByIdentity(ctx context.Context, provider, issuer, subject string) (linked.Account, error) {
	if !isStorable(provider) || !isStorable(issuer) || !isStorable(subject) {
		return linked.Account{}, linked.ErrNotFound
	}
	found, err := l.query(ctx, l.byIdentity, provider, subject, issuer)
	if err != nil {
		return linked.Account{}, err
	}
	if len(found) == 0 {
		return linked.Account{}, linked.ErrNotFound
	}
	for _, other := range found[1:] {
		if found[0].Issuer == "" && other.UserID != found[0].UserID {
			return linked.Account{}, linked.ErrTaken
		}
	}
	return found[0], nil
}

// ByUser returns the accounts of a user.
func (l *LinkedAccounts[T, U]) ByUser(ctx context.Context, userID string) ([]linked.Account, error) {
	key, ok := l.key(userID)
	if !ok {
		return nil, nil
	}
	return l.query(ctx, l.byUser, key)
}

func (l *LinkedAccounts[T, U]) query(ctx context.Context, query string, values ...any) ([]linked.Account, error) {
	ctx, cancel := bounded(ctx, l.store.timeout)
	defer cancel()
	if err := makePlain(values); err != nil {
		return nil, err
	}
	rows, err := poolOf(ctx, l.store.db).QueryContext(ctx, query, values...)
	if err != nil {
		return nil, l.migrated(err)
	}
	defer rows.Close()
	var found []linked.Account
	for rows.Next() {
		var a linked.Account
		var access, refresh, sealedAccess, sealedRefresh string
		var expires int64
		if err := rows.Scan(&a.ID, &a.UserID, &a.Provider, &a.Issuer, &a.Subject, &a.Email,
			&access, &refresh, &sealedAccess, &sealedRefresh, &expires, &a.Verification); err != nil {
			return nil, err
		}
		a.Tokens = linked.Tokens{
			Access:  l.open(a, "access", sealedAccess, access),
			Refresh: l.open(a, "refresh", sealedRefresh, refresh),
		}
		if expires > 0 {
			a.Tokens.ExpiresAt = time.Unix(expires, 0)
		}
		found = append(found, a)
	}
	return found, l.migrated(rows.Err())
}

// purpose binds a sealed token to its place.
func purpose(a linked.Account, kind string) string {
	return "userdb.LinkedAccounts\x00" + kind + "\x00" + a.Provider + "\x00" + a.Subject
}

func (l *LinkedAccounts[T, U]) open(a linked.Account, kind, sealed, plain string) string {
	if sealed == "" {
		return plain
	}
	token, err := l.keys.Open(purpose(a, kind), sealed)
	if err != nil {
		return ""
	}
	return string(token)
}

// writtenLast are the values of the last columns: of tokens, and what is said of
// the address.
func (l *LinkedAccounts[T, U]) writtenLast(a linked.Account) []any {
	seal := func(kind, token string) any {
		if token == "" {
			return nil
		}
		return l.keys.Seal(purpose(a, kind), []byte(token))
	}
	var expires any
	if at := a.Tokens.ExpiresAt; !at.IsZero() {
		expires = min(max(at.Unix(), 0), math.MaxInt32) // as wide as fastapi-users' column
	}
	return []any{seal("access", a.Tokens.Access), seal("refresh", a.Tokens.Refresh), expires, int(a.Verification)}
}

// storableEmail is an address as the column takes it. It is shown, and decides
// nothing.
func storableEmail(email string) string {
	if len(email) > 320 || !isStorable(email) {
		return ""
	}
	return email
}

// Insert keeps a new account of a user of this generation: [linked.ErrTaken],
// [authn.ErrUserNotFound].
func (l *LinkedAccounts[T, U]) Insert(ctx context.Context, a linked.Account, generation int64) (linked.Account, error) {
	key, ok := l.key(a.UserID)
	if !ok {
		return linked.Account{}, authn.ErrUserNotFound
	}
	values := append([]any{key, a.Provider, a.Issuer, a.Subject, storableEmail(a.Email)}, l.writtenLast(a)...)
	id, err := newKey(l.store.mapping.key.FieldType)
	if err != nil {
		return linked.Account{}, err
	}
	if id != nil {
		values = append(values, id)
	}
	ctx, cancel := bounded(ctx, l.store.timeout)
	defer cancel()
	if err := makePlain(values); err != nil {
		return linked.Account{}, err
	}
	err = newSession(ctx, l.store.db).Transaction(func(tx *gorm.DB) error {
		ctx := WithTx(ctx, tx)
		// A write, so that the generation stays what it is until the account is
		// there, whatever the level of isolation: who raises it, to take away what
		// somebody else has linked, comes before or finds it.
		held, err := l.store.exec(ctx, l.holdUser, key, generation)
		if err != nil {
			return err
		}
		if held == 0 {
			return authn.ErrUserNotFound
		}
		return poolOf(ctx, l.store.db).QueryRowContext(ctx, l.insert, values...).Scan(&a.ID)
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = linked.ErrTaken
	}
	if err != nil {
		return linked.Account{}, l.migrated(err)
	}
	return a, nil
}

// Update writes issuer, address, what is said of it, and tokens: [linked.ErrNotFound].
func (l *LinkedAccounts[T, U]) Update(ctx context.Context, a linked.Account) error {
	user, ok := l.key(a.UserID)
	id, known := l.key(a.ID)
	if !ok || !known {
		return linked.ErrNotFound
	}
	values := append([]any{a.Issuer, storableEmail(a.Email)}, l.writtenLast(a)...)
	return l.one(l.store.exec(ctx, l.update, append(values, user, id)...))
}

// one wants a row to have been written.
func (l *LinkedAccounts[T, U]) one(rows int64, err error) error {
	if err == nil && rows == 0 {
		return linked.ErrNotFound
	}
	return l.migrated(err)
}

// Delete removes an account: [linked.ErrNotFound], [linked.ErrLastWayIn].
func (l *LinkedAccounts[T, U]) Delete(ctx context.Context, userID, id string, others []string) error {
	user, ok := l.key(userID)
	key, known := l.key(id)
	if !ok || !known {
		return linked.ErrNotFound
	}
	if others == nil {
		return l.one(l.store.exec(ctx, l.remove, user, key))
	}
	ctx, cancel := bounded(ctx, l.store.timeout)
	defer cancel()
	return newSession(ctx, l.store.db).Transaction(func(tx *gorm.DB) error {
		ctx := WithTx(ctx, tx)
		if l.lockUser != "" {
			if _, err := l.store.exec(ctx, l.lockUser, user); err != nil {
				return err
			}
		}
		if err := l.one(l.store.exec(ctx, l.remove, user, key)); err != nil {
			return err
		}
		left, err := l.ByUser(ctx, userID)
		if err == nil && !slices.ContainsFunc(left, func(a linked.Account) bool { return slices.Contains(others, a.Provider) }) {
			err = linked.ErrLastWayIn // nothing is removed
		}
		return err
	})
}

// DeleteAll removes all accounts of a user.
func (l *LinkedAccounts[T, U]) DeleteAll(ctx context.Context, userID string) error {
	key, ok := l.key(userID)
	if !ok {
		return nil
	}
	_, err := l.store.exec(ctx, l.removeAll, key)
	return l.migrated(err)
}

// UseOnce notes a use, and removes some that have ended.
func (l *LinkedAccounts[T, U]) UseOnce(ctx context.Context, id [32]byte, until, now time.Time) (bool, error) {
	written, err := l.store.exec(ctx, l.use, id[:], toNanos(until))
	if err != nil {
		return false, l.migrated(err)
	}
	_, err = l.store.exec(ctx, l.sweep, toNanos(now), maxSwept)
	return written > 0, l.migrated(err)
}

func (l *LinkedAccounts[T, U]) key(text string) (any, bool) {
	key, err := parseKey(l.store.mapping.key.FieldType, text)
	return key, err == nil
}

func (l *LinkedAccounts[T, U]) migrated(err error) error {
	if isMissing(err) {
		return fmt.Errorf("%w: %w (has LinkedAccounts.Migrate been run?)", ErrNotMigrated, err)
	}
	return err
}

// Migrate creates the table, or adds to fastapi-users' what is missing: columns
// that may be NULL, and indexes, so that a program that knows nothing of them
// goes on running on it. The users' table must be there ([Store.Migrate]): a
// deleted user's links go with the user.
func (l *LinkedAccounts[T, U]) Migrate(ctx context.Context) error {
	db := l.store.db.Session(&gorm.Session{NewDB: true, Context: ctx})
	err := db.Transaction(func(tx *gorm.DB) error {
		if err := waitForOthers(tx); err != nil {
			return err
		}
		users := &migrator{mapping: l.store.mapping, tx: tx, dialect: tx.Name()}
		key, err := users.columnType(users.key.DBName)
		if err != nil {
			return err
		}
		if err := runOnce(tx, fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %s (
				oauth_name varchar(100) NOT NULL,
				access_token varchar(1024) NOT NULL,
				expires_at integer,
				refresh_token varchar(1024),
				account_id varchar(320) NOT NULL,
				account_email varchar(320) NOT NULL,
				%s,
				user_id %s NOT NULL REFERENCES %s (%s) ON DELETE CASCADE
			)`, users.quote(l.table), strings.Replace(users.keyDefinition(), users.quote(users.key.DBName), "id", 1),
			key, users.quote(users.table), users.quote(users.key.DBName))); err != nil {
			return err
		}
		if err := l.endWithUsers(users); err != nil {
			return err
		}
		mine := &migrator{mapping: &mapping{table: l.table}, tx: tx, dialect: tx.Name()}
		present, err := mine.columns()
		if err != nil {
			return err
		}
		for column, kind := range map[string]string{"issuer": "varchar(255)", "sealed_access_token": "text", "sealed_refresh_token": "text", "email_verification": "integer"} {
			if slices.Contains(present, column) {
				continue
			}
			if err := mine.exec("ALTER TABLE " + mine.quote(l.table) + " ADD COLUMN " + column + " " + kind); err != nil {
				return err
			}
		}
		return runOnce(tx,
			fmt.Sprintf("CREATE UNIQUE INDEX IF NOT EXISTS %s ON %s (oauth_name, issuer, account_id) WHERE issuer IS NOT NULL",
				mine.quote(shorten(mine.indexName("identity"))), mine.quote(l.table)),
			mine.createIndex(l.table, "account_id"), mine.createIndex(l.table, "oauth_name"), mine.createIndex(l.table, "user_id"),
			fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s (id %s PRIMARY KEY, expires_at bigint NOT NULL)", mine.quote(l.usedTable()), blobType(tx)),
			mine.createIndex(l.usedTable(), "expires_at"))
	})
	if err != nil {
		return fmt.Errorf("userdb: migration of table %q: %w", l.table, err)
	}
	return nil
}

// endWithUsers is for SQLite, which holds foreign keys up only on connections
// that are told to: there a deleted user's links would stay, and log in to the
// new user who gets the same integer key.
func (l *LinkedAccounts[T, U]) endWithUsers(users *migrator) error {
	if users.dialect != "sqlite" {
		return nil
	}
	for event, row := range map[string]string{"DELETE": "OLD", "INSERT": "NEW"} {
		if err := users.addTrigger(l.table+"_of_user_"+strings.ToLower(event), fmt.Sprintf("AFTER %s ON %s BEGIN DELETE FROM %s WHERE user_id = %s.%s; END",
			event, users.quote(users.table), users.quote(l.table), row, users.quote(users.key.DBName))); err != nil {
			return err
		}
	}
	return nil
}
