package linked

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/echo-users/echo-users/authn"
)

// Verification is what a provider says of an e-mail address.
type Verification int

const (
	// Unsaid: the provider says nothing of it.
	Unsaid Verification = iota
	// Verified: it says that the address is the person's.
	Verified
	// Unverified: it says that it doesn't know.
	Unverified
)

// Profile is what a provider said of a person, and has proven to be its word.
type Profile struct {
	Provider, Issuer, Subject string
	// Aliases are other unchanging ids of the same account, by which
	// fastapi-users has kept it. A new link has the Subject.
	Aliases []string
	// Email may be empty.
	Email        string
	Verification Verification
	Tokens       Tokens
}

// Options say how far a provider is trusted. The zero value is fastapi-users'.
type Options struct {
	// AssociateByEmail logs a person in to the user who has their address
	// already, and links the account: where the provider says that the address
	// is verified, and no other time. A user who never verified it themselves
	// loses password, sessions and other links ([authn.Users.Claim]). Off, they
	// get [authn.ErrUserExists].
	//
	// [authn.Users.Claim]: https://pkg.go.dev/github.com/echo-users/echo-users/authn#Users.Claim
	AssociateByEmail bool
	// IsVerifiedByDefault makes new users verified, unless the provider says
	// that the address is not, as one of OpenID Connect does by saying nothing.
	IsVerifiedByDefault bool
}

// Accounts is the manager of linked accounts. Safe for concurrent use.
type Accounts[U authn.User] struct {
	users     *authn.Users[U]
	store     Store
	providers []string
}

// New returns a manager of the accounts that users of these providers link.
// Only theirs count as a way to log in. It adds a hook to users, and so comes
// before the first request is served; their store must have transactions
// ([authn.Transactor]).
//
// The hook is for a reset of the password by a user who never verified their
// address. Whoever registered it may have linked an account of their own, and
// waits for the address's owner, whom only the mail has shown to be one. So the
// reset unlinks, in its transaction, every account but those whose provider
// says that the address is theirs.
//
// [authn.Transactor]: https://pkg.go.dev/github.com/echo-users/echo-users/authn#Transactor
func New[U authn.User](users *authn.Users[U], store Store, providers ...string) (*Accounts[U], error) {
	if users == nil || store == nil {
		return nil, errors.New("linked: users or store is nil")
	}
	if !users.HasTransactions() {
		return nil, fmt.Errorf("linked: %w: the users' store has no transactions", authn.ErrNotSupported)
	}
	a := &Accounts[U]{users: users, store: store, providers: slices.Clone(providers)}
	users.Use(authn.Hooks[U]{DuringResetPassword: a.unlinkStrangers})
	return a, nil
}

// unlinkStrangers removes what may be somebody else's way in to an account whose
// address was proven just now, and never before. What is being linked meanwhile
// comes before, or is of another generation ([Store.Insert]).
func (a *Accounts[U]) unlinkStrangers(ctx context.Context, u U) error {
	if u.AuthAccount().IsVerified {
		return nil
	}
	links, err := a.store.ByUser(ctx, u.AuthID())
	if err != nil {
		return classify(err)
	}
	for _, link := range links {
		if link.Verification == Verified && isAsWritten(link.Email) && isSameAddress(u.AuthAccount().Email, link.Email) {
			continue
		}
		if err := a.store.Delete(ctx, u.AuthID(), link.ID, nil); err != nil && !errors.Is(err, ErrNotFound) {
			return classify(err)
		}
		a.users.Record(ctx, authn.Event{Kind: authn.EventUnlinked, UserID: u.AuthID(), Provider: link.Provider, Reason: authn.ReasonReset})
	}
	return nil
}

// Users returns the manager of the users.
func (a *Accounts[U]) Users() *authn.Users[U] { return a.users }

// SignIn returns the user whom a provider's account logs in: the one it is
// linked to, one of the same address where the options allow it, or a new one,
// linked to it. It logs nobody in: [authn.Users.Login] does.
//
// [ErrInvalidSubject]; [ErrNoEmail]; [ErrTaken]; [authn.ErrUserExists];
// [authn.ErrBadCredentials] for an inactive user; [authn.ErrInvalidEmail];
// [authn.ErrUnavailable]; or a hook's own error.
//
// [authn.Users.Login]: https://pkg.go.dev/github.com/echo-users/echo-users/authn#Users.Login
func (a *Accounts[U]) SignIn(ctx context.Context, p Profile, o Options) (U, error) {
	var none U
	if err := checkSubject(p.Subject); err != nil {
		return none, err
	}
	if !isAsWritten(p.Email) {
		p.Verification = Unverified
	}
	// Of many at once, one inserts: the others begin anew and find it, or the user
	// whom it was inserted for.
	var err error
	for range 3 {
		var u U
		if u, err = a.signIn(ctx, p, o); !errors.Is(err, ErrTaken) && !errors.Is(err, authn.ErrUserExists) {
			return u, err
		}
		_, known := a.find(ctx, p)
		switch {
		case known == nil:
		case !errors.Is(known, ErrNotFound):
			return none, classify(known)
		case !o.mayAssociate(p):
			return none, err
		}
	}
	return none, err
}

