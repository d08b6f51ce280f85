package nethttp

import (
	"net/http"
	"path"
	"strings"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/routes"
)

// Mux is where routes are mounted: an [*http.ServeMux], or a router that takes
// its patterns.
type Mux interface {
	Handle(pattern string, handler http.Handler)
}

// Mount adds routes to a mux, which panics where one is there already. Under a
// prefix, give them a mux of their own behind [http.StripPrefix].
func Mount(mux Mux, lists ...routes.List) {
	for _, list := range lists {
		for _, route := range list {
			mux.Handle(route.Method+" "+route.Path, handler(route.Handler))
		}
	}
}

// Handler serves a mux, and gives its own refusals, of a route that doesn't
// exist and of a method that a route hasn't, the contract's body,
// {"detail": …}. A path that isn't clean (//docs, say) is no route's: the mux
// would redirect, and a client send its password once more, or with DELETE
// /users/7/sessions/.. delete user 7. It leaves alone what the mux's handlers
// answer: a mux within needs its own.
func Handler(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refused := refusal{header: http.Header{}, status: http.StatusNotFound}
		if r.Method == http.MethodConnect || !isUnclean(r.URL.EscapedPath()) {
			if _, pattern := mux.Handler(r); pattern != "" {
				mux.ServeHTTP(w, r)
				return
			}
			mux.ServeHTTP(&refused, r)
		}
		authn.WriteError(w, &authn.HTTPError{Status: refused.status, Detail: http.StatusText(refused.status), Header: refused.header})
	})
}

// isUnclean reports whether a ServeMux would redirect from a path to a cleaner one.
func isUnclean(p string) bool {
	return strings.TrimSuffix(path.Clean(p), "/") != strings.TrimSuffix(p, "/")
}

// refusal keeps the status and the header of an answer, not its body.
type refusal struct {
	status int
	header http.Header
}

func (r *refusal) Header() http.Header            { return r.header }
func (r *refusal) WriteHeader(status int)         { r.status = status }
func (r *refusal) Write(body []byte) (int, error) { return len(body), nil }
