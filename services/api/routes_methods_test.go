package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// methods are those that are tried on every path. The last ones are known to
// WebDAV, to proxies, and to nobody.
var methods = []string{
	"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "TRACK", "QUERY", "PROPFIND", "BREW", "get",
}

// A path takes the methods that the table declares for it and no other: 405,
// as JSON, with exactly those in Allow, whoever asks.
// Covers R-135 for methods.
func TestMethodsAreClosed(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	p.inbox = true
	h := open(t, p)
	r := h.realm(newLedger(), "acme", "sandbox", "").full()
	shots := r.shots()
	db := p.openSQL(t)
	settle(t, db)
	before := dump(t, db, p)
	declared := map[string][]string{}
	for _, route := range h.service.Routes() {
		declared[route.Path] = append(declared[route.Path], route.Method)
		if route.Page && route.Method == http.MethodGet {
			declared[route.Path] = append(declared[route.Path], http.MethodHead)
		}
	}
	for _, route := range h.service.Routes() {
		slices.Sort(declared[route.Path])
		allow := strings.Join(declared[route.Path], ", ")
		for _, method := range methods {
			if slices.Contains(declared[route.Path], method) || method == http.MethodOptions && route.CORS {
				continue // a preflight; see TestPreflights
			}
			for _, token := range []string{"", r.token} {
				s := shots[title(route)]
				s.token = token
				req := s.raw(t, h.base, "", "", nil)
				req.Method = method
				if method == http.MethodConnect { // the client would put a tunnel through
					req.URL.Opaque = s.path()
				}
				got := h.observe(req)
				if got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != allow {
					t.Errorf("%s %s: status %d, Allow %q, want 405 and %q: %s", method, route.Path, got.status, got.header.Get("Allow"), allow, got.raw)
				}
			}
		}
	}
	wantUnchanged(t, "refused methods", before, dump(t, db, p))
}

// A body is a form, a multipart form or JSON, and says so.
// Covers R-135 for content types.
func TestContentTypesAreClosed(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	p.inbox = true
	h := open(t, p)
	r := h.realm(newLedger(), "acme", "sandbox", "").full()
	shots := r.shots()
	db := p.openSQL(t)
	settle(t, db)
	before := dump(t, db, p)
	for _, route := range h.service.Routes() {
		s := shots[title(route)]
		body := s.form.Encode() + "&x=y"
		if s.inQuery() {
			s.form = nil
		}
		for _, mediaType := range []string{
			"", "text/plain", "application/xml", "text/xml", "application/octet-stream", "application/jsonp", "multipart/mixed; boundary=b",
			"application/x-www-form-urlencoded, application/json", "application", "*/*", "text/html; charset=utf-8",
		} {
			got := h.observe(s.raw(t, h.base, "", mediaType, strings.NewReader(body)))
			if got.status != http.StatusUnsupportedMediaType {
				t.Errorf("%s as %q: status %d, want 415: %s", title(route), mediaType, got.status, got.raw)
			}
		}
	}
	wantUnchanged(t, "refused content types", before, dump(t, db, p))
}
