package adapters_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	echov4 "github.com/labstack/echo/v4"
	echov5 "github.com/labstack/echo/v5"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/adapters/echo5"
	"github.com/echo-users/echo-users/adapters/nethttp"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/internal/fronts"
	"github.com/echo-users/echo-users/routes"
)

var list = routes.List{
	{Method: http.MethodGet, Path: "/things/{id}", Name: "things:one", Handler: func(w http.ResponseWriter, r *http.Request) error {
		_, err := fmt.Fprintf(w, "one %q", r.PathValue("id"))
		return err
	}},
	{Method: http.MethodGet, Path: "/things/mine", Name: "things:mine", Handler: func(w http.ResponseWriter, _ *http.Request) error {
		_, err := fmt.Fprint(w, "mine")
		return err
	}},
	{Method: http.MethodPost, Path: "/things/{id}/parts/{part}", Name: "things:part", Handler: func(w http.ResponseWriter, r *http.Request) error {
		_, err := fmt.Fprintf(w, "%q of %q", r.PathValue("part"), r.PathValue("id"))
		return err
	}},
	{Method: http.MethodGet, Path: "/fails", Name: "fails", Handler: func(http.ResponseWriter, *http.Request) error {
		return fmt.Errorf("hunter2: %w", authn.ErrUnavailable)
	}},
	{Method: http.MethodGet, Path: "/breaks", Name: "breaks", Handler: func(http.ResponseWriter, *http.Request) error {
		return errors.New("hunter2")
	}},
}

// under mounts a list under a prefix, as an application would.
func under(front, prefix string, list routes.List) http.Handler {
	switch front {
	case "echo4":
		e := echov4.New()
		e.HTTPErrorHandler = echo4.ErrorHandler
		e.Logger.SetOutput(io.Discard)
		echo4.Mount(e.Group(prefix), list)
		return e
	case "echo5":
		e := echov5.New()
		e.HTTPErrorHandler = echo5.ErrorHandler
		e.Logger = slog.New(slog.DiscardHandler)
		echo5.Mount(e.Group(prefix), list)
		return e
	default:
		below, mux := http.NewServeMux(), http.NewServeMux()
		nethttp.Mount(below, list)
		mux.Handle(prefix+"/", http.StripPrefix(prefix, nethttp.Handler(below)))
		return nethttp.Handler(mux)
	}
}

func TestRoutesAreAlike(t *testing.T) {
	for _, name := range fronts.Names {
		front, err := fronts.New(name)
		if err != nil {
			t.Fatal(err)
		}
		front.Mount(list)
		for prefix, h := range map[string]http.Handler{"": front, "/v1": under(name, "/v1", list)} {
			for _, c := range []struct{ method, path, want string }{
				{"GET", "/things/7", `200 one "7"`},
				{"GET", "/things/a%20b", `200 one "a b"`},
				{"GET", "/things/a%2Fb", `200 one "a/b"`},
				{"GET", "/things/%37", `200 one "7"`},
				{"GET", "/things/auth0%3A7", `200 one "auth0:7"`},
				{"GET", "/things/%2537%3A", `200 one "%37:"`},
				{"GET", "/things/auth0%3Aa%252Fb", `200 one "auth0:a%2Fb"`},
				{"GET", "/things/%C3%A9", `200 one "é"`},
				{"GET", "/things/mine", "200 mine"},
				{"POST", "/things/7/parts/8", `200 "8" of "7"`},
				{"GET", "/fails", `503 {"detail":"Service Unavailable"}`},
				{"GET", "/breaks", `500 {"detail":"Internal Server Error"}`},
				{"GET", "/nowhere", `404 {"detail":"Not Found"}`},
				{"DELETE", "/things/7", `405 {"detail":"Method Not Allowed"}`},
			} {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(c.method, prefix+c.path, nil))
				if got := fmt.Sprint(w.Code, " ", strings.TrimSpace(w.Body.String())); got != c.want {
					t.Errorf("%s, %s %s: %s, want %s", name, c.method, prefix+c.path, got, c.want)
				}
				if w.Code == http.StatusMethodNotAllowed && !strings.Contains(w.Header().Get("Allow"), "GET") {
					t.Errorf("%s: Allow %q", name, w.Header().Get("Allow"))
				}
				if w.Code == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
					t.Errorf("%s: no Retry-After", name)
				}
			}
		}
	}
}

