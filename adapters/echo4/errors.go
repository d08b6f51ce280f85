package echo4

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/adapters/internal/echos"
	"github.com/echo-users/echo-users/authn"
)

// Error turns an error into one that Echo answers as [authn.WriteError] would,
// whichever error handler is set: its message is the body, its headers are on
// the response already, and its cause is within for logs and error handlers
// of the application's own.
//
// An [*echo.HTTPError] that a rule or a hook of the application's returned
// keeps its code and message, unless it is the cause of an
// [authn.ErrUnavailable] or [*authn.HTTPError] of theirs.
func Error(c echo.Context, err error) error {
	answer := AsHTTPError(err)
	answer.SetHeader(c.Response().Header())
	// Echo's own handler answers as an Internal that is an [*echo.HTTPError]: err isn't it itself.
	cause := &authn.HTTPError{Status: answer.Status, Detail: answer.Detail, Header: answer.Header, Err: err}
	return &echo.HTTPError{Code: answer.Status, Message: authn.ErrorBody{Detail: answer.Detail}, Internal: cause}
}

// ErrorHandler is an Echo error handler whose answers have the contract's
// body, {"detail": …}: for routes that don't exist, for errors of package
// authn that a handler of the application returns, and for all others. The
// causes of 5xx are logged with Echo's logger.
//
//	e.HTTPErrorHandler = echo4.ErrorHandler
func ErrorHandler(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	answer := AsHTTPError(err)
	if answer.Status >= http.StatusInternalServerError {
		c.Logger().Error(err)
	}
	authn.WriteError(c.Response(), answer)
}

// AsHTTPError returns the answer that an error deserves which reaches an Echo
// error handler, for one that writes it in a form of its own: Echo's errors
// have their code and message, and all others what [authn.AsHTTPError] says.
// The cause of an [authn.ErrUnavailable] or [*authn.HTTPError] has no say in it.
func AsHTTPError(err error) *authn.HTTPError {
	var known *echo.HTTPError
	if !errors.As(err, &known) || known == nil || !echos.Answers(known, known.Code, err) {
		return authn.AsHTTPError(err)
	}
	answer := &authn.HTTPError{Status: known.Code, Detail: known.Message, Err: err}
	switch message := known.Message.(type) {
	case authn.ErrorBody:
		answer.Detail = message.Detail
	case error:
		answer.Detail = message.Error()
	}
	return answer
}
