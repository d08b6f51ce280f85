package userdb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"gorm.io/gorm/clause"

	"github.com/echo-users/echo-users/authn"
)

// legacyColumn holds the address that a row had when it was allowed to differ
// from others in letter case alone. It excuses that address of the row, and no
// other that the row gets later.
const legacyColumn = "echo_users_legacy_email"

// AllowLegacyDuplicates returns a store over the same table, whose
// [Store.Migrate] begins although addresses differ in letter case alone, which
// fastapi-users let happen. Those rows stay as they are, and each is found by
// the exact spelling of its address alone (the domain's letter case counts
// where nothing else tells two apart). No new row gets an address that another
// one has in any letter case, if every program that makes or changes users has
// this of its store. Merge them, and do without it: where no rows differ so, it
// changes nothing but one query more for a new address.
func (s *Store[T, U]) AllowLegacyDuplicates() *Store[T, U] {
	other := *s
	other.allowDuplicates = true
	return &other
}

// excuseDuplicates has the index that makes one address one account leave out
// the rows that are in its way, as long as they keep their address.
func (m *migrator) excuseDuplicates() error {
	columns, err := m.columns()
	if err != nil {
		return err
	}
	if !slices.Contains(columns, legacyColumn) {
		if err := m.exec("ALTER TABLE " + m.quote(m.table) + " ADD COLUMN " + legacyColumn + " text"); err != nil {
			return err
		}
	}
	table, email := m.quote(m.table), m.quote(m.email.DBName)
	several := fmt.Sprintf("(SELECT lower(%[1]s) FROM %[2]s GROUP BY lower(%[1]s) HAVING count(*) > 1)", email, table)
	for _, statement := range []string{
		"UPDATE %[1]s SET %[2]s = %[3]s WHERE lower(%[3]s) IN %[4]s AND (%[2]s IS NULL OR %[2]s <> %[3]s)",
		"UPDATE %[1]s SET %[2]s = NULL WHERE %[2]s IS NOT NULL AND lower(%[3]s) NOT IN %[4]s",
	} {
		if err := m.exec(fmt.Sprintf(statement, table, legacyColumn, email, several)); err != nil {
			return err
		}
	}
	if err := m.endExcusesOfMoves(); err != nil {
		return err
	}
	keys := "lower(" + email + ")"
	for _, wanted := range []index{
		{Name: m.indexName("_lower_" + m.email.DBName + "_but_legacy"), Unique: true, Keys: keys,
			Where: fmt.Sprintf("%[1]s IS NULL OR %[1]s <> %[2]s", legacyColumn, email)},
		{Name: m.indexName("_lower_" + m.email.DBName + "_lookup"), Keys: keys}, // the other one can't serve it
	} {
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

// endExcusesOfMoves has a row lose its excuse when it gets another address,
// whoever writes that: should it come back, it is a row like any other.
func (m *migrator) endExcusesOfMoves() error {
	table, key, email := m.quote(m.table), m.quote(m.key.DBName), m.quote(m.email.DBName)
	trigger := m.indexName("_end_excuse")
	if m.dialect == "sqlite" {
		return m.addTrigger(trigger, fmt.Sprintf(`AFTER UPDATE OF %[3]s ON %[1]s
			WHEN NEW.%[3]s <> OLD.%[3]s AND NEW.%[4]s IS OLD.%[4]s AND OLD.%[4]s IS NOT NULL BEGIN
			UPDATE %[1]s SET %[4]s = NULL WHERE %[2]s = NEW.%[2]s; END`, table, key, email, legacyColumn))
	}
	for _, statement := range []string{
		"CREATE OR REPLACE FUNCTION echo_users_end_excuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW." + legacyColumn + " := NULL; RETURN NEW; END $$",
		fmt.Sprintf("DROP TRIGGER IF EXISTS %s ON %s", m.quote(trigger), table),
		fmt.Sprintf(`CREATE TRIGGER %[1]s BEFORE UPDATE ON %[2]s FOR EACH ROW
			WHEN (NEW.%[3]s IS DISTINCT FROM OLD.%[3]s AND NEW.%[4]s IS NOT DISTINCT FROM OLD.%[4]s)
			EXECUTE FUNCTION echo_users_end_excuse()`, m.quote(trigger), table, email, legacyColumn),
	} {
		if err := m.exec(statement); err != nil {
			return err
		}
	}
	return nil
}

// maxSpellings is how many rows of one address are looked at.
const maxSpellings = 100

// byExactEmail is ByEmail where one address may be several users'. Who is meant
// doesn't depend on whom db's conditions and a soft delete hide.
func (s *Store[T, U]) byExactEmail(ctx context.Context, email string) (U, error) {
	u, err := s.spelt(ctx, email)
	if err != nil || s.byEmail != nil { // which hides nobody
		return u, err
	}
	return s.ByID(ctx, u.AuthID())
}

// spelt returns whose address is spelt so, of all rows that there are.
func (s *Store[T, U]) spelt(ctx context.Context, email string) (U, error) {
	var found []*T
	err := newSession(ctx, s.db).Table(s.mapping.table).Unscoped().Where(s.isEmail(email)).Limit(maxSpellings).Find(&found).Error
	if err != nil {
		return nil, migrated(err)
	}
	if len(found) == 1 {
		return found[0], nil
	}
	for _, matches := range []func(stored string) bool{
		func(stored string) bool { return stored == email },
		func(stored string) bool { return equalButDomain(stored, email) },
	} {
		matching := slices.DeleteFunc(slices.Clone(found), func(u *T) bool { return !matches(U(u).AuthAccount().Email) })
		if len(matching) == 1 {
			return matching[0], nil
		}
	}
	return nil, authn.ErrUserNotFound
}

// equalButDomain reports whether addresses differ in their domain's letter case
// at most.
func equalButDomain(a, b string) bool {
	at := strings.LastIndexByte(a, '@') + 1
	return at > 0 && len(b) >= at && a[:at] == b[:at] && strings.EqualFold(a[at:], b[at:])
}

// refuseDuplicate is [authn.ErrUserExists] where another row has the address,
// and the index may excuse it.
func (s *Store[T, U]) refuseDuplicate(ctx context.Context, email string, owner any) error {
	if !s.allowDuplicates {
		return nil
	}
	taken, err := s.isTaken(ctx, email, owner)
	if err == nil && taken {
		err = authn.ErrUserExists
	}
	return err
}

// DuplicateEmailError names rows whose addresses differ in letter case alone.
// One e-mail is one account: change or merge them, and migrate again; or begin
// with [Store.AllowLegacyDuplicates].
type DuplicateEmailError struct {
	// Rows are the first of them, at most 20.
	Rows []DuplicateEmail
}

// DuplicateEmail is one such row.
type DuplicateEmail struct {
	ID, Email string
}

// Error names the rows.
func (e *DuplicateEmailError) Error() string {
	var rows []string
	for _, row := range e.Rows {
		rows = append(rows, fmt.Sprintf("%s (%s)", quoted(row.ID), quoted(row.Email)))
	}
	return "users have the same e-mail address but for letter case: " + strings.Join(rows, ", ")
}

// quoted is text as it is, unless a terminal would take some of it for a command.
func quoted(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

func (m *migrator) checkDuplicates() error {
	email := clause.Column{Name: m.email.DBName}
	table := clause.Table{Name: m.table}
	rows, err := m.tx.Raw(`SELECT CAST(? AS varchar(255)), ? FROM ? WHERE lower(?) IN
		(SELECT lower(?) FROM ? GROUP BY lower(?) HAVING count(*) > 1)
		ORDER BY lower(?), ? LIMIT 20`,
		clause.Column{Name: m.key.DBName}, email, table, email, email, table, email, email, email).Rows()
	if err != nil {
		return err
	}
	defer rows.Close()
	var found []DuplicateEmail
	for rows.Next() {
		var row DuplicateEmail
		if err := rows.Scan(&row.ID, &row.Email); err != nil {
			return err
		}
		found = append(found, row)
	}
	if len(found) > 0 {
		err = &DuplicateEmailError{Rows: found}
	}
	return errors.Join(rows.Err(), err)
}
