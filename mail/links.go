package mail

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// parsePublicURL reads the URL that all links begin with. Its path gets a
// slash at the end, so that references keep it.
func parsePublicURL(text string, insecureHTTP bool) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("mail: the public URL: %w", err)
	}
	if err := checkURL(u, insecureHTTP); err != nil {
		return nil, fmt.Errorf("mail: the public URL %q: %w", text, err)
	}
	if u.RawQuery != "" || u.ForceQuery {
		return nil, fmt.Errorf("mail: the public URL %q must have no query", text)
	}
	return u.JoinPath("/"), nil
}

func checkURL(u *url.URL, insecureHTTP bool) error {
	switch {
	case u.Hostname() == "" || u.Opaque != "":
		return errors.New("must be an absolute URL, such as https://app.example.com")
	case u.User != nil:
		return errors.New("must have no user and password")
	case u.Fragment != "":
		return errors.New("must have no fragment")
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return errors.New("must begin with https://")
	case !insecureHTTP && !isLoopback(u.Hostname()):
		return errors.New("must begin with https://, for whoever reads a link on its way can use it (Config.InsecureHTTP allows it)")
	}
	return nil
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	if err != nil {
		host = strings.ToLower(host)
		return host == "localhost" || strings.HasSuffix(host, ".localhost") // RFC 6761 §6.3
	}
	return address.IsLoopback()
}

// page is where the links of one kind lead.
type page struct {
	url      *url.URL
	fragment bool
}

func newPage(public *url.URL, reference string, insecureHTTP, fragment bool) (page, error) {
	u, err := public.Parse(reference)
	if err != nil {
		return page{}, fmt.Errorf("mail: the page %q: %w", reference, err)
	}
	if err := checkURL(u, insecureHTTP); err != nil {
		return page{}, fmt.Errorf("mail: the page %q: %w", reference, err)
	}
	if u.Query().Has("token") {
		return page{}, fmt.Errorf("mail: the page %q has a token already", reference)
	}
	return page{u, fragment}, nil
}

// link leads to the page with a token.
func (p page) link(token string) string {
	query := url.Values{"token": {token}}.Encode()
	if p.fragment {
		return p.url.String() + "#" + query
	}
	u := *p.url
	if u.RawQuery != "" {
		query = u.RawQuery + "&" + query
	}
	u.RawQuery = query
	return u.String()
}
