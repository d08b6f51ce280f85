package nethttp

import (
	"log"
	"net/http"
	"strings"
	"unicode"

	"github.com/echo-users/echo-users/authn"
)

// Error answers a request with an error, as [authn.WriteError] does. The cause
// of a 5xx goes to the server's log ([http.Server] ErrorLog).
func Error(w http.ResponseWriter, r *http.Request, err error) {
	if authn.AsHTTPError(err).Status >= http.StatusInternalServerError {
		logf(r, "%s %s: %s", r.Method, r.URL.EscapedPath(), oneLine(err.Error()))
	}
	authn.WriteError(w, err)
}

// oneLine keeps what a client has sent, and a store repeats in an error, from
// looking like an entry of its own in the log.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

func logf(r *http.Request, format string, args ...any) {
	if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok && server.ErrorLog != nil {
		server.ErrorLog.Printf(format, args...)
		return
	}
	log.Printf(format, args...)
}

// handler answers with the errors of h.
func handler(h func(w http.ResponseWriter, r *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			Error(w, r, err)
		}
	})
}
