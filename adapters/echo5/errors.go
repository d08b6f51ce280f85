package echo5

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v5"

	"github.com/echo-users/echo-users/adapters/internal/echos"
	"github.com/echo-users/echo-users/authn"
)

// answered is an error that Echo's own error handler answers as
// [authn.WriteError] would, for it has a status and makes its own JSON.
type answered struct{ *authn.HTTPError }

func (e answered) StatusCode() int { return e.Status }

func (e answered) MarshalJSON() ([]byte, error) {
	return json.Marshal(authn.ErrorBody{Detail: e.Detail})
}

// LogValue has logs show the cause: package slog would take the answer's JSON.
func (e answered) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// Unwrap returns the error with its answer, so that errors.As finds an
// [*authn.HTTPError].
func (e answered) Unwrap() error { return e.HTTPError }

// Error turns an error into one that Echo answers as [authn.WriteError] would,
// whichever error handler is set: it is the body's JSON, its headers are on
// the response already, and its cause is within for logs and error handlers
// of the application's own.
//
// An [*echo.HTTPError], or another error with a status of Echo's
// ([echo.HTTPStatusCoder]), that a rule or a hook of the application's returned
// keeps its code and message, unless it is the cause of an
// [authn.ErrUnavailable] or [*authn.HTTPError] of theirs.
func Error(c *echo.Context, err error) error {
	answer := AsHTTPError(err)
	answer.SetHeader(c.Response().Header())
	return answered{&authn.HTTPError{Status: answer.Status, Detail: answer.Detail, Header: answer.Header, Err: err}}
}

// ErrorHandler is an Echo error handler whose answers have the contract's
// body, {"detail": …}: for routes that don't exist, for errors of package
// authn that a handler of the application returns, and for all others. The
// causes of 5xx are logged with Echo's logger.
//
//	e.HTTPErrorHandler = echo5.ErrorHandler
func ErrorHandler(c *echo.Context, err error) {
	if r, _ := echo.UnwrapResponse(c.Response()); r != nil && r.Committed {
		return
	}
	answer := AsHTTPError(err)
	if answer.Status >= http.StatusInternalServerError {
		c.Logger().ErrorContext(c.Request().Context(), "request failed", "error", err)
	}
	authn.WriteError(c.Response(), answer)
}

// AsHTTPError returns the answer that an error deserves which reaches an Echo
// error handler, for one that writes it in a form of its own: Echo's errors
// have their code and message, and all others what [authn.AsHTTPError] says.
// The cause of an [authn.ErrUnavailable] or [*authn.HTTPError] has no say in it,
// such as the answer of a service that a store asks.
func AsHTTPError(err error) *authn.HTTPError {
	known, ok := errors.AsType[interface {
		error
		echo.HTTPStatusCoder
	}](err)
	if !ok || !echos.Answers(known, known.StatusCode(), err) {
		return authn.AsHTTPError(err)
	}
	if ours, ok := known.(answered); ok {
		return ours.HTTPError
	}
	answer := &authn.HTTPError{Status: known.StatusCode(), Detail: http.StatusText(known.StatusCode()), Err: err}
	if own, ok := known.(*echo.HTTPError); ok && own.Message != "" {
		answer.Detail = own.Message
	}
	return answer
}
