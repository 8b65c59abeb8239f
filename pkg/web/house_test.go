package web_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/logs"
	"countersign.dev/pkg/web"
)

// headers are what every answer has.
var headers = map[string]string{
	"Cache-Control":                "no-store",
	"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Referrer-Policy":              "no-referrer",
	"Strict-Transport-Security":    "max-age=31536000; includeSubDomains",
	"X-Content-Type-Options":       "nosniff",
}

func router() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ok", func(w http.ResponseWriter, r *http.Request) { web.WriteJSON(w, 200, "ok") })
	mux.HandleFunc("GET /silent", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /body", func(w http.ResponseWriter, r *http.Request) {
		web.LimitBody(w, r, 4)
		if _, err := io.ReadAll(r.Body); err != nil {
			web.WriteFault(w, r, err)
		}
	})
	mux.HandleFunc("GET /down", func(w http.ResponseWriter, r *http.Request) {
		web.WriteFault(w, r, fault.New(fault.Unavailable, "redis_down", "Try again."))
	})
	mux.HandleFunc("GET /bug", func(w http.ResponseWriter, r *http.Request) { web.WriteFault(w, r, io.EOF) })
	mux.HandleFunc("GET /panic", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "canary"})
		w.Header().Set("Content-Length", "7")
		w.Header().Set("Cache-Control", "public")
		panic("canary")
	})
	return mux
}

func TestEveryAnswerHasTheSecurityHeaders(t *testing.T) {
	t.Parallel()
	log, _ := newLog()
	cases := map[string]struct {
		method, target, body string
		status               int
	}{
		"an answer":              {"GET", "/ok", "", 200},
		"an answer of nothing":   {"GET", "/silent", "", 200},
		"no such path":           {"GET", "/nothing", "", 404},
		"the wrong method":       {"DELETE", "/ok", "", 405},
		"a body too large":       {"POST", "/body", "12345", 413},
		"a fault":                {"GET", "/down", "", 503},
		"an error of ours":       {"GET", "/bug", "", 500},
		"a panic":                {"GET", "/panic", "", 500},
		"TRACE":                  {"TRACE", "/ok", "", 405},
		"TRACK":                  {"TRACK", "/ok", "", 405},
		"CONNECT":                {"CONNECT", "/ok", "", 405},
		"a method nobody knows":  {"BREW", "/ok", "", 405},
		"OPTIONS for the server": {"OPTIONS", "*", "", 400},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), c.method, "/", strings.NewReader(c.body))
			r.URL.Path, r.RequestURI = c.target, c.target
			web.House(web.Config{Log: log, HSTS: true})(router()).ServeHTTP(w, r)
			if w.Code != c.status {
				t.Errorf("status %d, want %d", w.Code, c.status)
			}
			for header, want := range headers {
				if got := w.Header().Values(header); len(got) != 1 || got[0] != want {
					t.Errorf("%s: %q, want %q", header, got, want)
				}
			}
			if got := w.Header().Get("Permissions-Policy"); !strings.Contains(got, "camera=()") || strings.Contains(got, "self") {
				t.Errorf("Permissions-Policy: %q", got)
			}
			if len(w.Header().Get("X-Request-Id")) < 26 {
				t.Errorf("X-Request-Id: %q", w.Header().Get("X-Request-Id"))
			}
			if c.status == 405 && w.Header().Get("Allow") == "" {
				t.Error("405 without Allow")
			}
			if w.Header().Get("Set-Cookie") != "" {
				t.Error("a cookie survived the panic")
			}
		})
	}
}

func TestHeadersOverTheNetwork(t *testing.T) {
	t.Parallel()
	s := start(t, web.ServerConfig{}, router())
	for _, line := range []string{"GET /ok", "OPTIONS *", "TRACE /ok", "GET /panic", "GET /silent"} {
		answer := s.raw(t, line+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		for header, want := range headers {
			if header == "Strict-Transport-Security" {
				want = "" // not switched on
			}
			if got := answer.header.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", line, header, got, want)
			}
		}
	}
}

