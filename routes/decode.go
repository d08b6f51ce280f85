package routes

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/echo-users/echo-users/authn"
)

// object is the members of a JSON object under their exact names.
type object map[string]json.RawMessage

// decodeBody reads the JSON object of a request. FastAPI takes a body without
// a Content-Type for JSON, and so do we.
func decodeBody(r *http.Request) (object, error) {
	if header := r.Header.Get("Content-Type"); header != "" {
		media, _, err := mime.ParseMediaType(header)
		if err != nil || media != "application/json" && !(strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")) {
			return nil, Faults{noObject("body")}.httpError()
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, bodyError(err)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, Faults{missing("body")}.httpError()
	}
	if !json.Valid(body) || !isWellFormed(body) {
		return nil, Faults{badJSON()}.httpError()
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber() // any number can be read so
	if fault := checkShape(decoder, "body"); fault != nil {
		return nil, Faults{*fault}.httpError()
	}
	members := decodeObject(body)
	if members == nil {
		return nil, Faults{noObject("body")}.httpError()
	}
	return members, nil
}

// bodyError tells a body that is too large from one that broke off.
func bodyError(err error) error {
	if authn.AsHTTPError(err).Status == http.StatusRequestEntityTooLarge {
		return err
	}
	return &authn.HTTPError{
		Status: http.StatusUnprocessableEntity,
		Detail: Faults{{[]any{"body"}, "the body could not be read", "value_error"}},
		Err:    unreadable{err},
	}
}

// unreadable keeps the text of its cause, which may quote the body, out of logs.
type unreadable struct{ cause error }

func (unreadable) Error() string   { return "routes: the body could not be read" }
func (e unreadable) Unwrap() error { return e.cause }

// maxDepth is how many arrays and objects the values of a body may be within.
const maxDepth = 64

// checkShape walks through a value of valid JSON, whoever is to decode it. A
// name that an object has twice is a fault, as two readers could understand it
// differently; so is what is nested too deeply to be handed to recursion.
func checkShape(decoder *json.Decoder, loc ...any) *Fault {
	token, err := decoder.Token()
	if err != nil {
		return new(badJSON())
	}
	start, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	if len(loc) > 1+maxDepth { // the body itself doesn't count
		return &Fault{loc[:2], "value is nested too deeply", "value_error"}
	}
	names := map[json.Token]bool{}
	for i := 0; decoder.More(); i++ {
		var step any = i
		if start == '{' {
			step, _ = decoder.Token()
			if names[step] {
				return &Fault{loc, "the object has a name twice", "value_error.jsondecode"}
			}
			names[step] = true
		}
		if fault := checkShape(decoder, append(loc, step)...); fault != nil {
			return fault
		}
	}
	_, _ = decoder.Token() // the end
	return nil
}

// decodeObject splits valid JSON into its members; nil for what is no object.
func decodeObject(data []byte) object {
	var members object
	if json.Unmarshal(data, &members) != nil {
		return nil
	}
	return members
}

// isWellFormed reports whether JSON text is UTF-8 whose \u escapes are no
// lone surrogates (RFC 8259 §8.2), which Go would silently replace.
func isWellFormed(data []byte) bool {
	if !utf8.Valid(data) {
		return false
	}
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		i++ // whatever is escaped
		unit, ok := unicodeEscape(data[i-1:])
		if !ok {
			continue
		}
		i += 4
		if !utf16.IsSurrogate(unit) {
			continue
		}
		low, ok := unicodeEscape(data[i+1:])
		if !ok || utf16.DecodeRune(unit, low) == utf8.RuneError {
			return false
		}
		i += 6
	}
	return true
}

// unicodeEscape reads the \uXXXX at the beginning of data.
func unicodeEscape(data []byte) (rune, bool) {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return 0, false
	}
	var unit rune
	for _, c := range data[2:6] {
		digit := strings.IndexByte("0123456789abcdef", c|0x20)
		if digit < 0 {
			return 0, false
		}
		unit = unit<<4 | rune(digit)
	}
	return unit, true
}

// The fields of an account. Each reader notes a fault and returns nil where
// the member isn't what it should be, and nil for one that isn't there.

func (o object) text(name string, faults *Faults) *string {
	data, ok := o[name]
	if !ok {
		return nil
	}
	var value *string
	switch err := json.Unmarshal(data, &value); {
	case err != nil:
		*faults = append(*faults, noString("body", name))
		return nil
	case value == nil:
		*faults = append(*faults, isNull("body", name))
	}
	return value
}

func (o object) required(name string, faults *Faults) *string {
	if _, ok := o[name]; !ok {
		*faults = append(*faults, missing("body", name))
	}
	return o.text(name, faults)
}

func (o object) email(faults *Faults) *string {
	value := o.text("email", faults)
	if value == nil {
		return nil
	}
	if _, err := authn.NormalizeEmail(*value); err != nil {
		*faults = append(*faults, invalidEmail)
		return nil
	}
	return value
}

// knownEmail is an address that somebody may have already, though it isn't taken
// any more: fastapi-users lets more of them in.
func (o object) knownEmail(faults *Faults) *string {
	value := o.text("email", faults)
	if value == nil {
		return nil
	}
	if !couldBeKnown(strings.TrimSpace(*value)) {
		*faults = append(*faults, invalidEmail)
		return nil
	}
	return value
}

// couldBeKnown reports whether text is an address to fastapi-users: any letters but
// those of ASCII that RFC 5322 §3.2.3 gives another meaning.
func couldBeKnown(text string) bool {
	local, domain, _ := strings.Cut(text, "@")
	if !strings.Contains(domain, ".") || strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
	}) {
		return false
	}
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" || strings.ContainsAny(atom, `()<>[]:;,\"`) {
			return false
		}
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") || strings.ContainsFunc(label, func(r rune) bool {
			return r < utf8.RuneSelf && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
		}) {
			return false
		}
	}
	return true
}

func (o object) password(faults *Faults) *string {
	value := o.text("password", faults)
	if value != nil && utf8.RuneCountInString(*value) > authn.MaxPasswordLength {
		*faults = append(*faults, passwordTooLong)
		return nil
	}
	return value
}

func (o object) flag(name string, faults *Faults) *bool {
	data, ok := o[name]
	if !ok {
		return nil
	}
	var value *bool
	switch err := json.Unmarshal(data, &value); {
	case err != nil:
		*faults = append(*faults, noBool("body", name))
		return nil
	case value == nil:
		*faults = append(*faults, isNull("body", name))
	}
	return value
}

// decodeForm reads the fields of a form; a body of another kind has none. The
// query string counts for nothing, and neither do files.
func decodeForm(r *http.Request) (url.Values, error) {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case media == "application/x-www-form-urlencoded" && r.PostForm != nil: // something before us has read it
		return r.PostForm, nil
	case media == "application/x-www-form-urlencoded":
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, bodyError(err)
		}
		values, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, bodyError(err)
		}
		return values, nil
	case media == "multipart/form-data" && r.MultipartForm != nil:
		return r.MultipartForm.Value, nil
	case media == "multipart/form-data":
		return decodeMultipart(r)
	}
	return nil, nil
}

func decodeMultipart(r *http.Request) (url.Values, error) {
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, bodyError(err)
	}
	values := url.Values{}
	for {
		part, err := parts.NextPart()
		if err == io.EOF {
			return values, nil
		}
		if err != nil {
			return nil, bodyError(err)
		}
		if part.FileName() != "" {
			continue
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return nil, bodyError(err)
		}
		values.Add(part.FormName(), string(value))
	}
}
