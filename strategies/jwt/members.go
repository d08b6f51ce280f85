package jwt

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// members calls visit with each member of a JSON object (RFC 8259 §4), in one
// pass and without reflection: its exact name, where [json.Unmarshal] into a
// struct would take it in any letter case, and its value. It returns visit's
// first error, and errMalformed for anything that is no JSON object. What it
// takes for one, encoding/json does, and the other way round: a fuzz test holds
// them together.
//
// Names and values are parts of data.
func members(data string, visit func(name, value string) error) error {
	i := skipSpace(data, 0)
	if !is(data, i, '{') {
		return errMalformed
	}
	i = skipSpace(data, i+1)
	for first := true; !(first && is(data, i, '}')); first = false {
		end := stringEnd(data, i)
		if end < 0 {
			return errMalformed
		}
		name, err := text(data[i:end])
		if err != nil {
			return err
		}
		if i = skipSpace(data, end); !is(data, i, ':') {
			return errMalformed
		}
		i = skipSpace(data, i+1)
		if end = valueEnd(data, i); end < 0 {
			return errMalformed
		}
		if err := visit(name, data[i:end]); err != nil {
			return err
		}
		if i = skipSpace(data, end); !is(data, i, ',') {
			break
		}
		i = skipSpace(data, i+1)
	}
	if !is(data, i, '}') || skipSpace(data, i+1) != len(data) {
		return errMalformed
	}
	return nil
}

func is(data string, i int, c byte) bool { return i < len(data) && data[i] == c }

func skipSpace(data string, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\t' || data[i] == '\n' || data[i] == '\r') {
		i++
	}
	return i
}

// valueEnd returns the index after the JSON value that begins at i, and -1 where
// none does.
func valueEnd(data string, i int) int {
	if i >= len(data) {
		return -1
	}
	switch data[i] {
	case '"':
		return stringEnd(data, i)
	case '[':
		return containerEnd(data, i, ']')
	case '{':
		return containerEnd(data, i, '}')
	case 't':
		return literalEnd(data, i, "true")
	case 'f':
		return literalEnd(data, i, "false")
	case 'n':
		return literalEnd(data, i, "null")
	}
	return numberEnd(data, i)
}

// containerEnd is valueEnd of an array or an object.
func containerEnd(data string, i int, closing byte) int {
	i = skipSpace(data, i+1)
	if is(data, i, closing) {
		return i + 1
	}
	for {
		if closing == '}' {
			end := stringEnd(data, i)
			if end < 0 {
				return -1
			}
			if i = skipSpace(data, end); !is(data, i, ':') {
				return -1
			}
			i = skipSpace(data, i+1)
		}
		end := valueEnd(data, i)
		if end < 0 {
			return -1
		}
		i = skipSpace(data, end)
		switch {
		case is(data, i, closing):
			return i + 1
		case !is(data, i, ','):
			return -1
		}
		i = skipSpace(data, i+1)
	}
}

func literalEnd(data string, i int, literal string) int {
	if end := i + len(literal); end <= len(data) && data[i:end] == literal {
		return end
	}
	return -1
}

// stringEnd is valueEnd of a string (RFC 8259 §7).
func stringEnd(data string, i int) int {
	if !is(data, i, '"') {
		return -1
	}
	for i++; i < len(data); i++ {
		if !isSpecial[data[i]] {
			continue
		}
		switch data[i] {
		case '"':
			return i + 1
		case '\\':
			if i++; i >= len(data) {
				return -1
			}
			switch data[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					if i++; i >= len(data) || !isHex(data[i]) {
						return -1
					}
				}
			default:
				return -1
			}
		default:
			return -1
		}
	}
	return -1
}

// isSpecial has what doesn't stand for itself in a string.
var isSpecial = func() (is [256]bool) {
	for c := range byte(' ') {
		is[c] = true
	}
	is['"'], is['\\'] = true, true
	return is
}()

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// numberEnd is valueEnd of a number (RFC 8259 §6).
func numberEnd(data string, i int) int {
	if is(data, i, '-') {
		i++
	}
	whole := digitsEnd(data, i)
	if whole == i || data[i] == '0' && whole > i+1 {
		return -1
	}
	i = whole
	if is(data, i, '.') {
		end := digitsEnd(data, i+1)
		if end == i+1 {
			return -1
		}
		i = end
	}
	if is(data, i, 'e') || is(data, i, 'E') {
		if i++; is(data, i, '+') || is(data, i, '-') {
			i++
		}
		end := digitsEnd(data, i)
		if end == i {
			return -1
		}
		i = end
	}
	return i
}

func digitsEnd(data string, i int) int {
	for i < len(data) && '0' <= data[i] && data[i] <= '9' {
		i++
	}
	return i
}

// text decodes a JSON string.
func text(value string) (string, error) {
	if value[0] != '"' {
		return "", errMalformed
	}
	inner := value[1 : len(value)-1]
	if strings.IndexByte(inner, '\\') < 0 && utf8.ValidString(inner) {
		return inner, nil
	}
	var s string
	err := json.Unmarshal([]byte(value), &s)
	return s, err
}
