package userdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"
)

// migrations are the versions of the user table, in order. Each adds what is
// missing, and nothing where nothing is, so that all of them run every time:
// that a version was noted once doesn't say that nobody took away since what it
// added.
var migrations = []func(*migrator) error{
	1: (*migrator).createTable,
	2: (*migrator).addGeneration,
	3: (*migrator).addEmailIndex,
	4: (*migrator).retireKeys,
}

const (
	versionTable = "echo_users_migration"
	// migrationLock keeps two processes from migrating at once on Postgres;
	// the number is arbitrary and ours.
	migrationLock = 0x6563686f75736572
)

// Migrate brings the user table up to date: it creates it, or adds to an
// existing one (as fastapi-users made it) what is missing, in one
// transaction. It only ever adds, with defaults, so that a program that knows
// nothing of it goes on running on the same table: columns, indexes, and a
// table of its own that notes the versions. A column that is missing for a
// field of the application's own is added too, and so are its indexes;
// nothing is changed or dropped, and GORM's AutoMigrate is never asked, which
// would rebuild an existing table.
//
// It looks at what is there, not at what it once noted, and fails unless one
// address is one account afterwards: another tool may drop an index that it
// doesn't know, or make the table anew. Run it at every start.
//
// Where addresses differ in letter case alone it stops with a
// [*DuplicateEmailError], unless [Store.AllowLegacyDuplicates] says otherwise.
func (s *Store[T, U]) Migrate(ctx context.Context) error {
	dialect := s.db.Name()
	if dialect != "sqlite" && dialect != "postgres" {
		return fmt.Errorf("userdb: no migrations for %s: create the columns and a unique index on lower(%s) yourself",
			dialect, s.mapping.email.DBName)
	}
	options := &sql.TxOptions{}
	if dialect == "postgres" { // who waited for the lock must see what the one before has made
		options.Isolation = sql.LevelReadCommitted
	}
	db := s.db.Session(&gorm.Session{NewDB: true, Context: ctx})
	err := db.Transaction(func(tx *gorm.DB) error {
		m := &migrator{mapping: s.mapping, tx: tx, dialect: dialect, allowDuplicates: s.allowDuplicates}
		return m.run()
	}, options)
	if err != nil {
		return fmt.Errorf("userdb: migration of table %q: %w", s.mapping.table, err)
	}
	return nil
}

// migrator runs in one transaction.
type migrator struct {
	*mapping
	tx              *gorm.DB
	dialect         string
	allowDuplicates bool // see Store.AllowLegacyDuplicates
}

func (m *migrator) run() error {
	if err := m.lock(); err != nil {
		return err
	}
	if err := m.checkVersion(); err != nil {
		return err
	}
	for version := 1; version < len(migrations); version++ {
		if err := migrations[version](m); err != nil {
			return err
		}
		if err := m.exec("INSERT INTO "+versionTable+" (table_name, version) VALUES (?, ?) ON CONFLICT DO NOTHING", m.table, version); err != nil {
			return err
		}
	}
	return m.addOwn()
}

// waitForOthers makes the transaction the only one that migrates on Postgres.
func waitForOthers(tx *gorm.DB) error {
	if tx.Name() != "postgres" {
		return nil
	}
	return tx.Exec("SELECT pg_advisory_xact_lock(?)", int64(migrationLock)).Error
}

// runOnce runs statements that do nothing where they were run before.
func runOnce(tx *gorm.DB, statements ...string) error {
	if err := waitForOthers(tx); err != nil {
		return err
	}
	for _, statement := range statements {
		if err := tx.Exec(statement).Error; err != nil {
			return err
		}
	}
	return nil
}

// lock makes the transaction the only one that migrates.
func (m *migrator) lock() error {
	if err := waitForOthers(m.tx); err != nil {
		return err
	}
	if err := m.exec("CREATE TABLE IF NOT EXISTS " + versionTable + ` (
		table_name varchar(255) NOT NULL,
		version integer NOT NULL,
		applied_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
		PRIMARY KEY (table_name, version)
	)`); err != nil {
		return err
	}
	// On SQLite the first write takes the lock.
	return m.exec("INSERT INTO "+versionTable+" (table_name, version) VALUES (?, 0) ON CONFLICT DO NOTHING", m.table)
}

