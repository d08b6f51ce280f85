package authn

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

type redirectTo string

func (page redirectTo) apply(to *demands) { to.loginPage = string(page) }

// RedirectTo has a guard send a browser to this log-in page of the same host
// where it would answer 401: with 303, and with the way back in the query
// parameter "next" where the request was a GET. Whatever reads that hands it
// to [ReturnPath] first. Programs still get 401: only requests that navigate
// to a page are redirected. It panics for a page that isn't a path.
//
//	pages := users.CurrentUser(authn.Active, authn.RedirectTo("/login"))
func RedirectTo(loginPage string) Rule {
	if ReturnPath(loginPage) != loginPage {
		panic(fmt.Sprintf("authn: RedirectTo needs a path of this host, and %q is none", loginPage))
	}
	return redirectTo(loginPage)
}

// redirect turns a 401 into the way to the log-in page.
func (g *Guard[U]) redirect(r *http.Request, err error) error {
	page := g.demands.loginPage
	if page == "" || !errors.Is(err, ErrUnauthorized) || !isNavigation(r) {
		return err
	}
	if r.Method == http.MethodGet {
		separator := "?"
		if strings.Contains(page, "?") {
			separator = "&"
		}
		page += separator + "next=" + url.QueryEscape(ReturnPath(r.URL.RequestURI()))
	}
	return &HTTPError{
		Status: http.StatusSeeOther,
		Detail: http.StatusText(http.StatusSeeOther),
		Header: http.Header{"Location": {page}},
		Err:    err,
	}
}

// isNavigation reports whether a browser asks for a page to show.
func isNavigation(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" && mode != "navigate" {
		return false
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// ReturnPath returns next if it is a path of this host, with or without a
// query, and "/" otherwise: nobody is sent to another site by a link to the
// log-in page.
func ReturnPath(next string) string {
	if !isLocal(next) {
		return "/"
	}
	return next
}

// maxReturnPath is the longest way back, in bytes.
const maxReturnPath = 2 << 10

// isLocal refuses whatever some browser or server takes for another host:
// "//host", "/\host", both also percent-encoded, and what has characters in it
// that are dropped before the rest is read.
func isLocal(next string) bool {
	if len(next) > maxReturnPath {
		return false
	}
	u, err := url.Parse(next)
	if err != nil || strings.Contains(next, " ") || u.Scheme != "" || u.Host != "" || u.User != nil || u.Fragment != "" {
		return false
	}
	for _, form := range []string{next, u.Path} {
		if !strings.HasPrefix(form, "/") || strings.HasPrefix(form, "//") ||
			strings.ContainsFunc(form, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\\' }) {
			return false
		}
	}
	return true
}
