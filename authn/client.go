package authn

import "context"

// Client is who sends a request, as far as a server can tell. Both fields are
// for people to recognise their sessions by, and prove nothing.
type Client struct {
	// Address is the network address, without a port.
	Address string
	// UserAgent is what the client calls itself (RFC 9110 §10.1.5).
	UserAgent string
}

type clientKey struct{}

// WithClient returns a context that says who sends a request, for the sessions
// that are begun with it. The routes of package routes do that.
func WithClient(ctx context.Context, c Client) context.Context {
	return context.WithValue(ctx, clientKey{}, c)
}

// ClientFrom returns what [WithClient] has said, or nothing.
func ClientFrom(ctx context.Context) Client {
	c, _ := ctx.Value(clientKey{}).(Client)
	return c
}
