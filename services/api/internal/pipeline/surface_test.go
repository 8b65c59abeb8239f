package pipeline_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/web"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/pipeline"
)

// surfaced is a house with a surface, whose errors say so, and a path outside
// of it. Its paths fail in every way in which a path can.
func surfaced(fail func(w http.ResponseWriter, r *http.Request, err error)) http.Handler {
	mux := chi.NewRouter()
	p := &pipeline.Pipeline{
		Limits: ephemeral.NewMemory(time.Now), Origins: listed{ours, theirs}, Log: slog.New(slog.DiscardHandler),
		Surfaces: []pipeline.Surface{{Holds: pipeline.OfService, WriteFault: fail}},
	}
	route := func(method, path string, fn func(c pipeline.Call) error) pipeline.Route {
		return pipeline.Route{
			Method: method, Path: path, CORS: true, Credential: pipeline.None, Reach: pipeline.Nobody, Rate: pipeline.RateAPI, MaxBody: 10, WriteFault: fail,
			Handler: pipeline.Handle(func(_ context.Context, c pipeline.Call, _ pipeline.Nothing) (map[string]bool, error) {
				return map[string]bool{}, fn(c)
			}),
		}
	}
	form := route("POST", "/login-srv/form", func(pipeline.Call) error { return nil })
	form.CORS = false
	p.Mount(mux, []pipeline.Route{
		form,
		route("POST", "/verification-srv/fine", func(pipeline.Call) error { return nil }),
		route("POST", "/verification-srv/broken", func(pipeline.Call) error { return errors.New("the database is away") }),
		route("POST", "/verification-srv/refused", func(pipeline.Call) error { return fault.New(fault.Malformed, "code_not_valid", "no") }),
		route("POST", "/verification-srv/panic", func(pipeline.Call) error { panic("a bug") }),
		route("POST", "/verification-srv/one", func(c pipeline.Call) error { c.ServeApp(app.App{Origins: []string{ours}}); panic("a bug") }),
		route("POST", "/elsewhere/panic", func(pipeline.Call) error { panic("a bug") }),
	})
	return web.House(web.Config{})(mux)
}

// inEnvelope writes an error in a shape of the surface's own.
func inEnvelope(w http.ResponseWriter, r *http.Request, err error) {
	web.Note(r.Context(), err)
	status := web.Status(web.Public(err).Kind)
	web.WriteJSON(w, status, map[string]any{"success": false, "status": status})
}

