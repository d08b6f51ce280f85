package routes_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/internal/testdb"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/userdb"
)

// marker is in every secret that is sent, and may be in no answer.
const marker = "s3cr3t-m4rker"

// hostileTexts are values for any field.
var hostileTexts = []string{
	"", " ", "\x00", "a\x00b", "a\r\nSet-Cookie: x=y", "\r\n\r\n", "\x1b[31m", "\ufeff", "\u202e", "\u200b", "\ufffd", "\uffff", "\U0001f600",
	"ａｎｎ＠ｅｘａｍｐｌｅ．ｃｏｍ", "Ann@EXAMPLE.com", "ann@example.com\x00", "ann@example.com\n", "ann@ex\u200bample.com", "аnn@example.com",
	"ann@münchen.example", "ann@xn--mnchen-3ya.example", "ann@\u0130stanbul.example", "\u0130@example.com", "\u212an@example.com", "ann@exam\u00adple.com",
	strings.Repeat("a", 65) + "@example.com", "a@" + strings.Repeat("b", 64) + ".com", strings.Repeat("a@", 200) + "b.com", "@", "a@", "@b.c", "a@b", "a@b..c", "a@-b.c", `"a b"@c.de`, "a@[127.0.0.1]",
	"' OR 1=1 --", `"; DROP TABLE "user"; --`, "%", "_", "$1", "?", "{{.}}", "${jndi:ldap://x}", "../../etc/passwd", "<script>alert(1)</script>",
	strings.Repeat("x", 5000), strings.Repeat("\u00e4", 4097), strings.Repeat("a.", 3000), "eyJhbGciOiJub25lIn0.e30.", "..", "...", "Bearer", "null", "true", "0", "-1", "1e400", "NaN",
}

// hostileJSON are values that are no text.
var hostileJSON = []string{
	`null`, `true`, `0`, `-1`, `1e400`, `1e-400`, `123456789012345678901234567890`, `[]`, `{}`, `[null]`, `["a@b.com"]`, `{"a":{"b":[1]}}`,
	`"\ud800"`, `"\udc00\ud800"`, `"\u0000"`, `"a\u0000b"`, "\"\xff\"", "\"\xc0\x80\"", `"` + strings.Repeat("a", 70_000) + `"`,
	strings.Repeat("[", 20_000), strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000), strings.Repeat(`{"a":`, 5_000) + "1" + strings.Repeat("}", 5_000),
}

// hostileBodies are whole bodies, with their content type.
func hostileBodies() [][2]string {
	const asJSON, asForm = "application/json", "application/x-www-form-urlencoded"
	bodies := [][2]string{
		{"", ""}, {asJSON, ""}, {asJSON, " "}, {asJSON, "null"}, {asJSON, "[]"}, {asJSON, `"x"`}, {asJSON, "{"}, {asJSON, "{}{}"}, {asJSON, "\xef\xbb\xbf{}"}, {asJSON, "{\"\x00\":1}"},
		{asJSON, `{"email":"dup1@example.com","email":"dup2@example.com","password":"` + marker + `"}`},
		{asJSON, `{"email":"dup3@example.com","\u0065mail":"dup4@example.com","password":"` + marker + `"}`},
		{asJSON, `{"token":"` + marker + `","token":"b","password":"x","password":"` + marker + `"}`},
		{asJSON, `{"password":"` + marker + `"`}, {asJSON, `{"password":"` + marker + `",}`}, {asJSON, "{\"password\":\"" + marker + "\xff\"}"},
		{asForm, "username=ann%40example.com&password=" + marker + "&username=b"}, {asForm, "%zz"}, {asForm, "a=%ff&username=%00&password=%ff"}, {asForm, strings.Repeat("a=b&", 16_000)}, {asForm, ";;;"},
		{"multipart/form-data", "x"}, {"multipart/form-data; boundary=", "x"}, {"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\n\x00\r\n--b--"},
		{"multipart/form-data; boundary=b", "--b\r\n" + strings.Repeat("X: y\r\n", 5000) + "\r\n\r\n--b--"}, {"multipart/form-data; boundary=" + strings.Repeat("b", 100), "--b"},
		{"text/plain", `{"email":"plain@example.com","password":"` + marker + `"}`}, {"application/xml", "<a/>"}, {"application/json; charset=utf-16", `{"email":"u16@example.com"}`}, {"; ;", "{}"}, {"\"", "{}"},
		{asJSON, `{"email":"` + strings.Repeat("a", 10<<20) + `"}`}, {asForm, "username=" + strings.Repeat("a", 10<<20)},
	}
	for _, text := range hostileTexts {
		quoted, _ := json.Marshal(text)
		for _, field := range []string{"email", "password", "token", "is_active"} {
			bodies = append(bodies, [2]string{asJSON, object(field, string(quoted))})
		}
		bodies = append(bodies, [2]string{asForm, url.Values{"username": {text}, "password": {marker}}.Encode()},
			[2]string{asForm, url.Values{"username": {"ann@example.com"}, "password": {text}, "grant_type": {text}}.Encode()})
	}
	for _, value := range hostileJSON {
		for _, field := range []string{"email", "password", "token", "is_verified"} {
			bodies = append(bodies, [2]string{asJSON, object(field, value)})
		}
	}
	return bodies
}

