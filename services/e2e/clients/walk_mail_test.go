package clients_test

import (
	"regexp"
	"strings"
	"testing"

	"countersign.dev/services/e2e/clients/browser"
)

// Walks that lead through a mail, or to another password: with and without
// scripts, from the demo app and back to it.
//
// Covers R-160 (without scripts: the walks through a mail and to another password).
// Covers R-161 (the same for the pages of links).
func TestMailWalks(t *testing.T) {
	t.Parallel()
	w := newWalks(t)
	w.api.Call("PUT", w.api.Path("magic-link-connection"), "active=true").Want(200)
	for name, look := range map[string]browser.Look{"with scripts": {}, "without": {NoScript: true, Phone: true}} {
		t.Run("a forgotten password, "+name, func(t *testing.T) { forgets(t, w, look) })
		t.Run("a link, "+name, func(t *testing.T) { signsInByLink(t, w, look) })
		t.Run("a link in another browser, "+name, func(t *testing.T) { opensElsewhere(t, w, look) })
		t.Run("an old password, "+name, func(t *testing.T) { renews(t, w, look) })
	}
	t.Run("scanners", func(t *testing.T) { scanners(t, w) })
	t.Run("too late", func(t *testing.T) { tooLate(t, w) })
}

// forgets has the mail open in the same browser, and is led back to the sign-in.
func forgets(t *testing.T, w *walks, look browser.Look) {
	who, _ := w.enrolled(t)
	p := w.walker(t, who, look)
	p.name = named("forgotten", look)
	p.starts()
	p.turns("forgot")
	p.looks("forgot")
	link := w.mailed(t, p.email, func() { p.sends("/login/forgot", "email", p.email) })
	p.looks("sent")
	p.reads(link)
	p.looks("link")
	p.clicks()
	p.looks("choose")
	p.chooses("/password")
	if !p.tab.Has(formOf("/login")) || !p.tab.Has("[role=status]") {
		t.Fatalf("with another password set, the browser is at %s\n%s", p.tab.Location(), p.tab.Text())
	}
	p.looks("set")
	p.sendsPassword()
	p.sends("/login/code", "code", p.app.code())
	p.isIn()
	p.home()
}

// chooses sets another password at a page: first one that is too weak, which is
// answered with advice.
func (w *walker) chooses(path string) {
	w.t.Helper()
	w.sends(path, "password", "password1")
	if !w.tab.Has(formOf(path)) || len(w.tab.Text()) == 0 {
		w.t.Fatalf("a weak password leads to %s", w.tab.Location())
	}
	w.refuses("password")
	w.looks("advice")
	w.tab.Expected("the server responded with a status of 422") // browsers write that into their console
	w.password = "slow-Badger-digs-" + strings.ReplaceAll(w.email, "@", "-") + "-58"
	w.sends(path, "password", w.password)
}

// signsInByLink opens the mail where the sign-in was begun.
func signsInByLink(t *testing.T, w *walks, look browser.Look) {
	who, _ := w.enrolled(t)
	p := w.walker(t, who, look)
	p.name = named("link", look)
	link := p.asksForLink()
	p.looks("sent")
	p.reads(link)
	p.looks("here")
	p.clicks()
	p.sends("/login/code", "code", p.app.code())
	p.isIn()
	p.home()
}

// asksForLink begins a sign-in by link.
func (w *walker) asksForLink() string {
	w.t.Helper()
	w.starts()
	w.turns("link")
	w.looks("link")
	return w.mailed(w.t, w.email, func() { w.sends("/login/link", "email", w.email) })
}

// opensElsewhere reads mails on another device. It shows a code, which is typed
// where the sign-in was begun, and signs in nowhere itself.
func opensElsewhere(t *testing.T, w *walks, look browser.Look) {
	who, _ := w.enrolled(t)
	p, other := w.walker(t, who, look), w.walker(t, who, look)
	p.name, other.name = named("elsewhere", look), named("elsewhere-other", look)
	other.tab.Open(w.demo)
	other.reads(p.asksForLink())
	other.looks("link")
	other.clicks()
	other.looks("code")
	code := regexp.MustCompile(`\b[0-9]{6}\b`).FindString(other.tab.Text())
	if code == "" {
		t.Fatalf("the other browser shows no code:\n%s", other.tab.Text())
	}
	p.sends("/login/shown", "code", code) // nobody has to load the page again for that
	p.sends("/login/code", "code", p.app.code())
	p.isIn()
	other.starts() // at the address and the password: nobody is signed in there
	p.home()
	other.home()
}

// renews signs in with a password that has to be changed.
func renews(t *testing.T, w *walks, look browser.Look) {
	who, _ := w.enrolled(t)
	w.api.Call("POST", w.api.Path("users/"+who.id+"/password/force-change")).Want(200)
	p := w.walker(t, who, look)
	p.name = named("renewal", look)
	p.starts()
	p.sendsPassword()
	p.sends("/login/code", "code", p.app.code())
	p.looks("renew")
	p.chooses("/login/renew")
	p.isIn()
	p.signsOut()
	p.tab.Submit("#sign-in")
	p.sendsPassword() // the new one
	p.sends("/login/code", "code", p.app.code())
	p.isIn()
	p.home()
}
