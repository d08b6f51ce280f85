package routes_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/userdb"
)

// Embedded structs of each kind.
type (
	internalPart struct {
		Role string `json:"role,omitempty"`
	}
	NamedPart struct {
		Plan string `json:"plan,omitempty"`
	}
	openPart struct {
		City   string `json:"city,omitempty"`
		Shadow string `json:"shadow,omitempty"`
	}
	setting struct {
		Admin bool `json:"admin,omitempty"`
	}
	nestedSchema struct {
		internalPart `json:"-"`
		NamedPart    `json:"part,omitempty"`
		openPart
		Shadow string             `json:"shadow,omitempty"`
		Prefs  map[string]setting `json:"prefs,omitempty"`
		Pair   [2]setting         `json:"pair,omitempty"`
		Words  []string           `json:"words,omitempty"`
		At     *time.Time         `json:"at"`
	}
)

// registration returns a function that registers somebody with own members, by
// the schema of apply.
func registration[S any](t *testing.T, apply func(in S, u *userdb.User) error) func(own string) reply {
	t.Helper()
	s := serveSite(t, testdb.SQLite(t), authn.Config{}, routes.Config[*userdb.User]{
		Limits:   routes.Limits{Skip: true},
		Register: routes.Input(apply),
	}, authntest.Impersonator{})
	n := 0
	return func(own string) reply {
		n++
		return s.json(http.MethodPost, "/auth/register", fmt.Sprintf(`{"email":"ann%d@example.com","password":"secret",%s}`, n, own), "")
	}
}