// checkVersion refuses a table that a newer library has migrated.
func (m *migrator) checkVersion() error {
	var version int
	err := m.tx.Raw("SELECT max(version) FROM "+versionTable+" WHERE table_name = ?", m.table).Row().Scan(&version)
	if err == nil && version >= len(migrations) {
		return fmt.Errorf("its version %d is newer than this library's %d", version, len(migrations)-1)
	}
	return err
}

// columns returns the names of the table's columns; none if there is no
// table. It doesn't SELECT *, whose prepared statement a new column breaks.
func (m *migrator) columns() ([]string, error) {
	query, table := "SELECT name FROM pragma_table_info(?)", m.table
	if m.dialect == "postgres" {
		query = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped"
		table = m.quote(m.table)
	}
	var names []string
	err := m.tx.Raw(query, table).Scan(&names).Error
	return names, err
}

// columnType returns the type of a column, as it is declared.
func (m *migrator) columnType(column string) (string, error) {
	query, table := "SELECT type FROM pragma_table_info(?) WHERE name = ?", m.table
	if m.dialect == "postgres" {
		query = `SELECT format_type(atttypid, atttypmod) FROM pg_attribute
			WHERE attrelid = to_regclass(?) AND attname = ? AND NOT attisdropped`
		table = m.quote(m.table)
	}
	var types []string
	if err := m.tx.Raw(query, table, column).Scan(&types).Error; err != nil {
		return "", err
	}
	if len(types) == 0 {
		return "", fmt.Errorf("there is no column %s in table %q: run Store.Migrate first", column, m.table)
	}
	return types[0], nil
}

func (m *migrator) createTable() error {
	columns, err := m.columns()
	if err != nil {
		return err
	}
	if len(columns) > 0 {
		for _, field := range append(m.account()[:5], m.key) {
			if !slices.Contains(columns, field.DBName) {
				return fmt.Errorf("the table exists and has no column %q", field.DBName)
			}
		}
		return nil
	}
	definitions := []string{m.keyDefinition()}
	for _, field := range m.schema.Fields {
		if field.DBName != "" && field != m.key && !field.IgnoreMigration {
			definitions = append(definitions, m.definition(field))
		}
	}
	return m.exec("CREATE TABLE " + m.quote(m.table) + " (" + strings.Join(definitions, ", ") + ")")
}

func (m *migrator) keyDefinition() string {
	name := m.quote(m.key.DBName)
	switch {
	case m.key.FieldType == uuidKey && m.dialect == "postgres":
		return name + " uuid PRIMARY KEY"
	case m.key.FieldType == uuidKey:
		return name + " char(36) NOT NULL PRIMARY KEY"
	case m.key.DataType == schema.String:
		return name + " varchar(255) NOT NULL PRIMARY KEY"
	case m.dialect == "postgres":
		return name + " bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"
	}
	// AUTOINCREMENT, so that no new user gets a deleted one's id, and with it
	// that one's tokens.
	return name + " integer PRIMARY KEY AUTOINCREMENT"
}

func (m *migrator) definition(field *schema.Field) string {
	name := m.quote(field.DBName)
	switch field {
	case m.email:
		return name + " varchar(320) NOT NULL"
	case m.hash:
		return name + " varchar(1024) NOT NULL"
	case m.active, m.superuser, m.verified:
		return name + " boolean NOT NULL"
	case m.generation:
		return name + " bigint NOT NULL DEFAULT 0"
	}
	definition := name + " " + m.tx.Migrator().FullDataTypeOf(field).SQL
	for _, check := range m.schema.ParseCheckConstraints() {
		if check.Field == field {
			definition += fmt.Sprintf(" CONSTRAINT %s CHECK (%s)", m.quote(shorten(check.Name)), check.Constraint)
		}
	}
	return definition
}

func (m *migrator) addGeneration() error {
	return m.addColumns([]*schema.Field{m.generation})
}

// addEmailIndex makes one address one account, in any letter case, and the
// look-up by it fast.
func (m *migrator) addEmailIndex() error {
	wanted := index{
		Name:   m.indexName("_lower_" + m.email.DBName),
		Unique: true,
		Keys:   "lower(" + m.quote(m.email.DBName) + ")",
	}
	if found, err := m.hasIndex(wanted); err != nil || found {
		return err
	}
	err := m.checkDuplicates()
	var duplicates *DuplicateEmailError
	if m.allowDuplicates && errors.As(err, &duplicates) {
		return m.excuseDuplicates()
	}
	if err != nil {
		return err
	}
	return m.addIndex(wanted)
}

