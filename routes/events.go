package routes

import (
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/echo-users/echo-users/authn"
)

// EventRead is an event in answers. Texts are empty where there is nothing to
// say.
type EventRead struct {
	// ID is what "before" takes, for the page after this event.
	ID        int64              `json:"id"`
	Kind      authn.EventKind    `json:"kind"`
	Time      time.Time          `json:"time"`
	Outcome   authn.EventOutcome `json:"outcome"`
	Reason    authn.Reason       `json:"reason"`
	UserID    string             `json:"user_id"`
	ActorID   string             `json:"actor_id"`
	Backend   string             `json:"backend"`
	SessionID string             `json:"session_id"`
	Methods   []string           `json:"methods"`
	Provider  string             `json:"provider"`
	IPAddress string             `json:"ip_address"`
	UserAgent string             `json:"user_agent"`
}

func newEventRead(e authn.Event) EventRead {
	return EventRead{
		ID: e.ID, Kind: e.Kind, Time: e.Time.UTC(), Outcome: e.Outcome, Reason: e.Reason,
		UserID: e.UserID, ActorID: e.ActorID, Backend: e.Backend, SessionID: e.SessionID, Methods: append([]string{}, e.Methods...),
		Provider: e.Provider, IPAddress: e.Client.Address, UserAgent: e.Client.UserAgent,
	}
}

var (
	eventList  = reflect.TypeFor[[]EventRead]()
	eventQuery = []Member{
		{Name: "before", Type: reflect.TypeFor[int64]()},
		{Name: "limit", Type: reflect.TypeFor[int]()},
		{Name: "kind", Type: text},
		{Name: "since", Type: text, Format: "date-time"},
		{Name: "until", Type: text, Format: "date-time"},
	}
)

// Events returns GET /events for superusers, where [Config.Events] is set: the
// newest first, of all users and of nobody, or of one.
func (f *Factory[U]) Events() List {
	if f.cfg.Events == nil {
		return nil
	}
	guard := f.users.CurrentUser(authn.Active, f.usersRules(authn.Superuser)...)
	demands := guard.Demands()
	return List{{http.MethodGet, "/events", "events:list", f.guarded(guard, f.allEvents), &Operation{
		Summary: "What has happened", Tag: "auth", Status: http.StatusOK, Answer: eventList, Demands: &demands,
		Query: append(eventQuery[:len(eventQuery):len(eventQuery)], Member{Name: "user", Type: text}),
	}}}
}

// MyEvents returns GET /me/events, where [Config.Events] is set: the user's own,
// without who else did them.
func (f *Factory[U]) MyEvents() List {
	if f.cfg.Events == nil {
		return nil
	}
	guard := f.users.CurrentUser(authn.Active, f.usersRules()...)
	demands := guard.Demands()
	return List{{http.MethodGet, "/me/events", "users:events", f.guarded(guard, f.myEvents), &Operation{
		Summary: "What has happened to one's account", Tag: "users", Status: http.StatusOK, Answer: eventList, Demands: &demands,
		Query: eventQuery,
	}}}
}

func (f *Factory[U]) allEvents(w http.ResponseWriter, r *http.Request, _ U) error {
	q, user, err := readEventQuery(r, true)
	if err != nil {
		return err
	}
	if user != "" {
		// In any spelling of the key; also of who is gone.
		switch u, err := f.users.Get(r.Context(), user); {
		case err == nil:
			user = u.AuthID()
		case !errors.Is(err, authn.ErrUserNotFound):
			return err
		}
	}
	q.UserID = user
	return f.listEvents(w, r, q, func(*EventRead) {})
}

func (f *Factory[U]) myEvents(w http.ResponseWriter, r *http.Request, u U) error {
	q, _, err := readEventQuery(r, false)
	if err != nil {
		return err
	}
	q.UserID = u.AuthID()
	return f.listEvents(w, r, q, func(e *EventRead) {
		if e.ActorID != "" { // a superuser, whose session and address are nobody else's business
			e.ActorID, e.Backend, e.SessionID, e.IPAddress, e.UserAgent = "", "", "", "", ""
		}
	})
}

func (f *Factory[U]) listEvents(w http.ResponseWriter, r *http.Request, q authn.EventQuery, hide func(*EventRead)) error {
	events, err := f.cfg.Events.Events(r.Context(), q)
	if err != nil {
		return errors.Join(authn.ErrUnavailable, err)
	}
	shown := []EventRead{}
	for _, e := range events {
		read := newEventRead(e)
		hide(&read)
		shown = append(shown, read)
	}
	res := authn.Response{Status: http.StatusOK, Body: shown}
	return res.Write(w)
}

// readEventQuery reads the parameters into values of their types, or tells all
// that is wrong with them: no text of the client's goes on but to be compared.
func readEventQuery(r *http.Request, byUser bool) (q authn.EventQuery, user string, err error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return q, "", Faults{{[]any{"query"}, "not a query", "value_error"}}.httpError()
	}
	var faults Faults
	text := func(name string) string {
		given := values[name]
		switch {
		case len(given) > 1:
			faults = append(faults, twice("query", name))
		case len(given) == 1 && !utf8.ValidString(given[0]):
			faults = append(faults, badText("query", name))
		case len(given) == 1:
			return given[0]
		}
		return ""
	}
	number := func(name string, most int64) int64 {
		given := text(name)
		if given == "" {
			return 0
		}
		n, err := strconv.ParseInt(given, 10, 64)
		switch {
		case err != nil:
			faults = append(faults, Fault{[]any{"query", name}, "value is not a valid integer", "type_error.integer"})
		case n < 1 || n > most:
			faults = append(faults, Fault{[]any{"query", name}, "must be from 1 to " + strconv.FormatInt(most, 10), "value_error"})
		}
		return n
	}
	moment := func(name string) time.Time {
		given := text(name)
		if given == "" {
			return time.Time{}
		}
		t, err := time.Parse(time.RFC3339, given)
		if err != nil {
			faults = append(faults, Fault{[]any{"query", name}, "must be a time such as 2026-01-02T15:04:05Z", "value_error.datetime"})
		}
		return t
	}
	q.Before = number("before", 1<<63-1)
	q.Limit = int(number("limit", maxEvents))
	q.Kind = authn.EventKind(text("kind"))
	q.Since, q.Until = moment("since"), moment("until")
	if byUser {
		user = text("user")
	}
	if len(faults) > 0 {
		return authn.EventQuery{}, "", faults.httpError()
	}
	return q, user, nil
}

const maxEvents = 500
