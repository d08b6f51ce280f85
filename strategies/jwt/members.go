package jwt

import "encoding/json"

// members calls visit with each member of a JSON object: its exact name, where
// [json.Unmarshal] into a struct would take it in any letter case, and its
// value. It returns visit's first error, and errMalformed for anything that
// is no JSON object.
func members(data []byte, visit func(name string, value []byte) error) error {
	if !json.Valid(data) {
		return errMalformed
	}
	// From here on the text is known to be valid, and only has to be cut.
	i := skipSpace(data, 0)
	if data[i] != '{' {
		return errMalformed
	}
	for i = skipSpace(data, i+1); data[i] != '}'; {
		end := valueEnd(data, i)
		name, err := text(data[i:end])
		if err != nil {
			return err
		}
		i = skipSpace(data, skipSpace(data, end)+1) // the colon
		end = valueEnd(data, i)
		if err := visit(name, data[i:end]); err != nil {
			return err
		}
		if i = skipSpace(data, end); data[i] == ',' {
			i = skipSpace(data, i+1)
		}
	}
	return nil
}

func skipSpace(data []byte, i int) int {
	for data[i] == ' ' || data[i] == '\t' || data[i] == '\n' || data[i] == '\r' {
		i++
	}
	return i
}

// valueEnd returns the index after the value that begins at i.
func valueEnd(data []byte, i int) int {
	depth := 0
	for ; i < len(data); i++ {
		switch data[i] {
		case '"':
			for i++; data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // the end of what the value is in
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ':', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return i
}

// text decodes a JSON string.
func text(value []byte) (string, error) {
	if value[0] != '"' {
		return "", errMalformed
	}
	inner := value[1 : len(value)-1]
	for _, c := range inner {
		if c == '\\' || c >= 0x80 { // escapes, and what may be invalid UTF-8
			var s string
			err := json.Unmarshal(value, &s)
			return s, err
		}
	}
	return string(inner), nil
}
