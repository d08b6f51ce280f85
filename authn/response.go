package authn

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
)

// Response is an answer as a value: built first, added to by hooks, written
// once.
type Response struct {
	// Status is the HTTP status code.
	Status int
	// Header is added to the answer's header.
	Header http.Header
	// Body is written as JSON unless it is nil.
	Body any
	// SessionID names the session that the credential of this answer begins, where
	// the backend keeps one. It isn't written.
	SessionID string
	// Undo takes back what was issued with this answer, for a hook that
	// refuses the log-in. Nil where nothing can be taken back.
	Undo func(ctx context.Context) error
}

// Format prints the status alone, whatever the verb: header and body may hold
// a token.
func (res Response) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "[response of status %d]", res.Status)
}

// LogValue returns the status alone.
func (res Response) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(res)) }

// AddCookie adds a cookie to the answer, or nothing where it is nil. The header
// it is added to is a copy.
func (res *Response) AddCookie(cookie *http.Cookie) {
	if cookie == nil {
		return
	}
	if res.Header = res.Header.Clone(); res.Header == nil {
		res.Header = http.Header{}
	}
	res.Header.Add("Set-Cookie", cookie.String())
}

// Write sends the response with Cache-Control: no-store and Pragma: no-cache
// (RFC 6749 §5.1), and with X-Content-Type-Options: nosniff.
func (res *Response) Write(w http.ResponseWriter) error {
	header := w.Header()
	for name, values := range res.Header {
		header[name] = append(header[name], values...)
	}
	header.Set("Cache-Control", "no-store")
	header.Set("Pragma", "no-cache")
	header.Set("X-Content-Type-Options", "nosniff")
	if res.Body == nil {
		w.WriteHeader(res.Status)
		return nil
	}
	body, err := json.Marshal(res.Body)
	if err != nil {
		return err
	}
	header.Set("Content-Type", "application/json")
	w.WriteHeader(res.Status)
	_, err = w.Write(body)
	return err
}
