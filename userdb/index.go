package userdb

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"gorm.io/gorm/schema"
)

// index is one that a table has, or should have.
type index struct {
	Name   string
	Unique bool
	Keys   string // as in SQL, between the parentheses
	Where  string // the rows that it is of; empty for all

	byName bool // the catalogue spells the keys in a way of its own
}

// serves reports whether i does what wanted is for. The name alone doesn't say
// so, nor does another one say the contrary: what is in the way of duplicates
// is the keys.
func (i index) serves(wanted index) bool {
	return (i.Unique || !wanted.Unique) && i.Where == bare(wanted.Where) &&
		(plain(i.Keys) == plain(wanted.Keys) || wanted.byName && i.Name == shorten(wanted.Name) && i.computes() == wanted.computes())
}

// computes reports whether the keys are more than columns.
func (i index) computes() bool { return strings.Contains(i.Keys, "(") }

// plain brings SQL to one spelling: Postgres has lower(email::text) where
// lower("email") was written.
func plain(sql string) string {
	return spelling.Replace(strings.ToLower(sql))
}

var spelling = strings.NewReplacer(" ", "", "\n", "", "\t", "", "\r", "", `"`, "", "`", "", "[", "", "]", "", "::text", "")

// bare is plain without parentheses, which each database sets as it likes.
func bare(sql string) string { return strings.NewReplacer("(", "", ")", "").Replace(plain(sql)) }

// indexes returns the table's own.
func (m *migrator) indexes() ([]index, error) {
	query, table := `SELECT list.name, list."unique",
		coalesce(master.sql, (SELECT group_concat(name) FROM pragma_index_info(list.name))) AS keys
		FROM pragma_index_list(?) AS list LEFT JOIN sqlite_master AS master ON master.type = 'index' AND master.name = list.name`, m.table
	if m.dialect == "postgres" {
		query, table = `SELECT relname AS name, indisunique AS "unique",
			(SELECT string_agg(pg_get_indexdef(indexrelid, n, true), ',' ORDER BY n) FROM generate_series(1, indnkeyatts) AS n) AS keys,
			coalesce(pg_get_expr(indpred, indrelid), '') AS "where"
			FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
			WHERE indrelid = to_regclass(?) AND indisvalid`, m.quote(m.table)
	}
	var found []index
	if err := m.tx.Raw(query, table).Scan(&found).Error; err != nil {
		return nil, err
	}
	for i := range found { // SQLite has the statement
		for _, kind := range []string{"CREATE INDEX ", "CREATE UNIQUE INDEX "} {
			if keys, ok := strings.CutPrefix(plain(found[i].Keys), plain(kind+found[i].Name+" ON "+m.table+"(")); ok {
				found[i].Keys, found[i].Where, _ = strings.Cut(keys, ")where")
				if found[i].Where == "" {
					found[i].Keys = strings.TrimSuffix(keys, ")")
				}
			}
		}
	}
	for i := range found {
		found[i].Where = bare(found[i].Where)
	}
	return found, nil
}

func (m *migrator) hasIndex(wanted index) (bool, error) {
	found, err := m.indexes()
	return slices.ContainsFunc(found, func(i index) bool { return i.serves(wanted) }), err
}

// addIndex makes an index, and looks whether it is one. It doesn't say IF NOT
// EXISTS, which would be content with any other of that name.
func (m *migrator) addIndex(wanted index) error {
	kind, name := "INDEX", shorten(wanted.Name)
	if wanted.Unique {
		kind = "UNIQUE INDEX"
	}
	create := fmt.Sprintf("CREATE %s %s ON %s (%s)", kind, m.quote(name), m.quote(m.table), wanted.Keys)
	if wanted.Where != "" {
		create += " WHERE " + wanted.Where
	}
	if taken, err := m.isTaken(name); err != nil {
		return err
	} else if taken {
		return fmt.Errorf("the name %s is taken, and not by what is needed: drop or rename that, or create the index yourself under another name (%s), and migrate again", name, create)
	}
	if err := m.exec(create); err != nil {
		return fmt.Errorf("index %s: %w", name, err)
	}
	found, err := m.hasIndex(wanted)
	if err == nil && !found {
		err = fmt.Errorf("the database has no index on (%s), though %q succeeded", wanted.Keys, create)
	}
	return err
}

// isTaken reports whether something where the table is has this name.
func (m *migrator) isTaken(name string) (bool, error) {
	query, values := "SELECT count(*) FROM sqlite_master WHERE name = ? COLLATE NOCASE", []any{name}
	if m.dialect == "postgres" {
		query = `SELECT count(*) FROM pg_class WHERE relname = ?
			AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(?))`
		values = append(values, m.quote(m.table))
	}
	var n int
	err := m.tx.Raw(query, values...).Scan(&n).Error
	return n > 0, err
}

// ownIndexes returns those that the tags of the application's fields ask for.
func (m *migrator) ownIndexes(own []*schema.Field) ([]index, error) {
	var wanted []index
	for _, field := range own {
		if field.Unique {
			wanted = append(wanted, index{Name: m.indexName(field.DBName), Unique: true, Keys: m.quote(field.DBName)})
		}
	}
	for _, parsed := range m.schema.ParseIndexes() {
		if parsed.Where != "" {
			return nil, fmt.Errorf("the index %s is partial: create it yourself", parsed.Name)
		}
		i := index{Name: parsed.Name, Unique: parsed.Class == "UNIQUE"}
		var keys []string
		for _, option := range parsed.Fields {
			key := m.quote(option.DBName)
			if option.Expression != "" {
				key = option.Expression
			}
			keys = append(keys, strings.TrimSpace(key+" "+option.Sort))
			i.byName = i.byName || option.Expression != "" || option.Sort != ""
		}
		i.Keys = strings.Join(keys, ", ")
		wanted = append(wanted, i)
	}
	return wanted, nil
}

// maxName is how many bytes of a name Postgres keeps; it cuts off the rest.
const maxName = 63

// shorten returns a name that Postgres won't cut, and that is no other's.
func shorten(name string) string {
	if len(name) <= maxName {
		return name
	}
	sum := fnv.New32a()
	sum.Write([]byte(name))
	return strings.ToValidUTF8(name[:maxName-9], "") + fmt.Sprintf("_%08x", sum.Sum32())
}
