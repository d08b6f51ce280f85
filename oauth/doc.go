// Package oauth logs people in by accounts that they have elsewhere: at any
// provider of OpenID Connect, at GitHub, Facebook and Discord, and at others in
// a few lines ([Provider]).
//
//	signIn, err := oauth.New(factory, accounts, oauth.Config{
//		PublicURL: "https://app.example.com", Keys: keys,
//	}, oauth.Google(oauth.Client{ID: id, Secret: secret}))
//	echo4.Mount(e, signIn.Routes())
//
// Each flow is an authorization code with PKCE (RFC 7636, S256), and a state
// that is good once, in one browser, for one provider, and for a log-in or the
// linking of an account alone (RFC 9700). ID tokens are held to issuer, audience,
// nonce and signature. Who is logged in is for package linked to say; it ends at
// the same door as every log-in.
package oauth
