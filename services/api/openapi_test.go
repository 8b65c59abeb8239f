package api_test

import (
	"bytes"
	"compress/gzip"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated documents instead of comparing them")

// openAPIFile lies outside of this module, so the test cache does not know of
// it: run this test with -count=1.
const openAPIFile = "../../docs/api/openapi.json"

// fetch gets a page as a browser does, with gzip undone, or without gzip.
func (h *house) fetch(path, encoding string) (http.Header, string) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, h.base+path, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", encoding)
	r := h.exchange(req).want(http.StatusOK)
	body := r.raw
	if r.header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(strings.NewReader(body))
		if err != nil {
			h.t.Fatal(err)
		}
		plain, err := io.ReadAll(unpacked)
		if err != nil {
			h.t.Fatal(err)
		}
		body = string(plain)
	}
	return r.header, body
}

// The document in the tree is the one that the service shows.
func TestOpenAPIDocumentIsCurrent(t *testing.T) {
	t.Parallel()
	h := open(t, embedded(t))
	_, served := h.fetch("/docs/openapi.json", "gzip")
	if *update {
		if err := os.MkdirAll(filepath.Dir(openAPIFile), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(openAPIFile, []byte(served), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(kept) != served {
		t.Errorf("docs/api/openapi.json is not what the routes say, from line %d on; run make docs", firstDifference(string(kept), served))
	}
}

func firstDifference(a, b string) int {
	linesA, linesB := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i, line := range linesA {
		if i >= len(linesB) || line != linesB[i] {
			return i + 1
		}
	}
	return len(linesA)
}

var (
	outside = regexp.MustCompile(`(?i)(https?:)?//[a-z0-9]`)
	loads   = regexp.MustCompile(`(?:src|href)="([^"]*)"`)
	sources = regexp.MustCompile(`'none'|'self'|data:`)
)

// The documentation is shown without a request to anybody else: what its pages
// load is served here, and their policy lets nothing else in.
func TestTheDocumentationAsksNobodyElse(t *testing.T) {
	t.Parallel()
	h := open(t, embedded(t))
	for _, page := range []string{"/docs", "/docs/errors"} {
		header, html := h.fetch(page, "gzip, br")
		if !strings.HasPrefix(header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: content type %q", page, header.Get("Content-Type"))
		}
		policy := map[string]string{}
		for rule := range strings.SplitSeq(header.Get("Content-Security-Policy"), "; ") {
			name, allowed, _ := strings.Cut(rule, " ")
			policy[name] = allowed
			if rest := strings.TrimSpace(sources.ReplaceAllString(allowed, "")); rest != "" {
				t.Errorf("%s: its policy lets %s be %s", page, name, rest)
			}
		}
		for name, want := range map[string]string{
			"default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "connect-src": "'self'", "base-uri": "'none'",
			"object-src": "'none'", "form-action": "'none'", "frame-ancestors": "'none'",
		} {
			if policy[name] != want {
				t.Errorf("%s: its policy lets %s be %q, want %s", page, name, policy[name], want)
			}
		}
		if found := outside.FindString(html); found != "" {
			t.Errorf("%s names another place: %s", page, found)
		}
		for _, inline := range []string{"<style", "style=", "<script>", " onload", " onclick", "javascript:"} {
			if strings.Contains(html, inline) {
				t.Errorf("%s: %q would be refused by its policy", page, inline)
			}
		}
		from, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.base+page, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range loads.FindAllStringSubmatch(html, -1) {
			target, err := from.URL.Parse(match[1])
			if err != nil {
				t.Fatal(err)
			}
			if target.Scheme != "data" && target.Path != page {
				h.fetch(target.Path, "gzip")
			}
		}
	}
	_, config := h.fetch(h.asset("docs", ".js"), "gzip")
	if found := outside.FindString(strings.ReplaceAll(config, "// ", "")); found != "" || !strings.Contains(config, "validatorUrl: null,") {
		t.Errorf("docs.js names another place (%q) or asks a validator: %s", found, config)
	}
	_, styles := h.fetch(h.asset("swagger-ui", ".css"), "gzip")
	for _, load := range regexp.MustCompile(`(?:url\(|@import)\s*["']?(.{5})`).FindAllStringSubmatch(styles, -1) {
		if load[1] != "data:" {
			t.Errorf("the style sheet loads %s…", load[1])
		}
	}
}

// asset is where a file of the documentation is, whose path holds a digest of it.
func (h *house) asset(name, ending string) string {
	h.t.Helper()
	for _, route := range h.service.Routes() {
		digest, ok := strings.CutPrefix(strings.TrimSuffix(route.Path, ending), "/docs/assets/"+name+".")
		if ok && strings.HasSuffix(route.Path, ending) && !strings.Contains(digest, ".") {
			return route.Path
		}
	}
	h.t.Fatalf("the documentation has no %s%s", name, ending)
	return ""
}

// Every fault leads to its explanation.
func TestFaultsLinkToTheirExplanation(t *testing.T) {
	t.Parallel()
	h := open(t, embedded(t))
	_, page := h.fetch("/docs/errors", "gzip")
	for _, code := range []string{"not_found", "unauthorized", "resend_too_soon", "idempotency_key_reused"} {
		if !strings.Contains(page, `<section id="`+code+`">`) {
			t.Errorf("/docs/errors does not explain %s", code)
		}
	}
	fault := h.call("GET", "/api/v2/organizations").wantFault(401, "unauthorized")
	if want := `"doc_urls":["http://127.0.0.1:8080/docs/errors#unauthorized"]`; !strings.Contains(fault.raw, want) {
		t.Errorf("the fault is %s, want %s in it", fault.raw, want)
	}
}

// What is stored compressed is the same for whoever cannot undo it.
func TestTheDocumentationComesPlainOrCompressed(t *testing.T) {
	t.Parallel()
	h := open(t, embedded(t))
	for encoding, packed := range map[string]bool{
		"gzip": true, "br, GZIP": true, "gzip;q=0.5": true, "gzip;q=1.0": true,
		"identity": false, "br": false, "gzip;q=0": false, "gzip; q=0.00": false,
	} {
		for _, path := range []string{"/docs", h.asset("swagger-ui-bundle", ".js")} {
			header, body := h.fetch(path, encoding)
			_, same := h.fetch(path, "gzip")
			if got := header.Get("Content-Encoding") == "gzip"; got != packed || header.Get("Vary") != "Accept-Encoding" {
				t.Errorf("%s with %q: compressed is %v, want %v; Vary %q", path, encoding, got, packed, header.Get("Vary"))
			}
			if body != same {
				t.Errorf("%s with %q is another text", path, encoding)
			}
		}
	}
}

// The check itself refuses what it is there to refuse.
func TestTheOpenAPICheckFindsWhatDiffers(t *testing.T) {
	t.Parallel()
	h := open(t, embedded(t))
	routes := h.service.Routes()
	doc, err := readDocument(routes)
	if err != nil {
		t.Fatal(err)
	}
	const (
		user  = `{"__type__":"Organization","domain":"a","name":"A","allowed_email_domains":[],"color":null,"locale":null,"timezone":null,"icon_logo_url":null,"inline_logo_url":null,"logo_url":null,"redirect_uris":[],"environments":[],"inserted_at":"x","updated_at":"x"}`
		fault = `{"error":{"type":"x","message":"x","doc_urls":[],"request_id":"x"}}`
		orgs  = "/api/v2/organizations"
	)
	for name, c := range map[string]struct {
		method, path, sent string
		status             int
		answer             string
		change             func(http.Header)
		finds              string // empty: nothing
	}{
		"what is declared":             {"POST", orgs, `{"name":"A"}`, 201, user, nil, ""},
		"a fault that is declared":     {"POST", orgs, `{"name":1}`, 422, fault, nil, ""},
		"a path that is not there":     {"GET", "/nowhere", "", 404, fault, nil, ""},
		"a method that is not there":   {"PATCH", orgs, "", 405, fault, nil, ""},
		"a page":                       {"GET", "/docs", "", 200, "<html>", nil, ""},
		"a limit":                      {"GET", orgs, "", 429, fault, func(h http.Header) { h.Set("Retry-After", "3") }, ""},
		"a form of RFC 6749":           {"POST", "/oauth/token", "", 400, `{"error":"invalid_request"}`, nil, ""},
		"a limit on a token path":      {"POST", "/oauth/token", "", 429, fault, func(h http.Header) { h.Set("Retry-After", "3") }, ""},
		"another status":               {"POST", orgs, `{"name":"A"}`, 200, user, nil, "does not declare that status"},
		"a conflict nobody declared":   {"POST", orgs, `{"name":"A"}`, 409, fault, nil, "does not declare that status"},
		"a field that nobody declared": {"POST", orgs, `{"name":"A"}`, 201, strings.Replace(user, `"name"`, `"color2":1,"name"`, 1), nil, "additional properties 'color2' not allowed"},
		"a field that is missing":      {"POST", orgs, `{"name":"A"}`, 201, strings.Replace(user, `"name":"A",`, "", 1), nil, "missing property 'name'"},
		"null where there is none":     {"POST", orgs, `{"name":"A"}`, 201, strings.Replace(user, `"allowed_email_domains":[]`, `"allowed_email_domains":null`, 1), nil, "got null, want array"},
		"a number for a text":          {"POST", orgs, `{"name":"A"}`, 201, strings.Replace(user, `"color":null`, `"color":1`, 1), nil, "got number"},
		"no JSON":                      {"POST", orgs, `{"name":"A"}`, 201, "", nil, "EOF"},
		"another content type":         {"POST", orgs, `{"name":"A"}`, 201, user, func(h http.Header) { h.Set("Content-Type", "text/html") }, `content type "text/html"`},
		"no request id":                {"POST", orgs, `{"name":"A"}`, 201, user, func(h http.Header) { h.Del("X-Request-Id") }, "X-Request-Id is there 0 times"},
		"a limit that says not when":   {"GET", orgs, "", 429, fault, nil, "Retry-After is there 0 times"},
		"a limit that says now":        {"GET", orgs, "", 503, fault, func(h http.Header) { h.Set("Retry-After", "0") }, "Retry-After"},
		"the other form of faults":     {"POST", "/oauth/token", "", 400, fault, nil, "got object, want string"},
		"no such route, but answered":  {"GET", "/nowhere", "", 200, user, nil, "no such operation"},
		"a method in small letters":    {"get", orgs, "", 200, user, nil, "no such operation"},
		"a request without the needed": {"POST", orgs, `{"color":"red"}`, 201, user, nil, "missing property 'name'"},
		"a request of another type":    {"POST", orgs, `{"name":["A"]}`, 201, user, nil, "got array, want string"},
		"a query of another type":      {"GET", orgs + "?per_page=many", "", 200, `{"__type__":"List","data":[],"total":0,"pagination":{"current_page":1,"next_page":null,"prev_page":null,"per_page":1,"total_pages":0}}`, nil, "the parameter per_page"},
		"a key that is none":           {"POST", orgs, `{"name":"A"}`, 201, user, func(h http.Header) { h.Set("Idempotency-Key", "a b") }, "the parameter Idempotency-Key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := httptest.NewRequestWithContext(t.Context(), c.method, c.path, nil)
			req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader([]byte(c.sent))), nil }
			r := &reply{status: c.status, raw: c.answer, header: http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"x"}}}
			if c.change != nil {
				c.change(r.header)
				req.Header.Set("Idempotency-Key", r.header.Get("Idempotency-Key"))
			}
			found := strings.Join(doc.complaints(req, r, routes), "; ")
			if (found == "") != (c.finds == "") || !strings.Contains(found, c.finds) {
				t.Errorf("found %q, want %q", found, c.finds)
			}
		})
	}
}
