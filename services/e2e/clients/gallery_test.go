package clients_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign.dev/services/e2e/clients/browser"
)

// lightest is what a page may weigh with all that it loads, uncompressed.
const lightest = 60 << 10

// What the browser is asked about a page.
const (
	// ofLanguage are the pages of the preview that its list has in a language.
	ofLanguage = `[...document.querySelectorAll('.pages a[hreflang="LANG"]')].map((a) => a.href)`
	// weight counts what was cached, too.
	weight = `performance.getEntriesByType('navigation')[0].decodedBodySize +
		performance.getEntriesByType('resource').reduce((sum, r) => sum + r.decodedBodySize, 0)`
	// wide is what does not fit the width of the screen.
	wide = `[...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
		.map((e) => e.outerHTML.slice(0, 160))`
	// unsaid are fields in error that do not say what is wrong.
	unsaid = `[...document.querySelectorAll('[aria-invalid]')].filter((e) => !document.querySelector('[role=alert]') ||
		!(e.getAttribute('aria-describedby') || '').split(' ').some((id) => document.getElementById(id)?.textContent.trim()))
		.map((e) => e.outerHTML.slice(0, 160))`
)

// gallery is a preview of all pages.
type gallery struct {
	*walks

	list string // its address
	dir  string // of the pictures
}

func newGallery(t *testing.T) *gallery {
	t.Helper()
	w := newWalks(t)
	w.api.Call("PUT", "/api/v2/organizations/"+w.api.Org, "name=Müller & Söhne", "color=#0f766e").Want(200)
	g := &gallery{walks: w, list: w.api.Call("POST", w.api.Path("page-preview")).Want(200).Text("url"), dir: filepath.Join(pictures(), "gallery")}
	if err := os.MkdirAll(g.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return g
}

// Every page in every language, light and dark, on the narrowest phone and at a
// desk: all can use it, nothing is cut off, it is light, and it asks nobody else
// for anything. A picture of each is kept.
//
// Covers R-153 (in a browser: every page with sample data, no violation of the policy).
//
func TestGallery(t *testing.T) {
	t.Parallel()
	g := newGallery(t)
	for _, lang := range []string{"en", "de", "fr"} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			g.walk(t, lang)
		})
	}
	t.Run("documentation", func(t *testing.T) {
		t.Parallel()
		tab := g.chromium.Profile(t)
		tab.Open(g.issuer + "/docs/errors")
		tab.Open(g.issuer + "/docs")
		tab.Await("#api .opblock") // it shows the API, so its script has run
		if outside := tab.Outside(g.issuer); len(outside) > 0 {
			t.Errorf("the documentation asks elsewhere: %q", outside)
		}
	})
}

// walk goes through the pages of a language.
func (g *gallery) walk(t *testing.T, lang string) {
	t.Helper()
	tab := g.chromium.Looking(t, browser.Look{Narrow: true})
	tab.Open(g.list)
	pages := browser.Script[[]string](tab, strings.ReplaceAll(ofLanguage, "LANG", lang))
	if len(pages) < 40 {
		t.Fatalf("the list has %d pages", len(pages))
	}
	if lang == "en" {
		pages = append(pages, g.list)
	}
	for _, address := range pages {
		name := filepath.Base(address)
		if address == g.list {
			name = "list"
		}
		tab.Open(address)
		g.look(t, tab, name+"-"+lang)
		if lang == "en" {
			reaches(t, tab, name)
		}
	}
	if outside := tab.Outside(g.issuer); len(outside) > 0 {
		t.Errorf("the pages ask elsewhere: %q", outside)
	}
}

// look judges a page, which is loaded once, and keeps the pictures.
func (g *gallery) look(t *testing.T, tab *browser.Tab, name string) {
	t.Helper()
	if bytes := browser.Script[int](tab, weight); bytes > lightest {
		t.Errorf("%s weighs %d bytes", name, bytes)
	}
	for _, field := range browser.Script[[]string](tab, unsaid) {
		t.Errorf("%s: a field does not say what is wrong: %s", name, field)
	}
	for _, seen := range []struct {
		as   string
		look browser.Look
	}{
		{"phone-light", browser.Look{Narrow: true}}, {"phone-dark", browser.Look{Narrow: true, Dark: true}},
		{"desk-dark", browser.Look{Dark: true}}, {"desk-light", browser.Look{}},
	} {
		tab.Wear(seen.look)
		tab.Keep(g.dir, name+"-"+seen.as)
		switch {
		case seen.look.Narrow && seen.look.Dark: // light is judged by all rules, of which colours alone change
			tab.Accessible(g.axe, "color-contrast")
		case seen.look.Narrow:
			tab.Accessible(g.axe)
		}
		for _, part := range browser.Script[[]string](tab, wide) {
			t.Errorf("%s: it does not fit %s: %s", name, seen.as, part)
		}
	}
}

// reaches comes to every control of a page, and sees where it is.
func reaches(t *testing.T, tab *browser.Tab, name string) {
	t.Helper()
	controls := tab.Controls()
	if len(controls) == 0 {
		t.Errorf("%s has no control", name)
	}
	for _, c := range controls {
		if !c.Reached || !c.Visible {
			t.Errorf("%s: by keyboard, reached: %v, seen: %v: %s", name, c.Reached, c.Visible, c.HTML)
		}
	}
}
