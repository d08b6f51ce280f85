package backends

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/echo-users/echo-users/authn"
)

// refreshToken is what renews a session's access tokens. It names its session
// and the user, has a secret, and a tag that proves that it was issued for this
// session: so that a token which was exchanged long ago is told from one that
// somebody made up, and only the former ends the session.
type refreshToken struct {
	session string
	subject string
	secret  [secretSize]byte
	tag     [tagSize]byte
}

const (
	secretSize = 32
	tagSize    = 16
	fixedSize  = idSize + secretSize + tagSize
)

// newRefreshToken returns the first token of a session, without its tag.
func newRefreshToken(s authn.Session) refreshToken {
	t := refreshToken{session: s.ID, subject: s.Subject}
	rand.Read(t.secret[:]) // never fails
	return t
}

// refreshEncoding refuses what isn't canonical, so that a token has one spelling.
var refreshEncoding = base64.RawURLEncoding.Strict()

// String is the token as it travels.
func (t refreshToken) String() string {
	id, _ := refreshEncoding.DecodeString(t.session)
	data := make([]byte, 0, fixedSize+len(t.subject))
	data = append(data, id...)
	data = append(data, t.secret[:]...)
	data = append(data, t.tag[:]...)
	return refreshEncoding.EncodeToString(append(data, t.subject...))
}

// parseRefreshToken reads what has the form of a token.
func parseRefreshToken(text string) (refreshToken, bool) {
	if len(text) > authn.MaxCredentialSize || strings.ContainsAny(text, "\r\n") { // which the decoder skips
		return refreshToken{}, false
	}
	data, err := refreshEncoding.DecodeString(text)
	if err != nil || len(data) <= fixedSize {
		return refreshToken{}, false
	}
	t := refreshToken{session: refreshEncoding.EncodeToString(data[:idSize]), subject: string(data[fixedSize:])}
	copy(t.secret[:], data[idSize:])
	copy(t.tag[:], data[idSize+secretSize:])
	return t, true
}

// hash is what is kept of a token.
func (t refreshToken) hash() [sha256.Size]byte {
	return sha256.Sum256([]byte("refresh\x00" + t.String()))
}

// rotation is what is kept of a session's refresh tokens: the hash of the one
// that is good, the hash of the one that it was exchanged for, and what the
// successor is derived with from the secret of that. Neither who reads the
// store nor who has an old token can make the good one.
type rotation struct {
	current, previous [sha256.Size]byte
	salt              [sha256.Size]byte
	tagKey            [sha256.Size]byte
	at                time.Time
}

// rotationVersion is the first byte of what is kept.
const rotationVersion = 1

const rotationSize = 1 + 4*sha256.Size + 8

func (k rotation) encode() []byte {
	data := append(make([]byte, 0, rotationSize), rotationVersion)
	for _, part := range [][sha256.Size]byte{k.current, k.previous, k.salt, k.tagKey} {
		data = append(data, part[:]...)
	}
	return binary.BigEndian.AppendUint64(data, uint64(k.at.UnixNano()))
}

var errRotation = errors.New("backends: what is kept of a session's refresh tokens can't be read")

func decodeRotation(data []byte) (rotation, error) {
	var k rotation
	if len(data) != rotationSize || data[0] != rotationVersion {
		return k, errRotation
	}
	data = data[1:]
	for _, part := range []*[sha256.Size]byte{&k.current, &k.previous, &k.salt, &k.tagKey} {
		data = data[copy(part[:], data):]
	}
	k.at = time.Unix(0, int64(binary.BigEndian.Uint64(data)))
	return k, nil
}

// rotation returns the session that a token names, and what is kept of its
// tokens: [authn.ErrInvalidToken], also for a session without any.
func (s *sessions) rotation(ctx context.Context, backend string, t refreshToken) (authn.Session, rotation, error) {
	session, err := s.live(ctx, backend, t.subject, t.session)
	if err != nil {
		return session, rotation{}, err
	}
	if _, only := decodeEnd(session.Refresh); only || len(session.Refresh) == 0 {
		return session, rotation{}, authn.ErrInvalidToken
	}
	kept, err := decodeRotation(session.Refresh)
	return session, kept, err
}

// endVersion is the first byte of what is kept of a session that has no refresh
// tokens: when its access token ends, in seconds.
const endVersion = 2

func encodeEnd(end time.Time) []byte {
	return binary.BigEndian.AppendUint64([]byte{endVersion}, uint64(end.Unix()))
}

func decodeEnd(data []byte) (time.Time, bool) {
	if len(data) != 9 || data[0] != endVersion {
		return time.Time{}, false
	}
	return time.Unix(int64(binary.BigEndian.Uint64(data[1:])), 0), true
}

