package backends

import (
	"net/http"

	"github.com/echo-users/echo-users/authn"
)

// renewBackend renews access tokens with nothing but themselves.
type renewBackend struct {
	*Backend
	renewer authn.Renewer
}

// RefreshParameter returns false: the access token is where it always is.
func (renewBackend) RefreshParameter() bool { return false }

// Grant returns what the request's access token says, and its successor will.
func (b renewBackend) Grant(r *http.Request, _ string) (authn.Identity, error) {
	id, err := b.Authenticate(r)
	if err != nil {
		return authn.Identity{}, err
	}
	return b.renewer.Renew(id)
}

// Refresh answers as a log-in does.
func (b renewBackend) Refresh(r *http.Request, _ string, id authn.Identity) (*authn.Response, error) {
	return b.carryNew(r.Context(), id)
}
