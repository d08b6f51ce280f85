package authn

import (
	"context"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Event is something that happened to an account, or was tried: who, what, from
// where, and how it ended. It never holds a password, a token, a code, a cookie
// or a hash of one, and no e-mail address: what somebody unknown typed may be a
// password, and a user has an id.
type Event struct {
	// ID is the event's key where it was kept ([EventStore]); zero before.
	ID   int64
	Kind EventKind
	// Time is when it happened.
	Time time.Time
	// Outcome defaults to [Succeeded].
	Outcome EventOutcome
	// Reason says more of the outcome, where there is more to say.
	Reason Reason
	// UserID is the user whom it happened to; empty where nobody is known.
	UserID string
	// ActorID is the user who did it, as a guard found them, where that is
	// another one: a superuser.
	ActorID string
	// Backend, SessionID and Methods are those of the log-in; none is known before
	// a password is right. Of all else, Backend and SessionID are of the
	// credential by which it was done, or SessionID is the session that was ended.
	Backend   string
	SessionID string
	Methods   []string
	// Provider is whose account was linked or unlinked, or was shown to log in
	// ([WithProvider]).
	Provider string
	// Client is where the request came from ([WithClient]). It proves nothing.
	Client Client
}

type providerKey struct{}

// WithProvider says at which provider the account is that somebody shows, for the
// events of a log-in that follows.
func WithProvider(ctx context.Context, provider string) context.Context {
	return context.WithValue(ctx, providerKey{}, provider)
}

// EventKind says what happened. An application may have kinds of its own
// ([Users.Record]).
type EventKind string

// The kinds of events of this module.
const (
	// EventRegistered: a user came to be.
	EventRegistered EventKind = "registered"
	// EventLogin: somebody logged in, or tried to. A refresh is none.
	EventLogin EventKind = "login"
	// EventLogout: a credential was ended, or taken from the client.
	EventLogout EventKind = "logout"
	// EventPasswordChecked: the current password was asked for and was wrong
	// ([Users.VerifyPassword]), or was asked for too often.
	EventPasswordChecked EventKind = "password-checked"
	// EventTokenReused: a refresh token was used again, and its session has ended.
	EventTokenReused EventKind = "token-reused"
	// EventSessionEnded: a session was ended from a list.
	EventSessionEnded EventKind = "session-ended"
	// EventSignedOutElsewhere: every credential but the request's has died.
	EventSignedOutElsewhere EventKind = "signed-out-elsewhere"
	// EventSignedOutEverywhere: every credential has died.
	EventSignedOutEverywhere EventKind = "signed-out-everywhere"
	// EventPasswordChanged: there is a new password, by an update.
	EventPasswordChanged EventKind = "password-changed"
	// EventResetRequested: a token for a new password was sent, or was asked for
	// by an address that is due none.
	EventResetRequested EventKind = "password-reset-requested"
	// EventPasswordReset: there is a new password, by a mailed token; or such a
	// token was no good.
	EventPasswordReset EventKind = "password-reset"
	// EventEmailChanged: the user has another address, and is unverified unless
	// told otherwise.
	EventEmailChanged EventKind = "email-changed"
	// EventVerifyRequested: a token that proves the address was sent, or was asked
	// for by an address that is due none.
	EventVerifyRequested EventKind = "verify-requested"
	// EventVerified: the address was proven, or a superuser said so; or a mailed
	// token was no good.
	EventVerified EventKind = "verified"
	// EventUnverified: a superuser took it back.
	EventUnverified EventKind = "unverified"
	// EventActivated: the user may log in again.
	EventActivated EventKind = "activated"
	// EventDeactivated: the user may not log in any more.
	EventDeactivated EventKind = "deactivated"
	// EventSuperuserGranted: the user is a superuser.
	EventSuperuserGranted EventKind = "superuser-granted"
	// EventSuperuserRevoked: the user is none any more.
	EventSuperuserRevoked EventKind = "superuser-revoked"
	// EventDeleted: the user is gone.
	EventDeleted EventKind = "deleted"
	// EventClaimed: the address's owner took over an account that nobody had
	// verified, and everything that opened it before has ended ([Users.Claim]).
	EventClaimed EventKind = "claimed"
	// EventLinked: an account at a provider opens the user's from now on.
	EventLinked EventKind = "linked"
	// EventUnlinked: an account at a provider doesn't any more.
	EventUnlinked EventKind = "unlinked"
)

// EventOutcome says how it ended.
type EventOutcome string

// The outcomes.
const (
	// Succeeded: it has happened.
	Succeeded EventOutcome = "succeeded"
	// Failed: what was shown was wrong.
	Failed EventOutcome = "failed"
	// Refused: what was shown was right, and something else forbids it.
	Refused EventOutcome = "refused"
	// Limited: it was tried too often, and wasn't looked at.
	Limited EventOutcome = "limited"
)

// Reason is a code that says more of an outcome. The set is closed, so that no
// text of anybody's gets into an event.
type Reason string

// The reasons.
const (
	// ReasonUnknownUser: nobody has that name, or address.
	ReasonUnknownUser Reason = "unknown-user"
	// ReasonWrongPassword: somebody has, and another password.
	ReasonWrongPassword Reason = "wrong-password"
	// ReasonInvalidToken: a mailed token was malformed, expired, spent, or of another
	// purpose. Where there is a user, it was once theirs.
	ReasonInvalidToken Reason = "invalid-token"
	// ReasonInactive: the user is inactive.
	ReasonInactive Reason = "inactive"
	// ReasonNotVerified: the backend takes verified users alone.
	ReasonNotVerified Reason = "not-verified"
	// ReasonAlreadyVerified: there is nothing to verify.
	ReasonAlreadyVerified Reason = "already-verified"
	// ReasonTooManySessions: the user has as many sessions as may be.
	ReasonTooManySessions Reason = "too-many-sessions"
	// ReasonHook: a hook of the application's refused, to ask for a second factor,
	// say.
	ReasonHook Reason = "hook"
	// ReasonReset: a reset of the password brought it about.
	ReasonReset Reason = "reset"
)

// EventStore keeps events and lists them. Package userdb has one. Safe for
// concurrent use.
type EventStore interface {
	// Append keeps an event: a [Hooks.OnEvent].
	Append(ctx context.Context, e Event) error
	// Events returns the first q.Limit of the events that q names, the newest
	// first.
	Events(ctx context.Context, q EventQuery) ([]Event, error)
}

// EventQuery says which events to list. Its zero value is all of them.
type EventQuery struct {
	// UserID and Kind, where set, are what the events must have.
	UserID string
	Kind   EventKind
	// Since and Until bound their time: from Since on, and before Until. Zero is
	// no bound.
	Since, Until time.Time
	// Before is the ID of the last event of the page before. Zero for the first
	// page.
	Before int64
	// Limit is how many events are on a page. Defaults to 50; at most 500.
	Limit int
}

// PageSize returns how many events are on a page: Limit, its default, or the
// most that there may be.
func (q EventQuery) PageSize() int {
	if q.Limit <= 0 {
		return defaultPage
	}
	return min(q.Limit, maxPage)
}

// LogValue returns the fields that say something, as a group.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("kind", string(e.Kind)), slog.String("outcome", string(e.Outcome)), slog.Time("time", e.Time)}
	for _, field := range [][2]string{
		{"reason", string(e.Reason)}, {"user", e.UserID}, {"actor", e.ActorID}, {"backend", e.Backend}, {"session", e.SessionID},
		{"methods", strings.Join(e.Methods, " ")}, {"provider", e.Provider},
		{"address", e.Client.Address}, {"user_agent", e.Client.UserAgent},
	} {
		if field[1] != "" {
			attrs = append(attrs, slog.String(field[0], field[1]))
		}
	}
	return slog.GroupValue(attrs...)
}