func TestAPageMaySetItsOwnHeaders(t *testing.T) {
	t.Parallel()
	log, _ := newLog()
	w := call(web.Config{Log: log}, get(t, "/"), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		w.Header().Set("X-Request-Id", "mine")
		w.Header().Del("Cache-Control")
		w.WriteHeader(http.StatusCreated)
	})
	if got := w.Header().Get("Content-Security-Policy"); got != "default-src 'self'" {
		t.Errorf("the policy is %q", got)
	}
	if _, kept := w.Header()["Cache-Control"]; kept {
		t.Error("a static file cannot be cached")
	}
	if got := w.Header().Get("X-Request-Id"); got == "mine" || got == "" {
		t.Errorf("the request id is %q", got)
	}
}

func TestTheRequestIDIsOursAndOnlyOnce(t *testing.T) {
	t.Parallel()
	log, lines := newLog()
	seen := map[string]bool{}
	for range 1000 {
		r := get(t, "/")
		r.Header.Set("X-Request-Id", "forged")
		var inside string
		w := call(web.Config{Log: log}, r, func(w http.ResponseWriter, r *http.Request) {
			inside = logs.RequestID(r.Context())
		})
		id := w.Header().Get("X-Request-Id")
		if id != inside || seen[id] || len(id) < 26 || id == "forged" {
			t.Fatalf("%q in the answer, %q in the context", id, inside)
		}
		seen[id] = true
		if line := lines.access(t); line["request_id"] != id {
			t.Fatalf("%q in the answer, %q in the log", id, line["request_id"])
		}
	}
}

func TestTheAccessLine(t *testing.T) {
	t.Parallel()
	broken := fault.New(fault.Internal, "row_missing", "not for callers").Because(errors.New("no row for this id"))
	cases := map[string]struct {
		handler http.HandlerFunc
		want    map[string]any
	}{
		"an answer": {
			func(w http.ResponseWriter, r *http.Request) {
				web.SetRoute(r.Context(), "/users/{id}")
				_, _ = io.WriteString(w, "hello")
			},
			map[string]any{"level": "INFO", "route": "/users/{id}", "status": 200.0, "bytes": 5.0},
		},
		"an answer of nothing": {
			func(http.ResponseWriter, *http.Request) {},
			map[string]any{"level": "INFO", "route": "unmatched", "status": 200.0, "bytes": 0.0},
		},
		"a fault of the caller, whose cause is not shown": {
			func(w http.ResponseWriter, r *http.Request) {
				web.WriteFault(w, r, fault.New(fault.NotFound, "not_found", "").Because(errors.New("canary")))
			},
			map[string]any{"level": "INFO", "route": "unmatched", "status": 404.0, "fault": "not_found"},
		},
		"an error of ours": {
			func(w http.ResponseWriter, r *http.Request) {
				web.WriteFault(w, r, fmt.Errorf("load: %w", io.ErrUnexpectedEOF))
			},
			map[string]any{"level": "ERROR", "route": "unmatched", "status": 500.0, "fault": "internal_error", "cause": "load: unexpected EOF"},
		},
		"an internal fault": {
			func(w http.ResponseWriter, r *http.Request) { web.WriteFault(w, r, broken) },
			map[string]any{"level": "ERROR", "route": "unmatched", "status": 500.0, "fault": "row_missing", "cause": "row_missing: not for callers: no row for this id"},
		},
		"a dependency that is down": {
			func(w http.ResponseWriter, r *http.Request) {
				web.WriteFault(w, r, fault.New(fault.Unavailable, "redis_down", "Try again.").Because(errors.New("refused")))
			},
			map[string]any{"level": "ERROR", "route": "unmatched", "status": 503.0, "fault": "redis_down", "cause": "redis_down: Try again.: refused"},
		},
		"a surface with a writer of its own": {
			func(w http.ResponseWriter, r *http.Request) {
				web.Note(r.Context(), fmt.Errorf("render: %w", io.ErrShortWrite))
				w.WriteHeader(http.StatusInternalServerError)
			},
			map[string]any{"level": "ERROR", "route": "unmatched", "status": 500.0, "fault": "internal_error", "cause": "render: short write"},
		},
		"an OAuth error with a noted cause": {
			func(w http.ResponseWriter, r *http.Request) {
				web.Note(r.Context(), io.ErrNoProgress)
				web.WriteOAuthError(w, r, 500, "server_error", "")
			},
			map[string]any{"level": "ERROR", "route": "unmatched", "status": 500.0, "fault": "server_error", "cause": "multiple Read calls return no data or error"},
		},
		"a value that cannot be encoded": {
			func(w http.ResponseWriter, _ *http.Request) { web.WriteJSON(w, 200, make(chan int)) },
			map[string]any{"level": "ERROR", "route": "unmatched", "status": 500.0, "fault": "internal_error", "cause": "encode chan int: json: unsupported type: chan int"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, lines := newLog()
			var seen []web.Observation
			cfg := web.Config{Log: log, Observe: func(o web.Observation) { seen = append(seen, o) }}
			w := call(cfg, get(t, "/users/canary@example.com?code=canary"), c.handler)
			line := lines.access(t)
			if ms, ok := line["ms"].(float64); !ok || ms < 0 {
				t.Errorf("ms is %v", line["ms"])
			}
			if line["request_id"] != w.Header().Get("X-Request-Id") {
				t.Errorf("request_id is %v", line["request_id"])
			}
			want := map[string]any{"msg": "request", "method": "GET", "client_ip": "192.0.2.1", "bytes": float64(w.Body.Len())}
			maps.Copy(want, c.want)
			for _, key := range []string{"time", "ms", "request_id"} {
				delete(line, key)
			}
			if !reflect.DeepEqual(line, want) {
				t.Errorf("got  %v\nwant %v", line, want)
			}
			if rest := fmt.Sprint(line) + lines.all(); strings.Contains(rest, "canary") {
				t.Errorf("the log holds the path or a hidden cause: %s", rest)
			}
			expected := []web.Observation{{Method: "GET", Route: line["route"].(string), Status: w.Code, Bytes: int64(w.Body.Len())}}
			if len(seen) == 1 {
				expected[0].Took = seen[0].Took
			}
			if !reflect.DeepEqual(seen, expected) {
				t.Errorf("observed %+v, want %+v", seen, expected)
			}
		})
	}
}

