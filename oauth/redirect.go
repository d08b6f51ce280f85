package oauth

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/echo-users/echo-users/authn"
)

// maxRedirect is the longest redirect_to, in bytes: it travels in the state.
const maxRedirect = 1 << 10

// allowList is where people may be sent when they are through.
type allowList []*url.URL

func newAllowList(entries []string) (allowList, error) {
	var list allowList
	for _, entry := range entries {
		u, err := url.Parse(entry)
		switch {
		case err != nil:
			return nil, fmt.Errorf("oauth: RedirectTo: %q is no URL", entry)
		case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.User != nil || u.Opaque != "":
			return nil, fmt.Errorf("oauth: RedirectTo: %q has more than an origin and a path", entry)
		case u.Scheme == "" && u.Host == "" && authn.ReturnPath(entry) != entry:
			return nil, fmt.Errorf("oauth: RedirectTo: %q is neither a path of this host nor a URL", entry)
		case (u.Scheme != "" || u.Host != "") && !isWebOrigin(u):
			return nil, fmt.Errorf("oauth: RedirectTo: %q needs https", entry)
		}
		list = append(list, u)
	}
	return list, nil
}

func isWebOrigin(u *url.URL) bool {
	return u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()))
}

// check returns the redirect_to as it is sent: [ErrInvalidRedirect] unless it is
// an entry, or below one that ends in a slash, with or without a query.
func (l allowList) check(to string) (string, error) {
	if len(to) > maxRedirect || strings.ContainsFunc(to, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '\\' }) {
		return "", ErrInvalidRedirect
	}
	u, err := url.Parse(to)
	if err != nil || u.User != nil || u.Opaque != "" || strings.Contains(to, "#") {
		return "", ErrInvalidRedirect
	}
	local := u.Scheme == "" && u.Host == ""
	if local && authn.ReturnPath(to) != to || !local && !isWebOrigin(u) || !isPlainPath(u) {
		return "", ErrInvalidRedirect
	}
	for _, entry := range l { // a URL without a path is its host's "/"
		if u.Scheme == entry.Scheme && u.Host == entry.Host &&
			(max(u.Path, "/") == max(entry.Path, "/") || strings.HasSuffix(entry.Path, "/") && strings.HasPrefix(u.Path, entry.Path)) {
			return to, nil
		}
	}
	return "", ErrInvalidRedirect
}

// isPlainPath reports whether servers and browsers agree on what a path is: it
// has no segments that lead elsewhere, and no encoded separators.
func isPlainPath(u *url.URL) bool {
	escaped := strings.ToLower(u.EscapedPath())
	if strings.Contains(escaped, "%2f") || strings.Contains(escaped, "%5c") || strings.Contains(escaped, "%25") || strings.Contains(u.Path, "//") {
		return false
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." || strings.ContainsFunc(segment, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\\' }) {
			return false
		}
	}
	return true
}

// withError adds an error's code to where a person is sent.
func withError(to, code string) string {
	u, err := url.Parse(to)
	if err != nil {
		return to
	}
	query := u.Query()
	query.Set("error", code)
	u.RawQuery = query.Encode()
	return u.String()
}

// parsePublicURL returns the application's origin, and path if it has one,
// without a slash at the end.
func parsePublicURL(text string, insecure bool) (string, error) {
	u, err := url.Parse(text)
	if text == "" || err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return "", errors.New("oauth: PublicURL must be where browsers find the application, such as https://app.example.com")
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && insecure) {
		return "", fmt.Errorf("oauth: PublicURL %q needs https; for development, set InsecureHTTP", originOf(u))
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}
