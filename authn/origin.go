package authn

import (
	"fmt"
	"net/http"
)

// CheckOrigin returns [ErrCrossSite] where another site had a browser send
// this request, to log in at a backend whose credential the browser keeps: the
// person would use somebody else's account without noticing. Whatever logs in
// over HTTP asks before it looks at the request's body; the routes of package
// routes do. [ErrNotSupported] where no backend has that name.
func (m *Users[U]) CheckOrigin(r *http.Request, backend string) error {
	b, ok := m.Backend(backend)
	if !ok {
		return fmt.Errorf("%w: no backend is named %q", ErrNotSupported, backend)
	}
	if c, ok := Can[OriginChecker](b); ok {
		return c.CheckOrigin(r)
	}
	return nil
}