// retireKeys is for SQLite tables of integer keys that others created without
// AUTOINCREMENT: there a new user can get the key of the newest one who was
// deleted, and would be taken for the owner of that one's tokens. Such a user
// begins with a generation above all of them.
func (m *migrator) retireKeys() error {
	if m.dialect != "sqlite" || !hasIntegerKey(m.mapping) {
		return nil
	}
	var definition string
	if err := m.tx.Raw("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", m.table).Scan(&definition).Error; err != nil {
		return err
	}
	if strings.Contains(strings.ToUpper(definition), "AUTOINCREMENT") {
		return nil
	}
	table, key, generation := m.quote(m.table), m.quote(m.key.DBName), m.quote(m.generation.DBName)
	retired := m.quote(m.table + "_retired_key")
	if err := m.exec(fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s (retired_key integer PRIMARY KEY, generation bigint NOT NULL)", retired)); err != nil {
		return err
	}
	if err := m.addTrigger(m.table+"_retire_key", fmt.Sprintf(`AFTER DELETE ON %s BEGIN
		INSERT OR REPLACE INTO %s VALUES (OLD.%s, OLD.%s); END`, table, retired, key, generation)); err != nil {
		return err
	}
	return m.addTrigger(m.table+"_reuse_key", fmt.Sprintf(`AFTER INSERT ON %[1]s
		WHEN EXISTS (SELECT 1 FROM %[2]s WHERE retired_key = NEW.%[3]s) BEGIN
		UPDATE %[1]s SET %[4]s = (SELECT generation + 1 FROM %[2]s WHERE retired_key = NEW.%[3]s) WHERE %[3]s = NEW.%[3]s; END`,
		table, retired, key, generation))
}

// addTrigger makes a trigger, unless the table has it.
func (m *migrator) addTrigger(name, definition string) error {
	var tables []string
	if err := m.tx.Raw("SELECT tbl_name FROM sqlite_master WHERE type = 'trigger' AND name = ?", name).Scan(&tables).Error; err != nil {
		return err
	}
	switch {
	case len(tables) == 0:
		return m.exec("CREATE TRIGGER " + m.quote(name) + " " + definition)
	case !strings.EqualFold(tables[0], m.table):
		return fmt.Errorf("the trigger %s is on table %q: drop it, and migrate again", name, tables[0])
	}
	return nil
}

// addOwn adds what the application's own fields need. It is not versioned:
// the application's type says what should be there.
func (m *migrator) addOwn() error {
	var own []*schema.Field
	for _, field := range m.schema.Fields {
		if field.DBName != "" && field != m.key && !slices.Contains(m.account(), field) && !field.IgnoreMigration {
			own = append(own, field)
		}
	}
	if err := m.addColumns(own); err != nil {
		return err
	}
	indexes, err := m.ownIndexes(own)
	if err != nil {
		return err
	}
	for _, wanted := range indexes {
		found, err := m.hasIndex(wanted)
		if err == nil && !found {
			err = m.addIndex(wanted)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *migrator) addColumns(fields []*schema.Field) error {
	present, err := m.columns()
	if err != nil {
		return err
	}
	for _, field := range fields {
		if slices.Contains(present, field.DBName) {
			continue
		}
		if err := m.exec("ALTER TABLE " + m.quote(m.table) + " ADD COLUMN " + m.definition(field)); err != nil {
			return fmt.Errorf("column %s (a new column of a table with rows must allow NULL or have a default): %w", field.DBName, err)
		}
	}
	return nil
}

func (m *migrator) exec(sql string, values ...any) error {
	return m.tx.Exec(sql, values...).Error
}

func (m *migrator) quote(name string) string { return m.tx.Statement.Quote(name) }

// indexName is ux_<table>_<what>, the table without its SQL schema.
func (m *migrator) indexName(what string) string {
	return "ux_" + m.table[strings.LastIndexByte(m.table, '.')+1:] + "_" + what
}
