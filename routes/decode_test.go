package routes

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/echo-users/echo-users/authn"
)

func TestIsWellFormed(t *testing.T) {
	for text, want := range map[string]bool{
		`{}`: true, `{"a":"b"}`: true, `"\u00e4"`: true, `"\\ud800"`: true, `"\ud83d\ude00"`: true, `"\uD83D\uDE00"`: true,
		`"\ud83d"`: false, `"\ude00"`: false, `"\ud83dx"`: false, `"\ud83d\n"`: false, `"\ud83d\ud83d"`: false,
		`"\ude00\ud83d"`: false, `"\\\ud83d"`: false, "\"\xff\"": false, `"\ud83d\ude00\ud83d"`: false,
	} {
		if got := isWellFormed([]byte(text)); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}

func TestHasNUL(t *testing.T) {
	for text, want := range map[string]bool{
		`"\u0000"`: true, `"a\u0000b"`: true, `"\\u0000"`: false, `"\\\u0000"`: true, `"\u00000"`: true, `"\u0001"`: false, `{"a":["\u0000"]}`: true,
	} {
		if got := hasNUL([]byte(text)); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}

// FuzzIsWellFormed holds the scan for lone surrogates against Go's decoder,
// which replaces them: text without the replacement character in the source
// has one after decoding only if something was replaced.
func FuzzIsWellFormed(f *testing.F) {
	for _, seed := range []string{`"\ud800"`, `{"\ud83d\ude00":"\\ud800"}`, `["a\\\udfff"]`, `"\u"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lower := strings.ToLower(text)
		if !json.Valid([]byte(text)) || !utf8.ValidString(text) || strings.ContainsRune(text, utf8.RuneError) || strings.Contains(lower, `\ufffd`) {
			return
		}
		var decoded any
		if err := json.Unmarshal([]byte(text), &decoded); err != nil {
			return // too deep
		}
		var encoded strings.Builder
		encoder := json.NewEncoder(&encoded)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(decoded); err != nil {
			return // a number that Go can't hold
		}
		if replaced := strings.ContainsRune(encoded.String(), utf8.RuneError); isWellFormed([]byte(text)) == replaced && !repeats(text) {
			t.Errorf("%q: well-formed %t, replaced %t", text, !replaced, replaced)
		}
	})
}

// repeats reports whether an object may have had a name twice, of which
// decoding keeps one.
func repeats(text string) bool { return strings.Contains(text, "{") }

func FuzzDecodeBody(f *testing.F) {
	for _, seed := range []string{`{"email":"a@b.co","password":"x"}`, `{"email":null}`, `{"is_active":1}`, `[]`, `{"a":1,"a":2}`, `{"own":{"in":["x"]}}`, `{"any":{"a":1e400}}`, `{"any":[{"a":1,"a":2}]}`, "\xff", ``} {
		f.Add("application/json", seed)
	}
	f.Add("text/plain", "{}")
	f.Add("application/json; charset=\x00", "{}")
	type inner struct {
		In []string `json:"in"`
	}
	schema := Input(func(in struct {
		Own   inner              `json:"own,omitempty"`
		Maybe Optional[int]      `json:"maybe"`
		Null  Nullable[[]inner]  `json:"null"`
		Map   map[string]float64 `json:"map,omitempty"`
		Any   any                `json:"any,omitempty"`
	}, u authn.User) error {
		return nil
	})
	if schema.err != nil {
		f.Fatal(schema.err)
	}
	f.Fuzz(func(t *testing.T, contentType, body string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		members, err := decodeBody(r)
		if err != nil {
			if status := authn.AsHTTPError(err).Status; status != http.StatusUnprocessableEntity {
				t.Errorf("%d: %v", status, err)
			}
			return
		}
		var faults Faults
		members.email(&faults)
		members.password(&faults)
		members.flag("is_active", &faults)
		schema.read(members, &faults)
		if _, err := json.Marshal(faults); err != nil {
			t.Error(err)
		}
	})
}

func FuzzLoginForm(f *testing.F) {
	f.Add("application/x-www-form-urlencoded", "username=a&password=b")
	f.Add("application/x-www-form-urlencoded", "username=%ff;&password=%")
	f.Add("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\na\r\n--x--\r\n")
	f.Add("multipart/form-data", "")
	f.Fuzz(func(t *testing.T, contentType, body string) {
		r := httptest.NewRequest(http.MethodPost, "/?username=query&password=query", strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		factory := &Factory[authn.User]{cfg: Config[authn.User]{BodyLimit: defaultBodyLimit}}
		username, password, err := factory.credentials(r)
		switch {
		case err == nil && (username == "" || password == "" || !utf8.ValidString(username+password)):
			t.Errorf("%q, %q", username, password)
		case err == nil && (username == "query" && !strings.Contains(body, "query")):
			t.Error("the query string counts")
		case err != nil && authn.AsHTTPError(err).Status != http.StatusUnprocessableEntity:
			t.Error(err)
		}
	})
}
