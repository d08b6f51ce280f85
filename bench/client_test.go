package bench

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"
)

// serve mounts behind a guard the route that is measured, and one that says who
// was let in.
func serve(guard echo.MiddlewareFunc, who func(c echo.Context) string) http.Handler {
	e := echo.New()
	e.GET("/", ok, guard)
	e.GET("/who", func(c echo.Context) error { return c.String(http.StatusOK, who(c)) }, guard)
	return e
}

func ok(c echo.Context) error { return c.NoContent(http.StatusNoContent) }

// credential is a header of a request.
type credential struct{ header, value string }

func bearer(token string) credential { return credential{"Authorization", "Bearer " + token} }

// prove fails unless a handler lets one credential in, as whom it names, and
// refuses the other.
func prove(b testing.TB, h http.Handler, good, bad credential, who string) {
	b.Helper()
	ask := func(path string, c credential) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set(c.header, c.value)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	if w := ask("/", good); w.Code != http.StatusNoContent {
		b.Fatalf("a good credential: %d %s", w.Code, w.Body)
	}
	if w := ask("/", bad); w.Code != http.StatusUnauthorized {
		b.Fatalf("a bad credential: %d %s", w.Code, w.Body)
	}
	if w := ask("/who", good); w.Code != http.StatusOK || w.Body.String() != who {
		b.Fatalf("%s was let in as %d %s", who, w.Code, w.Body)
	}
}

// client makes requests of a handler. It adds no allocation to the handler's. The
// context of its requests can be cancelled, as a server's can, which has
// database/sql watch it.
type client struct {
	request  *http.Request
	header   map[string][]string
	status   int
	response http.Header
}

func newClient(b testing.TB) *client {
	ctx, cancel := context.WithCancel(context.Background())
	b.Cleanup(cancel)
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	return &client{request: r, header: r.Header, response: http.Header{}}
}

// get returns the status of the answer to a request with this credential.
func (c *client) get(h http.Handler, with credential) int {
	if values := c.header[with.header]; values != nil {
		values[0] = with.value
	} else {
		c.header[with.header] = []string{with.value}
	}
	clear(c.response)
	c.status = 0
	h.ServeHTTP(c, c.request)
	return c.status
}

func (c *client) Header() http.Header { return c.response }

func (c *client) WriteHeader(status int) { c.status = status }

func (c *client) Write(p []byte) (int, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	return len(p), nil
}

// warm lets everybody in once, who is kept from then on where users are kept.
func warm(b testing.TB, h http.Handler, credentials []credential) {
	b.Helper()
	c := newClient(b)
	for _, with := range credentials {
		if got := c.get(h, with); got != http.StatusNoContent {
			b.Fatal(got)
		}
	}
}