// mayAssociate reports whether a profile may be linked to who has its address.
func (o Options) mayAssociate(p Profile) bool {
	return o.AssociateByEmail && p.Verification == Verified
}

// find returns the link of an account, under any of its ids: [ErrNotFound].
func (a *Accounts[U]) find(ctx context.Context, p Profile) (Account, error) {
	link, err := a.store.ByIdentity(ctx, p.Provider, p.Issuer, p.Subject)
	for _, alias := range p.Aliases {
		if !errors.Is(err, ErrNotFound) {
			break
		}
		if checkSubject(alias) == nil {
			link, err = a.store.ByIdentity(ctx, p.Provider, p.Issuer, alias)
		}
	}
	return link, err
}

func (a *Accounts[U]) signIn(ctx context.Context, p Profile, o Options) (U, error) {
	var none U
	link, err := a.find(ctx, p)
	if err == nil {
		return a.known(ctx, link, p)
	}
	if !errors.Is(err, ErrNotFound) {
		return none, classify(err)
	}
	if p.Email == "" {
		return none, ErrNoEmail
	}
	u, err := a.users.GetByEmail(ctx, p.Email)
	switch {
	case err == nil:
		return a.associate(ctx, u, p, o)
	case !errors.Is(err, authn.ErrUserNotFound):
		return none, err
	}
	fill := func(u U) error {
		u.AuthAccount().IsVerified = p.Verification != Unverified && o.IsVerifiedByDefault
		return nil
	}
	return a.users.RegisterWithoutPassword(ctx, p.Email, fill, func(ctx context.Context, u U) error { return a.insert(ctx, u, p) })
}

// known returns the user of a link, and keeps what the provider says now.
func (a *Accounts[U]) known(ctx context.Context, link Account, p Profile) (U, error) {
	var none U
	u, err := a.users.Get(ctx, link.UserID)
	if errors.Is(err, authn.ErrUserNotFound) {
		return none, authn.ErrBadCredentials
	}
	if err != nil {
		return none, err
	}
	if !u.AuthAccount().IsActive {
		a.refused(ctx, u, p)
		return none, authn.ErrBadCredentials
	}
	link.Issuer, link.Tokens = p.Issuer, p.Tokens.after(link.Tokens)
	if p.Email != "" {
		link.Email, link.Verification = p.Email, p.Verification
	}
	if err := a.store.Update(ctx, link); err != nil {
		if errors.Is(err, ErrNotFound) { // unlinked meanwhile
			err = authn.ErrBadCredentials
		}
		return none, classify(err)
	}
	return u, nil
}

// refused records that an inactive user's account was shown.
func (a *Accounts[U]) refused(ctx context.Context, u U, p Profile) {
	a.users.Record(ctx, authn.Event{Kind: authn.EventLogin, Outcome: authn.Refused, Reason: authn.ReasonInactive, UserID: u.AuthID(), Provider: p.Provider})
}

// after keeps the refresh token that the provider gave once and doesn't repeat.
func (t Tokens) after(before Tokens) Tokens {
	if t.Refresh == "" {
		t.Refresh = before.Refresh
	}
	return t
}

// associate links the account to the user who has its address.
func (a *Accounts[U]) associate(ctx context.Context, u U, p Profile, o Options) (U, error) {
	var none U
	address := u.AuthAccount().Email
	if !o.mayAssociate(p) || !isSameAddress(address, p.Email) {
		return none, authn.ErrUserExists
	}
	claimed := false
	claimant, err := a.users.Claim(ctx, u.AuthID(), address, func(ctx context.Context, u U, first bool) error {
		claimed = first
		if _, err := a.store.ByIdentity(ctx, p.Provider, p.Issuer, p.Subject); err == nil {
			return ErrTaken // meanwhile, most likely by this very user's first sign-in
		}
		if first {
			if err := a.store.DeleteAll(ctx, u.AuthID()); err != nil {
				return classify(err)
			}
		}
		return a.insert(ctx, u, p)
	})
	switch {
	case errors.Is(err, authn.ErrBadCredentials):
		a.refused(ctx, u, p)
	case err == nil && !claimed:
		a.users.Notify(ctx, claimant, authn.AccountLinked)
	}
	return claimant, err
}