func TestMethodsAreBoundedInLogsAndMetrics(t *testing.T) {
	t.Parallel()
	log, lines := newLog()
	r := get(t, "/")
	r.Method = "X-" + strings.Repeat("canary", 100)
	call(web.Config{Log: log}, r, func(http.ResponseWriter, *http.Request) {})
	if line := lines.access(t); line["method"] != "OTHER" {
		t.Errorf("the method is logged as %v", line["method"])
	}
}

func TestAPanicCostsOneRequest(t *testing.T) {
	t.Parallel()
	s := start(t, web.ServerConfig{}, router())
	answer, err := client().Get("http://" + s.addr + "/panic?code=canary")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusInternalServerError || !strings.HasPrefix(string(body), `{"error":{"type":"internal_error",`) {
		t.Errorf("%d %s %v", answer.StatusCode, body, err)
	}
	line := s.logs.next(t)
	if !strings.Contains(line, "panic in a handler") || !strings.Contains(line, "house_test.go") || !strings.Contains(line, answer.Header.Get("X-Request-Id")) {
		t.Errorf("the log does not say where: %s", line)
	}
	access := s.logs.access(t)
	if access["fault"] != "internal_error" || access["cause"] != "panic: a value of type string" {
		t.Errorf("the access line is %v", access)
	}
	if strings.Contains(line+fmt.Sprint(access)+string(body), "canary") {
		t.Error("the value of the panic shows")
	}
	after, err := client().Get("http://" + s.addr + "/ok")
	if err != nil || after.StatusCode != http.StatusOK {
		t.Fatalf("after the panic: %v", err)
	}
	_ = after.Body.Close()
}

