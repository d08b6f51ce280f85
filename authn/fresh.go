package authn

import (
	"fmt"
	"net/http"
	"time"
)

type fresh time.Duration

func (age fresh) apply(to *demands) {
	if to.fresh == 0 || time.Duration(age) < to.fresh {
		to.fresh = time.Duration(age)
	}
}

// Fresh demands that the person has authenticated no longer ago: else 401 with
// the challenge insufficient_user_authentication and max_age in seconds
// (RFC 9470 §3), and logging in again is the way on. A credential that was
// renewed goes on saying when they did; one that doesn't say, and one that was
// renewed with nothing but itself ([Identity.Renewed]), are never fresh. It
// panics for less than a second.
//
//	users.CurrentUser(authn.Active, authn.Fresh(5*time.Minute))
func Fresh(age time.Duration) Rule {
	if age < time.Second {
		panic("authn: Fresh needs at least a second")
	}
	return fresh(age)
}

// maxSkew is how far ahead the clock may be that said when somebody
// authenticated.
const maxSkew = time.Minute

// IsFresh reports whether a credential says that the person authenticated no
// longer ago than age, as [Fresh] demands it.
func (id Identity) IsFresh(now time.Time, age time.Duration) bool {
	since := now.Sub(id.AuthTime)
	return !id.AuthTime.IsZero() && !id.Renewed && since <= age && since >= -maxSkew
}

// newStale makes the answer to a credential that isn't fresh.
func (g *Guard[U]) newStale() *HTTPError {
	const code = "insufficient_user_authentication"
	answer := g.refusal(http.StatusUnauthorized, ErrUnauthorized, code,
		fmt.Sprintf(`max_age="%d"`, g.demands.fresh/time.Second))
	answer.Detail = code
	return answer
}