// isAsWritten reports whether an address is stored as it was proven, but for
// ASCII letters in the other case. NFC makes a K of the Kelvin sign, say: whoever
// proved the one, has not proven the other.
func isAsWritten(email string) bool {
	stored, err := authn.NormalizeEmail(email)
	return err == nil && lowerASCII(stored) == lowerASCII(strings.TrimSpace(email))
}

// isSameAddress reports whether what a provider has proven is the address of a
// user, ASCII letters in any case. Databases take more letters for the same,
// in other alphabets: that finds a user, and proves no mailbox.
func isSameAddress(ours, theirs string) bool {
	theirs, err := authn.NormalizeEmail(theirs)
	return err == nil && lowerASCII(ours) == lowerASCII(theirs)
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

func (a *Accounts[U]) insert(ctx context.Context, u U, p Profile) error {
	_, err := a.store.Insert(ctx, Account{
		UserID: u.AuthID(), Provider: p.Provider, Issuer: p.Issuer, Subject: p.Subject,
		Email: p.Email, Verification: p.Verification, Tokens: p.Tokens,
	}, u.AuthAccount().Generation)
	if err == nil {
		a.users.Record(ctx, authn.Event{Kind: authn.EventLinked, UserID: u.AuthID(), Provider: p.Provider})
	}
	return classify(err)
}

// Link links a provider's account to a user, who is signed in:
// [ErrInvalidSubject]; [ErrTaken] where it is another user's;
// [authn.ErrUnauthorized] where u is gone, or what they signed in with is void
// by now; [authn.ErrUnavailable]. One that is theirs already is brought up to
// date. Of a new one the person is told, if their address is verified.
func (a *Accounts[U]) Link(ctx context.Context, u U, p Profile) error {
	if err := checkSubject(p.Subject); err != nil {
		return err
	}
	// Of two at once, one inserts: the other one begins anew and finds it.
	for range 2 {
		link, err := a.find(ctx, p)
		if errors.Is(err, ErrNotFound) {
			err = a.insert(ctx, u, p)
			switch {
			case errors.Is(err, ErrTaken):
				continue
			case errors.Is(err, authn.ErrUserNotFound):
				return authn.ErrUnauthorized
			case err == nil:
				a.users.Notify(ctx, u, authn.AccountLinked)
			}
			return err
		}
		if err == nil && link.UserID != u.AuthID() {
			return ErrTaken
		}
		if err == nil {
			_, err = a.known(ctx, link, p)
		}
		return classify(err)
	}
	return ErrTaken
}

// Of returns the accounts that are linked to the user with this id.
func (a *Accounts[U]) Of(ctx context.Context, userID string) ([]Account, error) {
	links, err := a.store.ByUser(ctx, userID)
	return links, classify(err)
}

// Unlink removes a linked account of the user's: [ErrNotFound];
// [ErrLastWayIn] where the user has no password and no other account of a
// provider that is set up here; [authn.ErrUnavailable]. The person is told, if
// their address is verified.
//
// The password of a user whom fastapi-users made is always taken for one that
// they know.
func (a *Accounts[U]) Unlink(ctx context.Context, u U, id string) error {
	var others []string
	if !u.AuthAccount().HasPassword() {
		others = append([]string{}, a.providers...)
	}
	links, err := a.store.ByUser(ctx, u.AuthID())
	if err != nil {
		return classify(err)
	}
	if err := a.store.Delete(ctx, u.AuthID(), id, others); err != nil {
		return classify(err)
	}
	unlinked := authn.Event{Kind: authn.EventUnlinked, UserID: u.AuthID()}
	for _, link := range links {
		if link.ID == id {
			unlinked.Provider = link.Provider
		}
	}
	a.users.Record(ctx, unlinked)
	a.users.Notify(ctx, u, authn.AccountUnlinked)
	return nil
}

// classify gives an error of the store a kind.
func classify(err error) error {
	for _, kind := range []error{ErrNotFound, ErrTaken, ErrLastWayIn, authn.ErrUserNotFound, authn.ErrBadCredentials, authn.ErrUnavailable} {
		if err == nil || errors.Is(err, kind) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", authn.ErrUnavailable, err)
}

// maxSubject is the longest subject that OpenID Connect has (Core §2), and
// fastapi-users' column holds.
const maxSubject = 255

// checkSubject refuses what isn't one account's alone: what programs write for
// nothing (CVE-2026-42560).
func checkSubject(subject string) error {
	text := strings.ToLower(strings.TrimSpace(subject))
	if strings.Trim(text, "0-{}[]") == "" { // a UUID of zeros, too
		return ErrInvalidSubject
	}
	switch text {
	case "null", "undefined", "none", "nil", "<nil>", "nan", "false", "true", "[object object]":
		return ErrInvalidSubject
	}
	if len(subject) > maxSubject || !utf8.ValidString(subject) || strings.ContainsFunc(subject, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return ErrInvalidSubject
	}
	return nil
}
