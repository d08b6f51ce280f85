package routes

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

func decodeStruct(members object, into reflect.Value, faults *Faults, loc ...any) {
	fields, _ := schemaFields(into.Type()) // checked by Input
	for _, field := range fields {
		data, ok := members[field.name]
		at := append(slices.Clone(loc), field.name)
		switch {
		case ok:
			decodeValue(data, into.FieldByIndex(field.index), faults, at...)
		case !field.optional:
			*faults = append(*faults, missing(at...))
		}
	}
}

// decodeValue decodes one value, taking the members of structs under their
// exact names, where [json.Unmarshal] would take them in any letter case.
func decodeValue(data json.RawMessage, into reflect.Value, faults *Faults, loc ...any) {
	null := string(data) == "null"
	if s, ok := into.Addr().Interface().(slotted); ok {
		value, nullable := s.slot()
		if null && !nullable {
			*faults = append(*faults, isNull(loc...))
			return
		}
		decodeValue(data, reflect.ValueOf(value).Elem(), faults, loc...)
		return
	}
	if into.Kind() == reflect.Pointer {
		if !null {
			into.Set(reflect.New(into.Type().Elem()))
			decodeValue(data, into.Elem(), faults, loc...)
		}
		return
	}
	if null {
		*faults = append(*faults, isNull(loc...))
		return
	}
	if !decodesItself(into.Type()) {
		switch into.Kind() {
		case reflect.Struct:
			members := decodeObject(data)
			if members == nil {
				*faults = append(*faults, noObject(loc...))
				return
			}
			decodeStruct(members, into, faults, loc...)
			return
		case reflect.Slice:
			var elements []json.RawMessage
			if into.Type().Elem().Kind() == reflect.Uint8 || json.Unmarshal(data, &elements) != nil {
				break
			}
			into.Set(reflect.MakeSlice(into.Type(), len(elements), len(elements)))
			decodeElements(elements, into, faults, loc)
			return
		case reflect.Array:
			var elements []json.RawMessage
			if json.Unmarshal(data, &elements) != nil || len(elements) != into.Len() {
				*faults = append(*faults, Fault{loc, fmt.Sprintf("value is not a list of %d", into.Len()), "type_error"})
				return
			}
			decodeElements(elements, into, faults, loc)
			return
		case reflect.Map:
			members := decodeObject(data)
			if members == nil {
				*faults = append(*faults, noObject(loc...))
				return
			}
			decodeMap(members, into, faults, loc)
			return
		}
	}
	if hasNUL(data) {
		*faults = append(*faults, badText(loc...))
		return
	}
	if err := json.Unmarshal(data, into.Addr().Interface()); err != nil {
		*faults = append(*faults, decodeFaults(err, into, loc)...)
	}
}

func decodeElements(elements []json.RawMessage, into reflect.Value, faults *Faults, loc []any) {
	for i, element := range elements {
		if len(*faults) >= maxFaults {
			return
		}
		decodeValue(element, into.Index(i), faults, append(slices.Clone(loc), i)...)
	}
}

func decodeMap(members object, into reflect.Value, faults *Faults, loc []any) {
	into.Set(reflect.MakeMapWithSize(into.Type(), len(members)))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if len(*faults) >= maxFaults {
			return
		}
		at := append(slices.Clone(loc), name)
		if strings.ContainsRune(name, 0) {
			*faults = append(*faults, badText(at...))
			continue
		}
		value := reflect.New(into.Type().Elem()).Elem()
		decodeValue(members[name], value, faults, at...)
		into.SetMapIndex(reflect.ValueOf(name).Convert(into.Type().Key()), value)
	}
}

// decodesItself reports whether a type has a decoder of its own.
func decodesItself(t reflect.Type) bool {
	pointer := reflect.PointerTo(t)
	return pointer.Implements(reflect.TypeFor[json.Unmarshaler]()) || pointer.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// decodeFaults tells a wrong type, or which Faults the application's own type
// returns; another error of its may repeat what was sent.
func decodeFaults(err error, into reflect.Value, loc []any) Faults {
	var own Faults
	switch {
	case errors.As(err, &own) && len(own) > 0:
		own = slices.Clone(own)
		for i := range own {
			within := own[i].Loc
			if len(within) > 0 && within[0] == "body" { // to that type, its value is
				within = within[1:]
			}
			own[i].Loc = slices.Concat(loc, within)
		}
		return own
	case decodesItself(into.Type()):
		return Faults{{loc, "value is not valid", "value_error"}}
	}
	return Faults{{loc, fmt.Sprintf("value is not a valid %v", into.Kind()), "type_error"}}
}

// hasNUL reports whether a text within valid JSON has U+0000, which databases
// can't store.
func hasNUL(data []byte) bool {
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		if unit, ok := unicodeEscape(data[i:]); ok && unit == 0 {
			return true
		}
		i++
	}
	return false
}
