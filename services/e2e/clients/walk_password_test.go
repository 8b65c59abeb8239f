package clients_test

import (
	"strings"
	"testing"

	"countersign.dev/services/e2e/clients/browser"
	"countersign.dev/services/e2e/stage"
)

// Who has to set another password is told while typing how far it has come, by
// the page alone. Without scripts there is the hint, and no meter.
//
// Covers R-062 (in a browser: a manager finds whose password it is, and what is typed stays in the page until it is sent).
func TestANewPasswordIsMeasured(t *testing.T) {
	t.Parallel()
	w := newWalks(t)
	for name, look := range map[string]browser.Look{"scripts": {Phone: true, Dark: true}, "noscript": {NoScript: true}} {
		t.Run(name, func(t *testing.T) {
			who, _ := w.enrolled(t)
			w.api.Call("POST", w.api.Path("users/"+who.id+"/password/force-change")).Want(200)
			p := w.walker(t, who, look)
			p.name = "renew-" + name
			p.starts()
			p.sendsPassword()
			p.sends("/login/code", "code", p.app.code())
			p.tab.Await(formOf("/login/renew"))
			p.looks("empty")
			if text := p.tab.Text(); !strings.Contains(text, "At least 15 characters.") {
				t.Errorf("the page does not say what is asked:\n%s", text)
			}
			if !p.tab.Has(`input[autocomplete="username"][value="` + p.email + `"]`) {
				t.Error("a manager of passwords does not find whose it is")
			}
			if look.NoScript {
				if !p.tab.Has("meter[hidden]") {
					t.Error("a meter is there that cannot move")
				}
			} else {
				p.types()
			}
			p.password += "-and-another"
			p.sends("/login/renew", "password", p.password)
			p.isIn()
		})
	}
}

// types looks at what is said of passwords.
func (w *walker) types() {
	w.t.Helper()
	const asked = `performance.getEntriesByType('resource').length`
	before := browser.Script[int](w.tab, asked)
	name, _, _ := strings.Cut(w.email, "@")
	for _, c := range []struct{ typed, says string }{
		{"grey-Heron", "5 more characters are needed."},
		{"grey-Heron-wai", "One more character is needed."},
		{"grey-Heron-waits", "Long enough. It is checked when you save it."},
		{"grey-Heron-waits-for-rain", "Looks strong. It is checked when you save it."},
		{"aaaaaaaaaaaaaaaaaaaa", "Repetitions and rows"},
		{"heron heron heron heron", "Repetitions and rows"},
		{"1234567890 qwertyuiop", "Repetitions and rows"},
		{name + " " + strings.ToUpper(name) + " grey", "Words of your address"},
	} {
		browser.Script[string](w.tab, `document.getElementById('password').value = ''`)
		w.tab.Type("#password", c.typed)
		stage.Until(w.t, "what is said of "+c.typed, func() bool {
			return strings.HasPrefix(browser.Script[string](w.tab, `document.getElementById('strength').textContent`), c.says)
		})
		if full := browser.Script[float64](w.tab, `(m => m.value / m.low)(document.getElementById('meter'))`); (full >= 1) != (strings.HasPrefix(c.says, "Long") || strings.HasPrefix(c.says, "Looks")) {
			w.t.Errorf("%s fills the meter to %v", c.typed, full)
		}
	}
	w.looks("typed")
	if after := browser.Script[int](w.tab, asked); after != before {
		w.t.Errorf("typing has asked for %d things", after-before)
	}
}
