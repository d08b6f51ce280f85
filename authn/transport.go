package authn

import (
	"net/http"
	"time"
)

// MaxCredentialSize is the length in bytes beyond which a credential is
// refused before anything parses it.
const MaxCredentialSize = 8 << 10

// Transport is how a token travels: where it is in a request, and how the
// answer to a log-in carries it. Implementations are safe for concurrent use.
type Transport interface {
	// Extract finds the token in a request: [ErrNoCredential] where there is
	// none, [ErrInvalidToken] where there is one that can't be right.
	Extract(r *http.Request) (string, error)
	// Carry builds the answer to a log-in.
	Carry(t Token) (*Response, error)
}

// Clearer is a [Transport] whose credential a response can take away from
// the client, as a cookie's.
type Clearer interface {
	Clear() *Response
}

// RefreshTransport is a [Transport] that carries refresh tokens beside access
// tokens.
type RefreshTransport interface {
	Transport
	// RefreshParameter reports whether a refresh token is a parameter of the
	// request that uses it, "refresh_token" (RFC 6749 §6). Otherwise
	// ExtractRefresh finds it.
	RefreshParameter() bool
	// ExtractRefresh finds the refresh token in a request's header, as Extract
	// finds the access token.
	ExtractRefresh(r *http.Request) (string, error)
	// CarryRefresh builds the answer to a log-in, or to a refresh, at this time.
	CarryRefresh(access, refresh Token, now time.Time) (*Response, error)
}

// RefreshClearer is a [RefreshTransport] that can take both tokens away.
type RefreshClearer interface {
	ClearRefresh() *Response
}

// Challenger is a [Transport], or a [Backend], that HTTP authentication has a
// scheme for (RFC 9110 §11.6.1). Guards name it in WWW-Authenticate.
type Challenger interface {
	// Challenge returns the scheme, such as "Bearer".
	Challenge() string
}

// SecurityScheme says how a credential travels, in the words of OpenAPI
// (3.1, §4.8.27).
type SecurityScheme struct {
	// Type is "oauth2" for the password flow with a token URL, "http", or
	// "apiKey".
	Type string
	// TokenURL is where the password flow logs in, relative to the API's root;
	// empty for the backend's own log-in.
	TokenURL string
	// Scheme is the authentication scheme of "http".
	Scheme string
	// In and Name are where an "apiKey" is: "cookie", "header", and which.
	In, Name string
}

// SchemeDescriber is a [Transport], or a [Backend], that documents can describe.
type SchemeDescriber interface {
	SecurityScheme() SecurityScheme
}

// OriginChecker is a [Transport], or a [Backend], whose credential browsers
// send by themselves, whichever site has the request sent, as cookies. Guards
// and log-ins ask it; a transport of cookies without it is open to cross-site
// request forgery.
type OriginChecker interface {
	// CheckOrigin returns [ErrCrossSite] for a request that can change
	// something, or that opens a WebSocket, and that another site had sent.
	CheckOrigin(r *http.Request) error
}
