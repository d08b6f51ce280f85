// Package echos has what the adapters of both Echos share: nothing in it knows
// either.
package echos

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/echo-users/echo-users/authn"
)

// Path turns /users/{id} into /users/:id, and names the parameters.
func Path(pattern string) (path string, names []string) {
	segments := strings.Split(pattern, "/")
	for i, segment := range segments {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			name = strings.TrimSuffix(name, "}")
			segments[i] = ":" + name
			names = append(names, name)
		}
	}
	return strings.Join(segments, "/"), names
}

// Param is what a parameter of a path stands for. Echo takes it from RawPath, where
// there is one, and leaves it encoded, unless its router or a middleware does
// otherwise: what isn't in RawPath as it is has been decoded.
func Param(u *url.URL, value string) string {
	if strings.Contains(u.RawPath+"/", "/"+value+"/") {
		if plain, err := url.PathUnescape(value); err == nil {
			return plain
		}
	}
	return value
}

// Answers reports whether known, an error of Echo's with a status that errors.As
// has found in err, says how to answer err. One doesn't whose status is none, at
// which Go panics, or is below 300, those of success. Nor does one that is but
// the cause of an answer of ours: of an [authn.ErrUnavailable], or of an
// [*authn.HTTPError] that isn't how a guard refuses for a rule's error. A body
// that a middleware of Echo's cut off is 413 all the same.
func Answers(known error, status int, err error) bool {
	if status < http.StatusMultipleChoices || status > 999 {
		return false
	}
	if errors.Is(err, authn.ErrUnavailable) && !errors.Is(known, authn.ErrUnavailable) {
		return false
	}
	var ours, within *authn.HTTPError
	isCause := errors.As(err, &ours) && !errors.As(known, &within) && !errors.Is(ours, authn.ErrForbidden)
	return !isCause || status == http.StatusRequestEntityTooLarge
}
