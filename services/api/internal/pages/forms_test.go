package pages

import (
	"net/http"
	"strings"
	"testing"
)

// A form that is not of our page, or of the page of another link, does nothing.
// Covers R-156 for the form of a link.
func TestFormsOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, "https://login.acme.test")
	first, second := s.with("first", nil), s.with("second", nil)
	site := func(site, origin string) func(*http.Request) {
		return func(r *http.Request) {
			for name, value := range map[string]string{"Sec-Fetch-Site": site, "Origin": origin} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
		}
	}
	override := func(name string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, "POST") }
	}
	own := site("same-origin", "null")
	for name, c := range map[string]struct {
		method, body, cookie string
		change               func(*http.Request)
		status               int
	}{
		"another site":                     {"POST", s.form(first), first, site("cross-site", "https://evil.test"), 403},
		"another site, no cookie":          {"POST", s.form(first), "", site("cross-site", "https://evil.test"), 403},
		"another site in an old browser":   {"POST", s.form(first), first, site("", "https://evil.test"), 403},
		"a subdomain":                      {"POST", s.form(first), first, site("same-site", "https://x.login.acme.test"), 403},
		"a subdomain in an old browser":    {"POST", s.form(first), first, site("", "https://x.login.acme.test"), 403},
		"the domain above":                 {"POST", s.form(first), first, site("", "https://acme.test"), 403},
		"another port":                     {"POST", s.form(first), first, site("", "https://login.acme.test:8443"), 403},
		"a name that starts alike":         {"POST", s.form(first), first, site("", "https://login.acme.test.evil.test"), 403},
		"an origin of null":                {"POST", s.form(first), first, site("", "null"), 403},
		"null from another site":           {"POST", s.form(first), first, site("cross-site", "null"), 403},
		"what no browser says":             {"POST", s.form(first), first, site("Same-Origin", ""), 403},
		"no token":                         {"POST", "", first, own, 403},
		"an empty token":                   {"POST", "page_token=", first, own, 403},
		"a token cut short":                {"POST", s.form(first)[:30], first, own, 403},
		"a token made of two":              {"POST", s.form(first) + "x", first, own, 403},
		"a token as a list":                {"POST", strings.Replace(s.form(first), "=", "[]=", 1), first, own, 403},
		"two tokens":                       {"POST", s.form(first) + "&" + s.form(second), first, own, 400},
		"the token of another link":        {"POST", s.form(second), first, own, 403},
		"an old token":                     {"POST", s.form(first), second, own, 403},
		"the cookie itself as token":       {"POST", "page_token=" + first, first, own, 403},
		"the token of no cookie":           {"POST", s.form(""), "", own, 403},
		"no cookie":                        {"POST", s.form(first), "", own, 403},
		"two cookies":                      {"POST", s.form(first), first, s.cookie(second), 403},
		"the cookie of plain http":         {"POST", s.form(first), "", func(r *http.Request) { own(r); r.AddCookie(&http.Cookie{Name: "cs_link", Value: first}) }, 403},
		"the method in a header":           {"GET", "", first, override("X-HTTP-Method-Override"), 200},
		"the method in another header":     {"GET", "", first, override("X-HTTP-Method"), 200},
		"the method in a third header":     {"GET", "", first, override("X-Method-Override"), 200},
		"the method in the form":           {"POST", s.form(first) + "&_method=GET", first, own, 400},
		"PUT":                              {"PUT", s.form(first), first, own, 405},
		"DELETE":                           {"DELETE", "", first, own, 405},
		"a form to the address of a link":  {"POST /magic-link/verify/" + first, s.form(first), first, own, 405},
		"a form to the other address":      {"POST /callback", s.form(first) + "&token=" + first, first, own, 405},
		"JSON from another site":           {"POST", `{"page_token":"` + strings.TrimPrefix(s.form(first), "page_token=") + `"}`, first, site("cross-site", "https://evil.test"), 403},
		"the method in the address":        {"GET /link?_method=POST&" + s.form(first), "", first, own, 200},
		"the clean page from another site": {"GET", "", first, site("cross-site", ""), 200},
	} {
		method, path, elsewhere := strings.Cut(c.method, " ")
		if !elsewhere {
			path = "/link"
		}
		changes := []func(*http.Request){func(r *http.Request) {
			if c.cookie != "" {
				s.cookie(c.cookie)(r)
			}
		}, c.change}
		if got := s.ask(method, path, c.body, changes...); got.status != c.status {
			t.Errorf("%s: status %d, want %d: %s", name, got.status, c.status, got.body)
		} else if c.status == 403 {
			got.wantPage("This page is out of date")
		}
	}
	if len(s.followed) != 0 || len(s.links) != 2 {
		t.Fatalf("followed by %v", s.followed)
	}
	for token, change := range map[string]func(*http.Request){
		first: site("same-origin", "null"), second: site("", "https://login.acme.test"), s.with("none", nil): site("none", ""), s.with("nobrowser", nil): site("", ""),
	} {
		s.ask("POST", "/link", s.form(token), s.cookie(token), change).want(303)
	}
}

// Covers R-155 for links in two tabs.
func TestTwoTabsDoNotMix(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	first, second := s.with("first", nil), s.with("second", nil)
	formOfFirst := s.form(first)
	s.ask("POST", "/link", formOfFirst, s.cookie(second), ours).want(403).wantPage("This page is out of date")
	if len(s.links) != 2 {
		t.Error("the page of one link used another")
	}
}