func TestAPanicInTheMiddleOfAnAnswerCutsTheConnection(t *testing.T) {
	t.Parallel()
	panics := map[string]any{"a bug": "canary", "an abort on purpose": http.ErrAbortHandler}
	for name, value := range panics {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, web.ServerConfig{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "half of it")
				_ = http.NewResponseController(w).Flush()
				panic(value)
			}))
			answer, err := client().Get("http://" + s.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = answer.Body.Close() }()
			if body, err := io.ReadAll(answer.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("half an answer was taken for a whole one: %q, %v", body, err)
			}
			access := s.logs.access(t)
			if access["status"] != 200.0 || access["bytes"] != 10.0 {
				t.Errorf("the access line is %v", access)
			}
			if _, told := access["fault"]; told == (name == "an abort on purpose") {
				t.Errorf("the access line is %v", access)
			}
		})
	}
}

func TestTheHouseRendersItsFaultsAsTheSurfaceDoes(t *testing.T) {
	t.Parallel()
	log, _ := newLog()
	page := func(w http.ResponseWriter, r *http.Request, err error) {
		web.Note(r.Context(), err)
		f := web.Public(err)
		w.WriteHeader(web.Status(f.Kind))
		_, _ = io.WriteString(w, "<p>"+f.Code)
	}
	for method, want := range map[string]string{"GET": "500 <p>internal_error", "TRACE": "405 <p>method_not_allowed"} {
		r := get(t, "/")
		r.Method = method
		w := call(web.Config{Log: log, Fail: page}, r, func(http.ResponseWriter, *http.Request) { panic("x") })
		if got := fmt.Sprint(w.Code, " ", w.Body); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestARouteMayRenderItsPanicsItself(t *testing.T) {
	t.Parallel()
	log, lines := newLog()
	w := call(web.Config{Log: log}, get(t, "/"), func(_ http.ResponseWriter, r *http.Request) {
		web.SetFail(r.Context(), func(w http.ResponseWriter, r *http.Request, err error) {
			web.Note(r.Context(), err)
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, "<p>sorry")
		})
		panic("canary")
	})
	if got := fmt.Sprint(w.Code, " ", w.Body); got != "500 <p>sorry" || len(w.Header().Get("X-Request-Id")) < 26 {
		t.Errorf("got %s with %v", got, w.Header())
	}
	if line := lines.access(t); line["fault"] != "internal_error" {
		t.Errorf("the access line is %v", line)
	}
}

func TestHandlersInGoroutinesMaySetTheRoute(t *testing.T) {
	t.Parallel()
	log, lines := newLog()
	call(web.Config{Log: log}, get(t, "/"), func(_ http.ResponseWriter, r *http.Request) {
		var all sync.WaitGroup
		for range 32 {
			all.Go(func() {
				web.SetRoute(r.Context(), "/x")
				web.Note(r.Context(), io.EOF)
			})
		}
		all.Wait()
	})
	if line := lines.access(t); line["route"] != "/x" {
		t.Errorf("got %v", line)
	}
}

func TestOutsideOfTheHouseNothingBreaks(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	web.SetRoute(ctx, "/x")
	web.Note(ctx, io.EOF)
	if web.ClientIP(ctx).IsValid() {
		t.Error("an address came from nowhere")
	}
	if w := call(web.Config{}, get(t, "/"), http.NotFound); w.Code != 404 {
		t.Errorf("a house without settings: %d", w.Code)
	}
	w := httptest.NewRecorder()
	web.WriteFault(w, get(t, "/"), fault.New(fault.NotFound, "not_found", "No."))
	if want := `{"error":{"type":"not_found","message":"No.","doc_urls":[],"request_id":""}}`; w.Body.String() != want {
		t.Errorf("got %s", w.Body)
	}
}

func TestAllowNamesTheMethodsOfThePath(t *testing.T) {
	t.Parallel()
	cfg := web.Config{Allow: func(r *http.Request) string {
		if r.URL.Path == "/ok" {
			return "GET"
		}
		return ""
	}}
	for target, want := range map[string]string{"/ok": "GET", "/nothing": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"} {
		w := httptest.NewRecorder()
		web.House(cfg)(router()).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodTrace, target, nil))
		if got := w.Header().Get("Allow"); w.Code != http.StatusMethodNotAllowed || got != want {
			t.Errorf("TRACE %s: status %d, Allow %q, want 405 and %q", target, w.Code, got, want)
		}
	}
}