// LogEvents returns a [Hooks.OnEvent] that logs: what succeeded at level Info,
// what failed, was refused or limited, and [EventTokenReused], at Warn. Every
// record has the message "auth event" and a group "event". A nil logger is
// [slog.Default].
func LogEvents(logger *slog.Logger) func(ctx context.Context, e Event) error {
	return func(ctx context.Context, e Event) error {
		to, level := logger, slog.LevelInfo
		if to == nil {
			to = slog.Default()
		}
		if e.Outcome != Succeeded || e.Kind == EventTokenReused {
			level = slog.LevelWarn
		}
		to.LogAttrs(ctx, level, "auth event", slog.Any("event", e))
		return nil
	}
}

// maxClientText is the longest address or user agent that an event has, in
// bytes: a header may be as long as a client likes.
const maxClientText = 256

// bounded returns the client with texts that are short, valid UTF-8, and on one
// line.
func (c Client) bounded() Client {
	return Client{Address: boundedText(c.Address), UserAgent: boundedText(c.UserAgent)}
}

func boundedText(s string) string {
	cut := len(s) > maxClientText
	s = s[:min(len(s), maxClientText)]
	for i := 0; cut && i < utf8.UTFMax && !utf8.ValidString(s); i++ {
		s = s[:len(s)-1] // a part of a letter
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
