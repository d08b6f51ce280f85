package openapi

import (
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/swaggest/openapi-go/openapi31"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/routes"
)

// Add describes a route by its Operation: one of a factory's that is mounted
// by itself, under its own prefix. One without an Operation is no error, and
// isn't described.
func (d *Document) Add(route routes.Route) error {
	if route.Operation == nil {
		return nil
	}
	in := route.Operation
	var op openapi31.Operation
	op.WithID(route.Name).WithSummary(in.Summary).WithTags(in.Tag)
	for _, name := range parameters(route.Path) {
		op.Parameters = append(op.Parameters, openapi31.ParameterOrReference{Parameter: (&openapi31.Parameter{}).
			WithName(name).WithIn(openapi31.ParameterInPath).WithRequired(true).WithSchema(d.parameter(name))})
	}
	if err := d.query(&op, in.Query); err != nil {
		return fmt.Errorf("openapi: %s: %w", route.Name, err)
	}
	if err := d.success(&op, in); err != nil {
		return fmt.Errorf("openapi: %s: %w", route.Name, err)
	}
	for _, p := range in.Problems {
		refuse(&op, p)
	}
	switch {
	case in.Form:
		op.RequestBody = body("application/x-www-form-urlencoded", formSchema)
		op.RequestBody.RequestBody.Content["multipart/form-data"] = openapi31.MediaType{Schema: formSchema}
		faulty(&op, "username", true)
	case len(in.Body) > 0:
		schema, err := d.object(in.Body)
		if err != nil {
			return fmt.Errorf("openapi: %s: %w", route.Name, err)
		}
		op.RequestBody = body("application/json", schema)
		faulty(&op, in.Body[0].Name, in.Body[0].Required)
	}
	if in.Demands != nil {
		d.guard(&op, *in.Demands, route.Method)
	}
	if in.CrossSite {
		refuse(&op, status(http.StatusForbidden))
	}
	if in.Limited {
		refuse(&op, status(http.StatusTooManyRequests))
	}
	refuse(&op, status(http.StatusServiceUnavailable))
	if err := d.reflector.Spec.AddOperation(route.Method, route.Path, op); err != nil {
		return fmt.Errorf("openapi: %s: %w", route.Name, err)
	}
	return nil
}

// query describes the parameters of a query, and what happens to one that is
// wrong.
func (d *Document) query(op *openapi31.Operation, members []routes.Member) error {
	for _, m := range members {
		schema, err := d.schema(m.Type)
		if err != nil {
			return err
		}
		if m.Format != "" {
			schema["format"] = m.Format
		}
		op.Parameters = append(op.Parameters, openapi31.ParameterOrReference{Parameter: (&openapi31.Parameter{}).
			WithName(m.Name).WithIn(openapi31.ParameterInQuery).WithSchema(schema)})
		if m.Type.Kind() == reflect.Int64 {
			addExample(op, http.StatusUnprocessableEntity, "query", reference("Faults"), map[string]any{"detail": []any{
				map[string]any{"loc": []any{"query", m.Name}, "msg": "value is not a valid integer", "type": "type_error.integer"},
			}})
		}
	}
	return nil
}

// parameter is the schema of a path's parameter: "id" is a user's.
func (d *Document) parameter(name string) map[string]any {
	if name == "id" {
		return d.user
	}
	return map[string]any{"type": "string"}
}

// parameters are the names in a path such as "/users/{id}".
func parameters(path string) []string {
	var names []string
	for segment := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			names = append(names, strings.TrimSuffix(name, "}"))
		}
	}
	return names
}

func body(contentType string, schema map[string]any) *openapi31.RequestBodyOrReference {
	return &openapi31.RequestBodyOrReference{RequestBody: (&openapi31.RequestBody{}).WithRequired(true).
		WithContent(map[string]openapi31.MediaType{contentType: {Schema: schema}})}
}

