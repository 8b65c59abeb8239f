package pipeline_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/pipeline"
)

// listed are origins that apps list.
type listed []string

func (l listed) OriginKnown(_ context.Context, origin string) (bool, error) {
	return slices.Contains(l, origin), nil
}

// unread cannot be asked.
type unread struct{}

func (unread) OriginKnown(context.Context, string) (bool, error) {
	return true, errors.New("the database is away")
}

const (
	ours   = "https://app.acme.test"
	theirs = "https://app.rival.test"
)

// crossed is a router with a path that other origins may call and one that
// they may not. The app of the first lists one of the two known origins.
func crossed(origins pipeline.Origins) http.Handler {
	mux := chi.NewRouter()
	p := &pipeline.Pipeline{Limits: ephemeral.NewMemory(time.Now), Origins: origins, Log: slog.New(slog.DiscardHandler)}
	route := func(method, path string, cors bool, fn func(c pipeline.Call) error) pipeline.Route {
		return pipeline.Route{
			Method: method, Path: path, CORS: cors, Credential: pipeline.None, Reach: pipeline.Nobody, Rate: pipeline.RateAPI,
			Handler: pipeline.Handle(func(_ context.Context, c pipeline.Call, _ pipeline.Nothing) (map[string]bool, error) {
				return map[string]bool{}, fn(c)
			}),
		}
	}
	fine := func(pipeline.Call) error { return nil }
	p.Mount(mux, []pipeline.Route{
		route("POST", "/open", true, fine), route("GET", "/open", true, fine), route("GET", "/shut", false, fine),
		route("GET", "/missing", true, func(pipeline.Call) error { return fault.New(fault.NotFound, "not_found", "not_found") }),
		route("GET", "/app", true, func(c pipeline.Call) error { c.ServeApp(app.App{Origins: []string{ours}}); return nil }),
	})
	return mux
}

// ask sends a request with Origin headers.
func ask(handler http.Handler, method, path string, origins ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, http.NoBody)
	for _, origin := range origins {
		r.Header.Add("Origin", origin)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// Covers R-157 (known origins are answered as they are, and on errors too).
func TestPagesOfKnownOriginsMayCall(t *testing.T) {
	t.Parallel()
	open := crossed(listed{ours, theirs})
	for name, c := range map[string]struct {
		method, path, origin string
		status               int
		allowed              bool
	}{
		"a call":                            {"POST", "/open", ours, 200, true},
		"another known origin":              {"GET", "/open", theirs, 200, true},
		"an error":                          {"GET", "/missing", ours, 404, true},
		"a method that the path has not":    {"PUT", "/open", ours, 405, true},
		"an origin that this app lists":     {"GET", "/app", ours, 200, true},
		"an origin of another app":          {"GET", "/app", theirs, 200, false},
		"a path that is not for others":     {"GET", "/shut", ours, 200, false},
		"a method there":                    {"PUT", "/shut", ours, 405, false},
		"a preflight there":                 {"OPTIONS", "/shut", ours, 405, false},
		"a path that is not":                {"GET", "/nothing", ours, 404, false},
		"nobody's origin":                   {"GET", "/open", "https://evil.test", 200, false},
		"a preflight of nobody's origin":    {"OPTIONS", "/open", "https://evil.test", 204, false},
		"a preflight of a known origin":     {"OPTIONS", "/open", ours, 204, true},
		"a preflight before the app is one": {"OPTIONS", "/app", theirs, 204, true},
	} {
		w := ask(open, c.method, c.path, c.origin)
		got := w.Header().Values("Access-Control-Allow-Origin")
		if w.Code != c.status || len(got) > 1 || c.allowed != (len(got) == 1 && got[0] == c.origin) || !c.allowed && len(got) > 0 {
			t.Errorf("%s: %d %q, want %d and allowed: %v", name, w.Code, got, c.status, c.allowed)
		}
		if strings.HasPrefix(c.path, "/open") && w.Header().Get("Vary") != "Origin" {
			t.Errorf("%s: Vary %q", name, w.Header().Get("Vary"))
		}
		if w.Header().Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: with credentials", name)
		}
	}
	w := ask(open, "OPTIONS", "/open", ours)
	if w.Header().Get("Access-Control-Allow-Methods") != "GET, POST" || w.Header().Get("Access-Control-Max-Age") != "600" ||
		!strings.Contains(w.Header().Get("Access-Control-Allow-Headers"), "Authorization, requestId") || w.Body.Len() != 0 {
		t.Errorf("a preflight is answered %v %s", w.Header(), w.Body)
	}
}

// Covers R-157 (the corpus of origins).
func TestOnlyListedOriginsAreAnswered(t *testing.T) {
	t.Parallel()
	open := crossed(listed{ours, "http://localhost:3000", "null", "*", ""})
	for name, origins := range map[string][]string{
		"none": nil, "null": {"null"}, "empty": {""}, "star": {"*"}, "a suffix": {ours + ".evil.test"}, "a prefix": {"https://evil-app.acme.test"},
		"a subdomain": {"https://x.app.acme.test"}, "the parent": {"https://acme.test"}, "another port": {ours + ":8443"},
		"the default port": {ours + ":443"}, "another scheme": {"http://app.acme.test"}, "upper case": {"https://APP.acme.test"},
		"an upper case scheme": {"HTTPS://app.acme.test"}, "userinfo": {"https://app.acme.test@evil.test"}, "userinfo in front": {"https://evil.test@app.acme.test"},
		"a trailing dot": {ours + "."}, "a trailing slash": {ours + "/"}, "a path": {ours + "/x"}, "a query": {ours + "?x"}, "a fragment": {ours + "#x"},
		"a space": {" " + ours + " x"}, "a tab inside": {"https://app\t.acme.test"}, "IDN": {"https://аpp.acme.test"}, "punycode": {"https://xn--pp-6kc.acme.test"},
		"a wide dot": {"https://app。acme.test"}, "two": {ours, "https://evil.test"}, "two the other way round": {"https://evil.test", ours},
		"twice the same": {ours, ours}, "a list": {ours + ", https://evil.test"}, "a list by spaces": {ours + " https://evil.test"},
		"a backslash": {`https://app.acme.test\.evil.test`}, "an escape": {"https://app%2eacme.test"}, "no scheme": {"//app.acme.test"},
		"a file": {"file://"}, "an extension": {"chrome-extension://abc"}, "another local port": {"http://localhost:3001"}, "localhost by number": {"http://127.0.0.1:3000"},
		"very long": {"https://" + strings.Repeat("a", 4000) + ".test"},
	} {
		for _, method := range []string{"OPTIONS", "GET", "POST", "PUT"} {
			w := ask(open, method, "/open", origins...)
			for header := range w.Header() {
				if strings.HasPrefix(header, "Access-Control-") {
					t.Errorf("%s %s is answered with %s: %s", method, name, header, w.Header().Get(header))
				}
			}
		}
	}
	if got := ask(open, "GET", "/open", "http://localhost:3000").Header().Get("Access-Control-Allow-Origin"); got != "http://localhost:3000" {
		t.Errorf("a listed one is answered %q: this test sees nothing", got)
	}
	for name, origins := range map[string]pipeline.Origins{"nobody to ask": nil, "the database is away": unread{}} {
		if w := ask(crossed(origins), "GET", "/open", ours); w.Code != 200 || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
	}
}
