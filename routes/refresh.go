package routes

import (
	"mime"
	"net/http"
	"unicode/utf8"

	"github.com/echo-users/echo-users/authn"
)

// refresh returns POST /refresh, where the backend renews credentials.
func (f *Factory[U]) refresh(backend string, door authn.RefreshBackend, op Operation) Route {
	op.Summary = "Renew a credential of " + backend
	op.Credential = true
	op.Problems = []Problem{{Status: http.StatusUnauthorized, Code: http.StatusText(http.StatusUnauthorized)}}
	if b, _ := f.users.Backend(backend); authn.RequiresVerified(b) {
		op.Problems = append(op.Problems, Problem{Status: http.StatusBadRequest, Code: "LOGIN_USER_NOT_VERIFIED"})
	}
	parameter := door.RefreshParameter()
	if parameter {
		op.Body = []Member{{Name: "refresh_token", Type: text, Required: true}}
		op.CrossSite = false
	}
	handler := func(w http.ResponseWriter, r *http.Request) error {
		var token string
		if parameter {
			var err error
			if token, err = tokenParameter(r, "refresh_token", "refresh_token"); err != nil {
				return err
			}
		}
		res, err := f.users.Refresh(r, backend, token)
		if err != nil {
			return loginError(err)
		}
		return res.Write(w)
	}
	op.Limited = f.limits != nil
	name := "auth:" + backend + ".refresh"
	return Route{http.MethodPost, "/refresh", name, f.limited(f.failingLate(name, handler)), &op}
}

// revoke returns POST /revoke (RFC 7009), where the backend can end tokens:
// whoever has one may.
func (f *Factory[U]) revoke(b authn.Backend) Route {
	backend := b.Name()
	handler := func(w http.ResponseWriter, r *http.Request) error {
		token, err := tokenParameter(r, "token", "")
		if err != nil {
			return err
		}
		if err := f.users.Revoke(r.Context(), backend, token); err != nil {
			return err
		}
		res := authn.Response{Status: http.StatusOK}
		return res.Write(w)
	}
	name := "auth:" + backend + ".revoke"
	return Route{http.MethodPost, "/revoke", name, f.limited(f.Limited(name, handler)), &Operation{
		Summary: "Revoke a token of " + backend, Tag: "auth", Status: http.StatusOK,
		Body:    []Member{{Name: "token", Type: text, Required: true}},
		Limited: f.limits != nil, Problems: endless(b),
	}}
}

// tokenParameter reads a token from a JSON object or a form (RFC 6749 §6,
// RFC 7009 §2.1). A grant_type must be this one where there is one, unless this
// is empty.
func tokenParameter(r *http.Request, name, grant string) (string, error) {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if media == "application/x-www-form-urlencoded" || media == "multipart/form-data" {
		return formToken(r, name, grant)
	}
	body, err := decodeBody(r)
	if err != nil {
		return "", err
	}
	var faults Faults
	token := body.required(name, &faults)
	if _, ok := body["grant_type"]; ok && grant != "" {
		if given := body.text("grant_type", &faults); given != nil && *given != grant {
			faults = append(faults, wrongGrant(grant))
		}
	}
	if len(faults) > 0 {
		return "", faults.httpError()
	}
	return *token, nil
}

func formToken(r *http.Request, name, grant string) (string, error) {
	form, err := decodeForm(r)
	if err != nil {
		return "", err
	}
	var faults Faults
	token := formField(form, name, &faults)
	if grant != "" {
		checkGrant(form, grant, &faults)
	}
	if len(faults) > 0 {
		return "", faults.httpError()
	}
	return token, nil
}

// formField reads a field that must be there once.
func formField(form map[string][]string, name string, faults *Faults) string {
	values := form[name]
	switch {
	case len(values) > 1:
		*faults = append(*faults, twice("body", name))
	case len(values) == 0 || values[0] == "":
		*faults = append(*faults, missing("body", name))
	case !utf8.ValidString(values[0]):
		*faults = append(*faults, badText("body", name))
	default:
		return values[0]
	}
	return ""
}

// checkGrant refuses another grant_type than this, and two of them
// (RFC 6749 §3.2).
func checkGrant(form map[string][]string, grant string, faults *Faults) {
	switch given := form["grant_type"]; {
	case len(given) > 1:
		*faults = append(*faults, twice("body", "grant_type"))
	case len(given) == 1 && given[0] != "" && given[0] != grant:
		*faults = append(*faults, wrongGrant(grant))
	}
}

func wrongGrant(grant string) Fault {
	return Fault{[]any{"body", "grant_type"}, `must be "` + grant + `"`, "value_error.str.regex"}
}
