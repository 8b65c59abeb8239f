package api_test

import (
	"net/http"
	"strings"
	"testing"

	"countersign.dev/services/api"
)

// always are the headers of every answer, whatever it is.
var always = map[string]string{
	"Cache-Control":                "no-store",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Referrer-Policy":              "no-referrer",
	"X-Content-Type-Options":       "nosniff",
}

// observe sends a request and checks what every answer of the table must have:
// the headers, the request id, and JSON where it is an error.
func (h *house) observe(req *http.Request) *reply {
	h.t.Helper()
	r := h.exchange(req)
	for name, want := range always {
		if name == "Cache-Control" && r.status == http.StatusOK && strings.Contains(req.URL.Path, "/.well-known") {
			want = "public, max-age=60" // the public keys, for everybody the same
		}
		if name == "Cache-Control" && r.status == http.StatusOK && strings.HasPrefix(strings.TrimPrefix(req.URL.Path, "/docs"), "/assets/") {
			want = "public, max-age=31536000" // their paths say which version they are
		}
		if got := r.header.Values(name); len(got) != 1 || got[0] != want {
			h.t.Errorf("%s: status %d: %s is %q, want %q once", r.what, r.status, name, got, want)
		}
	}
	if got := r.header.Get("Permissions-Policy"); got == "" || strings.ContainsAny(strings.ReplaceAll(got, "=()", ""), "=*(") {
		h.t.Errorf("%s: status %d: Permissions-Policy %q is missing or allows something", r.what, r.status, got)
	}
	if got := r.header.Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'") || !strings.Contains(got, "frame-ancestors 'none'") {
		h.t.Errorf("%s: status %d: Content-Security-Policy %q", r.what, r.status, got)
	}
	if strings.HasPrefix(h.public, "https:") && r.header.Get("Strict-Transport-Security") != "max-age=31536000; includeSubDomains" {
		h.t.Errorf("%s: status %d: Strict-Transport-Security %q", r.what, r.status, r.header.Get("Strict-Transport-Security"))
	}
	if len(r.header.Get("X-Request-Id")) < 26 {
		h.t.Errorf("%s: status %d: X-Request-Id %q", r.what, r.status, r.header.Get("X-Request-Id"))
	}
	if r.status >= http.StatusBadRequest && req.Method != http.MethodHead {
		r.wantError()
	}
	return r
}

// wantError checks that an answer is an error in one of the forms of this
// service: the API's, that of RFC 6749, or a page's.
func (r *reply) wantError() {
	r.t.Helper()
	if !strings.HasPrefix(r.header.Get("Content-Type"), "application/json") && !r.isPage() {
		r.t.Errorf("%s: status %d: content type %q: %s", r.what, r.status, r.header.Get("Content-Type"), r.raw)
		return
	}
	switch inner := r.body["error"].(type) {
	case string:
		if inner == "" {
			r.t.Errorf("%s: status %d: the error has no name: %s", r.what, r.status, r.raw)
		}
	case map[string]any:
		if inner["type"] == "" || inner["message"] == "" || inner["request_id"] != r.header.Get("X-Request-Id") {
			r.t.Errorf("%s: status %d: the error is not whole: %s", r.what, r.status, r.raw)
		}
	default:
		r.t.Errorf("%s: status %d: the body is no error: %s", r.what, r.status, r.raw)
	}
}

// Every route, on success and in every way in which it can fail before its
// handler runs and in it.
//
func TestEveryAnswerOfEveryRouteHasTheSecurityHeaders(t *testing.T) {
	t.Parallel()
	wire := &tripwire{}
	p := embedded(t)
	p.inbox, p.short = true, wire.around(p.short)
	p.cfg = func(c *api.Config) { c.BaseURL = "https://login.example.test" }
	h := open(t, p)
	l := newLedger()
	for _, route := range h.service.Routes() {
		r := h.realm(l, "acme", "sandbox", "")
		bad := func(status int, change func(s *shot)) {
			t.Helper()
			s := r.shot(route)
			change(s)
			if got := h.fire(s); got.status != status {
				t.Errorf("%s: status %d, want %d: %s", title(route), got.status, status, got.raw)
			}
		}
		s := r.shot(route)
		h.observe(s.raw(t, h.base, "", "text/plain", strings.NewReader("x"))).want(http.StatusUnsupportedMediaType)
		h.observe(s.raw(t, h.base, "", "application/json", strings.NewReader("{"))).want(http.StatusBadRequest)
		h.observe(s.raw(t, h.base, "", "application/json", strings.NewReader(strings.Repeat("x", int(bodyLimit(route))+1)))).want(http.StatusRequestEntityTooLarge)
		trace := s.raw(t, h.base, "", "", nil)
		trace.Method = "PROPFIND"
		h.observe(trace).want(http.StatusMethodNotAllowed)
		if s.token != "" {
			bad(http.StatusUnauthorized, func(s *shot) { s.token = "none" })
		}
		panics := r.shot(route) // made before: what it needs passes the wire, too
		wire.arm("a panic")
		if got := h.fire(panics); got.status != http.StatusInternalServerError {
			t.Errorf("%s: a panic: status %d: %s", title(route), got.status, got.raw)
		}
		wire.disarm()
		bad(success(route), func(*shot) {}) // last: it may delete what the others need
	}
	for _, target := range []string{"/nothing", "/api/v2", "/api/v2/organizations/", "/oauth/token/x", "/%00", "/inbox/%2e%2e"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.base+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		h.observe(req).want(http.StatusNotFound)
	}
}