func TestSchemasTakeExactNamesAlone(t *testing.T) {
	var got nestedSchema
	register := registration(t, func(in nestedSchema, _ *userdb.User) error { got = in; return nil })
	for own, fault := range map[string]string{
		`"prefs":{"x":{"admin":true,"admin":false}}`: `["body","prefs","x"]`,
		`"prefs":{"x":1}`:         `["body","prefs","x"]`,
		`"prefs":{"x":{},"x":{}}`: `["body","prefs"]`,
		`"prefs":[]`:              `["body","prefs"]`,
		`"pair":[{}]`:             `["body","pair"]`,
		`"pair":[{},{"admin":1}]`: `["body","pair",1,"admin"]`,
		`"at":"hunter2-secret"`:   `["body","at"]`,
		`"prefs":{"a\u0000":{}}`:  `["body","prefs",`,
		`"words":["a\u0000"]`:     `["body","words",0]`,
	} {
		answer := register(own)
		if answer.status != http.StatusUnprocessableEntity || !strings.Contains(answer.body, fault) {
			t.Errorf("%s: %d %s", own, answer.status, answer.body)
		}
		if strings.Contains(answer.body, "hunter2") {
			t.Errorf("the answer repeats what was sent: %s", answer.body)
		}
	}
	if answer := register(`"words":[` + strings.Repeat("0,", 20_000) + `0]`); answer.status != http.StatusUnprocessableEntity || len(answer.body) > 20_000 {
		t.Errorf("%d, %d bytes", answer.status, len(answer.body))
	}
	if answer := register(`"role":"admin","plan":"gold","part":{"plan":"free"},"city":"Bern","shadow":"outer","prefs":{"x":{"ADMIN":true}},"pair":[{},{"admin":true}],"words":["a"]`); answer.status != http.StatusCreated {
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	want := nestedSchema{
		NamedPart: NamedPart{Plan: "free"}, openPart: openPart{City: "Bern"}, Shadow: "outer",
		Prefs: map[string]setting{"x": {}}, Pair: [2]setting{1: {Admin: true}}, Words: []string{"a"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// ownObject decodes itself, and keeps the last of two members of a name.
type ownObject map[string]any

func (o *ownObject) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, (*map[string]any)(o))
}

func TestNamesAreOnceWhoeverDecodesThem(t *testing.T) {
	type schema struct {
		Any any             `json:"any,omitempty"`
		Raw json.RawMessage `json:"raw,omitempty"`
		Own ownObject       `json:"own,omitempty"`
	}
	register := registration(t, func(schema, *userdb.User) error { return nil })
	for _, name := range []string{"any", "raw", "own", "undeclared"} {
		for value, at := range map[string]string{
			`{"a":1,"a":2}`:                            ``,
			`{"a":1,"\u0061":2}`:                       ``,
			`{"b":[{"a":1e400,"c":{}},{"a":1,"a":2}]}`: `,"b",1`,
			`{"b":{"c":{"a":{},"a":{}}}}`:              `,"b","c"`,
		} {
			answer := register(`"` + name + `":` + value)
			fault := `{"detail":[{"loc":["body","` + name + `"` + at + `],"msg":"the object has a name twice","type":"value_error.jsondecode"}]}`
			if answer.status != http.StatusUnprocessableEntity || answer.body != fault {
				t.Errorf("%s, %s: %d %s", name, value, answer.status, answer.body)
			}
		}
		if answer := register(`"` + name + `":{"a":{"a":1},"b":[{"a":2},{"a":"b"}],"A":"a"}`); answer.status != http.StatusCreated {
			t.Errorf("%s: %d %s", name, answer.status, answer.body)
		}
	}
}

type tree []tree

func TestDepthIsBounded(t *testing.T) {
	type schema struct {
		Any  any  `json:"any,omitempty"`
		Tree tree `json:"tree,omitempty"`
	}
	register := registration(t, func(schema, *userdb.User) error { return nil })
	for _, name := range []string{"any", "tree", "undeclared"} {
		for depth, status := range map[int]int{64: http.StatusCreated, 65: http.StatusUnprocessableEntity, 9000: http.StatusUnprocessableEntity} {
			answer := register(`"` + name + `":` + strings.Repeat("[", depth) + strings.Repeat("]", depth))
			if answer.status != status {
				t.Errorf("%s, %d deep: %d %.200s", name, depth, answer.status, answer.body)
			}
			fault := `{"detail":[{"loc":["body","` + name + `"],"msg":"value is nested too deeply","type":"value_error"}]}`
			if status == http.StatusUnprocessableEntity && answer.body != fault {
				t.Errorf("%s, %d deep: %.200s", name, depth, answer.body)
			}
		}
	}
}

// refusing is a type whose decoder returns the error of a text.
type refusing struct{}

func (r *refusing) UnmarshalText(text []byte) error { return refusals[string(text)] }

var refusals = map[string]error{
	"plain":   errors.New("parsing: hunter2"),
	"nothing": routes.Faults(nil),
	"faults":  fmt.Errorf("hunter2: %w", routes.Faults{{Msg: "no"}, {Loc: []any{"body", "unit"}, Msg: "not in", Type: "value_error.unit"}}),
}

func TestErrorsOfOwnDecodersAreNotShown(t *testing.T) {
	type schema struct {
		At   time.Time    `json:"at,omitempty"`
		Size [1]*refusing `json:"size,omitempty"`
	}
	register := registration(t, func(schema, *userdb.User) error { return nil })
	fault := func(loc, msg, kind string) string {
		return fmt.Sprintf(`{"loc":["body",%s],"msg":%q,"type":%q}`, loc, msg, kind)
	}
	for own, want := range map[string]string{
		`"at":"hunter2\"-secret"`: fault(`"at"`, "value is not valid", "value_error"),
		`"at":["hunter2"]`:        fault(`"at"`, "value is not valid", "value_error"),
		`"size":[7]`:              fault(`"size",0`, "value is not valid", "value_error"),
		`"size":["plain"]`:        fault(`"size",0`, "value is not valid", "value_error"),
		`"size":["nothing"]`:      fault(`"size",0`, "value is not valid", "value_error"),
		`"size":["faults"]`:       fault(`"size",0`, "no", "value_error") + "," + fault(`"size",0,"unit"`, "not in", "value_error.unit"),
	} {
		if answer := register(own); answer.status != http.StatusUnprocessableEntity || answer.body != `{"detail":[`+want+`]}` {
			t.Errorf("%s: %d %s, want %s", own, answer.status, answer.body, want)
		}
	}
}

// bulky has as many faults as it says, told by Validate or by apply.
type bulky struct {
	Validated int            `json:"validated,omitempty"`
	Applied   int            `json:"applied,omitempty"`
	Prefs     map[string]int `json:"prefs,omitempty"`
}

func (in bulky) Validate() routes.Faults { return faults(in.Validated) }

func faults(n int) routes.Faults {
	var faults routes.Faults
	for range n {
		faults.Add(strings.Repeat("ä", 65), "is wrong")
	}
	return faults
}

func TestAnswersAreShort(t *testing.T) {
	register := registration(t, func(in bulky, _ *userdb.User) error {
		if in.Applied > 0 {
			return fmt.Errorf("wrapped: %w", faults(in.Applied))
		}
		return nil
	})
	name := strings.Repeat("ä", 64)
	for own, want := range map[string]struct {
		n   int
		loc string
	}{
		`"validated":99`:               {99, `["body","` + name + `…"]`},
		`"validated":101`:              {100, `["body","` + name + `…"]`},
		`"applied":101`:                {100, `["body","` + name + `…"]`},
		`"prefs":{"` + name + `":"x"}`: {1, `["body","prefs","` + name + `"]`},
		`"prefs":{"` + name + strings.Repeat("ö", 10_000) + `":"x"}`:                {1, `["body","prefs","` + name + `…"]`},
		`"prefs":{"` + name + strings.Repeat("ö", 10_000) + `":{"a":1,"\u0061":2}}`: {1, `["body","prefs","` + name + `…"]`},
	} {
		answer := register(own)
		if n := strings.Count(answer.body, `{"loc":`+want.loc+`,`); answer.status != http.StatusUnprocessableEntity || n != want.n || strings.Count(answer.body, `"loc"`) != n {
			t.Errorf("%.40s: %d faults at %s, want %d: %d %.300s", own, n, want.loc, want.n, answer.status, answer.body)
		}
	}
	if answer := register(`"prefs":{}`); answer.status != http.StatusCreated {
		t.Errorf("%d %s", answer.status, answer.body)
	}
}

type (
	omittingPart struct {
		Plan string `json:"-"`
	}
	deepPart struct {
		NamedPart
		City string `json:"city,omitempty"`
	}
	omitting struct {
		internalPart
		omittingPart
		deepPart
		Role string `json:"-"`
	}
)

func TestOmittedFieldsHideDeeperOnes(t *testing.T) {
	var got omitting
	register := registration(t, func(in omitting, _ *userdb.User) error { got = in; return nil })
	if answer := register(`"role":"admin","plan":"gold","city":"Bern"`); answer.status != http.StatusCreated {
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	if want := (omitting{deepPart: deepPart{City: "Bern"}}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

type (
	pointed   struct{ *openPart }
	again     struct{ City string }
	ambiguous struct {
		City  string
		Other string `json:"City"`
	}
	keyed  struct{ Map map[int]string }
	sneaky struct {
		Inner struct{ *setting }
	}
	privileged struct {
		Embedded struct{} `json:"Is_Superuser"`
	}
)

func TestSchemasThatCantBeDecoded(t *testing.T) {
	store, err := userdb.New[userdb.User](testdb.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	users, err := authn.New(store, authn.Config{}, authntest.Impersonator{})
	if err != nil {
		t.Fatal(err)
	}
	for what, schema := range map[string]routes.InputSchema[*userdb.User]{
		"embedded pointer": routes.Input(func(pointed, *userdb.User) error { return nil }),
		"one name twice":   routes.Input(func(ambiguous, *userdb.User) error { return nil }),
		"number keys":      routes.Input(func(keyed, *userdb.User) error { return nil }),
		"nested pointer":   routes.Input(func(sneaky, *userdb.User) error { return nil }),
		"account's":        routes.Input(func(privileged, *userdb.User) error { return nil }),
	} {
		if _, err := routes.New(users, routes.Config[*userdb.User]{Update: schema}); err == nil {
			t.Error(what)
		}
	}
	if _, err := routes.New(users, routes.Config[*userdb.User]{Update: routes.Input(func(again, *userdb.User) error { return nil })}); err != nil {
		t.Error(err)
	}
}

// Forms that something before us has read, and forms that say a thing twice.
func TestForms(t *testing.T) {
	s := newSite(t, testdb.SQLite(t))
	s.register("ann@example.com")
	for _, twice := range []string{"username", "password", "grant_type"} {
		got := s.form("/auth/jwt/login", "username", "ann@example.com", "password", "secret", "grant_type", "password", twice, "x")
		if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, `["body","`+twice+`"]`) {
			t.Errorf("%s twice: %d %s", twice, got.status, got.body)
		}
	}
	multipart := "--b\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\nann@example.com\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"password\"\r\n\r\nx\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nsecret\r\n--b--"
	if got := s.send(http.MethodPost, "/auth/jwt/login?a=%zz;", "multipart/form-data; boundary=b", multipart, ""); got.status != http.StatusOK {
		t.Errorf("multipart beside a bad query: %d %s", got.status, got.body)
	}
}
