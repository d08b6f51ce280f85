package userdb

import (
	"context"
	"database/sql"
	"reflect"
	"slices"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
)

// maxBatch is how many users are loaded in one query at most. A batch is
// filled up to a power of two, so that few statements are prepared.
const maxBatch = 64

// newBatchLookups builds SELECT … WHERE key = ? UNION ALL SELECT … for 2, 4, …
// maxBatch keys. Postgres plans it once, and runs it in half the time of
// WHERE key IN (…), which it plans anew each time.
func newBatchLookups(db *gorm.DB, m *mapping) []*lookup {
	var lookups []*lookup
	for size := 2; size <= maxBatch; size *= 2 {
		lookups = append(lookups, newLookup(db, m, m.key, keyCondition(db, m), size))
	}
	return lookups
}

// ByIDs loads several users in a query for each 64 ([authn.BatchStore]):
// [authn.ErrNotSupported] where look-ups go through GORM, and on SQLite.
func (s *Store[T, U]) ByIDs(ctx context.Context, ids []string, found func(i int, u U)) error {
	if s.byIDs == nil {
		return authn.ErrNotSupported
	}
	ctx, cancel := bounded(ctx, s.timeout)
	defer cancel()
	wanted := make(map[any][]int, len(ids))
	var keys []any
	for i, id := range ids {
		key, err := parseKey(s.mapping.key.FieldType, id)
		if err != nil {
			continue // no id is nobody's
		}
		if wanted[key] == nil {
			keys = append(keys, key)
		}
		wanted[key] = append(wanted[key], i)
	}
	for part := range slices.Chunk(keys, maxBatch) {
		if err := s.loadBatch(ctx, part, wanted, found); err != nil {
			return migrated(err)
		}
	}
	return nil
}

func (s *Store[T, U]) loadBatch(ctx context.Context, keys []any, wanted map[any][]int, found func(i int, u U)) error {
	size, l := 2, s.byIDs[0]
	for n := 0; size < len(keys); size *= 2 {
		n++
		l = s.byIDs[n]
	}
	values := slices.Clone(keys)
	for len(values) < size {
		values = append(values, keys[0])
	}
	rows, err := l.run(ctx, values...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		u, err := s.scanOne(ctx, l, rows)
		if err != nil {
			return err
		}
		key, _ := s.mapping.key.ValueOf(ctx, reflect.ValueOf(u).Elem())
		seats := wanted[key]
		delete(wanted, key) // the row comes again where it filled the batch up
		for n, i := range seats {
			if n > 0 { // a copy of its own
				if u, err = s.scanOne(ctx, l, rows); err != nil {
					return err
				}
			}
			found(i, u)
		}
	}
	return rows.Err()
}

func (s *Store[T, U]) scanOne(ctx context.Context, l *lookup, rows *sql.Rows) (U, error) {
	u := new(T)
	return u, l.scanRow(ctx, rows, reflect.ValueOf(u).Elem())
}
