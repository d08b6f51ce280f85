package oauth_test

import "testing"

// TestEndpointsWithoutTLS: a provider publishes where its endpoints are, and
// they get the client's secret, codes and tokens, or say whose signature counts
// (OpenID Connect Discovery §3).
func TestEndpointsWithoutTLS(t *testing.T) {
	for _, endpoint := range []string{"authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"} {
		for _, address := range []string{"http://evil.example/x", "javascript:alert(1)", "//evil.example/x", "/x", "https:evil.example", "ftp://evil.example/", "https://user@evil.example/", "https://evil.example/#x", "https://", "%"} {
			p := newProvider(t)
			p.publish = map[string]any{endpoint: address}
			s := newSite(t, nil, p.openID())
			s.wants(endpoint+" "+address, s.browser().do("GET", "/auth/op/authorize"), 503, "Service Unavailable")
		}
		if endpoint == "userinfo_endpoint" {
			continue // there needn't be one
		}
		p := newProvider(t)
		p.publish = map[string]any{endpoint: nil}
		s := newSite(t, nil, p.openID())
		s.wants("no "+endpoint, s.browser().do("GET", "/auth/op/authorize"), 503, "Service Unavailable")
	}
}