// Echo v5 can be told to decode parameters itself.
func TestAParameterIsDecodedOnce(t *testing.T) {
	for name, cfg := range map[string]echov5.RouterConfig{
		"nowhere":    {},
		"parameters": {UnescapePathParamValues: true},
		"paths":      {UseEscapedPathForMatching: true},
	} {
		e := echov5.NewWithConfig(echov5.Config{Router: echov5.NewRouter(cfg)})
		echo5.Mount(e, list)
		echo5.Mount(e.Group("/v1"), list)
		for path, want := range map[string]string{
			"/things/%37":                  `one "7"`,
			"/things/%2537%3A":             `one "%37:"`,
			"/things/auth0%3Aa%2525":       `one "auth0:a%25"`,
			"/v1/things/auth0%3A7":         `one "auth0:7"`,
			"/things/a%3Ab%2525/parts/%37": `"7" of "a:b%25"`,
		} {
			method := http.MethodGet
			if strings.Contains(path, "parts") {
				method = http.MethodPost
			}
			w := httptest.NewRecorder()
			e.ServeHTTP(w, httptest.NewRequest(method, path, nil))
			if w.Body.String() != want {
				t.Errorf("decoded %s, %s: %s, want %s", name, path, w.Body, want)
			}
		}
	}
}

func TestRoutesKeepTheirNames(t *testing.T) {
	four, five := echov4.New(), echov5.New()
	echo4.Mount(four, list)
	echo5.Mount(five, list)
	names := map[string]bool{}
	for _, route := range four.Routes() {
		names["4 "+route.Name] = true
	}
	for _, route := range five.Router().Routes() {
		names["5 "+route.Name] = true
	}
	for _, route := range list {
		if !names["4 "+route.Name] || !names["5 "+route.Name] {
			t.Errorf("%s: %v", route.Name, names)
		}
	}
}

// Where a route is there already, ServeMux says so, and Echo v5 where it is
// told to; else the later one wins.
func TestMountingTwice(t *testing.T) {
	five, mux := echov5.NewWithConfig(echov5.Config{Router: echov5.NewRouter(echov5.RouterConfig{})}), http.NewServeMux()
	for name, mount := range map[string]func(){
		"echo5":   func() { echo5.Mount(five, list) },
		"nethttp": func() { nethttp.Mount(mux, list) },
	} {
		mount()
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			mount()
		}()
	}
}

// A mux that the application has routes of its own on answers them itself.
func TestHandlerLeavesOtherAnswersAlone(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /own", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "mine", http.StatusNotFound) })
	mux.HandleFunc("GET /folder/", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "in it") })
	h := nethttp.Handler(mux)
	for path, want := range map[string]string{
		"/own":      "404 mine",
		"/folder/a": "200 in it",
		"/folder":   "307 ",
		"//own":     `404 {"detail":"Not Found"}`,
		"//else":    `404 {"detail":"Not Found"}`,
		"/else":     `404 {"detail":"Not Found"}`,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://example.com"+path, nil))
		got := fmt.Sprint(w.Code, " ", strings.TrimSpace(w.Body.String()))
		if !strings.HasPrefix(got, want) || w.Code == http.StatusOK && got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
		if to := w.Header().Get("Location"); w.Code == http.StatusTemporaryRedirect && to == "" {
			t.Errorf("%s: it redirects nowhere", path)
		}
	}
}

// TestNothingIsChangedByARedirect: to follow one, a client would send its
// password once more, or delete the user in place of a session.
func TestNothingIsChangedByARedirect(t *testing.T) {
	mux := http.NewServeMux()
	for _, pattern := range []string{"GET /things/{id}", "DELETE /things/{id}", "POST /things/{id}/parts", "POST /folder/"} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, r.URL.Path) })
	}
	h := nethttp.Handler(mux)
	for request, want := range map[string]int{
		"DELETE /things/7":           200,
		"DELETE /things/7/parts/..":  404,
		"DELETE /things//7":          404,
		"DELETE //things/7":          404,
		"DELETE /things/./7":         404,
		"DELETE /things/7/.":         404,
		"DELETE //":                  404,
		"DELETE /":                   404,
		"POST /things/7/parts":       200,
		"POST //evil.example/..":     404,
		"POST /things/7/parts/":      404,
		"POST /things/8/../7/parts":  404,
		"POST /folder/a/":            200,
		"POST /folder/a//":           404,
		"GET /things/7":              200,
		"GET //things/7":             404,
		"GET /things/7/parts/..":     404,
		"GET //nowhere":              404,
		"GET /things/7/parts/../../": 404,
		"HEAD /things//7":            404,
		"GET /folder":                405,
		"POST /folder":               307, // which the pattern says
	} {
		method, path, _ := strings.Cut(request, " ")
		r := httptest.NewRequest(method, "http://example.com/", nil)
		r.URL.Path = path
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want || w.Code == http.StatusNotFound && strings.TrimSpace(w.Body.String()) != `{"detail":"Not Found"}` {
			t.Errorf("%s: %d %s, want %d", request, w.Code, w.Body, want)
		}
	}
}
