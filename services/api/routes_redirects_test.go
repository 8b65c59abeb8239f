package api_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"countersign.dev/services/api"
	"countersign.dev/services/api/internal/pipeline"
)

// invented are parameters by which other services say where a browser goes on.
// None of them means anything here.
var invented = []string{"return_to", "next", "url", "continue", "goto", "dest", "redirect", "returnUrl", "RelayState", "back", "r", "u"}

// elsewhere is what makes a page go on by itself to another one.
var elsewhere = regexp.MustCompile(`(?i)http-equiv="?refresh"?[^>]*url`)

// leads reports whether a parameter says where a browser goes on.
func leads(p parameter) bool {
	return strings.Contains(p.name, "redirect") || p.name == "target_url"
}

// Whatever a request says, in any parameter that names a place, in one that no
// route knows, in its headers or in its path: a browser goes on to a page of ours
// or to the address that its app has registered.
//
func TestNoRouteLeadsWhereARequestSays(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	p.inbox = true
	p.cfg = func(c *api.Config) { c.TrustedProxies = []string{"127.0.0.0/8"} }
	h, l := open(t, p), newLedger()
	variants := hostileURIs(backURL)
	if len(variants) < 60 {
		t.Fatalf("only %d variants", len(variants))
	}
	named, on := 0, 0
	for _, route := range h.service.Routes() {
		r := h.realm(l, "acme", "sandbox", "") // requests that are good may change much
		for _, q := range inInput(route) {
			if !leads(q) {
				continue
			}
			s := r.shot(route)
			if s.form.Has("prompt") {
				s.form.Set("prompt", "none") // answered at once, where the request says
			}
			for name, uri := range variants {
				named++
				s.form.Set(q.form(), uri)
				s.header.Set("X-Forwarded-For", l.address()) // so that no limit answers
				h.wantAtHome(name+" as "+q.name, s)
			}
		}
		s := r.shot(route)
		for name, uri := range variants {
			if !route.Page && name != "another host" || !strings.Contains(uri, "evil") {
				continue // what leads elsewhere, and at one look where no browser goes
			}
			s.query = url.Values{}
			s.header.Set("X-Forwarded-For", l.address())
			for _, q := range invented {
				s.query.Set(q, uri)
			}
			h.wantAtHome(name+" in names that nobody knows", s)
		}
		if s = r.shot(route); leadsOn(route) {
			on++
			s.header.Set("X-Forwarded-For", l.address())
			s.header.Set("X-Forwarded-Host", "evil.test")
			s.header.Set("Referer", "https://evil.test/")
			h.wantAtHome("a request that is good", s)
		}
		for _, target := range []string{"//evil.test" + s.path(), s.path() + "//evil.test", "/%2f/evil.test" + s.path(), `/\evil.test` + s.path(), s.path() + "/..//evil.test"} {
			h.wantNoWayFrom(route.Method, target)
		}
	}
	if named < 60 || on < 10 {
		t.Errorf("only %d requests named a place, and %d routes lead on: this test sees nothing", named, on)
	}
}

// leadsOn reports whether a route answers with the way to another page.
func leadsOn(route pipeline.Route) bool {
	status := success(route)
	return status >= 300 && status < 400
}

// wantAtHome sends a request and looks where its answer leads.
func (h *house) wantAtHome(what string, s *shot) {
	h.t.Helper()
	got := h.fire(s)
	to := got.to()
	if isHome(h.public, to) && got.header.Get("Refresh") == "" && !elsewhere.MatchString(got.raw) {
		return
	}
	h.t.Errorf("%s: %s: status %d leads to %q", title(s.route), what, got.status, to)
}

// isHome reports whether a Location is none, a page of ours, or the address that
// apps have registered in these tests, with what an answer adds to it.
func isHome(public, to string) bool {
	place := to
	if i := strings.IndexAny(to, "?#"); i >= 0 {
		place = to[:i]
	}
	switch {
	case strings.Contains(strings.ToLower(place), "evil") || strings.Contains(place, `\`):
		return false
	case strings.HasPrefix(place, "/"):
		return !strings.HasPrefix(place, "//")
	default:
		return place == "" || place == backURL || strings.HasPrefix(place, public+"/")
	}
}

// wantNoWayFrom asks for a path as it is written and for another site's host,
// neither of which the client of the other tests would send.
func (h *house) wantNoWayFrom(method, target string) {
	h.t.Helper()
	status, header := speak(h.t, strings.TrimPrefix(h.base, "http://"), method+" "+target+" HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	if to := header.Get("Location"); to != "" {
		h.t.Errorf("%s %s: status %d leads to %q", method, target, status, to)
	}
}