// success describes the answer of a route that did what it is for.
func (d *Document) success(op *openapi31.Operation, in *routes.Operation) error {
	answer := openapi31.Response{Description: http.StatusText(in.Status)}
	code := in.Status
	switch scheme := d.schemes[in.Backend]; {
	case in.Credential && scheme.Type == "apiKey" && scheme.In == "cookie":
		code = http.StatusNoContent
		answer.Description = "Logged in: the cookie is set"
		answer.Headers = header("Set-Cookie", "the cookie "+scheme.Name)
	case in.Credential && scheme.Type == "oauth2":
		code = http.StatusOK
		answer.Description = "Logged in"
		answer.Content = content(reference("BearerToken"))
	case in.Credential:
		code = http.StatusOK
		answer.Description = "Logged in"
	case in.Answer != nil:
		schema, err := d.answer(in.Answer)
		if err != nil {
			return err
		}
		answer.Content = content(schema)
	case in.Null:
		answer.Content = content(map[string]any{"type": "null"})
	}
	op.ResponsesEns().WithMapOfResponseOrReferenceValuesItem(strconv.Itoa(code), openapi31.ResponseOrReference{Response: &answer})
	if in.Reissue {
		again := openapi31.Response{Description: "A bearer token in place of the one that was sent", Content: content(reference("BearerToken"))}
		op.ResponsesEns().WithMapOfResponseOrReferenceValuesItem(strconv.Itoa(http.StatusOK), openapi31.ResponseOrReference{Response: &again})
	}
	return nil
}

func content(schema map[string]any) map[string]openapi31.MediaType {
	return map[string]openapi31.MediaType{"application/json": {Schema: schema}}
}

func header(name, description string) map[string]openapi31.HeaderOrReference {
	h := (&openapi31.Header{}).WithDescription(description).WithSchema(map[string]any{"type": "string"})
	return map[string]openapi31.HeaderOrReference{name: {Header: h}}
}

// status is the problem of a status without a code of its own.
func status(code int) routes.Problem {
	return routes.Problem{Status: code, Code: http.StatusText(code)}
}

// refuse adds an example of a refusal, under its code.
func refuse(op *openapi31.Operation, p routes.Problem) {
	var detail any = p.Code
	if p.Reasons {
		detail = map[string]any{"code": p.Code, "reason": "Password should be at least 8 characters"}
	}
	addExample(op, p.Status, strings.ReplaceAll(p.Code, " ", "_"), reference("Problem"), map[string]any{"detail": detail})
}

// faulty adds what happens to a body of which a member is missing, or, where
// none must be there, is wrong.
func faulty(op *openapi31.Operation, member string, required bool) {
	name, message, kind := "missing", "field required", "value_error.missing"
	if !required {
		name, message, kind = "invalid", "value is not a valid email address", "value_error.email"
	}
	addExample(op, http.StatusUnprocessableEntity, name, reference("Faults"), map[string]any{"detail": []any{
		map[string]any{"loc": []any{"body", member}, "msg": message, "type": kind},
	}})
	refuse(op, status(http.StatusRequestEntityTooLarge))
}

func addExample(op *openapi31.Operation, code int, name string, schema map[string]any, value any) {
	answers := op.ResponsesEns()
	key := strconv.Itoa(code)
	answer, ok := answers.MapOfResponseOrReferenceValues[key]
	if !ok {
		answer.Response = &openapi31.Response{Description: http.StatusText(code), Content: content(schema)}
		switch code {
		case http.StatusUnauthorized:
			answer.Response.Headers = header("WWW-Authenticate", "a challenge for each scheme")
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			answer.Response.Headers = header("Retry-After", "in how many seconds to try again")
		}
	}
	media := answer.Response.Content["application/json"]
	media.WithExamplesItem(name, openapi31.ExampleOrReference{Example: (&openapi31.Example{}).WithValue(value)})
	answer.Response.Content["application/json"] = media
	answers.WithMapOfResponseOrReferenceValuesItem(key, answer)
}

// guard adds what a guard demands, and how it refuses.
func (d *Document) guard(op *openapi31.Operation, demands authn.Demands, method string) {
	for _, name := range demands.Backends {
		op.Security = append(op.Security, map[string][]string{name: {}})
	}
	if demands.Optional {
		op.Security = append(op.Security, map[string][]string{})
	} else {
		refuse(op, status(http.StatusUnauthorized))
		if demands.Fresh > 0 {
			refuse(op, routes.Problem{Status: http.StatusUnauthorized, Code: "insufficient_user_authentication"})
		}
	}
	changes := method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
	if demands.Forbids && !demands.Optional || demands.CrossSite && changes {
		refuse(op, status(http.StatusForbidden))
	}
	refuse(op, status(http.StatusServiceUnavailable))
}
