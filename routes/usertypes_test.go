package routes_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/password"
	"github.com/echo-users/echo-users/backends"
	"github.com/echo-users/echo-users/internal/fronts"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

// artist has a field of each kind, and an integer key.
type artist struct {
	userdb.Model[int64]
	Age    int
	Rank   rank
	Motto  *string
	Studio studio `gorm:"serializer:json"`
	Handle string `gorm:"uniqueIndex;size:12"`
}

func (artist) TableName() string { return "artists" }

type studio struct {
	City string `json:"city"`
	Open bool   `json:"open"`
}

type rank string

func (r *rank) UnmarshalText(text []byte) error {
	if *r = rank(text); *r != "novice" && *r != "master" {
		return routes.Faults{{Msg: "must be novice or master"}}
	}
	return nil
}

type artistSignUp struct {
	Age    int     `json:"age"`
	Rank   rank    `json:"rank"`
	Motto  *string `json:"motto"`
	Studio studio  `json:"studio"`
	Handle string  `json:"handle,omitempty"`
}

type artistUpdate struct {
	Age    routes.Optional[int]    `json:"age"`
	Rank   routes.Optional[rank]   `json:"rank"`
	Motto  routes.Nullable[string] `json:"motto"`
	Studio routes.Optional[studio] `json:"studio"`
}

func (in artistUpdate) Validate() routes.Faults {
	var faults routes.Faults
	if in.Age.Present && in.Age.Value < 0 {
		faults.Add("age", "must not be negative")
	}
	return faults
}

type artistRead struct {
	routes.UserRead
	Age    int     `json:"age"`
	Rank   rank    `json:"rank"`
	Motto  *string `json:"motto"`
	Studio studio  `json:"studio"`
}

func artistConfig() routes.Config[*artist] {
	return routes.Config[*artist]{
		AuthPrefix:  "/artists/auth",
		UsersPrefix: "/artists",
		Register: routes.Input(func(in artistSignUp, u *artist) error {
			u.Age, u.Rank, u.Motto, u.Studio, u.Handle = in.Age, in.Rank, in.Motto, in.Studio, in.Handle
			if u.Handle == "" {
				u.Handle = fmt.Sprintf("%.12s", u.Email)
			}
			return nil
		}),
		Update: routes.Input(func(in artistUpdate, u *artist) error {
			in.Age.Apply(&u.Age)
			in.Rank.Apply(&u.Rank)
			in.Motto.Apply(&u.Motto)
			in.Studio.Apply(&u.Studio)
			return nil
		}),
		Read: routes.Output(func(u *artist) artistRead {
			return artistRead{routes.NewUserRead(u), u.Age, u.Rank, u.Motto, u.Studio}
		}),
	}
}

// patron is a user in a table of other names, with a text key.
type patron struct {
	Code    string        `gorm:"primaryKey;column:patron_code;size:36"`
	Account patronAccount `gorm:"embedded"`
	Company string
}

type patronAccount struct {
	Email          string `gorm:"column:mail"`
	HashedPassword string `gorm:"column:pw"`
	IsActive       bool   `gorm:"column:enabled"`
	IsSuperuser    bool   `gorm:"column:root"`
	IsVerified     bool   `gorm:"column:confirmed"`
	Generation     int64  `gorm:"column:pw_generation"`
}

func (patron) TableName() string              { return "sponsors" }
func (p *patron) AuthID() string              { return p.Code }
func (p *patron) AuthAccount() *authn.Account { return (*authn.Account)(&p.Account) }

type patronSignUp struct {
	Company string `json:"company"`
}

func mountUsers[T any, U interface {
	*T
	authn.User
}](t *testing.T, front fronts.Front, db *gorm.DB, cfg routes.Config[U]) *authn.Users[U] {
	t.Helper()
	store, err := userdb.New[T, U](db)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, err := backends.JWT(jwt.Secret([]byte(strings.Repeat("k", 32))), backends.JWTConfig{})
	if err != nil {
		t.Fatal(err)
	}
	users, err := authn.New(store, authn.Config{Passwords: &password.Hasher{Params: password.Params{Memory: 64, Time: 1}}}, b)
	if err != nil {
		t.Fatal(err)
	}
	factory, err := routes.New(users, cfg)
	if err != nil {
		t.Fatal(err)
	}
	front.Mount(factory.All())
	return users
}

