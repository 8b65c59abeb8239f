package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// Who may read an organization gets an address that shows its pages, with what
// it says about itself, to everybody who has it.
func TestOperatorsLookAtThePages(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	h.call("PUT", "/api/v2/organizations/"+h.org, "color=#336699", "name=Acme & Söhne").want(200)
	made := h.call("POST", "/api/v2/org/"+h.org+"/page-preview").want(200)
	expires, err := time.Parse("2006-01-02T15:04:05", made.text("expires_at"))
	if left := time.Until(expires); err != nil || left < 29*time.Minute || left > 30*time.Minute || made.text("__type__") != "PagePreview" {
		t.Errorf("it is good until %v, %v", made.raw, err)
	}
	path, ours := strings.CutPrefix(made.text("url"), h.public)
	if !ours || !strings.HasPrefix(path, "/preview/") {
		t.Fatalf("the address is %s", made.text("url"))
	}
	nobody := h.browser()
	for page, want := range map[string]string{
		path:                       `href="` + path + `/de/code-wrong"`,
		path + "/de/password":      "<h1>Bei Acme &amp; Söhne anmelden</h1>",
		path + "/fr/enrol-app":     "EXAM PLEK EYEX",
		path + "/en/codes":         "<li>0000-0000-0000-0000</li>",
		path + "/en/account":       "Second factors",
		path + "/en/password-wait": "Try again in 3 minutes.",
	} {
		shown := nobody.visit("GET", page, nil).want(200)
		if !strings.Contains(shown.raw, want) || !strings.Contains(shown.raw, `content="noindex"`) || shown.header.Get("Cache-Control") != "no-store" || shown.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %v %s", page, shown.header, shown.raw)
		}
	}
	for _, wrong := range []string{path + "x", path[:len(path)-3], "/preview/x", path + "/en/nothing", path + "x/en/codes"} {
		if r := nobody.visit("GET", wrong, nil).wantFault(http.StatusNotFound, "preview_over"); !r.isPage() || !strings.Contains(r.raw, r.header.Get("X-Request-Id")) {
			t.Errorf("%s: %s", wrong, r.raw)
		}
	}
	h.call("DELETE", "/api/v2/organizations/"+h.org).want(200)
	nobody.visit("GET", path, nil).wantFault(http.StatusNotFound, "preview_over")
}

// A key without the scope gets none, and one of another account finds nothing.
func TestPreviewsAreForWhoMayRead(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	narrow := h.as(h.signIn(h.key("acme", "sandbox", "users:read")))
	narrow.call("POST", "/api/v2/org/"+h.org+"/page-preview").wantFault(http.StatusForbidden, "insufficient_scope")
	h.call("POST", "/api/v2/org/"+h.org+"/page-preview", "page=password").wantFault(http.StatusBadRequest, "unknown_parameter")
	h.as("none").call("POST", "/api/v2/org/"+h.org+"/page-preview").wantFault(http.StatusUnauthorized, "unauthorized")
}
