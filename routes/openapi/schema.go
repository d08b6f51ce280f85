package openapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/google/uuid"
	"github.com/swaggest/jsonschema-go"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/routes"
)

var (
	tokenSchema = map[string]any{
		"type":     "object",
		"required": []string{"access_token", "token_type"},
		"properties": map[string]any{
			"access_token": map[string]any{"type": "string"},
			"token_type":   map[string]any{"type": "string", "const": "bearer"},
			// Where the backend keeps sessions.
			"expires_in":    map[string]any{"type": "integer", "description": "seconds"},
			"refresh_token": map[string]any{"type": "string"},
		},
	}
	formSchema = map[string]any{
		"type":     "object",
		"required": []string{"username", "password"},
		"properties": map[string]any{
			// With an example, a page doesn't fill in the word "string".
			"username":   map[string]any{"type": "string", "example": "", "description": "the e-mail address, unless the application has user names"},
			"password":   map[string]any{"type": "string", "example": "", "format": "password"},
			"grant_type": map[string]any{"type": "string", "enum": []string{"password"}},
		},
	}
	problemSchema = map[string]any{
		"type":     "object",
		"required": []string{"detail"},
		"properties": map[string]any{"detail": map[string]any{"oneOf": []any{
			map[string]any{"type": "string"},
			map[string]any{
				"type":     "object",
				"required": []string{"code", "reason"},
				"properties": map[string]any{
					"code":   map[string]any{"type": "string"},
					"reason": map[string]any{"type": "string"},
				},
			},
		}}},
	}
	faultsSchema = map[string]any{
		"type":     "object",
		"required": []string{"detail"},
		"properties": map[string]any{"detail": map[string]any{"type": "array", "items": map[string]any{
			"type":     "object",
			"required": []string{"loc", "msg", "type"},
			"properties": map[string]any{
				"loc":  map[string]any{"type": "array", "items": map[string]any{"type": []string{"string", "integer"}}},
				"msg":  map[string]any{"type": "string"},
				"type": map[string]any{"type": "string"},
			},
		}}},
	}
)

// keySchema is that of the users' primary key.
func keySchema[U authn.User]() map[string]any {
	t := reflect.TypeFor[U]()
	if t.Kind() == reflect.Pointer {
		if keyed, ok := reflect.New(t.Elem()).Interface().(interface{ AuthKey() any }); ok {
			switch key := keyed.AuthKey().(type) {
			case uuid.UUID:
				return map[string]any{"type": "string", "format": "uuid"}
			default:
				if kind := reflect.ValueOf(key).Kind(); reflect.Int <= kind && kind <= reflect.Uint64 {
					return map[string]any{"type": "integer", "format": "int64"}
				}
			}
		}
	}
	return map[string]any{"type": "string"}
}

// object is the schema of a body.
func (d *Document) object(members []routes.Member) (map[string]any, error) {
	properties := map[string]any{}
	var required []string
	for _, m := range members {
		schema, err := d.schema(m.Type)
		if err != nil {
			return nil, err
		}
		if m.Format != "" {
			schema["format"] = m.Format
		}
		if m.Nullable {
			schema = map[string]any{"anyOf": []any{schema, map[string]any{"type": "null"}}}
		}
		properties[m.Name] = schema
		if m.Required {
			required = append(required, m.Name)
		}
	}
	object := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		object["required"] = required
	}
	return object, nil
}

// answer is the schema of a user in answers, which all routes share.
func (d *Document) answer(t reflect.Type) (map[string]any, error) {
	if d.answers == t {
		return reference("User"), nil
	}
	schema, err := d.schema(t)
	if err != nil {
		return nil, err
	}
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		return schema, nil
	}
	// What the zero value shows is always there.
	var zero map[string]any
	if shown, err := json.Marshal(reflect.New(t).Interface()); err == nil && json.Unmarshal(shown, &zero) == nil {
		schema["required"] = slices.Sorted(maps.Keys(zero))
	}
	if id, ok := properties["id"].(map[string]any); ok && id["type"] == nil {
		properties["id"] = d.user
	}
	if email, ok := properties["email"].(map[string]any); ok {
		email["format"] = "email"
	}
	d.answers = t
	return reference("User"), d.name("User", schema)
}

// name makes a schema a component, which others refer to.
func (d *Document) name(name string, schema map[string]any) error {
	components := d.reflector.SpecEns().ComponentsEns()
	if _, taken := components.Schemas[name]; taken {
		return fmt.Errorf("openapi: the document has another schema %q", name)
	}
	components.WithSchemasItem(name, schema)
	return nil
}

func reference(name string) map[string]any {
	return map[string]any{"$ref": "#/components/schemas/" + name}
}

// schema is that of a Go type's JSON.
func (d *Document) schema(t reflect.Type) (map[string]any, error) {
	reflector := jsonschema.Reflector{}
	reflected, err := reflector.Reflect(reflect.New(t).Elem().Interface(), jsonschema.InlineRefs)
	if err != nil {
		return nil, err
	}
	schema, err := reflected.ToSchemaOrBool().ToSimpleMap()
	if err != nil {
		return nil, err
	}
	return schema, nil
}
