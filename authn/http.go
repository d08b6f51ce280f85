package authn

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// HTTPError is an error with the answer that it deserves.
type HTTPError struct {
	// Status is the HTTP status code. Defaults to 500.
	Status int
	// Detail goes into the body, as {"detail": …}.
	Detail any
	// Header is added to the answer's header.
	Header http.Header
	// Err is the cause. It is for [errors.Is] and logs, and never sent.
	Err error
}

// Error returns the cause's text, or the status'.
func (e *HTTPError) Error() string {
	if e.Err != nil {
		return e.Err.Error()
	}
	return http.StatusText(e.Status)
}

// Unwrap returns the cause.
func (e *HTTPError) Unwrap() error { return e.Err }

// retryAfter is how long a client should wait after a 503, in seconds: what
// the error says, if it has a method RetryAfter() time.Duration.
func retryAfter(err error) string {
	var busy interface{ RetryAfter() time.Duration }
	if errors.As(err, &busy) {
		return strconv.Itoa(max(1, int(math.Ceil(busy.RetryAfter().Seconds()))))
	}
	return "1"
}

// AsHTTPError returns the answer that an error deserves: its own where it is
// or wraps an [*HTTPError], the one of its kind, or else 500. The error's text
// is never in it.
func AsHTTPError(err error) *HTTPError {
	var answer *HTTPError
	if errors.As(err, &answer) {
		if answer.Status == 0 {
			own := *answer
			own.Status = http.StatusInternalServerError
			if own.Detail == nil {
				own.Detail = http.StatusText(own.Status)
			}
			return &own
		}
		return answer
	}
	status := http.StatusInternalServerError
	var header http.Header
	var tooLarge *http.MaxBytesError
	var weak *PasswordError
	switch {
	case errors.Is(err, ErrUnavailable):
		status = http.StatusServiceUnavailable
		header = http.Header{"Retry-After": {retryAfter(err)}}
	case errors.Is(err, ErrUnauthorized), errors.Is(err, ErrInvalidToken), errors.Is(err, ErrNoCredential):
		status = http.StatusUnauthorized
	case errors.Is(err, ErrForbidden), errors.Is(err, ErrCrossSite):
		status = http.StatusForbidden
	case errors.Is(err, ErrUserNotFound), errors.Is(err, ErrSessionNotFound), errors.Is(err, ErrNotSupported):
		status = http.StatusNotFound
	case errors.Is(err, ErrBadCredentials), errors.Is(err, ErrNotVerified), errors.Is(err, ErrAlreadyVerified), errors.Is(err, ErrTooManySessions), errors.As(err, &weak):
		status = http.StatusBadRequest
	case errors.Is(err, ErrUserExists), errors.Is(err, ErrConflict):
		status = http.StatusConflict
	case errors.Is(err, ErrRejected), errors.Is(err, ErrInvalidEmail), errors.Is(err, ErrPasswordTooLong):
		status = http.StatusUnprocessableEntity
	case errors.As(err, &tooLarge):
		status = http.StatusRequestEntityTooLarge
	}
	return &HTTPError{Status: status, Detail: http.StatusText(status), Header: header, Err: err}
}

// ErrorBody is the JSON of every error answer.
type ErrorBody struct {
	Detail any `json:"detail"`
}

// WriteError answers a request with an error as [AsHTTPError] sees it.
func WriteError(w http.ResponseWriter, err error) {
	answer := AsHTTPError(err)
	body, err := json.Marshal(ErrorBody{answer.Detail})
	if err != nil {
		answer = AsHTTPError(err)
		body = []byte(`{"detail":"Internal Server Error"}`)
	}
	answer.SetHeader(w.Header())
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(answer.Status)
	_, _ = w.Write(body) // a client that is gone needs no answer
}

// SetHeader adds the answer's header fields to a response's, and forbids to store
// it and to guess its type; none is there twice, however often an error passes
// here. It is for adapters of frameworks that write the body themselves.
func (e *HTTPError) SetHeader(header http.Header) {
	for name, values := range e.Header {
		for _, value := range values {
			if !slices.Contains(header[name], value) { // an error handler may write it again
				header[name] = append(header[name], value)
			}
		}
	}
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
}

// isQuotable reports whether s can stand in a quoted-string as it is
// (RFC 9110 §5.6.4).
func isQuotable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || r > '~' || r == '"' || r == '\\'
	})
}
