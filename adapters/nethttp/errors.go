package nethttp

import (
	"log"
	"net/http"

	"github.com/echo-users/echo-users/authn"
)

// Error answers a request with an error, as [authn.WriteError] does. The cause
// of a 5xx goes to the server's log ([http.Server] ErrorLog).
func Error(w http.ResponseWriter, r *http.Request, err error) {
	if authn.AsHTTPError(err).Status >= http.StatusInternalServerError {
		logf(r, "%s %s: %v", r.Method, r.URL.Path, err)
	}
	authn.WriteError(w, err)
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
