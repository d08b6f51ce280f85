package routes

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"

	"github.com/echo-users/echo-users/authn"
)

// Fault says what is wrong with one field of a request, in the shape of
// FastAPI's 422.
type Fault struct {
	// Loc is the way to the field: "body", its name, and further within.
	Loc []any `json:"loc"`
	// Msg is for people.
	Msg string `json:"msg"`
	// Type is for programs. Defaults to "value_error".
	Type string `json:"type"`
}

// Faults are all that is wrong with a request (422). As an error of a
// schema's Validate, of its apply function, or of an UnmarshalJSON or
// UnmarshalText of a field's type they reach the client: the first hundred,
// with the names in Loc cut after 64 letters. To a field's type "body" is the
// value that it decodes, and may be left out of Loc.
type Faults []Fault

// Error counts the faults.
func (f Faults) Error() string { return fmt.Sprintf("routes: %d faulty fields", len(f)) }

// Add notes that something is wrong with the named field of the body.
func (f *Faults) Add(field, msg string) {
	*f = append(*f, Fault{Loc: []any{"body", field}, Msg: msg, Type: "value_error"})
}

// A short body could be answered with a long one; so an answer has at most so
// many faults, with so many letters of what the client named.
const (
	maxFaults  = 100
	maxLetters = 64
)

func (f Faults) httpError() error {
	told := slices.Clone(f[:min(len(f), maxFaults)])
	for i := range told {
		told[i].Type = cmp.Or(told[i].Type, "value_error")
		told[i].Loc = slices.Clone(told[i].Loc)
		for j, step := range told[i].Loc {
			if name, ok := step.(string); ok {
				told[i].Loc[j] = cut(name)
			}
		}
	}
	return &authn.HTTPError{Status: http.StatusUnprocessableEntity, Detail: told, Err: f}
}

func cut(name string) string {
	letters := 0
	for i := range name {
		if letters++; letters > maxLetters {
			return name[:i] + "…"
		}
	}
	return name
}

var (
	invalidEmail    = Fault{[]any{"body", "email"}, "value is not a valid email address", "value_error.email"}
	passwordTooLong = Fault{
		[]any{"body", "password"},
		fmt.Sprintf("ensure this value has at most %d characters", authn.MaxPasswordLength),
		"value_error.any_str.max_length",
	}
)

func missing(loc ...any) Fault { return Fault{loc, "field required", "value_error.missing"} }
func twice(loc ...any) Fault   { return Fault{loc, "field given more than once", "value_error"} }
func isNull(loc ...any) Fault {
	return Fault{loc, "none is not an allowed value", "type_error.none.not_allowed"}
}
func noString(loc ...any) Fault { return Fault{loc, "str type expected", "type_error.str"} }
func noBool(loc ...any) Fault   { return Fault{loc, "value is not a boolean", "type_error.bool"} }
func noObject(loc ...any) Fault { return Fault{loc, "value is not a valid dict", "type_error.dict"} }
func badJSON() Fault {
	return Fault{[]any{"body"}, "the body is not valid JSON", "value_error.jsondecode"}
}
func badText(loc ...any) Fault {
	return Fault{loc, "value has characters that can't be stored", "value_error.str"}
}
