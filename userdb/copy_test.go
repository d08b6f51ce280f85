package userdb_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/userdb"
)

// squad has fields of each kind of memory, and is looked up through GORM.
type squad struct {
	userdb.User
	X, Y    int
	Motto   *string
	Founded *time.Time
	Badge   []byte
	Shield  shield         `gorm:"serializer:json"`
	Crest   *shield        `gorm:"serializer:json"`
	Notes   map[string]any `gorm:"serializer:json"`
	Past    [1]*shield     `gorm:"serializer:json"`
}

func (squad) TableName() string { return "squads" }

// AfterFind runs what a test has put between two SELECTs.
func (s *squad) AfterFind(tx *gorm.DB) error {
	if f, ok := tx.Get("test:found"); ok {
		f.(func())()
	}
	return nil
}

func TestAnUpdateThroughGORMWritesBackNothingThatItDidNotChange(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		u := create(t, newStore[squad](t, db), func(s *squad) error { s.Account = account("a@example.com"); return nil })
		loads := 0
		store, err := userdb.New[squad](db.Set("test:found", func() {
			if loads++; loads == 1 { // right after the first SELECT
				mustExec(t, db, `UPDATE squads SET x = 2`)
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.Update(t.Context(), u.AuthID(), func(s *squad) error {
			mustExec(t, db, `UPDATE squads SET x = 3`)
			s.Y = 1
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		var x, y int
		if err := db.Raw(`SELECT x, y FROM squads`).Row().Scan(&x, &y); err != nil || x != 3 || y != 1 || loads != 1 {
			t.Errorf("x %d, y %d after %d loads: %v", x, y, loads, err)
		}
	})
}

func TestAnUpdateThroughGORMSeesWhatWasChangedInPlace(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		store := newStore[squad](t, db)
		motto, founded := "old", time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
		first := func() shield {
			return shield{Color: "red", Emblems: []string{"cup"}, Quarters: map[string]string{"a": "b"}}
		}
		old := first()
		u := create(t, store, func(s *squad) error {
			s.Account, s.Motto, s.Founded, s.Badge, s.Shield = account("a@example.com"), &motto, &founded, []byte("old"), first()
			s.Crest, s.Past, s.Notes = &old, [1]*shield{{Color: "red"}}, map[string]any{"list": []any{"old"}}
			return nil
		})
		changes := map[string]func(*squad){
			"pointer":              func(s *squad) { *s.Motto = "new" },
			"time":                 func(s *squad) { *s.Founded = s.Founded.AddDate(1, 0, 0) },
			"bytes":                func(s *squad) { s.Badge[0] = 'x' },
			"slice in a struct":    func(s *squad) { s.Shield.Emblems[0] = "dove" },
			"map in a struct":      func(s *squad) { s.Shield.Quarters["a"] = "c" },
			"struct by a pointer":  func(s *squad) { s.Crest.Emblems[0] = "dove" },
			"pointer in an array":  func(s *squad) { s.Past[0].Color = "blue" },
			"slice in a map's any": func(s *squad) { s.Notes["list"].([]any)[0] = "new" },
		}
		for name, change := range changes {
			before := columnsOf(t, db)
			if _, err := store.Update(t.Context(), u.AuthID(), func(s *squad) error { change(s); return nil }); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if maps.Equal(before, columnsOf(t, db)) {
				t.Errorf("%s: the change was not written", name)
			}
		}
		stored, err := store.ByID(t.Context(), u.AuthID())
		if err != nil || *stored.Motto != "new" || !slices.Equal(stored.Shield.Emblems, []string{"dove"}) || stored.X != 0 {
			t.Errorf("%v, %+v", err, stored)
		}
	})
}

// columnsOf returns the row of squads as text.
func columnsOf(t *testing.T, db *gorm.DB) map[string]string {
	t.Helper()
	columns := map[string]string{}
	for _, name := range []string{"motto", "founded", "badge", "shield", "crest", "past", "notes"} {
		var text string
		if err := db.Raw(`SELECT CAST(` + name + ` AS text) FROM squads`).Scan(&text).Error; err != nil {
			t.Fatal(err)
		}
		columns[name] = text
	}
	return columns
}
