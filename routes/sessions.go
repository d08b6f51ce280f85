package routes

import (
	"net/http"
	"reflect"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// SessionRead is a session in answers. It has no token, and nothing to make one
// of.
type SessionRead struct {
	ID        string    `json:"id"`
	Backend   string    `json:"backend"`
	CreatedAt time.Time `json:"created_at"`
	// LastSeenAt is as exact as the backend notes it.
	LastSeenAt time.Time `json:"last_seen_at"`
	// ExpiresAt is when the session ends unless it is used before.
	ExpiresAt time.Time `json:"expires_at"`
	IPAddress string    `json:"ip_address"`
	UserAgent string    `json:"user_agent"`
	// Current says that it is the session of the request.
	Current bool `json:"current"`
}

func newSessionRead(s authn.Session, current string) SessionRead {
	return SessionRead{
		ID:         s.ID,
		Backend:    s.Backend,
		CreatedAt:  s.CreatedAt.UTC(),
		LastSeenAt: s.SeenAt.UTC(),
		ExpiresAt:  s.ExpiresAt.UTC(),
		IPAddress:  s.Client.Address,
		UserAgent:  s.Client.UserAgent,
		Current:    s.ID == current,
	}
}

var sessionList = reflect.TypeFor[[]SessionRead]()

// Sessions returns DELETE /sessions, which signs the user out everywhere but
// here; and, where backends keep sessions, GET /sessions and
// DELETE /sessions/{session}.
func (f *Factory[U]) Sessions() List {
	guard := f.users.CurrentUser(authn.Active)
	demands := guard.Demands()
	list := List{{http.MethodDelete, "/sessions", "sessions:sign_out_elsewhere", f.guarded(guard, f.signOutElsewhere), &Operation{
		Summary: "Sign out everywhere but here", Tag: "auth", Status: http.StatusNoContent, Reissue: true, Demands: &demands,
	}}}
	if !f.users.KeepsSessions() {
		return list
	}
	return append(list,
		Route{http.MethodGet, "/sessions", "sessions:list", f.guarded(guard, f.mySessions), &Operation{
			Summary: "Where one is logged in", Tag: "auth", Status: http.StatusOK, Answer: sessionList, Demands: &demands,
		}},
		Route{http.MethodDelete, "/sessions/{session}", "sessions:end", f.guarded(guard, f.endMySession), &Operation{
			Summary: "Sign out there", Tag: "auth", Status: http.StatusNoContent, Demands: &demands,
			Problems: []Problem{notFound},
		}},
	)
}

// UserSessions returns what Sessions does, for superusers and any user:
// DELETE /{id}/sessions signs them out everywhere; and, where backends keep
// sessions, GET /{id}/sessions and DELETE /{id}/sessions/{session}.
func (f *Factory[U]) UserSessions() List {
	guard := f.users.CurrentUser(authn.Active, f.usersRules(authn.Superuser)...)
	demands := guard.Demands()
	list := List{{http.MethodDelete, "/{id}/sessions", "users:sign_out", f.guarded(guard, f.signOutUser), &Operation{
		Summary: "Sign a user out everywhere", Tag: "users", Status: http.StatusNoContent, Demands: &demands,
		Problems: []Problem{notFound},
	}}}
	if !f.users.KeepsSessions() {
		return list
	}
	return append(list,
		Route{http.MethodGet, "/{id}/sessions", "users:sessions", f.guarded(guard, f.userSessions), &Operation{
			Summary: "Where a user is logged in", Tag: "users", Status: http.StatusOK, Answer: sessionList, Demands: &demands,
			Problems: []Problem{notFound},
		}},
		Route{http.MethodDelete, "/{id}/sessions/{session}", "users:end_session", f.guarded(guard, f.endUserSession), &Operation{
			Summary: "Sign a user out there", Tag: "users", Status: http.StatusNoContent, Demands: &demands,
			Problems: []Problem{notFound},
		}},
	)
}

var notFound = Problem{Status: http.StatusNotFound, Code: http.StatusText(http.StatusNotFound)}

func (f *Factory[U]) mySessions(w http.ResponseWriter, r *http.Request, u U) error {
	return f.listSessions(w, r, u.AuthID())
}

func (f *Factory[U]) userSessions(w http.ResponseWriter, r *http.Request, _ U) error {
	return f.listSessions(w, r, r.PathValue("id"))
}

func (f *Factory[U]) listSessions(w http.ResponseWriter, r *http.Request, userID string) error {
	sessions, err := f.users.Sessions(r.Context(), userID)
	if err != nil {
		return err
	}
	id, _ := authn.IdentityFrom(r.Context())
	shown := []SessionRead{}
	for _, s := range sessions {
		shown = append(shown, newSessionRead(s, id.SessionID))
	}
	res := authn.Response{Status: http.StatusOK, Body: shown}
	return res.Write(w)
}

func (f *Factory[U]) endMySession(w http.ResponseWriter, r *http.Request, u U) error {
	return f.endSession(w, r, u.AuthID())
}

func (f *Factory[U]) endUserSession(w http.ResponseWriter, r *http.Request, _ U) error {
	return f.endSession(w, r, r.PathValue("id"))
}

func (f *Factory[U]) endSession(w http.ResponseWriter, r *http.Request, userID string) error {
	if err := f.users.EndSession(r.Context(), userID, r.PathValue("session")); err != nil {
		return err
	}
	res := authn.Response{Status: http.StatusNoContent}
	return res.Write(w)
}

func (f *Factory[U]) signOutElsewhere(w http.ResponseWriter, r *http.Request, u U) error {
	res, err := f.users.SignOutElsewhere(r, u)
	if err != nil {
		return err
	}
	if from := f.deviceBefore(r, u); from.known() {
		// A reset that came between has made the device unknown.
		if now, err := f.users.Get(r.Context(), u.AuthID()); err == nil && now.AuthAccount().Generation == from.Generation+1 {
			res.AddCookie(f.sameDevice(r, from, now))
		}
	}
	return res.Write(w)
}

func (f *Factory[U]) signOutUser(w http.ResponseWriter, r *http.Request, _ U) error {
	if err := f.users.SignOutEverywhere(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	res := authn.Response{Status: http.StatusNoContent}
	return res.Write(w)
}