func TestTwoUserTypesInOneProgram(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		front := overFront(t)
		artists := mountUsers[artist](t, front, db, artistConfig())
		mountUsers[patron](t, front, db, routes.Config[*patron]{
			AuthPrefix: "/patrons/auth", UsersPrefix: "/patrons",
			Register: routes.Input(func(in patronSignUp, u *patron) error { u.Company = in.Company; return nil }),
		})
		server := httptest.NewServer(front)
		t.Cleanup(server.Close)
		s := &site{T: t, url: server.URL}
		login := func(at string) string {
			got := s.form(at+"/auth/jwt/login", "username", "a@example.com", "password", "secret12")
			var answer struct {
				Token string `json:"access_token"`
			}
			if err := json.Unmarshal([]byte(got.body), &answer); err != nil {
				t.Fatal(got)
			}
			return answer.Token
		}

		s.wants("artist", s.json("POST", "/artists/auth/register",
			`{"email":"a@example.com","password":"secret12","age":0,"rank":"novice","studio":{"city":"Rome","open":false,"OPEN":true},"motto":"ars"}`, ""), 201,
			`{"id":1,"email":"a@example.com","is_active":true,"is_superuser":false,"is_verified":false,"age":0,"rank":"novice","motto":"ars","studio":{"city":"Rome","open":false}}`)
		got := s.json("POST", "/patrons/auth/register", `{"email":"a@example.com","password":"secret12","company":"Medici"}`, "")
		s.wants("patron", got, 201, "")
		if !strings.Contains(got.body, `"id":"`) {
			t.Errorf("a text key is %s", got.body)
		}
		token := login("/artists")
		s.wants("an artist's token at the patrons'", s.json("GET", "/patrons/me", "", token), 401, "Unauthorized")
		s.wants("a patron's own", s.json("GET", "/patrons/me", "", login("/patrons")), 200, got.body)

		for what, c := range map[string]struct{ body, want string }{
			"all at once": {`{"age":"x","rank":"queen","studio":{"city":7}}`,
				`[{"loc":["body","age"],"msg":"value is not a valid int","type":"type_error"},{"loc":["body","rank"],"msg":"must be novice or master","type":"value_error"},` +
					`{"loc":["body","studio","city"],"msg":"value is not a valid string","type":"type_error"},{"loc":["body","studio","open"],"msg":"field required","type":"value_error.missing"}]`},
			"null":      {`{"age":null}`, `[{"loc":["body","age"],"msg":"none is not an allowed value","type":"type_error.none.not_allowed"}]`},
			"validated": {`{"age":-1}`, `[{"loc":["body","age"],"msg":"must not be negative","type":"value_error"}]`},
			"NUL":       {`{"motto":"a\u0000"}`, `[{"loc":["body","motto"],"msg":"value has characters that can't be stored","type":"value_error.str"}]`},
		} {
			s.wants(what, s.json("PATCH", "/artists/me", c.body, token), 422, `{"detail":`+c.want+`}`)
		}
		me := func(age int, rank, motto, studio string) string {
			return fmt.Sprintf(`{"id":1,"email":"a@example.com","is_active":true,"is_superuser":false,"is_verified":false,"age":%d,"rank":%q,"motto":%s,"studio":%s}`, age, rank, motto, studio)
		}
		rome, oslo := `{"city":"Rome","open":false}`, `{"city":"Oslo","open":true}`
		s.wants("some", s.json("PATCH", "/artists/me", `{"age":7,"Rank":"master","motto":"longa"}`, token), 200, me(7, "novice", `"longa"`, rome))
		s.wants("null", s.json("PATCH", "/artists/me", `{"motto":null,"rank":"master"}`, token), 200, me(7, "master", "null", rome))
		s.wants("zero", s.json("PATCH", "/artists/me", `{"age":0,"studio":`+oslo+`}`, token), 200, me(0, "master", "null", oslo))
		s.wants("stored", s.json("GET", "/artists/me", "", token), 200, me(0, "master", "null", oslo))

		if _, err := artists.Update(t.Context(), "1", authn.Update[*artist]{IsSuperuser: &yes}); err != nil {
			t.Fatal(err)
		}
		for id, status := range map[string]int{"1": 200, "2": 404, "x": 404, "9223372036854775808": 404} {
			s.wants(id, s.json("GET", "/artists/"+id, "", token), status, "")
		}
		taken := `{"email":"b@example.com","password":"secret12","age":1,"rank":"novice","studio":` + rome + `,"handle":%s}`
		s.wants("taken handle", s.json("POST", "/artists/auth/register", fmt.Sprintf(taken, `"a@example.co"`), ""), 409, "Conflict")
		if db.Name() == "postgres" {
			s.wants("long handle", s.json("POST", "/artists/auth/register", fmt.Sprintf(taken, strconv.Quote(strings.Repeat("x", 13))), ""), 422, "")
		}
	})
}

func TestSchemasThatAreRefused(t *testing.T) {
	s := newSite(t, testdb.SQLite(t))
	nothing := func(struct {
		Flag bool `json:"Is_Superuser"`
	}, *userdb.User) error {
		return nil
	}
	for what, cfg := range map[string]routes.Config[*userdb.User]{
		"is_superuser": {Register: routes.Input(nothing)},
		"no struct":    {Update: routes.Input(func(string, *userdb.User) error { return nil })},
		"prefix":       {AuthPrefix: "auth/"},
		"body limit":   {BodyLimit: -1},
	} {
		if _, err := routes.New(s.users, cfg); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}
