package echo4

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/echo-users/echo-users/authn"
)

// Error turns an error into one that Echo answers as [authn.WriteError] would,
// whichever error handler is set: its message is the body, its headers are on
// the response already, and its cause is within for logs and error handlers
// of the application's own.
//
// An [*echo.HTTPError] that a rule or a hook of the application's returned
// keeps its code and message.
func Error(c echo.Context, err error) error {
	answer := authn.AsHTTPError(err)
	var own *echo.HTTPError
	if errors.As(err, &own) {
		answer = &authn.HTTPError{Status: own.Code, Detail: own.Message, Err: err}
	}
	answer.SetHeader(c.Response().Header())
	return &echo.HTTPError{Code: answer.Status, Message: authn.ErrorBody{Detail: answer.Detail}, Internal: err}
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
func AsHTTPError(err error) *authn.HTTPError {
	var known *echo.HTTPError
	if !errors.As(err, &known) {
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
