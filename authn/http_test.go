package authn_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// busy is an error that knows when to come again.
type busy time.Duration

func (b busy) Error() string             { return "hunter2 is too busy" }
func (b busy) RetryAfter() time.Duration { return time.Duration(b) }

// TestErrorsAndTheirAnswers holds the table of errors: every kind, bare and
// wrapped with a cause that nobody outside may see.
func TestErrorsAndTheirAnswers(t *testing.T) {
	_, tooLarge := io.ReadAll(http.MaxBytesReader(nil, io.NopCloser(strings.NewReader("xx")), 1))
	cause := errors.New("dial tcp 10.0.0.7: hunter2")
	for _, c := range []struct {
		err    error
		status int
		detail string
		retry  string
	}{
		{authn.ErrNoCredential, 401, "Unauthorized", ""},
		{authn.ErrInvalidToken, 401, "Unauthorized", ""},
		{authn.ErrUnauthorized, 401, "Unauthorized", ""},
		{authn.ErrForbidden, 403, "Forbidden", ""},
		{authn.ErrUnavailable, 503, "Service Unavailable", "1"},
		{fmt.Errorf("%w: %w", authn.ErrUnavailable, busy(1500*time.Millisecond)), 503, "Service Unavailable", "2"},
		{fmt.Errorf("%w: %w", authn.ErrUnavailable, busy(0)), 503, "Service Unavailable", "1"},
		{fmt.Errorf("%w: %w", authn.ErrUnavailable, busy(-time.Hour)), 503, "Service Unavailable", "1"},
		{fmt.Errorf("%w: %w", authn.ErrUnavailable, busy(time.Minute)), 503, "Service Unavailable", "60"},
		{errors.Join(authn.ErrBadCredentials, authn.ErrUnavailable), 503, "Service Unavailable", "1"},
		{errors.Join(authn.ErrUserNotFound, authn.ErrUnavailable), 503, "Service Unavailable", "1"},
		{errors.Join(authn.ErrForbidden, authn.ErrUnauthorized), 401, "Unauthorized", ""},
		{authn.ErrUserNotFound, 404, "Not Found", ""},
		{authn.ErrNotSupported, 404, "Not Found", ""},
		{authn.ErrBadCredentials, 400, "Bad Request", ""},
		{authn.ErrNotVerified, 400, "Bad Request", ""},
		{&authn.PasswordError{Reason: "hunter2"}, 400, "Bad Request", ""},
		{authn.ErrUserExists, 409, "Conflict", ""},
		{authn.ErrConflict, 409, "Conflict", ""},
		{authn.ErrRejected, 422, "Unprocessable Entity", ""},
		{authn.ErrInvalidEmail, 422, "Unprocessable Entity", ""},
		{authn.ErrPasswordTooLong, 422, "Unprocessable Entity", ""},
		{tooLarge, 413, "Request Entity Too Large", ""},
		{cause, 500, "Internal Server Error", ""},
		{context.Canceled, 500, "Internal Server Error", ""},
		{busy(time.Minute), 500, "Internal Server Error", ""}, // not a word about a store
	} {
		for _, err := range []error{c.err, fmt.Errorf("hunter2: %w", c.err), errors.Join(cause, c.err)} {
			w := httptest.NewRecorder()
			authn.WriteError(w, err)
			if want := `{"detail":"` + c.detail + `"}`; w.Code != c.status || w.Body.String() != want {
				t.Errorf("%v: %d %s, want %d %s", err, w.Code, w.Body, c.status, want)
			}
			h := w.Header()
			if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Type") != "application/json" || h.Get("Retry-After") != c.retry {
				t.Errorf("%v: %v", err, h)
			}
			if answer := authn.AsHTTPError(err); !errors.Is(answer, c.err) || answer.Error() != err.Error() {
				t.Errorf("%v: the cause is lost: %v", err, answer)
			}
		}
	}
}

func TestAnAnswerOfOnesOwn(t *testing.T) {
	own := &authn.HTTPError{
		Status: http.StatusTeapot, Detail: map[string]any{"code": "HOT", "reason": "short & stout"},
		Header: http.Header{"X-Tea": {"a", "b"}, "Cache-Control": {"max-age=60"}}, Err: errors.New("hunter2"),
	}
	for _, err := range []error{own, fmt.Errorf("brewing: %w", own), errors.Join(authn.ErrUnavailable, own)} {
		w := httptest.NewRecorder()
		w.Header().Set("X-Tea", "before")
		authn.WriteError(w, err)
		if w.Code != http.StatusTeapot || w.Body.String() != `{"detail":{"code":"HOT","reason":"short \u0026 stout"}}` {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if fmt.Sprint(w.Header()["X-Tea"]) != "[before a b]" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%v", w.Header())
		}
	}
	if len(own.Header["X-Tea"]) != 2 {
		t.Errorf("the error was changed: %v", own.Header)
	}
	for err, want := range map[*authn.HTTPError]string{
		own: "hunter2", {Status: 404}: "Not Found", {Status: 401, Err: authn.ErrUnauthorized}: "authn: unauthorized",
	} {
		if err.Error() != want {
			t.Errorf("%q, want %q", err.Error(), want)
		}
	}
}

func TestAnAnswerWithoutAStatus(t *testing.T) {
	w := httptest.NewRecorder()
	authn.WriteError(w, &authn.HTTPError{Err: errors.New("hunter2")})
	if got := fmt.Sprint(w.Code, " ", w.Body); got != `500 {"detail":"Internal Server Error"}` {
		t.Error(got)
	}
}

func TestADetailThatIsNoJSON(t *testing.T) {
	w := httptest.NewRecorder()
	authn.WriteError(w, &authn.HTTPError{Status: http.StatusTeapot, Detail: func() {}, Header: http.Header{"X-Tea": {"a"}}})
	if w.Code != 500 || w.Body.String() != `{"detail":"Internal Server Error"}` || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
	}
}

func TestResponsesAreWrittenOnce(t *testing.T) {
	for what, c := range map[string]struct {
		res  authn.Response
		want string
	}{
		"empty": {authn.Response{Status: 204}, `204 "" `},
		"body":  {authn.Response{Status: 200, Body: map[string]int{"a": 1}}, `200 "{\"a\":1}" application/json`},
		"cookie": {authn.Response{Status: 204, Header: http.Header{"Set-Cookie": {"a=1", "b=2"}, "Cache-Control": {"public"}}},
			`204 "" `},
	} {
		w := httptest.NewRecorder()
		w.Header().Set("Set-Cookie", "first=0")
		if err := c.res.Write(w); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		got := fmt.Sprintf("%d %q %s", w.Code, w.Body, w.Header().Get("Content-Type"))
		if got != c.want || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %s, %v", what, got, w.Header())
		}
		if n := len(w.Header()["Set-Cookie"]); n != 1+len(c.res.Header["Set-Cookie"]) {
			t.Errorf("%s: %d cookies", what, n)
		}
	}
	w := httptest.NewRecorder()
	broken := authn.Response{Status: 200, Body: func() {}}
	if err := broken.Write(w); err == nil || w.Body.Len() > 0 {
		t.Errorf("%v, %s", err, w.Body)
	}
}
