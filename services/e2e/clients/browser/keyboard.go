package browser

import (
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Control is what a person can come to by the keyboard.
type Control struct {
	HTML    string `json:"html"` // its beginning
	Reached bool   `json:"reached"`
	Visible bool   `json:"visible"` // that it is there is shown
}

// listControls writes down all that can be seen and used. What a page takes out
// of the order is for programs, such as the address for a manager of passwords.
const listControls = `(() => {
	window.controls = [...document.querySelectorAll('a[href], button, input, select, textarea, summary')]
		.filter((e) => !e.disabled && e.tabIndex >= 0 && e.getClientRects().length > 0)
		.map((e) => ({ e, html: e.outerHTML.slice(0, 160), reached: false, visible: false }));
	if (document.activeElement) document.activeElement.blur();
	return window.controls.length;
})()`

// noteFocus writes down where the keyboard is.
const noteFocus = `(() => {
	const at = window.controls.find((c) => c.e === document.activeElement);
	if (at) {
		const style = getComputedStyle(at.e);
		at.reached = true;
		at.visible = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
	}
	return window.controls.every((c) => c.reached);
})()`

// Controls goes through the page with the key Tab, from wherever it begins, and
// returns all that can be seen and used.
func (t *Tab) Controls() []Control {
	t.tb.Helper()
	all := Script[int](t, listControls)
	// Twice round at most, past what the browser has around the page.
	for steps := 0; steps < 2*all+4 && !Script[bool](t, noteFocus); steps++ {
		t.run("press Tab", chromedp.KeyEvent(kb.Tab))
	}
	return Script[[]Control](t, `window.controls.map(({ html, reached, visible }) => ({ html, reached, visible }))`)
}
