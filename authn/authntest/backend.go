package authntest

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/echo-users/echo-users/authn"
)

// TestBackend runs the suite of [authn.Backend]. present gives a request the
// credential of the user with this id; leave it nil for a backend that logs
// people in ([authn.LoginBackend]), whose answers [CommonClient] understands.
func TestBackend(t *testing.T, b authn.Backend, present func(r *http.Request, subject string)) {
	p := new(problems)
	checkBackend(t, p, b, present)
	p.report(t)
}

func checkBackend(t testing.TB, p *problems, b authn.Backend, present func(r *http.Request, subject string)) {
	if _, err := authn.New(new(Memory), authn.Config{}, b); err != nil {
		p.add("authn.New: %v", err)
	}
	if id, err := b.Authenticate(httptest.NewRequest(http.MethodGet, "/", nil)); !errors.Is(err, authn.ErrNoCredential) {
		p.add("Authenticate of a request without a credential: %q, %v, want ErrNoCredential", id.Subject, err)
	}
	request := func(subject string) *http.Request {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if present != nil {
			present(r, subject)
			return r
		}
		door, ok := authn.Can[authn.LoginBackend](b)
		if !ok {
			p.add("the backend can't log anybody in, and present is nil")
			return r
		}
		want := identity(subject, 3)
		want.Backend = b.Name()
		res, err := door.Login(t.Context(), want)
		if err != nil {
			p.add("Login: %v", err)
			return r
		}
		r = CommonClient(written(p, res))
		if !hasCredential(r) {
			p.add("Login: " + notCommon + "; pass TestBackend a present of your own")
		}
		return r
	}
	subjects := []string{"ann", "bob", "01a209c3-dadb-747c-9e50-9cb4cf1ba330"}
	atOnce(many, func(i int) {
		subject := subjects[i%len(subjects)]
		id, err := b.Authenticate(request(subject))
		if err != nil || id.Subject != subject {
			p.add("Authenticate of %s's request: %q, %v", subject, id.Subject, err)
			return
		}
		if id.Backend != "" && id.Backend != b.Name() {
			p.add("Authenticate: the identity is of backend %q, and this one is %q", id.Backend, b.Name())
		}
		if present == nil && id.Generation != 3 {
			p.add("Authenticate: generation %d, and 3 was issued", id.Generation)
		}
	})
	out, ok := authn.Can[authn.LogoutBackend](b)
	if !ok {
		return
	}
	r := request("ann")
	res, err := out.Logout(r)
	if err != nil {
		p.add("Logout: %v", err)
		return
	}
	written(p, res)
}
