package pages

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// Where a page is says how far its style is from it, below whatever path a
// proxy has put the service.
func TestPagesFindTheirStyle(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/": ".", "/login": ".", "/login/code": "..", "/account/shop.live/sessions": "../..", "/login/": "..", "/a%2Fb": ".",
	} {
		if got := root(httptest.NewRequestWithContext(t.Context(), "GET", path, nil)); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestStaticFilesAreKept(t *testing.T) {
	t.Parallel()
	routes := Static{}.Routes()
	if len(routes) != 2 || routes[0].Path == hashed("pages", ".css", append([]byte(" "), styleCSS...)) {
		t.Errorf("the routes are %v", routes)
	}
	for _, route := range routes {
		if route.CacheFor != aYear || !strings.HasPrefix(route.Path, "/assets/pages.") {
			t.Errorf("%s is kept for %v", route.Path, route.CacheFor)
		}
	}
	if len(scriptJS) > 6<<10 {
		t.Errorf("the script has %d bytes", len(scriptJS))
	}
	for _, foreign := range []string{"http:", "https:", "//", "@import", "url("} {
		if strings.Contains(string(styleCSS), foreign) || foreign != "//" && strings.Contains(string(scriptJS), foreign) {
			t.Errorf("%q stands in a static file", foreign)
		}
	}
}