// Covers R-157 (paths that are not there, and what fails before and after a handler).
func TestASurfaceAnswersKnownOriginsWhateverHappens(t *testing.T) {
	t.Parallel()
	const apis = "the shape of the API"
	for name, c := range map[string]struct {
		method, path, origin string
		status               int
		allowed              bool
		body                 string
	}{
		"a call":                               {"POST", "/verification-srv/fine", ours, 200, true, "{}"},
		"a refusal":                            {"POST", "/verification-srv/refused", ours, 400, true, `{"status":400,"success":false}`},
		"an error of ours":                     {"POST", "/verification-srv/broken", ours, 500, true, `{"status":500,"success":false}`},
		"a panic":                              {"POST", "/verification-srv/panic", ours, 500, true, `{"status":500,"success":false}`},
		"a panic, another origin":              {"POST", "/verification-srv/panic", theirs, 500, true, `{"status":500,"success":false}`},
		"a panic about an app":                 {"POST", "/verification-srv/one", ours, 500, true, `{"status":500,"success":false}`},
		"a panic about another's app":          {"POST", "/verification-srv/one", theirs, 500, false, `{"status":500,"success":false}`},
		"a panic for nobody's origin":          {"POST", "/verification-srv/panic", "https://evil.test", 500, false, `{"status":500,"success":false}`},
		"another method":                       {"PUT", "/verification-srv/fine", ours, 405, true, `{"status":405,"success":false}`},
		"another method of a form":             {"PUT", "/login-srv/form", ours, 405, false, `{"status":405,"success":false}`},
		"no such path":                         {"POST", "/verification-srv/nothing", ours, 404, true, `{"status":404,"success":false}`},
		"no such path, read":                   {"GET", "/verification-srv/nothing", theirs, 404, true, `{"status":404,"success":false}`},
		"no such path, deleted":                {"DELETE", "/device-srv/a/b/c", ours, 404, true, `{"status":404,"success":false}`},
		"a service by itself":                  {"GET", "/users-srv", ours, 404, true, `{"status":404,"success":false}`},
		"the same with a slash":                {"GET", "/users-srv/", ours, 404, true, `{"status":404,"success":false}`},
		"no such path for nobody's origin":     {"POST", "/verification-srv/nothing", "https://evil.test", 404, false, `{"status":404,"success":false}`},
		"no such path for no origin":           {"POST", "/verification-srv/nothing", "", 404, false, `{"status":404,"success":false}`},
		"no such path for null":                {"POST", "/verification-srv/nothing", "null", 404, false, `{"status":404,"success":false}`},
		"before it is called":                  {"OPTIONS", "/verification-srv/nothing", ours, 204, true, ""},
		"before it is called by nobody":        {"OPTIONS", "/verification-srv/nothing", "https://evil.test", 204, false, ""},
		"before a path is called":              {"OPTIONS", "/verification-srv/fine", ours, 204, true, ""},
		"a form is never asked about":          {"OPTIONS", "/login-srv/form", ours, 405, false, `{"status":405,"success":false}`},
		"elsewhere":                            {"GET", "/nothing", ours, 404, false, apis},
		"elsewhere, before it is called":       {"OPTIONS", "/nothing", ours, 404, false, apis},
		"elsewhere, a service below":           {"GET", "/x/verification-srv/nothing", ours, 404, false, apis},
		"elsewhere, a longer name":             {"GET", "/verification-srvs/nothing", ours, 404, false, apis},
		"a base URL with a slash":              {"GET", "//verification-srv/nothing", ours, 404, true, `{"status":404,"success":false}`},
		"elsewhere, another method":            {"PUT", "/elsewhere/panic", ours, 405, true, apis},
		"elsewhere, a panic is readable, too":  {"POST", "/elsewhere/panic", ours, 500, true, `{"status":500,"success":false}`},
		"elsewhere, a panic for nobody's page": {"POST", "/elsewhere/panic", "https://evil.test", 500, false, `{"status":500,"success":false}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := ask(surfaced(inEnvelope), c.method, c.path, c.origin)
			got := w.Header().Values("Access-Control-Allow-Origin")
			if w.Code != c.status || len(got) > 1 || c.allowed != (len(got) == 1 && got[0] == c.origin) || !c.allowed && len(got) > 0 {
				t.Errorf("%d %q, want %d and allowed: %v", w.Code, got, c.status, c.allowed)
			}
			if body := w.Body.String(); body != c.body && body != c.body+"\n" && (c.body != apis || !isFault(w)) {
				t.Errorf("the body is %q, want %s", body, c.body)
			}
			if c.allowed && w.Header().Get("Vary") != "Origin" {
				t.Errorf("Vary %q", w.Header().Values("Vary"))
			}
			if c.status == 204 && c.allowed && w.Header().Get("Access-Control-Allow-Methods") != "GET, POST, PUT, DELETE" {
				t.Errorf("a page may try %q", w.Header().Get("Access-Control-Allow-Methods"))
			}
			if c.status != 204 && w.Header().Get("Access-Control-Allow-Methods") != "" || w.Header().Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("more is allowed than to read: %v", w.Header())
			}
		})
	}
}

func isFault(w *httptest.ResponseRecorder) bool {
	return strings.HasPrefix(w.Body.String(), `{"error":{`)
}

// A body that is too large is refused before a handler runs, and readable.
func TestASurfaceRefusesALargeBodyReadably(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("POST", "/verification-srv/fine", strings.NewReader(`{"a":"bcd"}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", ours)
	w := httptest.NewRecorder()
	surfaced(inEnvelope).ServeHTTP(w, r)
	if w.Code != 413 || w.Header().Get("Access-Control-Allow-Origin") != ours {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// A surface without a shape of its own has the API's.
func TestASurfaceWithoutAShapeHasTheAPIs(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "PUT"} {
		for _, path := range []string{"/verification-srv/fine", "/verification-srv/nothing"} {
			w := ask(surfaced(nil), method, path, ours)
			if !isFault(w) || w.Header().Get("Access-Control-Allow-Origin") != ours {
				t.Errorf("%s %s: %d %v %s", method, path, w.Code, w.Header(), w.Body)
			}
		}
	}
}

// Preflights of paths that are not there are counted with the others.
func TestPreflightsOfASurfaceAreLimited(t *testing.T) {
	t.Parallel()
	handler := surfaced(inEnvelope)
	for range 1000 {
		if w := ask(handler, "OPTIONS", "/verification-srv/nothing", ours); w.Code != 204 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	for range 1000 {
		if w := ask(handler, "OPTIONS", "/verification-srv/other", ours); w.Code == 429 {
			return
		}
	}
	t.Error("nothing limits preflights")
}
