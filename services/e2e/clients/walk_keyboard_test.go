package clients_test

import (
	"strings"
	"testing"

	"countersign.dev/services/e2e/clients/browser"
	"countersign.dev/services/e2e/stage"
)

// A person who has no mouse enrols, signs in and signs out, and hears of every
// mistake.
//
//
func TestByKeyboardAlone(t *testing.T) {
	t.Parallel()
	w := newWalks(t)
	for name, look := range map[string]browser.Look{"with scripts": {}, "without": {NoScript: true}} {
		t.Run(name, func(t *testing.T) { byKeyboard(t, w, look) })
	}
}

func byKeyboard(t *testing.T, w *walks, look browser.Look) {
	p := w.walker(t, w.newcomer(t), look)
	p.tab.Open(w.demo)
	p.hits("#sign-in")
	p.reachable()
	p.fills("input[name=email]", p.email)
	p.fills("input[name=password]", "not "+p.password)
	p.tab.Enters("\r")
	p.refuses("password")
	p.fills("input[name=password]", p.password)
	p.tab.Enters("\r")
	p.reachable()
	p.scans()
	p.fills("input[name=code]", stage.Other(p.app.code()))
	p.tab.Enters("\r")
	p.refuses("code")
	p.fills("input[name=code]", p.app.code())
	p.tab.Enters("\r")
	p.reachable()
	p.goes("input[name=saved]")
	p.tab.Keys(" ")
	p.hits(formOf("/login/codes") + " button[type=submit]")
	p.isIn()
	p.hits("#sign-out")
	p.hits("#sign-in")
	p.fills("input[name=email]", p.email)
	p.fills("input[name=password]", p.password)
	p.tab.Enters("\r")
	p.reachable()
	p.fills("input[name=code]", p.app.code())
	p.tab.Enters("\r")
	p.isIn()
	p.home()
	if p.tab.Clicks() != 0 {
		t.Error("a mouse was used")
	}
}

// focus is what the keys go to: the one of the controls of the page.
type focus struct {
	At   int      `json:"at"` // none is below zero
	All  []string `json:"all"`
	Ring bool     `json:"ring"` // it is seen
	Is   bool     `json:"is"`
}

// focused tells about the focus, and whether it is on what a selector finds.
func (w *walker) focused(selector string) focus {
	w.t.Helper()
	const look = `(() => {
		const all = [...document.querySelectorAll("a[href], button, input, select, textarea, summary")].filter((e) => !e.disabled && e.type !== "hidden" && e.offsetParent);
		const at = document.activeElement, style = getComputedStyle(at);
		return {
			at: all.indexOf(at), all: all.map((e) => e.outerHTML), is: at.matches(SELECTOR),
			ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0,
		};
	})()`
	return browser.Script[focus](w.tab, strings.ReplaceAll(look, "SELECTOR", "`"+selector+"`"))
}

// goes moves the focus on until it is where a selector says.
func (w *walker) goes(selector string) {
	w.t.Helper()
	for at, n := w.focused(selector), 0; !at.Is; at, n = w.focused(selector), n+1 {
		if n > len(at.All)+1 {
			w.t.Fatalf("no key leads to %s at %s:\n%s", selector, w.tab.Location(), strings.Join(at.All, "\n"))
		}
		w.tab.Keys("\t")
	}
}

// fills goes to a field and types. What was there is selected by that, unless the
// page has put the focus there.
func (w *walker) fills(selector, text string) {
	w.t.Helper()
	w.goes(selector)
	w.tab.Keys(text)
}

// hits goes to what leads to another page and presses Enter.
func (w *walker) hits(selector string) {
	w.t.Helper()
	w.goes(selector)
	w.tab.Enters("\r")
}

// reachable looks that keys lead everywhere on the page, and that it is seen
// where they are.
func (w *walker) reachable() {
	w.t.Helper()
	at := w.focused("*")
	been := map[int]bool{}
	for range len(at.All) + 2 { // the browser itself comes between the last one and the first
		if at = w.focused("*"); at.At >= 0 {
			been[at.At] = true
			if !at.Ring {
				w.t.Errorf("nobody sees that the focus is on %s", at.All[at.At])
			}
		}
		w.tab.Keys("\t")
	}
	for i, control := range at.All {
		if !been[i] {
			w.t.Errorf("no key leads to %s", control)
		}
	}
}