// first completes a session's first token, and returns what is kept of it.
func (t *refreshToken) first() rotation {
	var k rotation
	rand.Read(k.tagKey[:]) // never fails
	k.at = time.Unix(0, 0)
	t.tag = k.tag(*t)
	k.current = t.hash()
	return k
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

func (k rotation) tag(t refreshToken) [tagSize]byte {
	return [tagSize]byte(mac(k.tagKey[:], []byte("tag\x00"), t.secret[:], []byte(t.session), []byte{0}, []byte(t.subject)))
}

// issued reports whether a token was issued for the session, whenever.
func (k rotation) issued(t refreshToken) bool {
	tag := k.tag(t)
	return hmac.Equal(tag[:], t.tag[:])
}

// successor derives the token that t is exchanged for.
func (k rotation) successor(t refreshToken) refreshToken {
	next := refreshToken{session: t.session, subject: t.subject}
	copy(next.secret[:], mac(k.salt[:], []byte("successor\x00"), t.secret[:]))
	next.tag = k.tag(next)
	return next
}

// standing is what a token is to its session.
type standing int

const (
	foreign  standing = iota // not issued for it
	current                  // to be exchanged
	repeated                 // exchanged just now: once more for the same
	reused                   // exchanged before
)

func (k rotation) standing(t refreshToken, now time.Time, grace time.Duration) standing {
	hash := t.hash()
	switch {
	case !k.issued(t):
		return foreign
	case subtle.ConstantTimeCompare(hash[:], k.current[:]) == 1:
		return current
	case subtle.ConstantTimeCompare(hash[:], k.previous[:]) == 1 && now.Sub(k.at) <= grace:
		return repeated
	}
	return reused
}

// exchange returns what is kept once t was exchanged, and its successor.
func (k rotation) exchange(t refreshToken, now time.Time) (rotation, refreshToken) {
	rand.Read(k.salt[:]) // never fails
	next := k.successor(t)
	k.previous, k.current, k.at = k.current, next.hash(), now
	return k, next
}

// refreshBackend exchanges refresh tokens.
type refreshBackend struct{ *Backend }

// RefreshParameter asks the transport.
func (b refreshBackend) RefreshParameter() bool { return b.sessions.carrier.RefreshParameter() }

// Grant returns what the session of a refresh token says.
func (b refreshBackend) Grant(r *http.Request, text string) (authn.Identity, error) {
	session, _, _, err := b.find(r, text)
	if err != nil {
		return authn.Identity{}, err
	}
	return authn.Identity{
		Subject:    session.Subject,
		Backend:    b.name,
		SessionID:  session.ID,
		Generation: session.Generation,
		AuthTime:   session.AuthTime,
		Methods:    session.Methods,
		ExpiresAt:  b.sessions.lastMoment(session),
		Scopes:     session.Scopes,
	}, nil
}

// find returns the session of a request's refresh token, and ends it where the
// token has been exchanged before.
func (b refreshBackend) find(r *http.Request, text string) (authn.Session, rotation, refreshToken, error) {
	fail := func(err error) (authn.Session, rotation, refreshToken, error) {
		return authn.Session{}, rotation{}, refreshToken{}, err
	}
	s := b.sessions
	if !s.carrier.RefreshParameter() {
		var err error
		if text, err = s.carrier.ExtractRefresh(r); err != nil {
			return fail(err)
		}
	}
	if text == "" {
		return fail(authn.ErrNoCredential)
	}
	t, ok := parseRefreshToken(text)
	if !ok {
		return fail(authn.ErrInvalidToken)
	}
	session, kept, err := s.rotation(r.Context(), b.name, t)
	if err != nil {
		return fail(err)
	}
	switch kept.standing(t, s.cfg.Now(), s.cfg.Grace) {
	case foreign:
		return fail(authn.ErrInvalidToken)
	case reused:
		return fail(b.endReused(r.Context(), session))
	}
	return session, kept, t, nil
}

// endReused ends the session of a token that was used again. Whoever asked for
// it may be gone by now.
func (b refreshBackend) endReused(ctx context.Context, session authn.Session) error {
	if err := b.sessions.store.DeleteSession(context.WithoutCancel(ctx), session.Subject, session.ID); err != nil {
		if errors.Is(err, authn.ErrSessionNotFound) { // another request was first
			return authn.ErrInvalidToken
		}
		return err
	}
	return &authn.ReuseError{Session: session}
}

// Refresh issues an access token, and exchanges the refresh token last: what
// fails before that leaves it as it is, and what fails after it is made good by
// asking again within the grace.
func (b refreshBackend) Refresh(r *http.Request, text string, id authn.Identity) (*authn.Response, error) {
	ctx := r.Context()
	access, err := b.issue(ctx, id)
	if err != nil {
		return nil, err
	}
	next, session, err := b.exchange(r, text)
	if err != nil {
		return nil, b.withdraw(ctx, access, err)
	}
	return b.carry(access, next.String(), session)
}

// exchange stores the successor of a request's refresh token, whatever others
// do with it at the same moment.
func (b refreshBackend) exchange(r *http.Request, text string) (refreshToken, authn.Session, error) {
	s := b.sessions
	for {
		session, kept, t, err := b.find(r, text)
		if err != nil {
			return refreshToken{}, session, err
		}
		now := s.cfg.Now()
		if kept.standing(t, now, s.cfg.Grace) == repeated {
			return kept.successor(t), session, nil
		}
		kept, next := kept.exchange(t, now)
		session.Refresh = kept.encode()
		s.see(r.Context(), &session, now)
		updated, err := s.store.UpdateSession(r.Context(), session, now)
		if err != nil {
			return refreshToken{}, session, err
		}
		if updated {
			return next, session, nil
		}
		if err := r.Context().Err(); err != nil {
			return refreshToken{}, session, err
		}
	}
}
