package clients_test

import (
	"strings"
	"testing"

	"countersign.dev/services/e2e/clients/browser"
)

// passwordFields looks at every field for a password on the way: managers know
// what it is for, nothing is cut off or kept from the clipboard, and it can be
// shown.
func passwordFields(t *testing.T, w *walks) {
	who, _ := w.enrolled(t)
	w.api.Call("POST", w.api.Path("users/"+who.id+"/password/force-change")).Want(200)
	p := w.walker(t, who, browser.Look{})
	p.starts()
	p.takesPasswords("/login", "current-password")
	p.turns("forgot")
	link := w.mailed(t, p.email, func() { p.sends("/login/forgot", "email", p.email) })
	first := p.tab
	p.reads(link)
	p.clicks()
	p.takesPasswords("/password", "new-password")
	p.tab = first
	p.turns("password")
	p.sendsPassword()
	p.sends("/login/code", "code", p.app.code())
	p.takesPasswords("/login/renew", "new-password")
}

// takesPasswords looks at the field of a form.
func (w *walker) takesPasswords(path, kind string) {
	w.t.Helper()
	field := formOf(path) + ` input[name=password]`
	const wrong = `((f) => [
		[f.type === "password", "its type is " + f.type],
		[f.autocomplete === "KIND", "managers read " + f.autocomplete],
		[f.maxLength === -1 || f.maxLength >= 1024, "it takes " + f.maxLength + " characters"],
		[!f.hasAttribute("onpaste") && !f.readOnly && !f.disabled, "it keeps something out"],
		[f.form.querySelector("[autocomplete=username]") !== null, "managers read no user name"],
		[f.labels.length === 1 && f.labels[0].innerText.trim() !== "", "it has no label"],
	].filter(([ok]) => !ok).map(([, why]) => why))(document.querySelector(FIELD))`
	for _, why := range browser.Script[[]string](w.tab, strings.NewReplacer("KIND", kind, "FIELD", "`"+field+"`").Replace(wrong)) {
		w.t.Errorf("the field for a password of %s: %s", path, why)
	}
	long := strings.Repeat("Ä long pass-phrase 密码 ", 60) // more than 1,024 characters
	w.tab.Press(field)
	w.tab.Paste(long)
	read := func(of string) string {
		return browser.Script[string](w.tab, "document.querySelector(`"+field+"`)."+of)
	}
	if got := read("value"); got != long {
		w.t.Errorf("%s: %d characters were pasted, and %d are there", path, len(long), len(got))
	}
	show := formOf(path) + " button[data-show]"
	says := browser.Script[string](w.tab, "document.querySelector(`"+show+"`).textContent")
	w.tab.Press(show)
	if other := browser.Script[string](w.tab, "document.querySelector(`"+show+"`).textContent"); read("type") != "text" || other == says || read("value") != long {
		w.t.Errorf("%s: the password is not shown", path)
	}
	w.tab.Press(show)
	if read("type") != "password" {
		w.t.Errorf("%s: the password stays shown", path)
	}
	w.tab.Press(show) // and is hidden again when it is sent, so that no browser remembers it as a text
	if sent := browser.Script[string](w.tab, "((f) => { f.form.noValidate = true; f.form.addEventListener(`submit`, (e) => e.preventDefault()); f.form.requestSubmit(); const t = f.type; delete f.form.dataset.sent; return t })(document.querySelector(`"+field+"`))"); sent != "password" {
		w.t.Errorf("%s: a shown password is sent as %s", path, sent)
	}
	w.tab.Reload()
}