// object has a hostile field among good ones.
func object(field, value string) string {
	fields := map[string]string{"email": `"new-` + field + `@example.com"`, "password": `"` + marker + `"`, "token": `"` + marker + `"`}
	fields[field] = value
	var members []string
	for _, name := range []string{"email", "password", "token", "is_active", "is_verified"} {
		if v, ok := fields[name]; ok {
			members = append(members, fmt.Sprintf("%q:%s", name, v))
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

// snapshot is all that is stored, row by row.
func snapshot(t *testing.T, db *gorm.DB) []string {
	t.Helper()
	var users []userdb.User
	if err := db.Order("id").Find(&users).Error; err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, u := range users {
		rows = append(rows, fmt.Sprintf("%v %+v", u.ID, u.Account))
	}
	return rows
}

// No input makes a route fail, repeats a secret, or stores what was refused.
func TestHostileInput(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		s := newMailSite(t, db, testdb.Secrets{}, noLimits)
		s.register("ann@example.com")
		admin := s.register("admin@example.com")
		s.set(admin, authn.Update[*userdb.User]{IsSuperuser: &yes})
		token := s.login("jwt", "admin@example.com", "secret")
		factory, err := routes.New(s.users, routes.Config[*userdb.User]{})
		if err != nil {
			t.Fatal(err)
		}
		bodies := hostileBodies()
		for _, route := range factory.All() {
			before := snapshot(t, db)
			for _, body := range bodies {
				if (route.Method == http.MethodGet || route.Method == http.MethodDelete) && body[1] != "" {
					continue
				}
				if route.Path == "/users/me" { // it would change the superuser itself
					continue
				}
				path := strings.ReplaceAll(route.Path, "{id}", "9221ffc9-640f-4372-86d3-ce642cba5603")
				got := s.do(route.Method, path, body[1], "Content-Type", body[0], "Authorization", "Bearer "+token)
				s.stands(route.Method+" "+path, body, got)
				if after := snapshot(t, db); got.status >= 400 && !slices.Equal(before, after) {
					t.Errorf("%s %.60q: %d, and something was stored", route.Name, body[1], got.status)
				} else {
					before = after
				}
			}
		}
		for _, id := range append([]string{"..", "me/..", "%2e%2e", "%00", "%ff", "a%2Fb", strings.Repeat("9", 10_000)}, escaped(hostileTexts)...) {
			for _, method := range []string{http.MethodGet, http.MethodPatch, http.MethodDelete} {
				s.stands(method+" "+id, [2]string{}, s.do(method, "/users/"+id, "{}", "Authorization", "Bearer "+token, "Content-Type", "application/json"))
			}
		}
		for _, text := range hostileTexts {
			if strings.ContainsAny(text, "\x00\r\n\x1b") {
				continue // no client sends them in a header
			}
			for _, header := range [][2]string{{"Authorization", "Bearer " + text}, {"Authorization", text}, {"Cookie", "fastapiusersauth=" + text}, {"Cookie", text}, {"Origin", text}, {"Sec-Fetch-Site", text}} {
				got := s.do(http.MethodPatch, "/users/me", "{}", header[0], header[1], "Content-Type", "application/json")
				if got.status != http.StatusUnauthorized {
					t.Errorf("%s: %.60q: %d", header[0], header[1], got.status)
				}
				s.stands(header[0], header, got)
			}
		}
		s.login("jwt", "ann@example.com", "secret")
	})
}

func escaped(texts []string) []string {
	var paths []string
	for _, text := range texts {
		paths = append(paths, url.PathEscape(text))
	}
	return paths
}

// stands holds what is true of every answer.
func (s *site) stands(what string, body [2]string, got reply) {
	s.Helper()
	if got.status == 0 || got.status >= 500 {
		s.Errorf("%s, %s %.80q: %d %.200s", what, body[0], body[1], got.status, got.body)
	}
	if strings.Contains(got.body, marker) {
		s.Errorf("%s, %.80q: the answer repeats a secret", what, body[1])
	}
	if got.status >= 400 && !strings.HasPrefix(got.body, `{"detail":`) {
		s.Errorf("%s, %.80q: %d %.200s", what, body[1], got.status, got.body)
	}
}

// A body without a length is bounded, too.
func TestEndlessBodies(t *testing.T) {
	s := newSite(t, testdb.SQLite(t))
	for _, contentType := range []string{"application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"} {
		for _, path := range []string{"/auth/jwt/login", "/auth/register"} {
			begin := map[string]string{"application/json": `{"a":"`, "multipart/form-data; boundary=b": "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n"}[contentType]
			body := io.MultiReader(strings.NewReader(begin), io.LimitReader(endless{}, 10<<20))
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, body)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", contentType)
			if got := s.answer(r); got.status != http.StatusRequestEntityTooLarge && got.status != http.StatusUnprocessableEntity {
				t.Errorf("%s %s: %d", path, contentType, got.status)
			}
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte("a"), len(p))), nil }
