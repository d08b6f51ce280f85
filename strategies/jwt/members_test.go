package jwt

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// FuzzMembers holds the reader of claims against encoding/json: both take the
// same texts for objects, and read the same names and values.
func FuzzMembers(f *testing.F) {
	for _, text := range []string{
		`{}`, ` { } `, `{"a":1}`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{"a":1 "b":2}`, `{"a":1,"a":2}`, `{"a":1}x`, `{"a":1}}`, `{`, ``, ` `, `null`, `[]`, `"a"`,
		`{"a":[1,[2,{"b":"]}"}],true,false,null]}`, `{"a":[1,]}`, `{"a":[,1]}`, `{"a":[1}}`, `{"a":{"b":1]}`, `{"a":{"b"}}`, `{"a":{1:2}}`,
		`{"a":-0.5e+10}`, `{"a":01}`, `{"a":-}`, `{"a":1.}`, `{"a":.5}`, `{"a":1e}`, `{"a":+1}`, `{"a":0}`, `{"a":-01}`, `{"a":1E-2}`, `{"a":0x1}`,
		`{"a":"\u00e4\ud800"}`, `{"a":"\u00G0"}`, `{"a":"\x"}`, `{"a":"\"}`, "{\"a\":\"\n\"}", "{\"a\":\"\xff\"}", `{"\u0061":"\/"}`, "{\"a\":\"\x7f\"}",
		`{"a":tru}`, `{"a":nul`, `{"a":truex}`, `{"a":"b"c}`, "\ufeff{}", "{\"a\"\v:1}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, data string) {
		read := map[string]string{}
		err := members(data, func(name, value string) error {
			read[name] = value
			return nil
		})
		var want map[string]json.RawMessage
		if json.Unmarshal([]byte(data), &want) != nil || want == nil {
			if err == nil {
				t.Fatalf("%q is an object", data)
			}
			return
		}
		if err != nil {
			t.Fatalf("%q is none: %v", data, err)
		}
		if got, want := slices.Sorted(maps.Keys(read)), slices.Sorted(maps.Keys(want)); !slices.Equal(got, want) {
			t.Fatalf("%q has the members %q, want %q", data, got, want)
		}
		for name, value := range want {
			if strings.TrimSpace(read[name]) != string(bytes.TrimSpace(value)) {
				t.Fatalf("%q: %q is %q, want %q", data, name, read[name], value)
			}
		}
	})
}
